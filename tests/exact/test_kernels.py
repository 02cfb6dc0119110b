"""Kernels over data: blocks, rectangles, precision, nearly equal inputs, threads, bad requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from arccos_kernels import arccos_kernels

import nexort
from nexort import NexortError

PROGRAMS = Path(__file__).parents[2] / "programs"
RNG = np.random.default_rng(0)
X = RNG.standard_normal((10, 61))
Y = RNG.standard_normal((10, 23))
X[:, 3] = X[:, 50]
X[:, 4] = X[:, 51] * (1 + 1e-9)
Y[:, 2] = X[:, 7] + 1e-8

NETWORK = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
vector b ~ N(0, 1)
matrix W, V ~ N(0, 1/n)
|x> = {f}(|u> @ xi)
|h> = W |x> + 0.5 * |b>
|y> = {f}(|h>)
|dx> = {f}'(|h>) * (V^T |y>)
cross = <x|y>
nngp = <y|y>
ntk = <dx|dx> * <x|x>
output nngp, ntk, cross
"""


def mlp(depth: int = 3) -> nexort.api.TensorProgram:
    return nexort.load(PROGRAMS / "mlp.nxt", L=depth)


@pytest.mark.parametrize("f", ["relu", "erf", "tanh"])
def test_blocks_and_rectangles_are_parts_of_the_whole(f: str) -> None:
    from nexort.limit.exact.kernel import Inputs, Options, kernels

    program = nexort.loads(NETWORK.format(f=f))
    limit = program.limit(xi=np.hstack([X, Y]))
    square, rectangle = program.kernel(X), program.kernel(X, Y)
    unrolled = program.unrolled({"xi": X})
    blocks = kernels(unrolled, None, Inputs("xi", 1, X, None), Options(size=16))
    assert list(square) == ["nngp", "ntk", "cross"]
    for name, whole in limit.items():
        scale = np.abs(whole.plain).max()
        # quadrature chooses its order for a block, within its tolerance
        bound = (1e-13 if f != "tanh" else 2e-8) * scale
        for found, part in (
            (square, whole.plain[:61, :61]),
            (blocks, whole.plain[:61, :61]),
            (rectangle, whole.plain[:61, 61:]),
        ):
            assert found[name].shape == part.shape
            assert np.abs(found[name] - part).max() <= bound, (name, found)


def test_threads_and_blocks_do_not_matter() -> None:
    one, two = mlp().kernel(X, threads=1), mlp().kernel(X, threads=3)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
        np.testing.assert_array_equal(one[name], one[name].T)


def test_single_precision() -> None:
    double, single = mlp(10).kernel(X), mlp(10).kernel(X, dtype="float32")
    for name, exact in double.items():
        assert single[name].dtype == np.float32
        assert np.abs(single[name] / exact - 1).max() < 3e-6
        assert "exact" in single.methods[name]


@pytest.mark.parametrize("distance", [0, 1e-12, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 0.1, 1.0])
def test_nearly_equal_inputs_at_depth_ten(distance: float) -> None:
    a = RNG.standard_normal(20)
    b = a + distance * RNG.standard_normal(20)
    found = mlp(10).kernel(np.stack([a, b], axis=1))
    nngp, ntk = arccos_kernels(a, b, 10)
    assert abs(float(found["nngp"][0, 1] / nngp - 1)) < 1e-12
    assert abs(float(found["ntk"][0, 1] / ntk - 1)) < 1e-12


@pytest.mark.parametrize("distance", [0, 1e-8, 1e-5, 1e-3])
def test_nearly_equal_inputs_with_biases(distance: float) -> None:
    """The gap passes through sums of independent kets: against inputs with one more entry, as which
    a bias in the first layer counts."""
    text = """
    dim d, M
    data xi[d, M]
    vector u[d] ~ N(0, 1)
    vector b ~ N(0, 1)
    matrix W ~ N(0, 1/n)
    |x> = relu(|u> @ xi + |b>)
    |y> = step(W |x>)
    output <y|y>
    """
    a = RNG.standard_normal(6)
    b = a + distance * RNG.standard_normal(6)
    pair = np.stack([a, b], axis=1)
    extended = np.vstack([pair, np.ones((1, 2))])
    with_bias = nexort.loads(text).kernel(pair)["<y|y>"]
    without = nexort.loads(text.replace(" + |b>", "")).kernel(extended)["<y|y>"]
    np.testing.assert_allclose(with_bias, without, rtol=1e-13)


def test_equal_inputs_have_equal_entries() -> None:
    found = mlp(10).kernel(X)
    for kernel in found.values():
        assert kernel[3, 50] == kernel[3, 3]
        np.testing.assert_allclose(kernel[3], kernel[50], rtol=1e-14)


def test_zero_inputs() -> None:
    data = X[:, :4].copy()
    data[:, 1] = 0
    for kernel in mlp().kernel(data).values():
        assert np.isfinite(kernel).all()
        np.testing.assert_array_equal(kernel[1], 0)


def test_results_in_files(tmp_path: Path) -> None:
    held = mlp().kernel(X, Y)
    kept = mlp().kernel(X, Y, out=tmp_path / "k.npy")
    for name, array in held.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"k.{name}.npy"), array)
        assert isinstance(kept[name], np.memmap)
    with pytest.raises(NexortError, match="bad-output-file"):
        mlp().kernel(X, outputs=["ntk"], out=tmp_path / "k.txt")


def test_memory_bounds_the_blocks() -> None:
    from nexort.limit.exact.blocks import Blocks, block_size
    from nexort.limit.exact.engine import ExactEngine
    from nexort.limit.exact.factored import factor_sums
    from nexort.limit.exact.labels import top
    from nexort.limit.exact.values import What

    program = mlp(100).unrolled({"xi": X})
    from nexort.limit.exact.solve import deep

    with deep():
        engine = ExactEngine(program)
        axes = top("MM")
        roots = [engine.scalar(o.members[0], axes) for o in program.outputs]
        plan = Blocks.of(factor_sums(engine.values, roots), *axes)
    # Horner's rule: depth does not grow what is held
    assert plan.live < 16
    assert plan.symmetric == (True, True)
    for itemsize in (4, 8):
        size = block_size(plan, itemsize, 2**20, 2)
        assert size**2 * itemsize * plan.live * 2 <= 2**20
    # lengths of inputs are found once where columns are the rows
    sums = [v for v in plan.before if v.what is What.SUM]
    assert {v.labels for v in sums} == {(x,) for x in top("MM")}
    assert plan.twins == dict(zip(sums, reversed(sums), strict=True))


def test_blocks_of_a_triangle_keep_threads_busy() -> None:
    from nexort.limit.exact.blocks import balance_blocks

    assert balance_blocks(400, 300, 2) == 400
    for rows, threads in ((2000, 2), (2000, 1), (3000, 4), (10_000, 16)):
        size = balance_blocks(512, rows, threads)
        assert 0.5 * 512 <= size <= 512
        count = -(-rows // size)
        work = -(-count * (count + 1) // (2 * threads)) * size**2
        assert work <= 1.3 * rows * (rows + size) / (2 * threads)


def test_an_interrupt_ends_the_work() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlp().kernel(X, progress=stop)


# ---- bad requests --------------------------------------------------------------------------------


def problem(text: str, *args: object, **options: object) -> str:
    with pytest.raises(NexortError) as caught:
        nexort.loads(text).kernel(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_outputs_that_are_not_kernels() -> None:
    text = "vector v ~ N(0, 1)\nm = <v|v>\noutput m"
    found = problem(text, X)
    assert "not-a-kernel" in found
    assert "output m has no axes" in found
    assert "output m" in found


def test_sums_over_inputs_are_not_kernels_of_pairs() -> None:
    text = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
|h> = |u> @ xi
K = <h|h> @ <h|h>
output K
"""
    assert nexort.loads(text).kernel(X)["K"].shape == (61, 61)
    found = problem(text, X, Y)
    assert "depends on the other inputs" in found


def test_inexact_kernels_say_why() -> None:
    text = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
vector b ~ N(0, 1)
|x> = tanh(relu(|u> @ xi) + |b>)
output <x|x>
"""
    found = problem(text, X)
    assert "kernel-inexact" in found
    assert "tanh" in found
    assert "|x> = tanh" in found


def test_wrong_shapes() -> None:
    text = "dim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\n|h> = |u> @ xi\noutput <h|h>"
    assert "data-shape" in problem(text, X[0])
    assert "data-shape" in problem(text, X, Y[:5])
    assert "bad-option" in problem(text, X, dtype="float16")
    assert "has no output 'k'" in problem(text, X, outputs=["k"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["mlp", "residual", "shared_branch"])
def test_inputs_that_are_multiples_of_each_other(name: str, dtype: str) -> None:
    """Networks of relus are homogeneous: K(x, c x) = c K(x, x), also where sums of independent kets
    carry the gap, which must not be rounded to less than 0."""
    factors = (1, 2, 0.3, 1.7, 3.3, 1 + 1e-9)
    data = np.concatenate([c * X[:, :30] for c in factors], axis=1)
    eps = np.finfo(dtype).eps
    for kernel in nexort.load(PROGRAMS / f"{name}.nxt").kernel(data, dtype=dtype).values():
        own = np.diag(kernel)[:30]
        for k, c in enumerate(factors):
            found = np.diag(kernel[:30, 30 * k : 30 * k + 30])
            np.testing.assert_allclose(found, c * own, rtol=10 * eps)


def test_kernels_over_sequences() -> None:
    """Loops whose ends only the data tell: a rectangle is a part of the limit over both sets."""
    program = nexort.load(PROGRAMS / "recurrent_ntk.nxt")
    first, second = RNG.standard_normal((4, 3, 5)), RNG.standard_normal((4, 3, 2))
    whole = program.limit(xi=np.concatenate([first, second], axis=2))
    for name, kernel in program.kernel(first, second).items():
        np.testing.assert_allclose(kernel, whole[name].plain[:5, 5:], rtol=1e-12)
    with pytest.raises(NexortError, match="data-shape"):
        program.kernel(X)


@pytest.mark.parametrize("f", ["elu(z)", "max(min(z, 1), -1)", "relu(z - 0.3)"])
def test_pieces_over_data(f: str) -> None:
    """Kinks away from 0 and exponentials, on whole matrices: each entry as by quadrature of its
    own, and diagonals without the root of a rounding."""
    from nexort.gaussian.quadrature import moment_two
    from nexort.gaussian.univariate import Univariate
    from nexort.gaussian.variable import SLOT
    from nexort.program.nodes import rewrite

    text = f"""
    dim d, M
    data xi[d, M]
    vector u[d] ~ N(0, 1/10)
    fn phi(z) = {f}
    |x> = |u> @ xi
    |y> = phi(|x>)
    |dy> = phi'(|x>)
    output <y|y>, <dy|dy>
    """
    program = nexort.loads(text)
    found, single = program.kernel(X), program.kernel(X, dtype="float32")
    std = np.sqrt(np.square(X).sum(0) / 10)
    cosines = X.T @ X / 10 / np.outer(std, std)
    for name, kernel in found.items():
        assert found.errors[name] < 1e-6  # X has nearly equal inputs
        np.testing.assert_allclose(np.diag(single[name]), np.diag(kernel), rtol=1e-5)
        node = next(o for o in program.unrolled({"xi": X}).outputs if o.name == name).members[0]
        ket = node.args[0]
        inner = ket.args[0] if ket.op.name == "CALL" else ket
        while inner.op.name == "CALL":
            inner = next(a for a in inner.args if a.op.name != "CONST")
        graph = Univariate(rewrite([ket], lambda n, x=inner: SLOT if n is x else n)[ket])
        for i, j in ((0, 1), (2, 9), (5, 5), (30, 60)):
            rho = 1.0 if i == j else float(cosines[i, j])
            known, _ = moment_two(graph, graph, std[i], std[j], rho, np.sqrt(1 - rho**2), 1e-11)
            assert abs(kernel[i, j] - known) < 1e-10


def test_kernel_over_an_axis_of_initial_vectors() -> None:
    """<tanh u_a|tanh u_b> of independent u_a: E tanh(z)^2 on the diagonal, else 0."""
    text = "dim d = 300\nvector u[d] ~ N(0, 1)\n|x> = tanh(|u>)\noutput <x|x>"
    found = np.asarray(nexort.loads(text).limit()["<x|x>"])
    np.testing.assert_allclose(found, 0.3942944904 * np.eye(300), atol=5e-9)
