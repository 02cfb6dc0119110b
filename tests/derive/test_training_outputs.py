"""Outputs of trainings at single steps: every one is printed with an equation for each symbol, and
nothing that may not exist is folded away."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from reader import latex, page
from reader.compare import disagreements

import nexort

PROGRAM = """data x[1, 1] = [[1]]
network f(x) {{
  weight u : vector[1]
  weight v : vector
  |h> = relu(|u> @ x)
  return <v|h>
}}
train f {{
  parametrization {parametrization}
  optimizer sgd(lr=0.2)
  error {error}
  steps 2
  {more}
}}
{rules}
output {output}
"""


def training(
    parametrization: str, output: str, *, error: str = "f - 1", more: str = "", rules: str = ""
) -> nexort.TensorProgram:
    text = PROGRAM.format(
        parametrization=parametrization, output=output, error=error, more=more, rules=rules
    )
    return nexort.loads(text)


def section(text: str, name: str) -> str:
    """The lines of a section."""
    return text.split(f"{name}\n---")[1].split("\n\n", maxsplit=1)[0]


ONE_STEP = [
    ("f[1]", "", "f^1_a = f^0_a − 0.2 K_Q^0_a"),
    ("f[1][0]", "", "f^1_0 = f^0_0 − 0.2 K_Q^0_0"),
    ("f[2] - f[1]", "", "f^2_a − f^1_a"),
    ("f[2] - f[1] as r", "", "r_a = f^2_a − f^1_a"),
    ("f[1]^2", "", "(f^1_a)²"),
    ("exp(f[1])", "", "exp(f^1_a)"),
    ("<h[1]|h[1]>", "", "⟨h^1_a|h^1_b⟩ = E[relu(|h1_a⟩) relu(|h1_b⟩)]"),
    ("<h[1]|h[1]>^2", "", "⟨h^1_a|h^1_b⟩² = ⟨h_a|h_b⟩²"),
    ("<1|h[1]>", "", "⟨1|h^1_a⟩ = E[relu(|h1_a⟩)]"),
    ("g", "g = f[1]", "g_a = f^0_a − 0.2 K_Q^0_a"),
    ("q", "r[t] = f[t]^2 for t in 0..2\nq = r[1]", "q_a = (f^1_a)²"),
    ("q", "K[t] = <h[t]|h[t]> for t in 0..2\nq = sum(t in 1..2) K[t]", "q_ab = Σ_{t=1..2} K^t_ab"),
    ("f as y", "", "y^t_a = f^t_a   (t = 0..2)"),
    ("f[0]", "", "f^0_a"),
]


@pytest.mark.parametrize("parametrization", ["ntp", "ups(1/4)"])
@pytest.mark.parametrize(("output", "rules", "shown"), ONE_STEP)
def test_tangent_outputs(output: str, rules: str, shown: str, parametrization: str) -> None:
    limits = training(parametrization, output, rules=rules).derive()
    assert limits.derivation.undefined == ()
    text = limits.text()
    if parametrization == "ntp":
        assert shown in section(text, "Outputs")
    assert "Without an equation" not in text
    assert latex.read(limits.latex(), page.read(text).axes)
    assert json.loads(json.dumps(limits.as_json()))["outputs"]


def test_what_nothing_reads_is_not_printed() -> None:
    text = training("ntp", "f").derive().text()
    assert "f^t_a = f^{t−1}_a" in text or "f^{t+1}_a = f^t_a" in text
    assert "⟨1|" not in text
    assert "Cov(f^0_a, f^0_b) = ⟨h_a|h_b⟩" in text
    alone = training("ntp", "<h[1]|h[1]>").derive()
    assert alone.derivation.closed
    assert "f^0" not in alone.text()
    assert "neural tangent operator" not in alone.text().partition("Outputs")[2]


def test_rules_beside_the_output() -> None:
    rules = "r[t] = f[t]^2 for t in 0..2\ns = sum(t in 1..2) r[t]"
    assert training("ntp", "r", rules=rules).derive().derivation.undefined == ()


@pytest.mark.parametrize(
    ("output", "rules", "shown"),
    [
        ("<1|h[1]>", "", "⟨1|h^1_a⟩ = E[|h^1_a⟩]"),
        ("<h[1]|h[1]>^2", "", "⟨h^1_a|h^1_b⟩² = E[|h^1_a⟩ |h^1_b⟩]²"),
        ("diag(<h[1]|h[1]>)^2", "", "⟨h^1_a|h^1_a⟩² = E[|h^1_a⟩²]²"),
        ("<1|y>", "|y> = tanh(|h[1]>)", "⟨1|y_a⟩ = E[|y_a⟩]"),
        ("f[1] + <1|h[1]>", "", "f^1_a + ⟨1|h^1_a⟩ = f^1_a + E[|h^1_a⟩]"),
        ("f[1]", "", "= E[|h^1_a⟩ |v^1⟩]"),
    ],
)
@pytest.mark.parametrize(("parametrization", "more"), [("mup", ""), ("ntp", "decay 0.1")])
def test_brackets_of_moving_kets_are_expectations(
    output: str, rules: str, shown: str, parametrization: str, more: str
) -> None:
    text = training(parametrization, output, rules=rules, more=more).derive().text()
    if output != "f[1]" or parametrization == "mup":
        assert shown in section(text, "Outputs")
    assert "It is given by the recursion" not in text
    assert "Every bra-ket ⟨x|y⟩ is E[|x⟩ |y⟩], and ⟨1|x⟩ is E[|x⟩]:" in text


@pytest.mark.parametrize(
    ("parametrization", "output", "more"),
    [
        ("ntp", "f[1], f[2] - f[1] as r, f, f[1]^2", "centre"),
        ("ups(1/4)", "f[1], exp(f[2]), <h[1]|h[1]>^2, <1|h[2]>", ""),
        ("ntp", "<h[1]|h[1]>, <1|h[2]>^2", ""),
        ("mup", "f[1], <h[1]|h[1]>^2, <1|h[1]>", ""),
    ],
)
def test_printed_outputs_read_back(parametrization: str, output: str, more: str) -> None:
    program = training(parametrization, output, more=more)
    assert disagreements(program, limit=program.limit(samples=2048)) == []


ZERO_WEIGHT = """
dim M
data xi[2, M] = [[0.03, 1.36, 1.22], [-0.3, -0.53, 0.57]]
network f(xi) {
  weight u : vector[2]
  weight P : matrix ~ N(0, 0)
  weight Q : matrix
  weight v : vector
  |x> = |u> @ xi
  |p> = P |x>
  |q> = Q |x>
  |z> = |x> @ <p|q>
  return |v> * (|x> + P |z>)
}
train f {
  parametrization ntp
  optimizer sgd(lr=0.1)
  error f - 1
  steps 2
  centre
}
output f
"""


def test_cotangents_that_vanish_are_those_of_every_output() -> None:
    """P^T acts as 0 on what depends on the output, so that |dz> does not."""
    program = nexort.loads(ZERO_WEIGHT)
    assert disagreements(program, limit=program.limit(samples=512)) == []


# ---- what may not exist --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("0 * log(f) + f - 1", "0 log(f^t_a) + f^t_a − 1"),
        ("(f - 1) * (f/f)", "(f^t_a − 1) (f^t_a/f^t_a)"),
        ("f - 1 + 0/f", "f^t_a − 1 + 0/f^t_a"),
        ("f - 1 + log(f)*0", "f^t_a − 1 + 0 log(f^t_a)"),
        ("f - 1 + (log(f) - log(f))", "f^t_a − 1 + (log(f^t_a) − log(f^t_a))"),
        ("f - 1 + 2 * (0 * log(f))", "f^t_a − 1 + 2 (0 log(f^t_a))"),
        ("f + sqrt(f) * sqrt(f)", "f^t_a + √f^t_a √f^t_a"),
        ("2 * f - f - 1", "f^t_a − 1"),
    ],
)
@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_error_signals_fold_nothing_that_may_not_exist(
    error: str, shown: str, parametrization: str
) -> None:
    program = training(parametrization, "f", error=error)
    if parametrization == "ntp" and ("log" in error or "sqrt" in error):  # f_0 may be negative
        with pytest.raises(nexort.NexortError, match=r"integrand is .*(log|sqrt)\(z\)"):
            program.derive()
        return
    limits = program.derive()
    [line] = [x for x in limits.text().split("\n") if x.strip().startswith("χ^t_a")]
    assert line.split(" = ", 1)[1].split("   (")[0] == shown
    latex.translate_all(limits.latex())


def test_outputs_keep_their_names() -> None:
    output = "f[0] / f[0], 0 * log(f[0]), 0 * f[1], f[1] - f[1] + f[2], 0 * <h[1]|h[1]>"
    text = section(training("mup", output).derive().text(), "Outputs")
    lefts = [x[2:].split(" = ")[0].strip() for x in text.split("\n") if x[:3].strip()]
    assert lefts[-5:] == [
        "f^0_a/f^0_a", "0 log(f^0_a)", "0 f^1_a", "(f^1_a − f^1_a) + f^2_a", "0 ⟨h^1_a|h^1_b⟩",
    ]  # fmt: skip


def test_what_is_kept_is_computed() -> None:
    """The emitted module and the evaluator do what is written."""
    program = training("ntp", "f[1] as g", error="0 * log(f + 1) + f - 1", more="centre")
    space: dict[str, Any] = {}
    exec(program.emit(), space)
    [value], [computed] = program.limit().values(), space["limit"]().values()
    assert "0 * np.log" in program.emit()
    assert np.squeeze(np.asarray(value)) == pytest.approx(np.squeeze(computed))


def test_outputs_outside_of_trainings() -> None:
    vectors = "vector v, w ~ N(0, 1)\n"
    for value in ("0 * log(<v|w>)", "<v|w> / <v|w>", "<v|w> * (1 / <v|w>) as r"):
        with pytest.raises(nexort.NexortError, match="infinite or not a number"):
            nexort.loads(f"{vectors}output {value}").derive()
    text = nexort.loads(f"{vectors}output <v|v> / <v|v>").derive().text()
    assert "⟨v|v⟩/⟨v|v⟩ = 1" in text


OUTSIDE = """
dim d, M
data xi[d, M], y[M]
matrix B ~ N(0, 1/n)
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = tanh(|u> @ xi)
  return <v|x>
}
train f {
  parametrization mup
  optimizer sgd(lr=0.1)
  error f - y
  steps 8
}
|q> = B |x[3]>
output <q|q>
"""


def test_matrices_act_outside_of_networks() -> None:
    text = nexort.loads(OUTSIDE).derive().text()
    assert "= B |x^3_a⟩" in text
    assert "Cov(|q̂_a⟩, |q̂_b⟩) = ⟨x^3_a|x^3_b⟩" in text


COINCIDING = """
param L = 2
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..L { |x[l]> = tanh(W[l] |x[l-1]>) }
  return <v|x[L]>
}
train f {
  parametrization mup
  optimizer sgd(lr=0.1)
  optimizer sgd(lr=0.2) for W[2]
  decay 0.1 for W[L]
  error f - y
  steps 8
}
output f
"""


def test_members_that_coincide_at_the_numbers_given_are_derived_one_by_one() -> None:
    """W[2] is W[L]: it moves by its own rate, and decays."""
    text = nexort.loads(COINCIDING).derive().text()
    assert "0.9 W^{k,t} − 0.2 Σ_a χ^t_a |dh^{2,t}_a⟩⟨x^{1,t}_a|" in text
    general = nexort.loads(COINCIDING.replace("L = 2", "L = 4")).derive().text()
    assert "W^{2,t+1} = W^{2,t} − 0.2" in " ".join(general.split())
    assert "W^{L,t+1} = 0.9 W^{L,t} − 0.1" in " ".join(general.split())
