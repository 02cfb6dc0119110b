"""Kets that vanish up to roundings: a jump of them is not known, and neither is its covariance."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

CENTRED = """
dim M = 3
data xi[M] = [0.1, 0.1, 0.1]
data one[M] = [1, 1, 1]
vector u ~ N(0, 1)
|h> = |u> * xi
|c> = |h> - |h> @ one / M
"""


@pytest.mark.parametrize(("name", "unknown"), [("sign", 1.0), ("step", 0.25)])
def test_jumps_of_a_constant_image_without_its_mean(name: str, unknown: float) -> None:
    text = f"{CENTRED}|x> = {name}(|c>)\nk = <x|x>\noutput k, k[0, 0] as own, <c|c>\n"
    found = nexort.loads(text).limit()
    assert np.all(found["k"].error >= unknown)
    assert np.all(found["own"].error >= unknown)
    assert np.all(np.abs(found["<c|c>"]) <= found["<c|c>"].error)
    assert np.all(found["<c|c>"].error < 1e-30)


def test_smooth_functions_of_it_are_known() -> None:
    found = nexort.loads(f"{CENTRED}|x> = relu(|c>)\noutput <x|x>\n").limit()["<x|x>"]
    assert np.all(found.error < 1e-30)


def test_no_error_is_no_number() -> None:
    found = nexort.loads(f"{CENTRED}|x> = sign(|c>)\noutput <x|u>\n").limit()["<x|u>"]
    assert not np.any(np.isnan(found.error))


def test_whole_numbers_that_cancel_are_0() -> None:
    text = (
        CENTRED.replace("0.1, 0.1, 0.1", "3, 3, 3")
        .replace(" / M", " * (1/4)")
        .replace("[1, 1, 1]", "[2, 1, 1]")
    )
    found = nexort.loads(f"{text}|x> = sign(|c>)\noutput <x|x>\n").limit()["<x|x>"]
    assert np.all(np.asarray(found) == 0)
    assert np.all(found.error < 1e-14)


def test_covariances_of_coefficients_that_are_numbers_have_their_roundings() -> None:
    """3 (0.1 u + 0.2 w) - (0.3 u + 0.6 w) is 0 but for roundings of its coefficients."""
    text = """
vector u, w ~ N(0, 1)
|a> = 0.1 * |u> + 0.2 * |w>
|c> = 3 * |a> - (0.3 * |u> + 0.6 * |w>)
|s> = sign(|c>)
output <c|c>, <s|s>
"""
    found = nexort.loads(text).limit()
    assert float(found["<c|c>"]) <= float(found["<c|c>"].error) < 1e-30
    assert float(found["<s|s>"].error) >= 1


def test_whole_numbers_have_no_roundings() -> None:
    text = "vector u, w ~ N(0, 1)\n|a> = 3 * |u> - 2.5 * |w>\noutput <a|a>\n"
    found = nexort.loads(text).limit()["<a|a>"]
    assert float(found) == 15.25
    assert float(found.error) == 0
