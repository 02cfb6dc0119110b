"""The dynamical dichotomy's conditions against the paper's statements."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import UNIT, around, table

from nexort.parametrization.layers import Table, named_table, perceptron
from nexort.parametrization.theorem import VERDICTS, Conditions, codes, table_verdict
from nexort.program.network import Exponents

F = Fraction
DEPTHS = (1, 2, 3, 5)


@pytest.mark.parametrize("depth", DEPTHS)
def test_named_parametrizations(depth: int) -> None:
    layers = perceptron(depth)
    assert table_verdict(named_table("mup", layers)) == "feature learning"
    assert table_verdict(named_table("ntp", layers)) == "operator regime"
    assert table_verdict(named_table("sp", layers)) == "unfaithful"
    for k in range(1, 5):
        assert table_verdict(named_table("ups", layers, F(k, 8))) == "operator regime"
    assert table_verdict(named_table("ups", layers, F(0))) == "feature learning"


def test_r_of_named_parametrizations() -> None:
    """Eq 2.23."""
    for name, r in (("mup", F(0)), ("ntp", F(1, 2))):
        found = named_table(name, perceptron(3))
        conditions = Conditions(found.layers, found.array)
        assert [x[0] for x in conditions.r[:-1]] == [r] * 3
        assert conditions.r[-1][0] == 0


@pytest.mark.parametrize(
    ("normalization", "name", "c"),
    [
        ("update", "ntp", ("0", "0", "0")),  # Def 2.10.4
        ("update", "mup", ("-1/2", "0", "-1/2")),  # Def 2.10.5
        ("paper-clipping", "mup", ("-1/2", "0", "-1/2")),
        ("weight", "ntp", ("0", "0", "0")),  # Def 2.10.8
        ("weight", "mup", ("-1/2", "1/2", "-1/2")),  # Def 2.10.9
    ],
)
def test_normalized_parametrizations(normalization: str, name: str, c: tuple[str, ...]) -> None:
    layers = perceptron(2, None, normalization)  # type: ignore[arg-type]
    found = named_table(name, layers)
    assert [e.c for e in found.exponents] == [F(x) for x in c]
    assert table_verdict(found) == ("feature learning" if name == "mup" else "operator regime")
    # the learning rates of plain updates are too small then, those of normalized ones too large
    plain = named_table(name, perceptron(2))
    assert table_verdict(Table(layers, plain.exponents)) == "trivial"
    assert table_verdict(Table(plain.layers, found.exponents)) == "unstable"


@pytest.mark.parametrize("name", ["ntp", "mup"])
def test_clipping_as_libraries_do_shifts_nothing(name: str) -> None:
    """Q min(1, theta / |Q|) has the size of Q."""
    layers = perceptron(2, None, "clipping")
    assert named_table(name, layers).exponents == named_table(name, perceptron(2)).exponents
    tables = around(2, 500, 3)
    for degree in (None, 0):
        clipped, plain = perceptron(2, degree, "clipping"), perceptron(2, degree)
        assert (codes(clipped, tables, 0, UNIT) == codes(plain, tables, 0, UNIT)).all()


@given(
    st.integers(1, 3),
    st.integers(0, 10**6),
    st.sampled_from([None, 0, 1]),
    st.sampled_from(["none", "update", "clipping", "paper-clipping"]),
    st.lists(st.integers(-12, 12), min_size=4, max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_the_redundancy_changes_nothing(
    depth: int, seed: int, degree: int | None, normalization: str, theta: list[int]
) -> None:
    """Prop 2.2.3."""
    tables = around(depth, 50, seed)
    layers = perceptron(depth, degree, normalization)  # type: ignore[arg-type]
    moved = tables + np.array(theta[: depth + 1])[:, None] * np.array([1, -1, -1, 1])
    assert (codes(layers, tables, 0, UNIT) == codes(layers, moved, 0, UNIT)).all()


def test_degree_0_ignores_d() -> None:
    tables = around(2, 5000, 1)
    other = tables.copy()
    other[:, :, 3] = np.random.default_rng(2).integers(-9, 9, other.shape[:2])
    layers = perceptron(2, 0)
    assert (codes(layers, tables, 0, UNIT) == codes(layers, other, 0, UNIT)).all()
    # and is the verdict with the faithful d
    faithful = tables.copy()
    size = tables[:, 2, 0] + tables[:, 2, 1]
    faithful[:, :2, 3] = tables[:, :2, 0] + size[:, None]
    faithful[:, 2, 3] = tables[:, 2, 0]
    found = codes(perceptron(2), faithful, 0, UNIT)
    assert (codes(layers, tables, 0, UNIT) == found).all()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_sgd_is_the_classification_of_abc_parametrizations(depth: int) -> None:
    """Tensor Programs IV, Definition 3.2 and Theorem 3.3 ff., for one learning rate of all layers:
    r = min(B, A + c) + A + c - 1 + min_l (2 a_l + [l = 1]); stable where r >= 0, 2A + c >= 1 and
    A + B + r >= 1 (and at the start); nontrivial where 2A + c = 1 or A + B + r = 1. With b <= c
    after reduction (Remark 2.8.13) it is this one."""
    rng = np.random.default_rng(depth)
    count = 40000
    h = UNIT // 2
    a = rng.integers(-2, 4, (count, depth + 1)) * h
    b = np.where(rng.random((count, depth + 1)) < 0.95, 0, h) - a
    b[:, 1:depth] += h
    b[:, depth] = rng.choice([h, UNIT, UNIT + h], count) - a[:, depth]
    c = rng.integers(-6, 7, count) * h
    tables = np.zeros((count, depth + 1, 4), int)
    tables[..., 0], tables[..., 1], tables[..., 2] = a, b, c[:, None]
    found = np.array(VERDICTS)[codes(perceptron(depth, 1), tables, 0, UNIT)]
    A, B = a[:, depth], b[:, depth]
    first = np.eye(1, depth, dtype=int)[0] * UNIT
    r = np.minimum(B, A + c) + A + c - UNIT + (2 * a[:, :depth] + first).min(axis=1)
    start = (a[:, 0] + b[:, 0] == 0) & (a[:, 1:depth] + b[:, 1:depth] == h).all(axis=1)
    start &= h <= A + B
    stable = start & (r >= 0) & (2 * A + c >= UNIT) & (A + B + r >= UNIT)
    nontrivial = (2 * A + c == UNIT) | (A + B + r == UNIT)
    kept = A + c >= B
    expected = np.where(r == 0, "feature learning", "operator regime")
    expected = np.where(nontrivial, expected, "trivial")
    expected = np.where(stable, expected, "unstable")
    assert (found[kept] == expected[kept]).all()
    assert set(expected[kept]) == set(VERDICTS) - {"unfaithful"}


def test_standard_parametrization_under_scale_invariant_updates() -> None:
    """With c = 1 features of hidden layers move by 1 (r = 0, Remark 2.2.7), while the readout's
    initial weights turn that into n^1/2 of the output: (2.27) asks for c = 3/2."""
    sp = named_table("sp", perceptron(2, 0))
    slow = [replace(e, c=F(1)) for e in sp.exponents]
    found = Table(sp.layers, tuple(slow))
    conditions = Conditions(found.layers, found.array)
    assert conditions.least is not None
    assert conditions.least[0] == 0
    assert table_verdict(found) == "unstable"
    [failed] = [x for x in conditions.all() if not x.holds[0] and x.group != "nontrivial"]
    assert failed.formula == "a + b + r"
    slower = [replace(e, c=F(1)) for e in sp.exponents]
    slower[0], slower[1] = replace(slower[0], c=F(1, 2)), replace(slower[1], c=F(3, 2))
    assert table_verdict(Table(sp.layers, tuple(slower))) == "operator regime"


def test_many_tables_are_quick_and_those_of_one() -> None:
    tables = around(3, 100_000, 7)
    layers = perceptron(3)
    start = time.process_time()
    found = codes(layers, tables, 0, UNIT)
    assert time.process_time() - start < 10
    assert set(found) == set(range(len(VERDICTS)))
    for k in range(0, 100_000, 997):
        assert table_verdict(table(layers, tables[k])) == VERDICTS[found[k]]


def test_thirds_are_exact() -> None:
    """a + b = 1/3 + 1/6 is 1/2."""
    mup = named_table("mup", perceptron(2))
    e = Exponents(F(1, 3), F(1, 6), F(2, 3), F(4, 3))
    assert (
        table_verdict(Table(mup.layers, (mup.exponents[0], e, mup.exponents[2])))
        == "feature learning"
    )
