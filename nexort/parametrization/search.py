"""The smallest repair of any network's parametrization, by trying: one exponent, then two, a_out
among them, by multiples of 1/4, each table judged by its counted sizes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, product
from math import lcm

import numpy as np

from nexort.parametrization.judge import Judge
from nexort.parametrization.layers import Array, Table
from nexort.parametrization.repair import Repair, changes
from nexort.parametrization.theorem import VERDICTS
from nexort.program.network import Exponents

QUARTERS = (-4, -3, -2, -1, 1, 2, 3, 4)
GOOD = VERDICTS.index("feature learning")
MOST = 200_000
"""Tables that are tried."""

WORK = 5e8
"""Orders that are counted for them, of all tables together."""


def search_repairs(judge: Judge, table: Table) -> Repair | None:
    """The smallest repair by at most two exponents, by at most 1 each; None where there is none, or
    too much to try."""
    unit = lcm(4, *(x.denominator for x in _flat(table)))
    start = np.array([int(x * unit) for x in _flat(table)])
    for count in (1, 2):
        moves = np.array(list(product(QUARTERS, repeat=count))) * (unit // 4)
        places = list(combinations(range(len(start)), count))
        if len(moves) * len(places) > min(MOST, WORK / judge.numbers):
            return None
        tried = np.concatenate(list(_moved(start, moves, places)))
        tables = tried[:, 1:].reshape(len(tried), -1, 4)
        good = judge.codes(tables, tried[:, 0], unit) >= GOOD
        if good.any():
            size = np.where(good, np.abs(tried - start).sum(axis=1), np.iinfo(np.int64).max)
            return _repair(table, tried[int(size.argmin())], unit)
    return None


def _flat(table: Table) -> list[Fraction]:
    """a_out, then all exponents."""
    return [table.out, *(n for e in table.exponents for n in (e.a, e.b, e.c, e.d))]


def _moved(start: Array, moves: Array, places: list[tuple[int, ...]]) -> Iterator[Array]:
    for where in places:
        tables = np.repeat(start[None], len(moves), axis=0)
        tables[:, where] += moves
        yield tables


def _repair(table: Table, found: Array, unit: int) -> Repair:
    rows = [[Fraction(int(x), unit) for x in row] for row in found[1:].reshape(-1, 4)]
    repaired = Table(
        table.layers, tuple(Exponents(*row) for row in rows), Fraction(int(found[0]), unit)
    )
    return Repair(changes(table, repaired), repaired)
