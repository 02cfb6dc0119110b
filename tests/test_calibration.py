"""Two errors cover the truth in 94 to 97 of 100 cases, as far as few runs can tell."""

from __future__ import annotations

import math

import pytest
from calibration import coverage

FEW = {
    "sampled": 200,
    "sampled, with dots": 100,
    "outer nonlinearity of order 1": 100,
    "outer nonlinearity of order 2": 100,
    "heavy tails": 200,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_two_errors_cover_the_truth(kind: str) -> None:
    found = coverage(kind, FEW[kind])
    for wanted, sign in ((0.94, 1), (0.97, -1)):
        noise = math.sqrt(wanted * (1 - wanted) / found.count)
        assert sign * (found.part - wanted) > -3.5 * noise, found


def test_the_error_of_what_is_exact_covers_it() -> None:
    found = coverage("series and quadrature", 100)
    assert found.within == found.count, found
