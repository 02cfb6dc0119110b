"""Initial matrices in blocks of rows, kept while memory lasts and drawn again otherwise.

A product is always the sum or the concatenation of the same block products, whether a block was
kept or drawn again, so the memory budget changes no bit of a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nexort.finite.crew import Crew
from nexort.finite.streams import Law, Streams, Symbol
from nexort.program.unrolled import Array

HEIGHT = 128
"""Rows of a block: part of what defines the streams."""


@dataclass
class Matrices:
    """The matrices of one run; at most ``capacity`` bytes of blocks are kept.

    ``laws`` gives the law of a matrix's entries by its name.
    """

    streams: Streams
    laws: Callable[[str], Law]
    capacity: int
    _kept: dict[Symbol, dict[int, Array | None]] = field(default_factory=dict)
    _used: int = 0

    def apply(
        self, symbol: Symbol, x: Array, y: Array, keep: bool, crew: Crew
    ) -> tuple[Array, Array]:
        """W x and W^T y, the arguments of shape ``(k, n)``, k = 0 if there is none.

        ``keep`` says that the matrix is used again later; otherwise its blocks are given up.
        """
        n, dtype = self.streams.width, self.streams.dtype
        kept = self._reserve(symbol) if keep else self._kept.get(symbol, {})
        law = self.laws(symbol[0])

        def block(number: int) -> tuple[int, Array, Array]:
            start = number * HEIGHT
            stop = min(start + HEIGHT, n)
            rows = kept.get(number)
            if rows is None:
                rows = self.streams.rows(symbol, law, number, stop - start)
                if number in kept:
                    kept[number] = rows
            return number, x @ rows.T, y[:, start:stop] @ rows

        wx, wy = np.empty((len(x), n), dtype), np.zeros((len(y), n))
        for number, forward, backward in crew.blocks(block, range(-(-n // HEIGHT))):
            start = number * HEIGHT
            wx[:, start : start + HEIGHT] = forward
            wy += backward
        if not keep:
            self._release(symbol)
        wx *= dtype.type(1 / np.sqrt(n))
        wy *= 1 / np.sqrt(n)
        return wx, wy.astype(dtype, copy=False)

    def _reserve(self, symbol: Symbol) -> dict[int, Array | None]:
        """The blocks of a matrix to keep, None for those not drawn yet."""
        kept = self._kept.setdefault(symbol, {})
        for number in range(len(kept), -(-self.streams.width // HEIGHT)):
            size = self._bytes(number)
            if self._used + size > self.capacity:
                break
            self._used += size
            kept[number] = None
        return kept

    def _release(self, symbol: Symbol) -> None:
        for number in self._kept.pop(symbol, {}):
            self._used -= self._bytes(number)

    def _bytes(self, number: int) -> int:
        n = self.streams.width
        return min(HEIGHT, n - number * HEIGHT) * n * self.streams.dtype.itemsize
