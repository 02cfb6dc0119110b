"""K_Q on samples: what a weight's updates do to the output (Thm 2.9.19, 2.9.23).

Of a matrix, <left_o| Q(sum_j chi_j |left_j> <right_j|) |right_o> is an average over pairs (row,
column) of sample points, with Q's states kept pair by pair; of a vector the columns are its axes.
Rows are taken in blocks, so that a block's gradient, update and states stay in the cache; K is
never stored, only what it does to the terms of the gradient.

Where rows and columns are one neuron space the copy must be independent of the row: the sample is
then two independent halves, and a row's copies are the other half's points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from nexort.limit.training.tangent.sample import Terms
from nexort.program.unrolled import Array
from nexort.training.task import Weight

BLOCK = 2**16
"""Pairs that are updated at a time: cache-sized."""

LARGE = 1e12
"""Gradients from which on the states, powers of them, may overflow in float32."""


class UpdatesOfWeight(Protocol):
    """The updates of one weight, seen by the output."""

    def step(self, t: int, terms: Terms, chi: Array) -> Array:
        """Take the gradient of step t; <left| Q_t |right> of every term, shape (T,)."""
        ...

    def total(self, terms: Terms) -> Array:
        """<left| D |right> of every term with D the sum of the updates times rates, decayed."""
        ...


def updates_of(weight: Weight, terms: Terms, dtype: str, *, sums: bool) -> UpdatesOfWeight:
    """The updates of a weight: as products where they are linear in the gradients, else pair by
    pair in a dtype."""
    linear = weight.update.coefficients(len(weight.rates))
    if linear is not None:
        return Products(weight, linear, sums=sums)
    return UpdatePairs(weight, terms, dtype, sums=sums)


def divisor(weight: Weight, t: int, size: float) -> float:
    """What the updates of step t are divided by, ``size`` the root of E Q_t^2 (Def 2.10.7)."""
    norm = weight.norm
    if norm is None:
        return 1.0
    if norm.kind == "weights":
        # that of the weight as it was drawn and has decayed: updates vanish beside it
        kept = float(np.prod(1 - weight.decay[:t]))
        entries = 1 if weight.kind == "matrix" else math.prod(weight.shape)
        size = kept * math.sqrt(entries * (weight.mean**2 + weight.scale**2))
    return norm.divisor(t, size)


class Products:
    """Linear updates Q_t = sum_{s <= t} c[t, s] G_s: between two terms, a product of averages."""

    def __init__(self, weight: Weight, coefficients: Array, *, sums: bool) -> None:
        self.weight, self.coefficients = weight, coefficients
        self.decayed = np.zeros(len(coefficients)) if sums else None
        self.past: list[tuple[Terms, Array]] = []
        self.gram: Array | None = None
        self.products = np.zeros((len(coefficients), len(coefficients)))

    def step(self, t: int, terms: Terms, chi: Array) -> Array:
        """As of :class:`UpdatesOfWeight`; the terms are those of all steps without decay."""
        self.past.append((terms, chi.reshape(-1)[terms.outs]))
        c = self.coefficients[t]
        if self.decayed is not None:
            rate = self.weight.rates[t] / divisor(self.weight, t, self._size(t))
            self.decayed *= 1 - self.weight.decay[t]
            self.decayed += rate * c
            return np.zeros(0)
        if self.gram is None:
            self.gram = grams(terms, terms)
        sources = sum(c[s] * x for s, (_, x) in enumerate(self.past))
        found = np.asarray(self.gram @ sources)
        size = math.sqrt(max(float(np.dot(sources, found)), 0.0))
        return found / divisor(self.weight, t, size)

    def _size(self, t: int) -> float:
        """The root of E Q_t^2 where every step has terms of its own."""
        norm = self.weight.norm
        if norm is None or norm.kind == "weights":
            return 1.0
        terms, weighted = self.past[t]
        for s, (past, others) in enumerate(self.past):
            product = float(others @ grams(past, terms) @ weighted)
            self.products[s, t] = self.products[t, s] = product
        c = self.coefficients[t]
        return math.sqrt(max(float(c @ self.products @ c), 0.0))

    def total(self, terms: Terms) -> Array:
        """As of :class:`UpdatesOfWeight`."""
        found = np.zeros(len(terms.outs))
        assert self.decayed is not None
        for (past, weighted), c in zip(self.past, self.decayed, strict=False):
            found += grams(terms, past) @ (c * weighted)
        return found


def grams(these: Terms, others: Terms) -> Array:
    """<left|left'> <right|right'> between the terms of two steps."""
    total = np.zeros((len(these.outs), len(others.outs)))
    spans, share = _spans(these)
    for row, column in spans:
        rows = these.left[:, row] @ others.left[:, row].T
        columns = these.right[:, column] @ others.right[:, column].T
        total += rows * columns
    return share * total


def _spans(terms: Terms) -> tuple[list[tuple[slice, slice]], float]:
    """The rectangles (rows, columns) of pairs that are averaged over, and one over the number of
    pairs in all; over the axes of a vector it is a sum."""
    rows, columns = terms.left.shape[1], terms.right.shape[1]
    spans = [(slice(0, rows), slice(0, columns))]
    if terms.tied:
        first, second = slice(0, rows // 2), slice(rows // 2, rows)
        spans = [(first, second), (second, first)]
    return spans, len(spans) / (rows * (1 if terms.vector else columns))


class UpdatePairs:
    """The updates of one weight, pair by pair; with ``sums`` their sum over steps is kept too, less
    what decay takes."""

    def __init__(self, weight: Weight, terms: Terms, dtype: str, *, sums: bool) -> None:
        spans, self.share = _spans(terms)
        self.weight = weight
        self.blocks = [_Block(weight, *span, dtype, sums=sums) for span in spans]

    def step(self, t: int, terms: Terms, chi: Array) -> Array:
        """As of :class:`UpdatesOfWeight`."""
        weighted = chi.reshape(-1)[terms.outs]
        norm = self.weight.norm
        if norm is None:
            parts = [b.step(t, terms, weighted) for b in self.blocks]
            return np.asarray(self.share * np.sum(parts, axis=0))
        updates = [b.updates(t, terms, weighted) for b in self.blocks]
        square = sum(float(np.einsum("ij,ij->", q, q, dtype=np.float64)) for q in updates)
        by = divisor(self.weight, t, math.sqrt(self.share * square))
        parts = [b.take(t, terms, q, by) for b, q in zip(self.blocks, updates, strict=True)]
        return np.asarray(self.share * np.sum(parts, axis=0))

    def total(self, terms: Terms) -> Array:
        """As of :class:`UpdatesOfWeight`."""
        return np.asarray(self.share * np.sum([b.total(terms) for b in self.blocks], axis=0))


class _Block:
    """A rectangle of pairs."""

    def __init__(
        self, weight: Weight, rows: slice, columns: slice, dtype: str, *, sums: bool
    ) -> None:
        self.weight, self.dtype = weight, np.dtype(dtype)
        self.row, self.column = rows, columns
        self.rows, self.columns = rows.stop - rows.start, columns.stop - columns.start
        self.states = weight.update.start((self.rows, self.columns), dtype)
        self.sums = np.zeros((self.rows, self.columns), dtype) if sums else None
        self.height = min(self.rows, max(1, BLOCK // self.columns))

    def step(self, t: int, terms: Terms, weighted: Array) -> Array:
        left, right = self._narrow(terms)
        targets = np.ascontiguousarray(right.T)
        total = np.zeros(len(terms.outs))
        for part, update in self._runs(t, left, right, weighted):
            total += self._taken(t, part, update, left, targets)
        return total

    def updates(self, t: int, terms: Terms, weighted: Array) -> Array:
        """Q_t of every pair."""
        whole = np.empty((self.rows, self.columns), self.dtype)
        for part, update in self._runs(t, *self._narrow(terms), weighted):
            whole[part] = update
        return whole

    def take(self, t: int, terms: Terms, updates: Array, by: float) -> Array:
        """As :meth:`step`, with updates that are divided by a number first."""
        left, right = self._narrow(terms)
        targets = np.ascontiguousarray(right.T)
        total = np.zeros(len(terms.outs))
        updates *= 1 / by
        for part in self._parts():
            total += self._taken(t, part, updates[part], left, targets)
        return total

    def _taken(self, t: int, part: slice, update: Array, left: Array, targets: Array) -> Array:
        """What some rows of updates do to every term, or their place in the sums."""
        if self.sums is None:
            return _between(left[:, part], update @ targets)
        self.sums[part] *= 1 - float(self.weight.decay[t])
        self.sums[part] += float(self.weight.rates[t]) * update
        return np.zeros(len(left))

    def _runs(
        self, t: int, left: Array, right: Array, weighted: Array
    ) -> Iterator[tuple[slice, Array]]:
        """Q_t, some rows at a time in an array that is used again."""
        used = weighted != 0
        sources = np.ascontiguousarray((left[used] * weighted[used, None].astype(self.dtype)).T)
        inner = right[used]
        run = self.weight.update.runner(t, self.height * self.columns, left.dtype)
        gradient, update = np.empty((2, self.height, self.columns), left.dtype)
        size = np.abs(sources).max(initial=0) * np.abs(inner).max(initial=0) * len(inner)
        for part in self._parts():
            count = part.stop - part.start
            np.matmul(sources[part], inner, out=gradient[:count])
            states = [s[part].reshape(-1) for s in self.states]
            run(gradient[:count].reshape(-1), states, update[:count].reshape(-1))
            # a state that overflows can leave a finite update: g / sqrt(inf) = 0
            if not size < LARGE and not all(np.isfinite(s).all() for s in states):
                update[:count] = np.nan
            yield part, update[:count]

    def _parts(self) -> Iterator[slice]:
        """Rows that are updated at a time."""
        for start in range(0, self.rows, self.height):
            yield slice(start, min(start + self.height, self.rows))

    def total(self, terms: Terms) -> Array:
        left, right = self._narrow(terms)
        targets = np.ascontiguousarray(right.T)
        total = np.zeros(len(terms.outs))
        assert self.sums is not None
        for part in self._parts():
            total += _between(left[:, part], self.sums[part] @ targets)
        return total

    def _narrow(self, terms: Terms) -> tuple[Array, Array]:
        left = terms.left[:, self.row].astype(self.dtype)
        return left, terms.right[:, self.column].astype(self.dtype)


def _between(left: Array, image: Array) -> Array:
    """sum over rows of left[t, row] image[row, t]."""
    return np.asarray(np.einsum("tr,rt->t", left, image, dtype=np.float64))
