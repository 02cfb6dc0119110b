"""Formulas in normal form: what joins, what is kept apart, and what is never captured."""

from __future__ import annotations

from fractions import Fraction

import pytest

from nexort.limit.derive.algebra import BoundNames, axis_sum, delta, loop_sum, reindex, unbound
from nexort.limit.derive.arithmetic import HALF, add, mul, neg, number, power
from nexort.limit.derive.folding import apply_function
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    Apply,
    AxisSum,
    Formula,
    Ket,
    LoopSum,
    Number,
    Power,
    Symbol,
)
from nexort.limit.derive.walking import is_random, kets_of
from nexort.program.index import Affine

S, T = Symbol("s", kind="param"), Symbol("t", kind="param")
ROW, J, K = (Affine.variable(x) for x in ("i", "j", "k"))


def entry(index: Affine) -> Symbol:
    return Symbol("xi", axes=(index,), kind="data")


def test_equal_terms_are_collected() -> None:
    assert add(S, T, neg(S)) == T
    assert add(S, S) == mul(number(2), S)
    assert add(mul(S, T), mul(T, S)) == mul(number(2), S, T)


def test_equal_bases_are_joined() -> None:
    assert mul(S, S) == power(S, number(2))
    assert mul(power(S, number(-1)), S) == ONE
    root = power(power(S, number(2)), HALF)
    assert root != S  # |s|
    assert mul(root, root) == power(S, number(2))


def test_roots_of_numbers_stay_exact() -> None:
    assert power(number(4), HALF) == number(2)
    root = power(Number(1.5), HALF)
    assert mul(root, root) == Number(1.5)
    half = power(number(2), Number(Fraction(-1, 2)))
    assert mul(half, half) == Number(Fraction(1, 2))


def test_a_delta_picks_a_term() -> None:
    assert axis_sum("i", "d", mul(delta(ROW, J), entry(ROW))) == entry(J)
    assert delta(ROW, ROW + Affine(1)) == ZERO
    assert delta(ROW, ROW) == ONE


def test_what_has_no_label_moves_out_of_a_sum() -> None:
    assert axis_sum("i", "d", mul(S, entry(ROW))) == mul(S, AxisSum("i", "d", entry(ROW)))


def test_a_sum_of_one_term() -> None:
    assert loop_sum("k", J, J, entry(K)) == entry(J)


def test_bound_names_are_fresh() -> None:
    """sum_i xi_i times sum_i xi_i is a double sum, not sum_i xi_i^2."""
    names = BoundNames()
    one, other = (unbound(AxisSum("i", "d", entry(ROW)), names) for _ in range(2))
    assert one != other
    inner = unbound(LoopSum("k", Affine(1), J, entry(K)), names)
    moved = reindex(inner, {"j": K})
    assert isinstance(moved, LoopSum)
    assert moved.last == K
    assert moved.var != "k"


def test_signs_of_products_are_products_of_signs() -> None:
    x, y = Ket("x"), Ket("y")
    assert apply_function("sign", (mul(x, y),)) == mul(Apply("sign", (x,)), Apply("sign", (y,)))
    assert apply_function("abs", (mul(number(-2), x),)) == mul(number(2), Apply("abs", (x,)))


@pytest.mark.parametrize("formula", [Ket("x"), mul(S, Ket("x")), power(Ket("x"), HALF)])
def test_randomness(formula: Formula) -> None:
    assert is_random(formula)
    assert kets_of(formula) == [Ket("x")]
    assert not is_random(Power(S, HALF))
