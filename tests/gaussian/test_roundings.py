"""What floats lose of a function is in the error of its expectations."""

from __future__ import annotations

import pytest

import nexort

ONE = {
    "(sqrt(1 + 1e-20 * |v>^2) - 1) * 2e20": 1.0,
    "(sqrt(1 + 1e-16 * |v>^2) - 1) * 2e16": 1.0,
    "log(1 + 1e-20 * exp(|v>)) * 1e20": 1.6487212707,
    "1e18 * (1 - tanh(20 + abs(|v>)))": 2.85663,
    "1 - sigmoid(45 + |v>)": 4.7195e-20,
    "(cosh(1e-8 * tanh(|v>)) - 1) * 1e16": 0.197147,
    "relu(1e16 * (sqrt(1 + 1e-16 * |v>^2) - 1) - 0.5)": 0.24197,
}


@pytest.mark.parametrize("text", ONE)
def test_of_one_variable(text: str) -> None:
    program = f"vector v ~ N(0, 1)\n|x> = {text}\n|o> = 1 + 0 * |v>\noutput <x|o> as f"
    found = nexort.loads(program).limit()["f"]
    assert abs(float(found) - ONE[text]) <= float(found.error)


TWO = {
    ("log(1 + 1e-17 * |p>^2) * 1e17", "tanh(|q>)^2 * |q>^2"): 1.455,
    ("log(1 + 1e-17 * |p>^2) * 1e17", "abs(|q> - 0.3)"): 1.111,
    ("1e17 * log(1 + 1e-17 * relu(|p> - 0.1))", "tanh(|q>)"): 0.167,
}


@pytest.mark.parametrize("texts", TWO)
def test_of_two(texts: tuple[str, str]) -> None:
    """Also where the series converges, to something else."""
    left, right = texts
    program = (
        "vector (p, q) ~ N(0, [[1, 0.6], [0.6, 1]])\n"
        f"|x> = {left}\n|y> = {right}\noutput <x|y> as f"
    )
    found = nexort.loads(program).limit()["f"]
    assert abs(float(found) - TWO[texts]) <= float(found.error)


def test_what_loses_nothing_keeps_its_error() -> None:
    program = (
        "vector (p, q) ~ N(0, [[1, 0.6], [0.6, 1]])\n"
        "|x> = tanh(|p>) + 0.3 * sin(|p>)\n|y> = erf(|q>)^2 * |q>\noutput <x|y>, <1|y> as m\n"
    )
    found = nexort.loads(program).limit()
    assert all(float(x.error) < 1e-7 for x in found.values())
