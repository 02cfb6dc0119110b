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

from nexort.functions import Array

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
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim]
    if not arrays:
        return None
    first, *rest = arrays
    shape = first.shape
    for a in rest:
        if a.dtype != first.dtype:
            return None
        if a.shape != shape:
            shape = np.broadcast_shapes(shape, a.shape)
    return empty(shape, first.dtype)
