"""Polynomials of high degree: exact where there are one or two Gaussians, refused beyond floats."""

from __future__ import annotations

from math import comb, factorial

import numpy as np
import pytest

import nexort
from nexort.support.diagnostics import NexortError


def moment(k: int) -> int:
    """E z^k = (k - 1)!! for even k."""
    return 0 if k % 2 else factorial(k) // (2 ** (k // 2) * factorial(k // 2))


def value(text: str) -> tuple[float, float, str]:
    """Value, error and method of the one output of a program."""
    ((_, found),) = nexort.loads(text).limit().items()
    return float(found), float(found.error), found.method


@pytest.mark.parametrize("k", [13, 14, 32, 100])
def test_moments(k: int) -> None:
    found, error, method = value(f"vector v ~ N(0, 1)\n|x> = |v>^{k}\noutput <1|x>")
    assert "sampled" not in method
    assert found == pytest.approx(moment(k), rel=1e-12)
    assert error <= 1e-4 * moment(k)


def test_moments_of_two() -> None:
    head = "vector (u, w) ~ N(0, [[1, 0.6], [0.6, 1]])\n"
    found, error, method = value(f"{head}|x> = |u>^20\n|y> = |w>^20\noutput <x|y>")
    # w = 0.6 u + 0.8 g
    parts = [comb(20, j) * 0.6 ** (20 - j) * 0.8**j * moment(j) * moment(40 - j) for j in range(21)]
    truth = float(np.sum(parts))
    assert "sampled" not in method
    assert abs(found - truth) <= max(error, 1e-12 * truth)
    assert error <= 1e-5 * truth


def test_powers_of_products() -> None:
    text = "vector u, v ~ N(0, 1)\n|x> = (|u> * |v>)^20\noutput <1|x>"
    found, _, method = value(text)
    assert "sampled" not in method
    assert found == pytest.approx(moment(20) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    "rule",
    ["|x> = |v>^400", "|y[0]> = |v>\nfor k in 1..12 { |y[k]> = |y[k-1]>^2 - 0.5 }\n|x> = |y[12]>"],
)
def test_beyond_floats(rule: str) -> None:
    with pytest.raises(NexortError, match=r"(?s)not-finite.*beyond floating point"):
        value(f"vector v ~ N(0, 1)\n{rule}\noutput <1|x>")
