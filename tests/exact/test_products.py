"""Functions of products that are products: exact, by the laws of |x y|, sign, powers and log."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nexort

ABSOLUTE = math.sqrt(2 / math.pi)
"""E |z|."""
LOG = -(0.5772156649015329 + math.log(2)) / 2
"""E log |z|."""


def moment(p: float) -> float:
    """E |z|^p."""
    return 2 ** (p / 2) * math.gamma((p + 1) / 2) / math.sqrt(math.pi)


CASES = {
    "abs(|v> * |u>)": ABSOLUTE**2,
    "abs(-3 * |v> * |u>)^(-0.6)": 3**-0.6 * moment(-0.6) ** 2,
    "sqrt(abs(|v> * |u>))": moment(0.5) ** 2,
    "abs(|v> / |u>)^0.5": moment(0.5) * moment(-0.5),
    "log(abs(2 * |v> * |u>))": math.log(2) + 2 * LOG,
    "log(|v>^2 * |u>^2)": 4 * LOG,
    "sign(-|v> * |u>) * |v> * |u>": -(ABSOLUTE**2),
    "step(|v> * |u>) * |v> * |u>": ABSOLUTE**2 / 2,
    "relu(|v> * |u>)": ABSOLUTE**2 / 2,
    "relu(|v> * |v> * |u>)": ABSOLUTE / 2,
    "leaky_relu(|v> * |u>, 0.2)": 0.4 * ABSOLUTE**2,
    "max(0, |v> * |u>)": ABSOLUTE**2 / 2,
    "min(|v> * |u>, 0)": -(ABSOLUTE**2) / 2,
}


@pytest.mark.parametrize("text", CASES)
def test_answers(text: str) -> None:
    """Also as both routes have it."""
    program = nexort.loads(
        f"vector u ~ N(0, 1)\nvector v ~ N(0, 1)\n|y> = {text}\noutput <1|y> as f"
    )
    found, sampled = program.limit()["f"], program.limit(exact=False)["f"]
    assert "sampled" not in found.method
    assert abs(float(found) - CASES[text]) <= float(found.error) + 1e-14 < 1e-11
    assert abs(float(sampled) - CASES[text]) <= 6 * float(sampled.error)


def test_signs_of_what_is_not_known_stay_whole() -> None:
    """(a v u)^0.5 is no product of roots where the sign of a v u is not known."""
    text = "vector u ~ N(0, 1)\nvector v ~ N(0, 1)\n|y> = abs(sqrt(|v> * |u> + 0 * |u>))\n"
    with pytest.raises(nexort.NexortError):
        nexort.loads(f"{text}output <1|y>").limit()


def test_a_deep_residual_stream_is_exact() -> None:
    """A sum of as many independent terms as there are layers."""
    text = (
        "vector v ~ N(0, 1)\nmatrix W[1..24] ~ N(0, 1/n)\n|x[0]> = |v>\n"
        "for l in 1..24 { |x[l]> = |x[l-1]> + 0.3 * tanh(W[l] |x[l-1]>) }\n"
        "k[l] = <x[l]|x[l]> for l in 0..24\noutput k"
    )
    program = nexort.loads(text)
    found, sampled = program.limit()["k"], program.limit(exact=False)["k"]
    assert "sampled" not in found.method
    assert np.max(found.error) < 1e-8
    apart = np.abs(np.asarray(found) - np.asarray(sampled))
    assert (apart <= 6 * np.asarray(sampled.error) + 1e-12).all()


def test_many_correlated_terms_are_sampled() -> None:
    """Every pair of them is an integral of its own."""
    total = " + ".join(f"tanh({1 + k / 10} * |u> + |v>)" for k in range(24))
    text = f"vector u, v ~ N(0, 1)\n|x> = {total}\noutput <x|x> as f"
    assert "sampled" in nexort.loads(text).limit()["f"].method
