import numpy as np
import pytest
from finite_programs import dense_matrix

from nexort.finite.crew import Crew
from nexort.finite.matrices import Matrices
from nexort.finite.streams import Streams, gaussian_draw

N, W = 300, ("W", (2,))
DOUBLE = np.dtype("float64")


def arguments(width=N, k=3):
    stream = np.random.default_rng(5)
    return stream.standard_normal((k, width)), stream.standard_normal((1, width))


def apply_twice(capacity, helpers=1, dtype=DOUBLE):
    matrices = Matrices(Streams(0, 0, N, dtype), lambda _: gaussian_draw, capacity)
    x, y = (v.astype(dtype) for v in arguments())
    with Crew(1, helpers) as crew:
        first = matrices.apply(W, x, y, True, crew)
        second = matrices.apply(W, first[0], y, False, crew)
    return matrices, (*first, *second)


def test_products_are_those_of_the_whole_matrix():
    x, y = arguments()
    matrix = dense_matrix(Streams(0, 0, N, DOUBLE), W)
    _, (wx, wy, wwx, again) = apply_twice(0)
    assert wx == pytest.approx(x @ matrix.T, abs=1e-12)
    assert wy == pytest.approx(y @ matrix, abs=1e-12)
    assert wwx == pytest.approx(x @ matrix.T @ matrix.T, abs=1e-12)
    assert np.array_equal(wy, again)


@pytest.mark.parametrize("dtype", [DOUBLE, np.dtype("float32")])
@pytest.mark.parametrize("helpers", [1, 2])
@pytest.mark.parametrize("capacity", [0, 400_000, 10**9])
def test_memory_and_threads_change_no_bit(capacity, helpers, dtype):
    for found, expected in zip(
        apply_twice(capacity, helpers, dtype)[1], apply_twice(0, 1, dtype)[1], strict=True
    ):
        assert found.dtype == dtype
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("capacity", "draws"), [(0, 6), (400_000, 5), (10**9, 3)])
def test_blocks_are_kept_while_memory_lasts(capacity, draws):
    drawn = []

    def law(*args):
        drawn.append(args[1])
        return gaussian_draw(*args)

    x, y = arguments()
    matrices = Matrices(Streams(0, 0, N, DOUBLE), lambda _: law, capacity)
    with Crew(1, 1) as crew:
        matrices.apply(W, x, y, True, crew)
        matrices.apply(W, x, y, False, crew)
        assert len(drawn) == draws
        matrices.apply(W, x, y, True, crew)
    assert len(drawn) == draws + 3


def test_a_missing_side_costs_nothing():
    x, _ = arguments()
    matrices = Matrices(Streams(0, 0, N, DOUBLE), lambda _: gaussian_draw, 0)
    with Crew(1, 1) as crew:
        wx, wy = matrices.apply(W, x, x[:0], False, crew)
    assert wx.shape == (3, N)
    assert wy.shape == (0, N)
