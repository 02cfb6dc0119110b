"""Verdicts where numbers are computed: exactly, or up to errors."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import gamma

import nexort
from nexort.gaussian.precise import precise_number
from nexort.program.numbers import fold
from nexort.report.results import Estimate
from nexort.support.diagnostics import NexortError

PROGRAM = """
vector z, w ~ N(0, 1)
|p> = relu(|w>)
|q> = tanh(|w>)
half = <p|p>
c = <q|q>
|f> = {}
output <1|f> as m
"""


def mean(f: str) -> Estimate:
    return nexort.loads(PROGRAM.format(f.replace("z", "|z>"))).limit(samples=256)["m"]


@pytest.mark.parametrize(
    ("f", "value"),
    [
        ("(exp(z) - exp(1/3)) / (z - 1/3)", 1.39826105779154),
        ("(tanh(z) - tanh(0.5)) / (z - 0.5)", 0.762252073505485),
        ("sin(3 * z - 1) / (z - 1/3)", 1.18403805686637),
        ("(z^2 - 2) / (z - sqrt(2))", np.sqrt(2)),
        ("(z - 0.1 * 3) / (z - 0.3)", 1),
        ("abs(z)^(-0.1 * 9)", 2**-0.45 * gamma(0.05) / np.sqrt(np.pi)),
    ],
)
def test_numbers_of_a_program_are_known_to_all_digits(f: str, value: float) -> None:
    found = mean(f)
    assert "not shown" not in found.method
    assert abs(float(found) - value) < 1e-12 * max(abs(value), 1)


@pytest.mark.parametrize(
    "f",
    [
        "1 / (z - 1/3)",
        "abs(z)^(-0.1 * 10)",
        "abs(z)^(0.1 - 1.1)",
        "exp(z^2 * (1/3 + 1/6))",
        "1 / (z - c)",
        "1 / (z - half)",
        "(z^2 - c) / (z - 2 * sqrt(c))",
    ],
)
def test_what_diverges_for_all_numbers_within_their_errors_is_refused(f: str) -> None:
    with pytest.raises(NexortError) as problem:
        mean(f)
    assert problem.value.diagnostics[0].code == "not-integrable"


@pytest.mark.parametrize(
    ("f", "shown"),
    [
        ("(tanh(z) - tanh(c)) / (z - c)", False),
        ("(z^2 - c) / (z - sqrt(c))", False),
        ("(z^2 - c^2) / (z - c)", False),
        ("exp(z^2 * sqrt(half / 2))", False),
        ("sin(z - c) / (z - c)", True),
        ("log((z - c)^2)", True),
        ("abs(z)^(-0.9 * c)", True),
    ],
)
def test_what_errors_of_numbers_may_make_is_not_known(f: str, shown: bool) -> None:
    assert ("existence not shown" not in mean(f).method) == shown


def test_a_number_remembers_what_it_comes_from() -> None:
    third = fold("div", (1, 3))
    assert third is not None
    nine = fold("pow", (third, 2))
    assert nine is not None
    with mpmath.mp.workdps(100):
        assert abs(precise_number(third) - mpmath.mpf(1) / 3) < mpmath.mpf(10) ** -99
        assert abs(precise_number(nine) - mpmath.mpf(1) / 9) < mpmath.mpf(10) ** -99


WAVES = [
    "abs(z)^(-0.99) * (2 + sin(log(abs(z))))",
    "sin(log(abs(z)))^2 / abs(z)",
    "(2 + cos(1 / z)) / abs(z)",
]


@pytest.mark.parametrize("f", WAVES)
def test_waves_without_end_next_to_a_point_show_no_divergence(f: str) -> None:
    assert "existence not shown" in mean(f).method


def test_what_has_waves_as_factors_exists_where_the_rest_does() -> None:
    found = mean("cos(1 / z)")
    assert "not shown" not in found.method
    assert abs(float(found) - 0.15491401062805) < 2 * float(found.error) < 1e-3


def test_what_a_number_comes_from_is_bounded() -> None:
    a = fold("div", (1, 3))
    assert a is not None
    for _ in range(60):
        squared = fold("mul", (a, a))
        assert squared is not None
        a = fold("sqrt", (squared,))
        assert a is not None
    text = "param a = 1.1\n" + "".join(
        f"b{k} = sqrt({'a' if not k else f'b{k - 1}'} * {'a' if not k else f'b{k - 1}'})\n"
        for k in range(40)
    )
    text += "vector z ~ N(0, 1)\n|f> = log(abs(|z> - b39))\noutput <1|f> as m"
    found = nexort.loads(text).limit(samples=256)["m"]
    assert np.isfinite(float(found))


@pytest.mark.parametrize(
    "text",
    [
        "1 / (abs(|v>) + ((0.1 + 0.2) / 0.3 - 1))",
        "1 / (|v>^2 + ((0.1 + 0.2) / 0.3 - 1))",
        "1 / max(abs(|v>), ((0.1 + 0.2) - 0.3))",
    ],
)
def test_intervals_hold_the_errors_of_numbers(text: str) -> None:
    """A 0 that floats compute as 1e-16 keeps no denominator from 0."""
    with pytest.raises(nexort.NexortError, match="does not exist"):
        nexort.loads(f"vector v ~ N(0, 1)\n|x> = {text}\noutput <1|x>").limit()
