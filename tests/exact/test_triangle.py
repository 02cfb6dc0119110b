"""Exact, sampled and finite width: three routes, over programs made for what each tries."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

HEAD = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
vector b, v ~ N(0, 1)
matrix W, V ~ N(0, 1/n)
|h> = |u> @ xi
"""

PROGRAMS = {
    "a branch reused is four times the kernel": """
        |x> = relu(|h>)
        |y> = W |x> + W |x>
        output <y|y>, <x|x>""",
    "residual": """
        |x> = |h> + relu(|h>)
        |y> = |x> + tanh(W |x>)
        output <y|y>, <x|y>""",
    "biases": """
        |x> = relu(|h> + 0.5 * |b>)
        |y> = gelu(W |x> + 0.3 * |b>)
        output <y|y>, <y|b>""",
    "gradients": """
        |x> = erf(|h>)
        |g> = W |x>
        |dg> = |v> * tanh'(|g>)
        |dh> = erf'(|h>) * (W^T |dg>)
        output <dh|dh>, <dg|dg>""",
    "polynomials": """
        |x> = |h> * |b> + |h>^2 - 1
        |y> = (W |x> + |b>)^3
        output <x|x>, <1|y>, <y|b>""",
    "linear times nonlinear": """
        |x> = relu(|h>) * |b> + tanh(|h>) * |h>
        output <x|x>, <x|h>, <1|x>""",
    "two functions and a Gaussian": """
        |z> = |h> + |b>
        |x> = sin(|h>) * |z>
        |y> = tanh(|h>)
        output <x|x>, <x|y>""",
    "a dot with axes": """
        |x> = tanh(W |h>)
        |y> = W^T |x> + |h>
        |z> = relu(|y>) + |y>
        output <y|y>, <h|y>""",
    "a dot of a jump": """
        |x> = sign(W |h>)
        |y> = W^T |x>
        output <y|y>, <h|y>""",
    "normalised": """
        |x> = relu(W tanh(|h>))
        mean = <1|x>
        |y> = (|x> - mean) / sqrt(diag(<x|x>) - mean^2)
        |z> = tanh(V |y>)
        output <y|y>, <z|z>""",
    "shifted": """
        |x> = tanh(|h> + 0.7) + exp(0.2 * |b>)
        output <x|x>, <1|x>""",
    "contracted": """
        |x> = relu(|h>) @ xi^T
        |y> = tanh(W |x>)
        output <x|x>, <y|y>""",
}
"""Bodies by what they try; all outputs are exact."""

X = np.random.default_rng(1).standard_normal((2, 3)) * 0.7


def program(name: str) -> nexort.api.TensorProgram:
    return nexort.loads(HEAD + PROGRAMS[name].replace("\n        ", "\n"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_exact_against_sampled(name: str) -> None:
    tested = program(name)
    exact = tested.limit(xi=X)
    sampled = tested.limit(xi=X, exact=False, samples=4096)
    for output, value in exact.items():
        assert "sampled" not in value.method, value.method
        other = sampled[output]
        off = np.abs(value.plain - other.plain)
        assert (off <= 5 * other.error + value.error + 1e-10).all(), (output, off, other.error)


@pytest.mark.parametrize("name", PROGRAMS)
def test_exact_against_finite_width(name: str) -> None:
    tested = program(name)
    exact = tested.limit(xi=X)
    finite = tested.simulate(width=1024, seeds=8, xi=X)
    for output, value in exact.items():
        runs = np.asarray(finite[output].runs)
        spread = runs.std(axis=0, ddof=1)
        # the mean is off by the bias of order 1/n, well below the spread of one run
        bound = 6 * spread / np.sqrt(len(runs)) + 0.5 * spread + value.error + 1e-10
        assert (np.abs(runs.mean(axis=0) - value.plain) <= bound).all(), output


def test_a_branch_reused_is_exactly_four_times() -> None:
    found = program("a branch reused is four times the kernel").limit(xi=X)
    np.testing.assert_allclose(found["<y|y>"], 4 * found["<x|x>"].plain, rtol=1e-14)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int) -> None:
    """Depth, functions, biases, skips and norms at random: exact against sampled."""
    rng = np.random.default_rng(seed)
    lines = [HEAD.replace("matrix W, V", "matrix W[1..4]")]
    ket = "|h>"
    for layer in range(1, int(rng.integers(2, 5))):
        f = rng.choice(["relu", "tanh", "erf", "gelu", "sin", "abs", "sigmoid"])
        scale, bias = rng.uniform(0.5, 1.5, 2).round(2)
        inner = f"{scale} * (W[{layer}] |x{layer}>)"
        inner += f" + {bias} * |b>" if rng.random() < 0.5 else ""
        body = f"{f}({ket})" + (f" + 0.5 * {ket}" if rng.random() < 0.3 else "")
        if rng.random() < 0.3:
            lines.append(f"|r{layer}> = {body}")
            body = f"|r{layer}> / sqrt(diag(<r{layer}|r{layer}>))"
        lines += [f"|x{layer}> = {body}", f"|h{layer}> = {inner}"]
        ket = f"|h{layer}>"
    lines.append(f"|y> = tanh({ket}) * |v>\noutput <y|y>, <x1|x1>")
    tested = nexort.loads("\n".join(lines))
    exact, sampled = tested.limit(xi=X), tested.limit(xi=X, exact=False, samples=1024)
    for output, value in exact.items():
        assert "sampled" not in value.method, value.method
        other = sampled[output]
        off = np.abs(value.plain - other.plain)
        assert (off <= 5.5 * other.error + value.error + 1e-10).all(), (output, off, other.error)


def test_partly_exact_programs_sample_the_rest() -> None:
    text = (
        HEAD
        + """
|x> = relu(|h>)
|y> = tanh(relu(W |x>) + |b>)
output <x|x>, <y|y>
"""
    )
    found = nexort.loads(text).limit(xi=X, samples=4096)
    assert found["<x|x>"].method == "exact: closed form"
    assert found["<y|y>"].method.startswith("sampled")
    pure = nexort.loads(text).limit(xi=X, samples=4096, exact=False)
    error = np.hypot(found["<y|y>"].error, pure["<y|y>"].error)
    assert (np.abs(found["<y|y>"].plain - pure["<y|y>"].plain) <= 5 * error).all()


def test_lists_of_kets() -> None:
    text = """
vector u, w ~ N(0, 1)
|z> = [|u>, |u> + |w>]
|x> = relu(|z>)
output <x|x>, <z|z>
"""
    found = nexort.loads(text).limit()
    rho = 1 / np.sqrt(2)
    cross = np.sqrt(2) * (np.sqrt(1 - rho**2) + rho * (np.pi - np.arccos(rho))) / (2 * np.pi)
    np.testing.assert_allclose(found["<x|x>"], [[0.5, cross], [cross, 1.0]], rtol=1e-14)
    np.testing.assert_allclose(found["<z|z>"], [[1, 1], [1, 2]], rtol=1e-14)
