"""Means of samples whose variance is not finite have no known error, and say so."""

from __future__ import annotations

import pytest

import nexort

PROGRAM = """
vector x, y ~ N(0, 1)
|f> = {}
output <1|f>
"""
TOLD = "finite variance not shown"


@pytest.mark.parametrize(
    ("f", "told"),
    [
        ("abs(x * y)^(-0.4)", False),
        ("abs(x * y)^(-0.5)", True),
        ("abs(x * y)^(-0.99)", True),
        ("exp(0.49 * x * y)", False),
        ("exp(0.51 * x * y)", True),
        ("exp(x * y - x^2 / 2)", True),
        ("exp(x * y - x^2)", False),
        ("exp(x * y / 4 - x^2)", False),
        ("1 / sqrt(x^2 + y^2)", True),
        ("log(x^2 + y^2)", False),
        ("tanh(x) / (1 + y^2)", False),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_means_of_samples(f: str, told: bool, exact: bool) -> None:
    text = PROGRAM.format(f.replace("x", "|x>").replace("y", "|y>").replace("e|x>p", "exp"))
    [found] = nexort.loads(text).limit(samples=256, replicates=2, exact=exact).values()
    assert "existence not shown" not in found.method
    assert (TOLD in found.method) == (told and "sampled" in found.method)


def test_what_is_exact_needs_no_variance() -> None:
    text = "vector x ~ N(0, 1)\n|f> = abs(|x>)^(-0.9)\noutput <1|f>"
    [found] = nexort.loads(text).limit().values()
    assert TOLD not in found.method
    [found] = nexort.loads(text).limit(exact=False, samples=256).values()
    assert TOLD in found.method
