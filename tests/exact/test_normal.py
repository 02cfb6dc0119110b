"""Kernels of u z + v |z| through correlations: against whole limits, which are found without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from arccos_kernels import arccos_kernels

import nexort
from nexort.limit.exact.values import What

PROGRAMS = Path(__file__).parents[2] / "programs"
RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 30)) * RNG.uniform(0.1, 10, 30)
X[:, 1] = X[:, 0]
X[:, 2] = -X[:, 0]
X[:, 3] = -3 * X[:, 4] * (1 + 1e-9)
X[:, 5] = 0
X[:, 6] = X[:, 7] + 1e-6

BODY = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1 / d)
vector b ~ N(0, 1)
matrix V, W ~ N(0, 1.7 / n)
|h> = |u> @ xi
|x> = {f}(|h>)
|y> = {f}(W |x>)
|z> = {f}(V |y> {bias})
s = <x|x>
t = <z|z> + 0.3 * <z|z> * <h|h> + <y|y> * {f2}
output s, t
"""


def program(f: str, bias: str = "", f2: str = "<h|h>") -> nexort.api.TensorProgram:
    definition = "fn bend(z) = 0.3 * z - 1.2 * abs(z)\nfn line(z) = -2 * z\n"
    definition += "fn leaky(z) = leaky_relu(z, 0.1)\n"
    return nexort.loads(definition + BODY.format(f=f, bias=bias, f2=f2))


@pytest.mark.parametrize("bias", ["", "+ |b>"])
@pytest.mark.parametrize("f", ["relu", "leaky", "abs", "bend", "line"])
def test_kernels_are_limits(f: str, bias: str) -> None:
    tested = program(f, bias)
    found, whole = tested.kernel(X), tested.limit(xi=X)
    norms = np.sqrt(np.diag(found["s"]))
    for name, kernel in found.items():
        np.testing.assert_allclose(kernel, whole[name].plain, rtol=1e-12, atol=1e-13 * norms.max())
    np.testing.assert_array_equal(found["t"], found["t"].T)


def test_opposite_inputs() -> None:
    """relu kernels of opposite inputs vanish, those of nearly opposite ones like the cube of the
    angle: relative to the general formula."""
    a = RNG.standard_normal((4, 1))
    steps = np.array([0, 1e-7, 1e-5, 1e-3, 1e-1])
    columns = -a + steps * RNG.standard_normal((4, 1))
    tested = nexort.loads(
        "dim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\n|x> = relu(|u> @ xi)\noutput <x|x>"
    )
    found = tested.kernel(np.hstack([a, columns]))["<x|x>"][0, 1:]
    expected = tested.limit(xi=np.hstack([a, columns]))["<x|x>"].plain[0, 1:]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("depth", [1, 10, 100])
def test_gaps_and_correlations_agree(depth: int) -> None:
    """Pairs whose blocks are carried by correlations, with 60 digits, equal inputs among them; with
    a nearly equal one, gaps are carried."""
    rng = np.random.default_rng(depth)
    plain = rng.standard_normal((8, 5))
    plain[:, 4] = plain[:, 2]
    more = np.hstack([plain, plain[:, :1] * (1 + 1e-6) + 1e-7])
    tested = nexort.load(PROGRAMS / "mlp.nxt", L=depth)
    found, other = tested.kernel(plain), tested.kernel(more)
    for i, j in ((0, 1), (1, 3), (2, 4), (3, 3)):
        exact = arccos_kernels(plain[:, i], plain[:, j], depth)
        for name, value in zip(("nngp", "ntk"), exact, strict=True):
            for kernel in (found[name], other[name]):
                assert abs(float(kernel[i, j] / value - 1)) < 1e-13 * (10 + depth)


def test_deviations_are_factors_of_sums() -> None:
    """Without biases all deviations are those of the inputs: the layers' blocks need none."""
    tested = nexort.load(PROGRAMS / "mlp.nxt", L=6)
    tested.kernel(X)
    [compiled] = tested._kernels.values()
    products = [
        s.value for s in compiled.plan.steps
        if s.value.what is What.CALL and any(len(a.labels) == 1 for a in s.value.args)
    ]  # fmt: skip
    # nngp and ntk
    assert len(products) == 2
    assert not any(s.value.what is What.PAIR and "relu" in repr(s.value.attr)
                   for s in compiled.plan.steps)  # fmt: skip


def test_blocks_of_any_size() -> None:
    from nexort.limit.exact.kernel import Inputs, Options, kernels

    tested = nexort.load(PROGRAMS / "mlp.nxt", L=4).unrolled({"xi": X})
    inputs = Inputs("xi", 1, X, None)
    whole = kernels(tested, None, inputs, Options())
    for size in (1, 7, 8, 29):
        for name, kernel in kernels(tested, None, inputs, Options(size=size)).items():
            np.testing.assert_allclose(kernel, whole[name], rtol=1e-13, atol=1e-13)
            np.testing.assert_array_equal(kernel, kernel.T)


@pytest.mark.parametrize("rows", [1, 50, 400, 1000, 2000, 10_000])
def test_triangles_keep_threads_busy(rows: int) -> None:
    from nexort.limit.exact.blocks import balance_blocks

    for size in (8, 104, 360):
        for threads in (1, 2, 7):
            found = balance_blocks(size, rows, threads)
            assert 1 <= found <= size
            assert found >= min(size, rows) / 4 - 8
