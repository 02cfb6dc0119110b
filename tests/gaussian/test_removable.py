"""Removable singularities: as many digits next to them as elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import nexort
from nexort.gaussian.pointwise import patches
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node

CASES: dict[str, Any] = {
    "(1 - cos(|v>)) / |v>^2": lambda z: (1 - mp.cos(z)) / z**2,
    "(cos(|v>) - 1 + |v>^2/2) / |v>^4": lambda z: (mp.cos(z) - 1 + z**2 / 2) / z**4,
    "(|v> - sin(|v>)) / |v>^3": lambda z: (z - mp.sin(z)) / z**3,
    "(exp(|v>) - 1 - |v>) / |v>^2": lambda z: (mp.exp(z) - 1 - z) / z**2,
    "(exp(|v> - 1) - |v>) / (|v> - 1)^2": lambda z: (mp.exp(z - 1) - z) / (z - 1) ** 2,
    "(tanh(|v>) - |v>) / |v>^3": lambda z: (mp.tanh(z) - z) / z**3,
    "log(1 + |v>^2) / |v>^2": lambda z: mp.log1p(z * z) / z**2,
    "(sqrt(1 + |v>^2) - 1) / |v>^2": lambda z: (mp.sqrt(1 + z * z) - 1) / z**2,
    "relu(|v>)^2 / |v>": lambda z: z if z > 0 else mpf(0),
}


def _truth(f: Any) -> float:
    """Without what lies within 1e-15 of 0 and 1."""
    with mp.workdps(90):
        e = mpf(10) ** -15
        pieces = [[-16, -6, -3, -1, -e], [e, mpf(1) / 2, 1 - e], [1 + e, 3, 6, 16]]
        return float(sum(mp.quad(lambda z: f(z) * mp.npdf(z), ends) for ends in pieces))


@pytest.mark.parametrize("text", CASES)
def test_expectations(text: str) -> None:
    found = nexort.loads(f"vector v ~ N(0, 1)\n|y> = {text}\noutput <1|y> as f").limit()["f"]
    assert "sampled" not in found.method
    assert abs(float(found) - _truth(CASES[text])) <= float(found.error) < 1e-12


def test_second_moments() -> None:
    text = "vector v ~ N(0, 1)\n|y> = (1 - cos(|v>)) / |v>^2\noutput <y|y> as f"
    found = nexort.loads(text).limit()["f"]
    truth = _truth(lambda z: ((1 - mp.cos(z)) / z**2) ** 2)
    assert abs(float(found) - truth) <= float(found.error) < 1e-12


def _power(exponent: float) -> Node:
    return build.call("pow", build.call("abs", SLOT), build.constant(exponent))


@pytest.mark.parametrize(
    "node",
    [
        _power(-0.5),
        build.call("log", build.call("abs", SLOT)),
        build.call("div", build.call("square", build.call("sin", SLOT)), _power(2.5)),
        build.call("tanh", SLOT),
    ],
)
def test_what_is_no_polynomial_is_left_alone(node: Node) -> None:
    assert patches(node) == ()


def test_a_patch_is_smooth_at_its_ends() -> None:
    numerator = build.call("sub", build.constant(1), build.call("cos", SLOT))
    f = Univariate(build.call("div", numerator, build.call("square", SLOT)))
    [patch] = patches(f.node)
    ends = patch.place + patch.radius * np.array([-1 - 1e-12, -1 + 1e-12, 1 - 1e-12, 1 + 1e-12])
    values = f(ends)
    np.testing.assert_allclose(values, values[0], rtol=1e-13)
    assert f.singularities == ()
    assert f.kinks == (0.0,)


def test_pairs() -> None:
    """Against a Gauss-Hermite rule of 120^2 nodes in 40 digits."""
    lines = ["vector v, w ~ N(0, 1)", "|z> = 0.8 * |v> + 0.6 * |w>"]
    lines += ["|a> = (1 - cos(|v>)) / |v>^2", "|b> = (|z> - sin(|z>)) / |z>^3"]
    lines += ["|e> = (sqrt(1 + |v>^2) - 1) / |v>^2", "output <a|b> as f, <e|b> as g"]
    found = nexort.loads("\n".join(lines)).limit()
    for name, truth in (("f", 0.073752407458933), ("g", 0.069515232978984)):
        assert "sampled" not in found[name].method
        assert abs(float(found[name]) - truth) <= float(found[name].error) < 1e-9
