"""The smallest repair, against a search through all changes of one or two exponents."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from networks import NETWORKS, UNIT, Array, around, mlp, network, table

from nexort.parametrization.classification import classify_subject
from nexort.parametrization.judge import Judge
from nexort.parametrization.layers import Normalization, Table, named_table, perceptron
from nexort.parametrization.repair import GOOD, repair
from nexort.parametrization.search import search_repairs
from nexort.parametrization.theorem import codes, table_verdict

STEP = UNIT // 4
MOVES = [k * STEP for k in range(-8, 9) if k]


def numbers(found: Table) -> Array:
    """Exponents in units of 1/UNIT."""
    rows = [[e.a, e.b, e.c, e.d] for e in found.exponents]
    return np.array([[int(x * UNIT) for x in row] for row in rows])


def tried(found: Table, most: int) -> tuple[int, Fraction] | None:
    """How many exponents must change, and by how much in all, found by trying."""
    start = numbers(found)
    for count in range(1, most + 1):
        moves = np.array(list(product(MOVES, repeat=count)))
        sums = np.abs(moves).sum(axis=1)
        best = None
        for places in combinations(range(start.size), count):
            tables = np.repeat(start.reshape(1, -1), len(moves), axis=0)
            tables[:, places] += moves
            good = codes(found.layers, tables.reshape(-1, *start.shape), 0, UNIT) >= 3
            if good.any():
                least = int(sums[good].min())
                best = least if best is None else min(best, least)
        if best is not None:
            return count, Fraction(best, UNIT)
    return None


@pytest.mark.parametrize(
    "normalization", ["none", "update", "clipping", "paper-clipping", "weight", "trust"]
)
@pytest.mark.parametrize("degree", [None, 0, 1])
def test_no_repair_is_smaller(degree: int | None, normalization: Normalization) -> None:
    layers = perceptron(2, degree, normalization)
    rng = np.random.default_rng(11)
    start = numbers(named_table("mup", layers)), numbers(named_table("ntp", layers))
    checked = 0
    for trial in range(24):
        moved = start[trial % 2].copy()
        for _ in range(rng.integers(1, 4)):
            moved.reshape(-1)[rng.integers(moved.size)] += rng.choice([-UNIT, -4, -2, 2, 4, UNIT])
        bad = table(layers, moved)
        found = repair(bad)
        if table_verdict(bad) in GOOD:
            assert found is None
            continue
        assert found is not None
        assert table_verdict(found.table) in GOOD
        size = len(found.changes), sum((abs(c.by) for c in found.changes), Fraction(0))
        least = tried(bad, 2 if degree is None else 1)
        assert least is None or size <= least, (bad, found.changes, least)
        checked += least is not None
    assert checked


def test_every_bad_table_is_repaired() -> None:
    layers = perceptron(3)
    for moved in around(3, 300, 5):
        bad = table(layers, moved)
        found = repair(bad)
        if table_verdict(bad) in GOOD:
            assert found is None
        else:
            assert found is not None
            assert table_verdict(found.table) in GOOD


def test_one_wrong_exponent_is_named() -> None:
    """Each exponent of muP off by 1/2 is put back, or another one is moved instead."""
    mup = named_table("mup", perceptron(3))
    for layer, place in product(range(4), range(4)):
        moved = numbers(mup)
        moved[layer, place] += UNIT // 2
        bad = table(mup.layers, moved)
        if table_verdict(bad) in GOOD:
            continue
        found = repair(bad)
        assert found is not None
        [change] = found.changes
        assert change.layer == str(layer + 1)


BAD = {
    # an output of size n^1/2; by SGD alone two exponents are enough
    ("tied embedding", "ntp", "adam"): ("mup", ["u.c", "u.d", "W.c", "W.d", "a_out"]),
    ("tied embedding", "ntp", "sgd"): ("", ["u.c", "a_out"]),
    # SGD in SP with a smaller output is in muP
    ("residual", "sp", "sgd"): ("", ["v.a"]),
}


@pytest.mark.parametrize(("name", "regime", "optimizer"), BAD)
def test_repairs_of_other_networks(name: str, regime: str, optimizer: str) -> None:
    found = classify_subject(network(NETWORKS[name], optimizer, regime))
    nearest, changed = BAD[name, regime, optimizer]
    assert found.verdict not in GOOD
    assert found.changes is not None
    assert [f"{c.layer}.{c.exponent}".strip(".") for c in found.changes] == changed
    assert found.nearest == nearest


def test_no_single_exponent_repairs_what_two_do() -> None:
    """A search by the judge finds what the theorem's repair finds."""
    layers = perceptron(2)
    judge = Judge(mlp(2, "tanh", "adam").graph())
    for moved in around(2, 40, 8):
        bad = table(layers, moved)
        by_theorem, by_trying = repair(bad), search_repairs(judge, bad)
        if by_theorem is not None and len(by_theorem.changes) == 1:
            assert by_trying is not None
            assert len(by_trying.changes) == 1
        if by_trying is not None and by_theorem is not None:
            assert len(by_trying.changes) <= len(by_theorem.changes)
            assert table_verdict(by_trying.table) in GOOD
