"""What runs a tape over a block, compiled by numba.

A block's rows are taken in parts that stay, in all registers, in the cache of a core; Python's lock
is held by none of it. Importing numba takes 0.3 s and compiling this some seconds, the latter once
on a machine and dtype; ``nexort.limit.exact.blocks`` says for how much work that is done.

The formulas are those of ``nexort.gaussian.direct`` and ``nexort.limit.exact.bent``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from nexort.activations import Array
from nexort.limit.exact.bent import FAR
from nexort.limit.exact.instructions import (
    ADD,
    ADD_COLUMN,
    ADD_ROW,
    AFTER,
    ARCSINE,
    ARCSINE_AND_BUMP,
    BUMP,
    COMBINE,
    COMPLEMENT,
    GELU,
    LOAD,
    LOAD_COLUMN,
    MULTIPLY,
    MULTIPLY_COLUMN,
    MULTIPLY_ROW,
    RATIO,
    STORE,
)

PART = 512
"""Entries of a row that are taken at a time."""

SERIES = (
    0.16666666666666669, 0.07499999999998433, 0.04464285714635543, 0.030381944138531247,
    0.02237217294214989, 0.017352392720869973, 0.013971212973552933, 0.011479177415184906,
    0.01032281435018578, 0.005457506718640358, 0.01740087944269402, -0.014851887071247204,
    0.028757851367421566,
)  # fmt: skip
"""Of (arcsin(s) / s - 1) / s^2 in z = s^2: the polynomial that interpolates it at the 13 Chebyshev
points of 0 <= z <= 1/4, from which arcsin(s) is exact to 5e-18 of itself."""


def _compiled(function: Callable[..., Any], **more: Any) -> Any:
    """Kept on disk where there is a place."""
    options = {"nogil": True, "error_model": "numpy", **more}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder that it may write to
        return numba.njit(**options)(function)


def _contracted(function: Callable[..., Any]) -> Any:
    """With products and sums in one rounding where the processor can. Sums and products of a
    program are not: their differences vanish where those of numpy do."""
    return _compiled(function, fastmath={"contract"})


@_contracted
def _arcsine(x: Any, number: Any) -> Any:
    """arcsin(x), beyond 1/2 as pi / 2 - 2 arcsin(((1 - x) / 2)^(1/2))."""
    size = abs(x)
    large = size > number(0.5)
    z = (number(1) - size) * number(0.5) if large else size * size
    s = number(math.sqrt(z)) if large else size
    total = number(SERIES[12])
    for k in range(11, -1, -1):
        total = total * z + number(SERIES[k])
    total = s + s * z * total
    total = number(0.5 * math.pi) - number(2) * total if large else total
    return number(math.copysign(total, x))


@_compiled
def _copied(a: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = a[j]


@_compiled
def _times(a: Array, b: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = a[j] * b[j]


@_compiled
def _plus(a: Array, b: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = a[j] + b[j]


@_compiled
def _line(a: Array, factor: Any, term: Any, out: Array) -> None:
    """factor a + term."""
    for j in range(len(out)):
        out[j] = factor * a[j] + term


@_contracted
def _arcsines(cross: Array, p: Any, q: Array, factor: Any, number: Any, out: Array) -> None:
    """factor arcsin(c p q)."""
    for j in range(len(cross)):
        out[j] = factor * _arcsine(cross[j] * (p * q[j]), number)


@_contracted
def _bumps(cross: Array, p: Any, q: Array, factor: Any, number: Any, out: Array) -> None:
    """factor p q (1 - (c p q)^2)^(-1/2)."""
    for j in range(len(cross)):
        scale = p * q[j]
        ratio = cross[j] * scale
        out[j] = factor * scale / number(math.sqrt(number(1) - ratio * ratio))


@_contracted
def _arcsines_and_bumps(
    cross: Array, p: Any, q: Array, f: Any, g: Any, number: Any, out: Array, bumps: Array
) -> None:
    """Both, with factors f and g."""
    for j in range(len(cross)):
        scale = p * q[j]
        ratio = cross[j] * scale
        out[j] = f * _arcsine(ratio, number)
        bumps[j] = g * scale / number(math.sqrt(number(1) - ratio * ratio))


@_contracted
def _gelus(
    cross: Array, a: Any, p: Any, b: Array, q: Array, number: Any, out: Array, slopes: Array
) -> None:
    """E gelu gelu and E gelu' gelu', p = (1 + a)^(-1/2) and q = (1 + b)^(-1/2)."""
    turn, mean = number(0.5 / math.pi), number(0.25)
    for j in range(len(cross)):
        c, scale = cross[j], p * q[j]
        ratio = c * scale
        rest = number(1) / number(math.sqrt(number(1) - ratio * ratio))
        total = p * p + q[j] * q[j]
        angle = _arcsine(ratio, number)
        part = (a * b[j]) * scale + c * ratio * (total - number(1))
        out[j] = turn * (c * (angle + number(0.5 * math.pi)) + part * rest)
        inverse = scale * rest
        slopes[j] = mean + turn * (angle + ratio * (total + inverse * inverse) * rest)


@_contracted
def _gaps(gap: Array, share: Any, number: Any, out: Array, sloped: Array) -> Any:
    """1 - rho' after u z + v |z|, 1 - share theta, and whether all gaps are below FAR."""
    near = True
    for j in range(len(gap)):
        x = gap[j]
        angle = number(2) * _arcsine(number(math.sqrt(number(0.5) * x)), number)
        sine = number(math.sqrt(x * (number(2) - x)))
        out[j] = abs(x - share * (sine - angle * (number(1) - x)))
        sloped[j] = number(1) - share * angle
        near &= x <= number(FAR)
    return near


@_compiled
def _combined(a: Array, x: Any, b: Array, c: Array, out: Array) -> None:
    """a x + b c."""
    for j in range(len(out)):
        out[j] = a[j] * x + b[j] * c[j]


@_compiled
def _ratios(a: Array, b: Array, number: Any, out: Array) -> None:
    """a / b, 0 where b is 0."""
    for j in range(len(a)):
        out[j] = a[j] / b[j] if b[j] != number(0) else number(0)


@_compiled
def run_code(  # noqa: C901, PLR0912 (a branch an instruction)
    code: Array,
    rows: Array,
    columns: Array,
    inputs: Array,
    outputs: Array,
    registers: int,
    number: Any,
) -> bool:
    """Fill ``outputs``, of shape (results, m, n), from ``inputs``, (arrays, m, n), ``rows``
    (vectors, m) and ``columns`` (vectors, n), all of the dtype ``number``. False, with outputs of
    no meaning, where a pair of inputs is closer to opposite than the formulas allow."""
    _, height, width = outputs.shape
    held = np.empty((registers, PART + 48), outputs.dtype)
    near, zero, one = True, number(0), number(1)
    for i in range(height):
        for start in range(0, width, PART):
            stop = min(start + PART, width)
            size = stop - start
            for k in range(len(code)):
                what, into, second, a, b, c, x, y, z, w = code[k]
                out, left, right = held[into, :size], held[a, :size], held[b, :size]
                if what == LOAD:
                    _copied(inputs[x, i, start:stop], out)
                elif what == LOAD_COLUMN:
                    _copied(columns[x, start:stop], out)
                elif what == STORE:
                    _copied(left, outputs[x, i, start:stop])
                elif what == MULTIPLY:
                    _times(left, right, out)
                elif what == MULTIPLY_ROW:
                    _line(left, rows[x, i], zero, out)
                elif what == MULTIPLY_COLUMN:
                    _times(left, columns[x, start:stop], out)
                elif what == ADD:
                    _plus(left, right, out)
                elif what == ADD_ROW:
                    _line(left, one, rows[x, i], out)
                elif what == ADD_COLUMN:
                    _plus(left, columns[x, start:stop], out)
                elif what == COMBINE:
                    _combined(left, rows[x, i], right, held[c, :size], out)
                elif what == COMPLEMENT:
                    _line(left, -one, one, out)
                elif what == RATIO:
                    _ratios(left, right, number, out)
                elif what == ARCSINE:
                    _arcsines(left, rows[x, i], columns[y, start:stop], rows[z, i], number, out)
                elif what == BUMP:
                    _bumps(left, rows[x, i], columns[y, start:stop], rows[z, i], number, out)
                elif what == ARCSINE_AND_BUMP:
                    _arcsines_and_bumps(left, rows[x, i], columns[y, start:stop], rows[z, i],
                                        rows[w, i], number, out, held[second, :size])  # fmt: skip
                elif what == GELU:
                    _gelus(left, rows[x, i], rows[y, i], columns[z, start:stop],
                           columns[w, start:stop], number, out, held[second, :size])  # fmt: skip
                elif what == AFTER:
                    near &= _gaps(left, rows[x, i], number, out, held[second, :size])
    return near
