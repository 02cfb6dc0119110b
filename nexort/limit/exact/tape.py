"""Steps of a plan as a tape: straight-line code over parts of rows of a block, and what it reads.

``nexort.limit.exact.assemble`` makes tapes, ``nexort.limit.exact.machine`` runs them, with Python's
lock released and all between the inputs and the results in a core's own cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nexort.gaussian import direct
from nexort.gaussian.scratch import empty
from nexort.limit.exact.values import Value
from nexort.program.unrolled import Array

Vector = Callable[[Mapping[Value, Any]], Any]
Tables = tuple[Array, Array]


@dataclass(frozen=True)
class Tape:
    """Instructions, and what they read."""

    code: Array
    registers: int
    inputs: tuple[Value, ...]
    """Arrays over rows and columns that are loaded."""
    rows: tuple[Vector, ...]
    columns: tuple[Vector, ...]
    results: tuple[Value, ...]
    expectations: tuple[Value, ...]
    limits: tuple[tuple[Value, float], ...]
    """Variances, and the factor with which the formulas hold up to ``direct.LARGEST``."""
    before: frozenset[Value]
    """The steps that the inputs need."""

    def vectors(
        self, known: Mapping[Value, Any], sizes: tuple[int, int], dtype: Any
    ) -> Tables | None:
        """The vectors over rows and columns, shapes (vectors, rows) and (vectors, columns), from
        the arrays of values; None where the formulas do not hold."""
        for v, factor in self.limits:
            variance = np.asarray(known[v])
            if not (variance.min() >= 0 and factor * variance.max() <= direct.LARGEST):
                return None

        def table(vectors: tuple[Vector, ...], size: int) -> Array:
            found = np.empty((len(vectors), size), dtype)
            for k, vector in enumerate(vectors):
                found[k] = vector(known)
            return found

        return table(self.rows, sizes[0]), table(self.columns, sizes[1])

    def run(
        self, tables: Tables, ranges: Sequence[slice], inputs: Sequence[Array], dtype: Any
    ) -> Array | None:
        """The results over a block, in shape (results, rows, columns), from its inputs; None where
        a pair of inputs is nearer to opposite than the formulas allow. Needs :func:`machine`."""
        rows, columns = (np.ascontiguousarray(t[:, r]) for t, r in zip(tables, ranges, strict=True))
        shape = rows.shape[1], columns.shape[1]
        if len(inputs) == 1 and inputs[0].dtype == dtype and inputs[0].flags.c_contiguous:
            loaded = inputs[0][None]
        else:
            loaded = empty((len(inputs), *shape), dtype)
            for into, x in zip(loaded, inputs, strict=True):
                np.copyto(into, x, casting="same_kind")
        results = empty((len(self.results), *shape), dtype)
        number = np.dtype(dtype).type
        held = machine().run_code(self.code, rows, columns, loaded, results, self.registers, number)
        return results if held else None


@lru_cache(1)
def machine() -> Any:
    """``nexort.limit.exact.machine``, None where numba cannot be imported or is told not to
    compile."""
    try:
        import numba

        from nexort.limit.exact import machine as found
    except ImportError:
        return None
    return None if numba.config.DISABLE_JIT else found
