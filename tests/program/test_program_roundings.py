"""Numbers that a program computes carry the errors of what they are made of."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest

import nexort
from nexort.program.roundings import Rounded, rounded_number


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("0.1 + 0.2 - 0.3", 0),
        ("sum(k in 1..10) 0.1 - 1", 0),
        ("0.1 * 3 - 0.3", 0),
        ("sqrt(0.7)^2 - 0.7", 0),
        ("sqrt(2) * sqrt(2) - 2", 0),
        ("1 - 0.9 - 0.1", 0),
        ("exp(log(3)) - 3", 0),
        ("0.7 / 0.1 - 7", 0),
        ("(1/3 + 1/7) * 21 - 10", 0),
    ],
)
@pytest.mark.parametrize("factor", ["", " * <v|v>"])
def test_what_cancels_has_the_error_of_its_parts(expression: str, truth: int, factor: str) -> None:
    text = f"vector v ~ N(0, 1)\nt = ({expression}){factor}\noutput t"
    found = nexort.loads(text).limit()["t"]
    assert abs(float(found) - truth) <= float(found.error) < 1e-13


@pytest.mark.parametrize(
    "expression", ["0.5 + 0.25 - 0.75", "3 * 2 - 6", "2^60 - 2^60", "1/4 - 0.25"]
)
def test_what_is_exact_stays_so(expression: str) -> None:
    found = nexort.loads(f"t = {expression}\noutput t").limit()["t"]
    assert (float(found), float(found.error)) == (0, 0)


def test_a_rounded_number_equals_only_itself() -> None:
    x = Rounded(0.3, 1e-16)
    assert x == pickle.loads(pickle.dumps(x))
    assert x != 0.3
    assert x != Rounded(0.3, 2e-16)
    assert float(x) + 1 == 1.3
    assert repr(x) == "0.3"
    assert type(rounded_number(0.3, 1e-18)) is float


def test_products_know_whether_they_round() -> None:
    third = nexort.loads("t = 0.1 * 0.1\noutput t").limit()["t"]
    assert abs(Fraction(float(third)) - Fraction(1, 100)) <= Fraction(float(third.error))
