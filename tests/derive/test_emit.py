"""Emitted modules run without nexort and give the numbers of ``nexort eval``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.cli import main
from nexort.support.diagnostics import NexortError

PROGRAMS = Path(__file__).parents[2] / "programs"
RUN = """\
import sys
sys.modules["nexort"] = None  # importing it fails
import numpy as np
import emitted
given = np.load("given.npz")
np.savez("found.npz", **emitted.limit(**{k: given[k] for k in given.files}))
assert {m.split(".")[0] for m in sys.modules} & {"nexort", "sympy", "lark"} == {"nexort"}
"""
X = np.random.default_rng(3).standard_normal((5, 4)) / 2
X[:, 3] = X[:, 2]  # two equal inputs


def found(
    program: nexort.TensorProgram, folder: Path, **given: np.ndarray
) -> dict[str, np.ndarray]:
    """The outputs of the emitted module, run in a process of its own."""
    (folder / "emitted.py").write_text(program.emit(), "utf-8")
    np.savez(folder / "given.npz", **given)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN],
        cwd=folder, capture_output=True, text=True, check=False, env={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as saved:
        return {name: saved[name] for name in saved.files}


def compared(
    program: nexort.TensorProgram, folder: Path, rtol: float = 1e-12, **given: np.ndarray
) -> None:
    """The emitted module against the exact limit."""
    names = found(program, folder, **given)
    limit = program.limit(data=given, rtol=1e-12)
    assert set(names) == set(limit)
    for name, value in names.items():
        assert "sampl" not in limit[name].method, limit[name].method
        np.testing.assert_allclose(value, np.asarray(limit[name]), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("phi", ["relu", "erf", "tanh", "gelu", "sin", "abs", "elu", "celu"])
@pytest.mark.parametrize("depth", [1, 3])
def test_perceptrons(phi: str, depth: int, tmp_path: Path) -> None:
    compared(perceptron(phi, depth), tmp_path, xi=X)


def perceptron(phi: str, depth: int) -> nexort.TensorProgram:
    text = (PROGRAMS / "mlp.nxt").read_text("utf-8")
    body = f"{phi}(z, 0.5)" if phi == "celu" else f"{phi}(z)"
    return nexort.loads(text.replace("relu(z)", body), L=depth)


def test_an_input_that_is_zero(tmp_path: Path) -> None:
    """Its variance is 0, its covariances are 0 but for roundings."""
    text = (
        "dim d, M\ndata x[d, M]\nvector u[d] ~ N(0, 1)\nmatrix W ~ N(0, 1/n)\n"
        "|w> = W celu(|u> @ x, 0.7)\n|p> = celu(|w>, 0.7)^2\n|q> = abs(|w>)\n"
        "output <p|q>, <p|p>, <1|p>"
    )
    x = np.array([[0, 1, -1, 2, 0.5, 0.3], [0, 0, 0, 0, 1, -0.9]])
    x[:, 3] = 0
    compared(nexort.loads(text), tmp_path, x=x)


@pytest.mark.parametrize("phi", ["hardtanh", "relu6", "hardswish", "selu"])
def test_perceptrons_whose_slopes_jump(phi: str, tmp_path: Path) -> None:
    """Of different inputs: a jump loses half of the digits of equal ones."""
    compared(perceptron(phi, 3), tmp_path, xi=X[:, :3], rtol=1e-11)


@pytest.mark.parametrize(
    "name", ["digits", "perceptron", "residual", "skip_activation", "shared_branch"]
)
def test_networks(name: str, tmp_path: Path) -> None:
    compared(nexort.load(PROGRAMS / f"{name}.nxt"), tmp_path, xi=X)


@pytest.mark.parametrize(
    "name", ["layernorm", "recurrent", "wishart", "semicircle", "free_product", "autoencoder"]
)
def test_programs_without_data(name: str, tmp_path: Path) -> None:
    compared(nexort.load(PROGRAMS / f"{name}.nxt"), tmp_path)


def test_names_and_constant_means(tmp_path: Path) -> None:
    text = """
    dim M
    data a[M] = [0.5, 1, 2]
    vector (u, v) ~ N(0, [[1, 0.5], [0.5, 1]])
    matrix W ~ N(0, 1/n)
    |x> = step(|u> * a) * (W |v>)
    |y> = W^T |x>
    |s> = step(|u> * a)
    half = <1|s>
    output <v|y> as vy, <y|y> as yy, half
    """
    # the dot of W^T |x> is |v> E step(u a) = |v> / 2, its hat has variance <x|x> = 1/2
    names = found(nexort.loads(text), tmp_path)
    np.testing.assert_allclose(names["vy"], np.full(3, 0.5), rtol=1e-15)
    np.testing.assert_allclose(names["half"], np.full(3, 0.5), rtol=1e-15)
    np.testing.assert_allclose(names["yy"], np.full((3, 3), 0.75), rtol=1e-15)


def test_depth_one_hundred(tmp_path: Path) -> None:
    program = nexort.load(PROGRAMS / "digits.nxt", L=100)
    compared(program, tmp_path, rtol=1e-10, xi=X)


def test_params_and_data_are_arguments(tmp_path: Path) -> None:
    program = nexort.load(PROGRAMS / "recurrent.nxt")
    given = {"xi": np.array([0.4, -1.0, 2.0]), "sigma_w": np.float64(0.7)}
    names = found(program, tmp_path, **given)
    limit = program.with_numbers(sigma_w=0.7).limit(xi=given["xi"])
    np.testing.assert_allclose(names["q"], np.asarray(limit["q"]), rtol=1e-12)


def test_the_source_is_readable() -> None:
    source = nexort.load(PROGRAMS / "mlp.nxt").emit()
    assert "nexort" not in source
    assert "def limit(xi, L=3):" in source
    assert "    for l in range(2, L + 1):\n        h_h(l)\n" in source
    assert "⟨x^l_a|x^l_b⟩   = E[relu(|h^l_a⟩) relu(|h^l_b⟩)]" in source
    assert max(map(len, source.split("\n"))) <= 100
    assert not re.search(r"^import (?!numpy)", source, re.MULTILINE)


def test_what_is_not_closed_is_named() -> None:
    with pytest.raises(NexortError, match="not-closed") as problem:
        nexort.load(PROGRAMS / "symmetric_tanh.nxt").emit()
    assert "E[tanh(" in str(problem.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = str(PROGRAMS / "mlp.nxt")
    with pytest.raises(SystemExit) as done:
        main(["eval", program, "--emit", "numpy", "-o", str(tmp_path / "kernel.py")])
    assert done.value.code == 0
    assert (tmp_path / "kernel.py").read_text("utf-8") == nexort.load(program).emit()
    with pytest.raises(SystemExit) as done:
        main(["eval", str(PROGRAMS / "symmetric_sign.nxt"), "--emit", "numpy"])
    assert done.value.code == 2
    assert "error[not-closed]" in capsys.readouterr().err


EDGES = {
    "functions of sums": """
        vector u ~ N(0.5, 1)
        |x> = gelu(|u>)
        |y> = silu(|u>) * sigmoid(|u>)
        output <1|x>, <1|y>""",
    "inputs that are zero": """
        data a[4] = [2, 0, -1, 0]
        vector u ~ N(0, 1)
        |g> = |u> * a
        |s> = sign(|g>)
        |t> = step(|g>)
        |r> = relu(|g>)
        |m> = abs(|g>)
        output <s|s>, <t|t>, <r|t>, <m|m>, <r|r>""",
    "sizes that only results have": """
        dim M = 2, P = 3
        data a[M] = [1, 2]
        data b[P, M] = [[1, 1], [0, 0], [3, 3]]
        vector u, v ~ N(0, 1)
        |x> = <1|u> + 0 * |u> * a
        |y> = |v> * tanh'(|u> * b)
        output <x|x>, <1|y>""",
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str, tmp_path: Path) -> None:
    compared(nexort.loads(EDGES[name].replace("\n        ", "\n")), tmp_path)


def test_a_variance_beyond_the_rule_is_refused() -> None:
    program = nexort.loads("param s = 1\nvector u ~ N(0, s)\n|x> = tanh(|u>)\noutput <x|x>")
    space: dict[str, object] = {}
    exec(program.emit(), space)
    assert callable(space["limit"])
    assert space["limit"](s=25.0)["<x|x>"] == pytest.approx(
        float(program.with_numbers(s=25).limit()["<x|x>"]), rel=1e-10
    )
    with pytest.raises(ArithmeticError, match="too fast at its variance for the trapezoidal rule"):
        space["limit"](s=1e4)


@pytest.mark.parametrize("body", ["tanh(|v>) / |v>", "sqrt(0.5 + |v>^2)"])
def test_quotients_that_are_smooth_where_they_are_0_over_0(body: str, tmp_path: Path) -> None:
    law = "vector (v, w) ~ N(0, [[1, 1], [1, 2]])"
    lines = [f"|x> = {body}", f"|y> = {body.replace('v>', 'w>')}", "output <x|x>, <1|y>, <y|y>"]
    compared(nexort.loads("\n".join([law, *lines])), tmp_path, rtol=1e-12)


@pytest.mark.parametrize("body", ["log(|v>^2)", "sqrt(|v> * |v>)", "sqrt(1 - cos(|v>))"])
def test_branches_are_refused(body: str) -> None:
    program = nexort.loads(f"vector v ~ N(0, 1)\n|x> = {body}\noutput <x|x>")
    with pytest.raises(nexort.NexortError, match="cannot be emitted"):
        program.emit()


def test_poles_that_cancel_stay_together(tmp_path: Path) -> None:
    """E (1 - cos z) / z^2 exists, E 1 / z^2 does not."""
    text = "vector v, w ~ N(0, 1)\n|x> = 1 / |v>^2 - cos(|v>) / |v>^2 + |w>\noutput <1|x>"
    program = nexort.loads(text)
    assert "⟨1|x⟩ = E[1/|v⟩² − cos(|v⟩)/|v⟩²]" in str(program.derive())
    # E int_0^1 (1 - s) cos(s z) ds = int_0^1 (1 - s) exp(-s^2 / 2) ds
    steps = (np.arange(10_000) + 0.5) / 10_000
    expected = np.mean((1 - steps) * np.exp(-(steps**2) / 2))
    assert found(program, tmp_path)["<1|x>"] == pytest.approx(expected, rel=1e-8)


QUOTIENTS = """
vector v ~ N(0, 1)
|t> = tanh(|v>)
a = <v|t>
b = <t|t>
"""


@pytest.mark.parametrize(
    "output", ["1 / (1 / a)", "a / (b / a)", "log(b) * (a - 1 / b)", "a^(1 / b) / sqrt(b - a * b)"]
)
def test_operations_that_are_not_folded_have_parentheses(output: str, tmp_path: Path) -> None:
    compared(nexort.loads(f"{QUOTIENTS}output {output} as r\n"), tmp_path, rtol=1e-8)


def test_jumps_of_kets_that_are_zero(tmp_path: Path) -> None:
    """E[z f(y)] = <z|y> E[y f(y)] / <y|y> is 0 for y = 0, as the limit has it, exactly."""
    text = (
        "dim d = 2, M = 3\ndata xi[d, M] = [[0, 1, 2], [0, 1, -1]]\nvector u[d] ~ N(0, 1/d)\n"
        "matrix A, B ~ N(0, 1/n)\n|x> = |u> @ xi\n|s> = sign(A |x>)\n|z> = |x> + B |s>\n"
        "|y> = sign(|z>)\noutput <s|s>, <y|x> as yx, <y|y> as yy"
    )
    program = nexort.loads(text)
    compared(program, tmp_path, rtol=1e-12)
    limit = program.limit()
    for value in limit.values():
        assert not np.asarray(value)[0].any()
        assert not value.error[0].any()


def test_what_jumps_lose_is_said() -> None:
    texts = [f"vector u ~ N(0, 1)\n|x> = {f}(|u>)\noutput <x|x>" for f in ("step", "relu")]
    assert ["Accuracy" in nexort.loads(t).emit() for t in texts] == [True, False]
