"""Sizes of kernels: vectors S and T with |K_ab| <= S_a T_b, which errors of K_ab are relative to.

By Cauchy and Schwarz: E f(z_a) g(z_b) by (E f(z_a)^2)^(1/2) and (E g(z_b)^2)^(1/2), sums of
products by the roots of sums of squares. A difference has the size of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nexort.gaussian.sizes import size_of_terms
from nexort.limit.exact.labels import Label
from nexort.limit.exact.operations import GAPS, einsum_of
from nexort.limit.exact.values import Value, What
from nexort.program.unrolled import Array

Sides = tuple[Array, Array]
"""Over rows and over columns; each may be a number."""

ONE: Array = np.ones(())
UNIT = (What.CORRELATION, What.AFTER, What.GAP, What.EYE)


def sizes(
    steps: Sequence[Value], outside: Mapping[Value, Any], row: Label, column: Label, rtol: float
) -> dict[Value, Sides]:
    """Of values over rows and columns, in order, from the arrays ``outside`` that they read; those
    that are left out are not known."""
    known: dict[Value, Sides] = {}
    for v, x in outside.items():
        if v.labels not in ((), (row,), (column,)):
            continue
        plain = np.abs(np.asarray(x, float)) if v.what is not What.COV else ONE
        known[v] = (ONE, plain) if v.labels == (column,) else (plain, ONE)
    with np.errstate(all="ignore"):
        for v in steps:
            found = _of(v, known, outside, row, rtol)
            if found is not None:
                known[v] = found
    return known


def _of(
    v: Value, known: Mapping[Value, Sides], outside: Mapping[Value, Any], row: Label, rtol: float
) -> Sides | None:
    if v.what in UNIT:
        return ONE, ONE
    if v.what is What.SUM:
        return _sum(v, outside, row)
    if v.what is What.PAIR:
        left, right, *_ = v.args[0].args
        if left not in known or right not in known:
            return None
        f, g = v.attr
        turned = row in right.labels
        first, second = (_vector(known[x]) for x in (left, right))
        found = size_of_terms(f, first, rtol), size_of_terms(g, second, rtol)
        return (found[1], found[0]) if turned else found
    if v.what is What.CALL and v.attr in GAPS:
        return ONE, ONE
    if v.what is not What.CALL or any(a not in known for a in v.args):
        return None
    return _call(str(v.attr), v, [known[a] for a in v.args])


def _vector(sides: Sides) -> Array:
    """The vector of a value over rows or columns alone."""
    return np.asarray(sides[0] * sides[1]) if not sides[0].ndim or not sides[1].ndim else sides[0]


def _call(name: str, v: Value, args: list[Sides]) -> Sides | None:
    match name:
        case "add":
            first, second = (np.sqrt(sum(np.square(a[k]) for a in args)) for k in (0, 1))
            return np.asarray(first), np.asarray(second)
        case "mul":
            first, second = (math.prod((a[k] for a in args), start=ONE) for k in (0, 1))
            return np.asarray(first), np.asarray(second)
        case "square":
            return np.square(args[0][0]), np.square(args[0][1])
        case "ratio" | "div" if len(v.args[1].labels) < 2:
            first, second = (a / np.where(b > 0, b, 1) for a, b in zip(*args, strict=True))
            return np.asarray(first), np.asarray(second)
    return None


def _sum(v: Value, outside: Mapping[Value, Any], row: Label) -> Sides | None:
    """|sum_d x_ad y_db| <= (sum_d x_ad^2)^(1/2) (sum_d y_db^2)^(1/2)."""
    if len(v.args) != 2 or any(a not in outside for a in v.args):
        return None
    if any(set(v.labels) <= set(a.labels) for a in v.args):
        return None
    spec, _, _ = einsum_of(v).partition("->")
    letters = dict(
        zip("".join(spec.split(",")), (x for a in v.args for x in a.labels), strict=True)
    )
    found = []
    for side, a in zip(spec.split(","), v.args, strict=True):
        kept = "".join(x for x in side if letters[x] in v.labels)
        x = np.asarray(outside[a], float)
        found.append((row in a.labels, np.sqrt(np.einsum(f"{side},{side}->{kept}", x, x))))
    (turned, first), (_, second) = found
    return (first, second) if turned else (second, first)
