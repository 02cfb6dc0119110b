"""Sines and cosines do not hide how a function grows, nor make it look as if it did."""

from __future__ import annotations

import pytest

import nexort

HEAD = "vector v, w ~ N(0, 1)\n|z> = 0.8 * |v> + 0.6 * |w>\n"


def test_waves_in_a_product_of_two_variables_are_no_growth() -> None:
    text = HEAD + "|a> = (1 - cos(|v>)) / |v>^2\n|c> = (exp(|z> - 1) - |z>) / (|z> - 1)^2\n"
    found = nexort.loads(text + "output <a|c> as f").limit()["f"]
    assert abs(float(found) - 0.180620369124) <= 4 * float(found.error)


@pytest.mark.parametrize(
    "ket",
    [
        "(2 + cos(|v> * |w>)) * exp(0.6 * |w>^2)",
        "cos(|v>) * exp(0.6 * |w>^2)",
        "(2 + sin(|v>)) * exp(0.51 * |v>^2)",
    ],
)
def test_growth_beyond_the_density_is_refused(ket: str) -> None:
    with pytest.raises(nexort.NexortError, match="does not exist"):
        nexort.loads(HEAD + f"|a> = {ket}\noutput <1|a> as f").limit()
