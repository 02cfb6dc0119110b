"""The initial objects of a run at width n, and how the weights among them move.

A weight is kept as w, with the states of its update function; the network reads W = n^-a w. A
gradient by a matrix is a sum of outer products; it is formed in tiles that fit the cache, and moves
w and the states there and then. Tiles depend on the width only, so that threads change no bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from nexort.finite.crew import Crew
from nexort.finite.matrices import HEIGHT
from nexort.finite.streams import Law, Streams, Symbol
from nexort.program.unrolled import Array

if TYPE_CHECKING:
    from nexort.training.task import Weight

SIZES = {"scalar": Fraction(0), "vector": Fraction(1, 2), "matrix": Fraction(1)}
"""The power of n in the norm of a weight with entries of size 1 (Eq 2.55)."""

PANEL = 512
"""Rows or columns of a matrix in one product."""

COLUMNS = 512
"""Columns of a tile, which has HEIGHT rows."""

BLOCK = 2**15
"""Entries of a tile that an update function works on at once."""


def width_power(width: int, exponent: Fraction) -> float:
    """n^exponent."""
    return math.pow(width, exponent)


class MatrixParameter:
    """An n x n matrix. Without a weight it is an initial matrix, of variance 1/n, that stays."""

    def __init__(
        self, streams: Streams, symbol: Symbol, law: Law, weight: Weight | None, crew: Crew
    ) -> None:
        n, dtype = streams.width, streams.dtype
        self.width, self.weight, self.dtype = n, weight, dtype
        self.w = np.empty((n, n), dtype)
        self.factor, scale, mean = 1.0, n**-0.5, 0.0
        self.states: list[Array] = []
        if weight is not None:
            e = weight.exponents
            self.factor, mean = width_power(n, -e.a), float(weight.mean)
            scale = float(weight.scale) * width_power(n, -e.b)
            # tile after tile, so that a tile's states are contiguous
            self.states = weight.update.start((n * n,), dtype.name)

        def draw(number: int) -> None:
            rows = self.w[number * HEIGHT : (number + 1) * HEIGHT]
            drawn = streams.rows(symbol, law, number, len(rows))
            np.multiply(drawn, scale, out=rows)
            if mean:
                rows += mean

        for _ in crew.blocks(draw, range(-(-n // HEIGHT))):
            pass

    def apply(self, x: Array, transposed: bool, crew: Crew) -> Array:
        """W x or W^T x for kets of shape (*axes, n)."""
        flat = x.reshape(-1, self.width)
        result = np.empty(flat.shape, self.dtype)

        def panel(span: slice) -> None:
            part = self.w[:, span] if transposed else self.w[span].T
            result[:, span] = flat @ part

        for _ in crew.blocks(panel, _spans(self.width, PANEL)):
            pass
        if self.factor != 1:
            result *= self.factor
        return result.reshape(x.shape)

    def update(self, t: int, left: Array, right: Array, crew: Crew) -> None:
        """Move by the gradient sum_k left_k right_k^T by W; left and right have shape (k, n)."""
        weight = self.weight
        assert weight is not None
        keep, rate = _step(weight, t, self.width)
        pending = None
        if weight.norm is not None:
            if weight.norm.kind == "weights":
                rate /= _divisor(weight, t, _norm(self.w), self.width)
            else:
                pending = np.empty(self.width**2, self.dtype)
        left = (left * (self.factor * width_power(self.width, weight.exponents.d))).astype(
            self.dtype
        )

        def tiles(rows: slice) -> None:
            run = weight.update.runner(t, BLOCK, self.dtype)
            of_rows = np.ascontiguousarray(left[:, rows].T)
            first = rows.start * self.width
            for columns in _spans(self.width, COLUMNS):
                gradient = of_rows @ right[:, columns]
                flat = gradient.reshape(-1)
                q = np.empty_like(flat)
                for part in _spans(flat.size, BLOCK):
                    place = slice(first + part.start, first + part.stop)
                    run(flat[part], [s[place] for s in self.states], q[part])
                if pending is not None:
                    pending[first : first + flat.size] = q
                else:
                    self._move(rows, columns, q, keep, rate)
                first += flat.size

        for _ in crew.blocks(tiles, _spans(self.width, HEIGHT)):
            pass
        if pending is None:
            return
        rate /= _divisor(weight, t, _norm(pending), self.width)
        for rows in _spans(self.width, HEIGHT):
            first = rows.start * self.width
            for columns in _spans(self.width, COLUMNS):
                count = (rows.stop - rows.start) * (columns.stop - columns.start)
                self._move(rows, columns, pending[first : first + count], keep, rate)
                first += count

    def _move(self, rows: slice, columns: slice, q: Array, keep: float, rate: float) -> None:
        """A tile by its updates, which are overwritten."""
        q *= rate
        tile = self.w[rows, columns]
        if keep != 1:
            tile *= keep
        tile -= q.reshape(tile.shape)


class EntriesParameter:
    """A vector of shape (*axes, n), or a scalar of shape (*axes)."""

    def __init__(self, drawn: Array, weight: Weight | None, width: int) -> None:
        self.weight, self.width = weight, width
        self.w, self.factor = drawn, 1.0
        self.states: list[Array] = []
        if weight is not None:
            e = weight.exponents
            scale = (
                0.0 if weight.kind == "scalar" else float(weight.scale) * width_power(width, -e.b)
            )
            self.w = np.asarray(drawn * scale + float(weight.mean))
            self.factor = width_power(width, -e.a)
            self.states = weight.update.start(drawn.shape, drawn.dtype.name)

    def value(self) -> Array:
        """W = n^-a w."""
        return np.asarray(self.w * self.factor)

    def update(self, t: int, gradient: Array) -> None:
        """Move by a gradient by W."""
        weight = self.weight
        assert weight is not None
        keep, rate = _step(weight, t, self.width)
        scale = self.factor * width_power(self.width, weight.exponents.d)
        q = weight.update.step(t, np.asarray(gradient * scale), self.states)
        if weight.norm is not None:
            size = _norm(self.w if weight.norm.kind == "weights" else np.asarray(q))
            rate /= _divisor(weight, t, size, self.width)
        self.w = np.asarray(self.w * keep - q * rate)


def _step(weight: Weight, t: int, width: int) -> tuple[float, float]:
    """What w <- keep w - rate Q_t(g) has at time t."""
    rate = float(weight.rates[t]) * width_power(width, -weight.exponents.c)
    return 1 - float(weight.decay[t]), rate


def _norm(entries: Array) -> float:
    """The Frobenius norm."""
    flat = entries.reshape(-1)
    return math.sqrt(
        math.fsum(
            float(np.dot(part, part))
            for part in (flat[s].astype(np.float64) for s in _spans(flat.size, 2**20))
        )
    )


def _divisor(weight: Weight, t: int, size: float, width: int) -> float:
    """What updates are divided by, ``size`` a norm: inf where that is 0, updates of 0 stay 0."""
    norm = weight.norm
    assert norm is not None
    if norm.thresholds is not None:
        threshold = float(norm.thresholds[t]) * width_power(width, SIZES[weight.kind])
        if norm.kind == "clip":
            return max(1.0, size / threshold)
        size = min(size, threshold)
    return size or math.inf


def _spans(size: int, step: int) -> Iterator[slice]:
    return (slice(k, min(k + step, size)) for k in range(0, size, step))
