"""Slips and what is said of them: a row of the table of messages a test."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.support.diagnostics import NexortError

HERE = Path(__file__).parent
HEAD = """\
dim d = 2, M = 3
data xi[d, M] = [[1, 2, 3], [4, 5, 6]]
matrix W ~ N(0, 1/n)
vector u[d], v ~ N(0, 1)
"""
NETWORK = """\
dim d = 2, M = 3
data xi[d, M] = [[0.03, 1.36, 1.22], [-0.3, -0.53, 0.57]]
data y[M] = [0.7, -0.1, -0.4]
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = relu(|u> @ xi)
  return <v|x>
}
"""


def case(name: str) -> nexort.TensorProgram:
    return nexort.load(HERE / f"{name}.nxt")


def told(text: str) -> str:
    """What is said of a text: codes, messages, help."""

    def run() -> None:
        program = nexort.loads(text)
        if program.program.training is None:
            program.unrolled()

    with pytest.raises(NexortError) as caught:
        run()
    return "\n".join(f"{d.message}\n{d.help}" for d in caught.value.diagnostics)


LINES = {
    "|h> = W.transpose() |v>": "the transpose: W^T",
    "output <v|W^{-1}|v>": "in parentheses: x^(a + 1)",
    "output sum(|v>)": "over a range: sum(l in 1..3) x[l]",
    "output prod(l in 1..3) l": "p[l] = p[l-1] * x[l]",
    "output sum_{l=1}^3 l": "sum(l in 1..3) x[l]",
    "|h> = layernorm(|v>)": "|y> = |x> - <1|x>, then |y> / sqrt(<y|y>)",
    "|h> = clip(|v>, -1, 1)": "min(max(|x>, -1), 1)",
    "|h> = |v> if 1 else 0": "step(x) is 1 where x is positive",
    "|h> = lambda z: z^2": "fn phi(z) = tanh(z)",
    "fn phi = lambda z: z^2": "fn phi(z) = tanh(z)",
    "fn phi(z): z^2": "a function is one expression",
    "|h> := W |v>": "one = defines",
    "param L: 3": "param L = ...",
    "scalar c = 3": "c = 3 names a number",
    "vector w = randn(n)": "vector w ~ N(0, 1)",
    "matrix V[n, n] ~ N(0, 1/n)": "have the width without saying so",
    'data z[2] = "z.npy"': "--data z=file.npy",
    "data z[2] = np.array([1, 2])": "lists are numbers in brackets",
    "output xi' @ xi": "'xi' is no function.*\nxi\\^T is the transpose",
    "A = W + 1": "write W |x> + c |x>",
    "output <v|v>²": "write x^2",
    "output √2": "write sqrt(x)",
    "output <v|v> – 1": "write -",
    "|h> = |v>**2": "powers are written ^",
    "|h> = W.T |v>": "W^T",
    "|h> = W' |v>": "'W' is a matrix.*\n.*W\\^T",
    "|h> = W^t |v>": "W^T",
    "|h> = W^dagger |v>": "W^T",
    "|h> = \\frac{1}{2} |v>": "LaTeX is not read\n.*1/2",
    "output \\langle v | v \\rangle": "LaTeX is not read\n.*<v|v>",
    "output <v||W v>": "<v|W|v>",
    "output <v|W v>": "<v|W|v>, or name it first: |h> = W |v>",
    "|y> = softmax(|v>)": "exp(s) / (one @ exp(s))",
    "output tr(W^T W)": "<v|W^T W|v> of a vector v ~ N(0, 1)",
    "|y> = |v> / ||v||": "sqrt(<v|v>)",
    "|y> = E[|v>]": "<1|x> is the average of a ket; E{1}[...]",
    "|y> = inv(W) |v>": "never inverts one",
    "|y> = W^-1 |v>": "never inverts one",
    "matrix V ~ N(0, 1/sqrt(n))": "the second number is the variance",
    "vector s ~ normal(0, 1)": "did you mean 'N'?",
    "|h> == W |v>": "one = defines",
    "let x = 3": "x = ..., or param x = 3",
    "// comment": "comments start with #",
    "for l in 1..3: |x[l]> = |v>": "for l in 1..3 { ... }",
    "for l in range(1, 3) { |x[l]> = |v> }": "for l in 1..3",
    "|x[l]> = W |v>": "stands in no loop",
    "s[t] = xi[0, t] for t in 1..M\noutput s": "indices of an axis run from 0 to 2",
    "data z[d, d] = [[1, 2], [3]]": "rows of this list have 2 and 1 entries",
    "matrix V = N(0, 1/n)": "a law is written with ~",
    "if L > 2 { |h> = |v> }": "there is no 'if'.*\n.*two programs",
    "|h> = where(|v> > 0, |v>, 0)": "step(|v>) * |v>",
    "|y> = e^(|v>)": "exp(|x>)",
    "output dot(v, v)": "<x|y>",
    "|y> = σ(|v>)": "did you mean 'sigmoid'?",
    "output <v|relu(|v>)>": "name it first: |h> = relu(|v>); then <v|h>",
    "output <v + u|v + u>": "name it first: |s> = |v> + |w>",
}
"""A line, and what its message or help says."""


@pytest.mark.parametrize("line", LINES)
def test_slips(line: str) -> None:
    end = "" if "output" in line else "output <v|v>\n"
    wanted = LINES[line]
    pattern = wanted if "\n" in wanted else re.escape(wanted)
    assert re.search(pattern, told(f"{HEAD}{line}\n{end}")), told(f"{HEAD}{line}\n{end}")


SETTINGS = {
    "weight_decay 0.05": "decay 0.05",
    "loss (f - y)^2 / 2": "error is the derivative of the loss by the output: error f - y",
    "epochs 3": "steps 3",
    "lr 0.1": "optimizer sgd(lr=0.1)",
    "batch 2": "a training sees all inputs",
    "decay=0.1": "'decay' is not written so\ndecay 0.05",
    "scheduler cosine": "rates are expressions of the step t",
    "grad_clip 1": "clip 0.5",
    "freeze v": "optimizer sgd(lr=0) for u",
    "seed 3": "--seed 3",
    "thing 2": "parametrization, optimizer, error, steps, decay, start, centre, normalize, clip",
    "optimiser sgd(lr=0.1)": "did you mean 'optimizer'?",
    "optimizer SGD(lr=0.1)": "did you mean 'sgd'?",
    "optimizer signsgd(lr=0.1)": "did you mean 'sign_sgd'?",
    "optimizer adma(lr=0.1)": "did you mean 'adam'?",
    "optimizer adam(learning_rate=0.1)": "did you mean 'lr'?",
    "optimizer sgd(lr=0.1, weight_decay=0.1)": "a line of its own in the training: decay 0.1",
}


@pytest.mark.parametrize("line", SETTINGS)
def test_settings(line: str) -> None:
    body = ["parametrization ntp", "error f - y", "steps 2", line]
    if not line.startswith("optimizer"):
        body.insert(0, "optimizer sgd(lr=0.1)")
    text = NETWORK + "train f {\n  " + "\n  ".join(body) + "\n}\noutput f\n"
    assert SETTINGS[line] in told(text)


@pytest.mark.parametrize("line", ["start [0.1, 0]", "error f - [1, 2]", "error [1, 2] * f"])
def test_lists_of_another_length_than_the_output(line: str) -> None:
    lines = ["parametrization ntp", "optimizer sgd(lr=0.1)", "steps 2", line]
    if line.startswith("start"):
        lines.append("error f - y")
    text = NETWORK + "train f {\n  " + "\n  ".join(lines) + "\n}\noutput f\n"
    for run in (nexort.classify, nexort.TensorProgram.limit, nexort.TensorProgram.simulate):
        with pytest.raises(NexortError) as caught:
            run(nexort.loads(text))
        [found] = caught.value.diagnostics
        assert found.message == "an axis of size 2 does not match axis M of size 3"
        assert found.span is not None
        assert found.span.text == line.split(" ", 1)[1]


def test_a_reserved_name_says_what_it_is() -> None:
    text = NETWORK.replace("weight v", "weight E : matrix\n  weight v")
    assert "E{1}[...] averages" in told(text)


def test_return_is_of_update_functions() -> None:
    text = (
        "optimizer mine(lr) { state m = 0; m = m + g; return m }\nvector v ~ N(0, 1)\noutput <v|v>"
    )
    assert "write update g" in told(text)


def test_the_rate_multiplies_outside() -> None:
    with pytest.raises(NexortError) as caught:
        case("message-lr-in-body")
    [found] = caught.value.diagnostics
    assert found.message == "'lr' has no value here: it multiplies what is given to 'update'"
    assert found.help == "write update g, not update lr * g"


def test_brackets_in_functions() -> None:
    with pytest.raises(NexortError) as caught:
        case("message-fn-bracket")
    assert caught.value.diagnostics[0].help == "brackets stand outside: |y> = |x> / sqrt(<x|x>)"


def test_expressions_in_brackets() -> None:
    with pytest.raises(NexortError) as caught:
        case("message-bra-expression")
    assert caught.value.diagnostics[0].help == "name it first: |s> = |v> + |w>, then <s|s>"


# ---- what is accepted ----------------------------------------------------------------------------


def test_statements_that_begin_with_a_list() -> None:
    start = case("message-start-list").limit()["f"]
    np.testing.assert_allclose(start[0], [0.1, 0, 0], atol=1e-14)
    masked = case("message-error-list").limit()["f"]
    text = (HERE / "message-error-list.nxt").read_text("utf-8")
    same = nexort.loads(text.replace("[1, 1, 0] * (f - y)", "(f - y) * [1, 1, 0]")).limit()["f"]
    np.testing.assert_array_equal(masked, same)
    assert abs(masked[2, 0]) > 1e-3


def test_a_name_before_a_list_is_defined() -> None:
    text = "vector v ~ N(0, 1)\nerror[1] = <v|v>\nstart[0] = 2 * error[1]\noutput error, start[0]"
    found = nexort.loads(text).limit()
    assert float(found["start[0]"]) == pytest.approx(2)


def test_several_binders() -> None:
    np.testing.assert_allclose(case("message-comma-for").limit()["g"], np.eye(2), atol=1e-13)
    text = "for i in 1..2, j in 0..i { s[i, j] = 10 * i + j }\noutput s[2, 1], s[1, 1]"
    found = nexort.loads(text).limit()
    assert [float(x) for x in found.values()] == [21, 11]


@pytest.mark.parametrize(
    "form",
    [
        "1/(3*n)",
        "1/n/3",
        "1/3/n",
        "2*n^(-1)/6",
        "n^-1/3",
        "(1/sqrt(n))^2/3",
        "(3*n)^-1",
        "1/n-2/(3*n)",
        "sqrt(1/9/n^2)",
    ],
)
def test_variances(form: str) -> None:
    text = (HERE / "message-variance.nxt").read_text("utf-8")
    program = nexort.loads(text.replace("1/(3*n)", form))
    assert float(program.limit()["<x|x>"]) == pytest.approx(1 / 3, rel=1e-14)


@pytest.mark.parametrize("form", ["1/n^2", "n", "exp(n)", "1/n+1", "1/sqrt(n)", "n^v", "log(n)/n"])
def test_what_is_no_variance_of_a_matrix(form: str) -> None:
    said = told(f"matrix W ~ N(0, {form})\nvector v ~ N(0, 1)\noutput <v|W|v>")
    assert "the second number is the variance" in said


# ---- losses --------------------------------------------------------------------------------------


def trained(error: str) -> nexort.TensorProgram:
    body = f"parametrization ntp\n optimizer sgd(lr=0.1)\n error {error}\n steps 2"
    return nexort.loads(f"{NETWORK}train f {{\n {body}\n}}\noutput f\n")


@pytest.mark.parametrize(
    "error", ["(f - y)^2", "(f - y)^2 / 2", "-0.5 * abs(f - y)", "(f-y)*(f-y)"]
)
def test_losses_are_noticed(error: str) -> None:
    with pytest.warns(RuntimeWarning, match="error is the derivative of the loss"):
        trained(error)


@pytest.mark.parametrize(
    "error", ["f - y", "(f - y)^3", "abs(y) * f", "sign(f - y)", "f * (f - y)^2"]
)
def test_derivatives_are_none(error: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(error)


# ---- errors in Python ----------------------------------------------------------------------------


def test_errors_speak_python() -> None:
    with pytest.raises(NexortError) as caught:
        nexort.loads("param L\nvector v ~ N(0, L)\noutput <v|v>").limit()
    assert "help: load(path, L=3)" in str(caught.value)
    assert "help: --set L=3" in caught.value.render()
    with pytest.raises(NexortError) as caught:
        nexort.loads("dim d\ndata a[d]\noutput a").limit()
    assert "--" not in str(caught.value).replace("-->", "")


def test_no_message_names_an_option_in_python() -> None:
    """Every text of the package that names an option has another spelling in Python."""
    from nexort.support.diagnostics import in_python

    texts = []
    for path in Path(nexort.__file__).parent.rglob("*.py"):
        if "cli" not in path.parts:
            texts += re.findall(r'"([^"\n]*--[a-z][^"\n]*)"', path.read_text("utf-8"))
    assert len(texts) > 20
    assert [t for t in texts if re.search(r"--[a-z]|nexort eval", in_python(t))] == []


def test_notebooks_show_the_message_alone() -> None:
    """IPython asks an exception for the lines that it shows."""
    with pytest.raises(NexortError) as caught:
        nexort.loads("output tanh(")
    shown = caught.value._render_traceback_()
    assert shown == str(caught.value).splitlines()
    assert not any("Traceback" in line or ".py" in line for line in shown)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-- a comment", "'--' starts no comment"),
        ("|h> <- W |v>", "'<-' defines nothing"),
        ("|h> -> W |v>", "'->' defines nothing"),
        ("s ← <v|v>", "'←' defines nothing"),
    ],
)
def test_marks_of_other_languages(line: str, said: str) -> None:
    text = f"matrix W ~ N(0, 1/n)\nvector v ~ N(0, 1)\n{line}\noutput <v|v>"
    with pytest.raises(nexort.NexortError, match=said):
        nexort.loads(text)


def test_ranges_of_three_dots() -> None:
    text = "vector v ~ N(0, 1)\nm = sum(k in 1...3) k * <v|v>\noutput m"
    assert float(nexort.loads(text).limit()["m"]) == 6


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n"])
def test_line_ends(ends: str) -> None:
    lines = ["vector u ~ N(0, 1)  # initial", "|x> = 2 * |u>", "output <x|x>", ""]
    assert float(nexort.loads(ends.join(lines)).limit()["<x|x>"]) == 4
    with pytest.raises(NexortError, match=r":3:9\b"):
        nexort.loads(ends.join([*lines[:2], "output <y|x>"]))


def test_named_outputs_of_networks() -> None:
    text = HEAD + NETWORK.split("\n", 3)[3].replace("return <v|x>", "s = <v|x>\n  return s")
    with pytest.raises(NexortError, match="write out what 's' stands for: return <v"):
        nexort.loads(text)


SLIPS_IN_NETWORKS = [
    ("weight w : matrix = 0", "~ N(0, 0)"),
    ("weight w : vector = 1", "~ N(1, 0)"),
    ("|x> = tanh(|x>)", "|x[l]> = ... |x[l-1]>"),
    ("|z> = conv(|x>)", "sum(k in 1..K) W[k]"),
    ("|z> = dropout(|x>)", "no noise"),
    ("|z> = rmsnorm(|x>)", "diag(<x|x>)"),
    ("|z> = relu^2(|x>)", "relu(|x>)^2"),
    ("for l in 1..2 { |z[l]> = tanh(|z[l-1]>) }", "|z[0]> = |v>"),
]


@pytest.mark.parametrize(("line", "wanted"), SLIPS_IN_NETWORKS)
def test_slips_in_networks(line: str, wanted: str) -> None:
    text = NETWORK.replace("  return", f"  {line}\n  return")
    assert wanted in told(f"{text}output f\n")


def test_slips_in_declarations() -> None:
    assert "matrix V ~ N(0, 1/n)" in told(f"{HEAD}matrix V\noutput <v|v>\n")
    assert "vector w[d] ~ N(0, 1)" in told(f"{HEAD}vector w[d]\noutput <v|v>\n")
    text = NETWORK + "train f {\n  optimizer adam(lr=0.1, betas=(0.9, 0.99))\n}\noutput f\n"
    assert "beta1=0.9" in told(text)
    text = NETWORK.replace("weight v : vector", "weight v : vector\n  weight b : scalar")
    assert "|v> * |x[L]> + b" in told(text.replace("<v|x>", "<v|x> + b") + "output f\n")
