"""What training has added to a matrix, as an operator on samples.

W_t = prod(1 - decay) W_0 + D_t with D_{t+1} = (1 - decay) D_t - rate Q_t(G_0, ..., G_t) and
G_s = sum_i |left_i> <right_i| (Thm 2.9.25). Where Q is linear D_t stays a sum of outer products;
else it is an array over pairs of sample points, and E over the copy is the average over columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from nexort.limit.sample.matrices import pairs_times
from nexort.program.unrolled import Array
from nexort.training.task import Norm
from nexort.training.update import Update

BLOCK = 2**16
"""Pairs that are updated at a time: cache-sized."""


class MovedPart(Protocol):
    """D_t."""

    def apply(self, kets: Array, flipped: bool) -> Array:
        """D|x>, or D^T|x> where ``flipped``: shape (m, N) -> (m, N')."""
        ...

    def step(
        self, t: int, left: Array, right: Array, rate: float, keep: float, norm: Norm | None
    ) -> None:
        """Take the gradient of step t, of shapes (m, N rows) and (m, N columns); with a ``norm``
        Q_t is divided by what that is of its size |Q_t|^2 = E Q_t^2 (Def 2.10.7)."""
        ...

    def finite(self) -> bool:
        """Whether all numbers are."""
        ...


class Factors:
    """D_t of a linear update function: -sum_s w_s G_s."""

    def __init__(self, coefficients: Array) -> None:
        self.coefficients = coefficients
        self.lefts: list[Array] = []
        self.rights: list[Array] = []
        self.weights = np.zeros(len(coefficients))
        self.products = np.zeros((len(coefficients), len(coefficients)))

    def apply(self, kets: Array, flipped: bool) -> Array:
        """D|x>: (left, right) with <right|x>, summed over steps."""
        ins, outs = (self.lefts, self.rights) if flipped else (self.rights, self.lefts)
        result = 0.0
        for w, inner, outer in zip(self.weights, ins, outs, strict=False):
            if w:
                result = result - (kets @ inner.T * (w / kets.shape[1])) @ outer
        return np.asarray(result)

    def step(
        self, t: int, left: Array, right: Array, rate: float, keep: float, norm: Norm | None
    ) -> None:
        """Q_t = sum_{s <= t} c[t, s] G_s."""
        self.lefts.append(left)
        self.rights.append(right)
        if norm is not None:
            rate /= norm.divisor(t, self._size(t))
        self.weights *= keep
        self.weights += rate * self.coefficients[t]

    def _size(self, t: int) -> float:
        """|Q_t|, from <G_s, G_t> = sum_ij <left_si|left_tj> <right_si|right_tj>."""
        left, right = self.lefts[t], self.rights[t]
        for s in range(t + 1):
            rows = self.lefts[s] @ left.T / left.shape[1]
            columns = self.rights[s] @ right.T / right.shape[1]
            self.products[s, t] = self.products[t, s] = (rows * columns).sum()
        c = self.coefficients[t]
        return float(np.sqrt(max(c @ self.products @ c, 0.0)))

    def finite(self) -> bool:
        """Whether the newest gradient is."""
        return all(bool(np.isfinite(x[-1]).all()) for x in (self.lefts, self.rights) if x)


class MovedPairs:
    """D_t over pairs of points, with the update function's states pair by pair.

    Where rows and columns are one neuron space, the copy must be independent of the row: the sample
    is then two independent halves, and a row's copies are the other half's points.
    """

    def __init__(
        self, update: Update, rows: int, columns: int, *, tied: bool, dtype: str = "float32"
    ) -> None:
        self.entries = np.zeros((rows, columns), dtype)
        self.moved = False
        half = rows // 2
        first, second, whole = slice(0, half), slice(half, rows), slice(None)
        parts = [(first, second), (second, first)] if tied else [(whole, whole)]
        self.blocks = [_Block(update, self.entries, *part) for part in parts]

    def apply(self, kets: Array, flipped: bool) -> Array:
        """E over the copy of D's entries times the copy of |x>: a sum, as entries are divided by
        the number of copies."""
        if not self.moved:
            return np.zeros((len(kets), self.entries.shape[1 if flipped else 0]))
        return pairs_times(self.entries, kets, flipped)

    def include(self, matrix: Array) -> None:
        """Take in what decays as D does: a matrix of which images are sums over points."""
        self.entries += matrix.astype(self.entries.dtype)
        self.moved = True

    def step(
        self, t: int, left: Array, right: Array, rate: float, keep: float, norm: Norm | None
    ) -> None:
        """Update every pair."""
        self.moved = True
        if keep != 1:
            self.entries *= keep
        lefts, rights = left.astype(self.entries.dtype), right.astype(self.entries.dtype)
        if norm is None:
            for block in self.blocks:
                block.step(t, lefts[:, block.rows], rights[:, block.columns], rate)
            return
        found = [b.updates(t, lefts[:, b.rows], rights[:, b.columns]) for b in self.blocks]
        square = sum(float(np.einsum("ij,ij->", q, q, dtype=np.float64)) for q in found)
        rate /= norm.divisor(t, float(np.sqrt(square / sum(q.size for q in found))))
        for block, q in zip(self.blocks, found, strict=True):
            block.subtract(slice(None), q, rate)

    def finite(self) -> bool:
        """Whether all entries are: a minimum or maximum of what has a nan is nan."""
        return bool(np.isfinite(self.entries.min()) and np.isfinite(self.entries.max()))


class _Block:
    """A rectangle of pairs: a part of all ``entries``."""

    def __init__(self, update: Update, entries: Array, rows: slice, columns: slice) -> None:
        self.update, self.rows, self.columns = update, rows, columns
        self.values = entries[rows, columns]
        self.states = update.start(self.values.shape, entries.dtype.name)

    def updates(self, t: int, left: Array, right: Array) -> Array:
        """Q_t of every pair."""
        whole = np.empty_like(self.values)
        for part, found in self._runs(t, left, right):
            whole[part] = found
        return whole

    def step(self, t: int, left: Array, right: Array, rate: float) -> None:
        """Move every pair."""
        for part, found in self._runs(t, left, right):
            self.subtract(part, found, rate)

    def subtract(self, part: slice, found: Array, rate: float) -> None:
        """Move some rows by -rate Q, of which nothing is kept."""
        found *= rate / self.values.shape[1]
        self.values[part] -= found

    def _runs(self, t: int, left: Array, right: Array) -> Iterator[tuple[slice, Array]]:
        """Q_t, some rows at a time in an array that is used again."""
        rows, columns = self.values.shape
        height = min(rows, max(1, BLOCK // columns))
        run = self.update.runner(t, height * columns, self.values.dtype)
        gradient, found = np.empty((2, height, columns), self.values.dtype)
        left = np.ascontiguousarray(left.T)
        for start in range(0, rows, height):
            count = min(height, rows - start)
            np.matmul(left[start : start + count], right, out=gradient[:count])
            states = [s[start : start + count].reshape(-1) for s in self.states]
            run(gradient[:count].reshape(-1), states, found[:count].reshape(-1))
            yield slice(start, start + count), found[:count]
