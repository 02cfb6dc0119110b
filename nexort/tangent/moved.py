"""K_Q on samples: what a weight's updates do to the output (Thm 2.9.19, 2.9.23).

Of a matrix, <left_o| Q(sum_j chi_j |left_j> <right_j|) |right_o> is an average over pairs (row,
column) of sample points, with Q's states kept pair by pair in float32; of a vector the columns are
its axes. Rows are taken in blocks, so that a block's gradient, update and states stay in the cache;
K is never stored, only what it does to the terms of the gradient.

Where rows and columns are one neuron space the copy must be independent of the row: the sample is
then two independent halves, and a row's copies are the other half's points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nexort.program.unrolled import Array
from nexort.tangent.sample import Terms
from nexort.training.task import Weight

BLOCK = 2**16
"""Pairs that are updated at a time: cache-sized."""

Spread = Callable[[Callable[[int], Array], Iterable[int]], Iterable[Array]]
"""A map over blocks, by one thread or several."""


class Pairs:
    """The updates of one weight, pair by pair; with ``sums`` their sum over steps is kept too, less
    what decay takes."""

    def __init__(self, weight: Weight, terms: Terms, *, sums: bool) -> None:
        rows, columns = terms.left.shape[1], terms.right.shape[1]
        if terms.tied:
            first, second = slice(0, rows // 2), slice(rows // 2, rows)
            spans = [(first, second), (second, first)]
        else:
            spans = [(slice(0, rows), slice(0, columns))]
        self.weight = weight
        self.blocks = [_Block(weight, *span, sums=sums) for span in spans]
        pairs = sum(b.rows * (1 if terms.vector else b.columns) for b in self.blocks)
        self.share = 1.0 / pairs

    def step(self, t: int, terms: Terms, chi: Array, spread: Spread = map) -> Array:
        """Take the gradient of step t; <left| Q_t |right> of every term, shape (T,)."""
        weighted = chi.reshape(-1)[terms.outs]
        return np.asarray(
            self.share * np.sum([b.step(t, terms, weighted, spread) for b in self.blocks], axis=0)
        )

    def total(self, terms: Terms, spread: Spread = map) -> Array:
        """<left| D |right> of every term with D the sum of the updates times rates, decayed."""
        return np.asarray(
            self.share * np.sum([b.total(terms, spread) for b in self.blocks], axis=0)
        )


class _Block:
    """A rectangle of pairs."""

    def __init__(self, weight: Weight, rows: slice, columns: slice, *, sums: bool) -> None:
        self.weight = weight
        self.row, self.column = rows, columns
        self.rows, self.columns = rows.stop - rows.start, columns.stop - columns.start
        self.states = weight.update.start((self.rows, self.columns), "float32")
        self.sums = np.zeros((self.rows, self.columns), np.float32) if sums else None
        self.height = min(self.rows, max(1, BLOCK // self.columns))

    def step(self, t: int, terms: Terms, weighted: Array, spread: Spread) -> Array:
        left, right = self._narrow(terms)
        used = weighted != 0
        sources = np.ascontiguousarray((left[used] * weighted[used, None].astype(np.float32)).T)
        targets, inner = np.ascontiguousarray(right.T), right[used]
        rate, keep = np.float32(self.weight.rates[t]), np.float32(1 - self.weight.decay[t])
        size = self.height * self.columns

        def one(start: int) -> Array:
            part = slice(start, min(start + self.height, self.rows))
            gradient = sources[part] @ inner
            update = np.empty_like(gradient)
            run = self.weight.update.runner(t, size, gradient.dtype)
            run(gradient.reshape(-1), [s[part].reshape(-1) for s in self.states],
                update.reshape(-1))  # fmt: skip
            if self.sums is not None:
                self.sums[part] *= keep
                self.sums[part] += rate * update
                return np.zeros(0)
            return _between(left[:, part], update @ targets)

        found = list(spread(one, range(0, self.rows, self.height)))
        return np.zeros(0) if self.sums is not None else np.asarray(np.sum(found, axis=0))

    def total(self, terms: Terms, spread: Spread) -> Array:
        left, right = self._narrow(terms)
        targets = np.ascontiguousarray(right.T)
        sums = self.sums
        assert sums is not None

        def one(start: int) -> Array:
            part = slice(start, min(start + self.height, self.rows))
            return _between(left[:, part], sums[part] @ targets)

        return np.asarray(np.sum(list(spread(one, range(0, self.rows, self.height))), axis=0))

    def _narrow(self, terms: Terms) -> tuple[Array, Array]:
        left = terms.left[:, self.row].astype(np.float32)
        return left, terms.right[:, self.column].astype(np.float32)


def _between(left: Array, image: Array) -> Array:
    """sum over rows of left[t, row] image[row, t]."""
    return np.asarray(np.einsum("tr,rt->t", left, image, dtype=np.float64))
