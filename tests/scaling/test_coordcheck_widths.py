"""Coordinate checks at widths 64 to 2048: exponents are as predicted, and a wrong one is found."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from coordcheck_programs import MUP, explicit, run, shifted, text
from networks import NETWORKS

WIDTHS = (64, 128, 256, 512, 1024, 2048)
HALF = Fraction(1, 2)

EIGHT = np.random.default_rng(0).standard_normal((6, 8))
FOUR = np.array(
    [[0.034, 1.36, 1.225, -0.51], [-0.298, -0.527, 0.57, -0.056], [0.747, -1.847, 1.567, -0.096]]
)

# targets so large that f_0, which is random, hardly moves the first error signal; learning rates at
# which what grows with n has outgrown the rest at these widths
CASES = [
    ("mup", "adam(lr=0.1, eps=1e-4)", 3, 32),
    ("mup", "sgd(lr=0.1)", 3, 32),
    ("ntp", "adam(lr=0.1, eps=1e-4)", 3, 32),
    ("ntp", "sgd(lr=0.01)", 3, 32),
    ("sp", "adam(lr=2, eps=1e-8)", 2, 128),
    ("sp", "sgd(lr=0.05)", 2, 128),
]


@pytest.mark.slow
@pytest.mark.parametrize(("table", "optimizer", "depth", "seeds"), CASES)
def test_every_exponent_is_as_predicted(table: str, optimizer: str, depth: int, seeds: int) -> None:
    phi, xi, size = ("relu", FOUR, 50.0) if table == "sp" else ("tanh", EIGHT, 5.0)
    targets = size * np.array([1, -0.6, -0.8, 1.2, 0.4, -1.1, 0.7, -0.9])[: xi.shape[1]]
    source = text(table, optimizer, phi)
    data = {"xi": xi, "y": targets}
    found = run(source, WIDTHS, seeds, steps=depth, numbers={"L": depth}, data=data)
    assert found.notes == ()
    assert len(found.judged) > 60
    far = {
        (r.quantity.label, r.quantity.step): (r.fit.exponent, r.fit.error, r.predicted)
        for r in found.rows
        if not abs(r.difference) <= 0.1
    }
    assert far == {}
    errors = np.array([r.fit.error for r in found.rows])
    assert np.median(errors) < 0.03
    # errors are honest: few differences are beyond two of them
    beyond = np.mean([abs(r.difference) > 2 * r.fit.error + 0.01 for r in found.rows])
    assert beyond < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("by", [HALF, -HALF])
@pytest.mark.parametrize("exponent", list("abcd"))
@pytest.mark.parametrize("weight", list(MUP))
@pytest.mark.parametrize("optimizer", ["adam(lr=0.1, eps=1e-4)", "sgd(lr=0.1)"])
def test_a_wrong_exponent_is_found_and_its_tensor_named(
    optimizer: str, weight: str, exponent: str, by: Fraction
) -> None:
    source = text(explicit(shifted(weight, exponent, by)), optimizer)
    found = run(source, WIDTHS[:-1], 6, steps=2, expect="mup")
    assert not found.holds
    blame = found.blame
    assert blame is not None
    assert blame.tensor.label == {"W": "W[2]"}.get(weight, weight)
    assert blame.exponents == ((exponent, by),)
    assert len(found.blames) == 1


NETWORK = """\
dim d, M
data xi[d, M] = [[0.034, 1.36, 1.225, -0.51], [-0.298, -0.527, 0.57, -0.056],
  [0.747, -1.847, 1.567, -0.096]]
data y[M] = [2.7, -0.5, -1.5, 1.9]
network f(xi) {BODY
}
train f {
  parametrization TABLE
  optimizer OPTIMIZER
  error ERROR
  steps 2
}
output f
"""


@pytest.mark.slow
@pytest.mark.parametrize("table", ["mup", "ntp"])
@pytest.mark.parametrize("optimizer", ["adam(lr=0.1, eps=1e-4)", "sgd(lr=0.05)"])
@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_are_as_counted_in_other_architectures(name: str, optimizer: str, table: str) -> None:
    source = NETWORK.replace("BODY", NETWORKS[name]).replace("OPTIMIZER", optimizer)
    error = "f - [y, 2 * y]" if name == "two heads" else "f - y"
    found = run(source.replace("TABLE", table).replace("ERROR", error), WIDTHS[:-2], 16)
    off = {(r.quantity.label, r.quantity.step): r for r in found.judged if r.status == "off"}
    assert off == {}
    assert found.notes == ()
    assert np.mean([r.status == "holds" for r in found.judged]) > 0.7
