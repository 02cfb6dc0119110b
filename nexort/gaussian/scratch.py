"""Arrays that are used again once nothing refers to them.

Large arrays that come and go cost more in fresh pages than in arithmetic. Inside ``with pool:`` the
arrays that :func:`empty` gives are those of that pool; one is free when only the pool refers to it
(views refer to the array that they are of), which its reference count says.
"""

from __future__ import annotations

import math
import threading
from sys import getrefcount
from types import TracebackType
from typing import Any

import numpy as np

from nexort.activations import Array

SMALLEST = 2**16
"""Bytes below which arrays are made as usual."""

_local = threading.local()


class Pool:
    """Arrays of one thread by shape and dtype."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[tuple[int, ...], Any], list[Array]] = {}

    def __enter__(self) -> Pool:
        self._before = getattr(_local, "pool", None)
        _local.pool = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _local.pool = self._before

    def take(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A free array."""
        key = shape, dtype
        if key not in self.arrays:
            self._forget(dtype)
            self.arrays[key] = []
        arrays = self.arrays[key]
        for array in arrays:
            # referred to by the list, the loop and the call
            if getrefcount(array) == 3:
                return array
        made = np.empty(shape, dtype)
        arrays.append(made)
        return made

    def _forget(self, dtype: Any) -> None:
        """Drop the arrays of other shapes."""
        self.arrays = {k: x for k, x in self.arrays.items() if k[1] is not dtype}


class Kept:
    """Arrays for results, up to ``most`` bytes in all: those that nobody refers to any more are
    given again, which saves their pages where one result follows another."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.arrays: list[Array] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with arbitrary entries; what is free and does not fit is dropped."""
        with self._lock:
            used = []
            for array in self.arrays:
                # referred to by the list, the loop and the call
                if getrefcount(array) > 3:
                    used.append(array)
                elif array.shape == shape and array.dtype == dtype:
                    return array
            made = np.empty(shape, dtype)
            if sum(a.nbytes for a in used) + made.nbytes <= self.most:
                used.append(made)
            self.arrays = used
            return made


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array with arbitrary entries, from the pool in use where there is one."""
    pool: Pool | None = getattr(_local, "pool", None)
    dtype = np.dtype(dtype)
    if pool is None or math.prod(shape) * dtype.itemsize < SMALLEST:
        return np.empty(shape, dtype)
    return pool.take(shape, dtype)


def like(array: Array) -> Array:
    """An array with arbitrary entries of the same shape and dtype."""
    pool: Pool | None = getattr(_local, "pool", None)
    if pool is None or array.nbytes < SMALLEST:
        return np.empty(array.shape, array.dtype)
    return pool.take(array.shape, array.dtype)


def room(*args: Any) -> Array | None:
    """An array for the result of an entrywise operation on floating-point arrays and numbers, None
    where numpy has to decide."""
    first: Array | None = None
    shape: tuple[int, ...] = ()
    for a in args:
        if not isinstance(a, np.ndarray) or not a.ndim:
            continue
        if first is None:
            first, shape = a, a.shape
        elif a.dtype != first.dtype:
            return None
        elif a.shape != shape:
            shape = np.broadcast_shapes(shape, a.shape)
    if first is None:
        return None
    return like(first) if shape == first.shape else empty(shape, first.dtype)


def outer_array(x: Array, y: Array) -> Array:
    """x y of a column x and a row y; entry by entry for other shapes."""
    if not _are_crossed(x, y):
        return np.asarray(np.multiply(x, y, out=room(x, y)))
    return _matrix(x, np.zeros_like(x), y, np.zeros_like(y))


def outer_sum(x: Array, y: Array) -> Array:
    """x + y of a column x and a row y; entry by entry for other shapes."""
    if not _are_crossed(x, y):
        return np.asarray(np.add(x, y, out=room(x, y)))
    return _matrix(x, np.ones_like(x), np.ones_like(y), y)


def _are_crossed(x: Array, y: Array) -> bool:
    """Whether they are a column and a row of one floating-point dtype."""
    shapes = x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0] == 1
    return shapes and x.dtype == y.dtype and x.dtype.kind == "f"


def _matrix(x: Array, u: Array, y: Array, v: Array) -> Array:
    """x y + u v, with numpy's matrix product: thrice as fast as its products of a column and a
    row, and as exact where one of the terms is 0, or u and y are 1."""
    out = empty((len(x), y.shape[1]), x.dtype)
    return np.matmul(np.concatenate([x, u], axis=1), np.concatenate([y, v], axis=0), out=out)
