"""Buffers are given again only when nothing refers to them."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.gaussian import scratch

SHAPE = (100, 100)


def test_arrays_in_use_are_apart() -> None:
    with scratch.Pool():
        a, b = scratch.empty(SHAPE, float), scratch.like(np.empty(SHAPE))
        assert a is not b
        part, known = a[3:5].reshape(-1)[1:].view(np.int64).T, id(a)
        del a
        c = scratch.empty(SHAPE, float)
        assert id(c) != known
        del part
        assert id(scratch.empty(SHAPE, float)) == known


def test_arrays_of_other_shapes_are_forgotten() -> None:
    with scratch.Pool() as pool:
        kept = scratch.empty((100, 100), float)
        kept[:] = 1
        for size in (200, 300, 400):
            assert scratch.empty((size, size), float).shape == (size, size)
            assert scratch.empty((size, size), np.float32).dtype == np.float32
        assert [k[0] for k in pool.arrays] == [(400, 400), (400, 400)]
        assert (kept == 1).all()


def test_without_a_pool_and_small_arrays() -> None:
    with scratch.Pool() as pool:
        scratch.empty((3,), float)
        scratch.like(np.ones(3))
        assert not pool.arrays
    first = scratch.empty(SHAPE, float)
    assert first is not scratch.empty(SHAPE, float)


def test_room_for_broadcasts() -> None:
    row, column = np.ones((1, 4)), np.ones((3, 1))
    found = scratch.room(row, column, 2.0)
    assert found is not None
    assert found.shape == (3, 4)
    assert scratch.room(row, column.astype(np.float32)) is None
    assert scratch.room(1.0, 2.0) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outer_products_and_sums_are_exact_to_rounding(dtype: type) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((53, 1)) * 10.0 ** rng.integers(-12, 12, (53, 1))).astype(dtype)
    y = rng.standard_normal((1, 71)).astype(dtype)
    x[3], y[0, 5] = 0, 0
    for row in (y, y[:, :1]):
        np.testing.assert_array_equal(scratch.outer_array(x, row), x * row)
        np.testing.assert_array_equal(scratch.outer_sum(x, row), x + row)
    assert scratch.outer_array(x, y).dtype == dtype
    np.testing.assert_array_equal(scratch.outer_array(y, x), x * y)
    np.testing.assert_array_equal(scratch.outer_sum(x[0], y), x[0] + y)


def test_outer_products_of_infinities() -> None:
    with np.errstate(invalid="ignore"):
        found = scratch.outer_array(np.array([[np.inf], [1.0]]), np.array([[2.0, -1.0]]))
    np.testing.assert_array_equal(found, [[np.inf, -np.inf], [2, -1]])


def test_kept_arrays_are_given_again_once_free() -> None:
    kept = scratch.Kept(1000)
    first = kept.empty((5, 5), np.float64)
    second = kept.empty((5, 5), np.float64)
    assert first is not second
    at, view = first.__array_interface__["data"], first[1:]
    del first
    assert kept.empty((5, 5), np.float64).__array_interface__["data"] != at  # the view needs it
    del view
    again = kept.empty((5, 5), np.float64)
    assert again.__array_interface__["data"] == at
    # other shapes are made, and what is free and does not fit is let go
    del again
    other = kept.empty((5, 5), np.float32)
    assert other.dtype == np.float32
    assert sum(a.nbytes for a in kept.arrays) == second.nbytes + other.nbytes
    # no more than so many bytes in all
    large = kept.empty((20, 20), np.float64)
    assert not any(a is large for a in kept.arrays)
