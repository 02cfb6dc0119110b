"""Precision and chaos: what single precision changes is measured, and so is whether networks
separate."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort import driver
from nexort.finite.training.separation import separation
from nexort.limit.settings import Settings
from nexort.limit.training.maximal.evaluate import maximal_replicates
from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.limit.training.maximal.run import maximal_trajectory

SPREADING = """data y = 1
network f() {
  weight u : vector
  weight W : matrix
  weight v : vector
  |h> = W |u>
  |x> = sin(30 * |h>)
  return <v|x>
}
train f { parametrization mup; optimizer sgd(lr=0.5); error f - y; steps 8 }
output f
"""


def test_networks_separate_where_their_gradients_are_steep() -> None:
    steep = nexort.loads(SPREADING)
    calm = nexort.loads(SPREADING.replace("30 * ", ""))
    found = [separation(driver.training(p.program, p._given({}))) for p in (steep, calm)]
    assert found[0] > 1000
    assert found[1] < 5


# ---- precision -----------------------------------------------------------------------------------

EVEN = """data y = 0.7
network f() {
  weight u : vector ~ N(1, 0)
  weight W : matrix ~ N(0, 0)
  weight v : vector ~ N(1, 0)
  |h> = W |u>
  |x> = tanh(|h> + 0.3)
  return <v|x>
}
train f { parametrization mup; optimizer adam(lr=0.1, eps=1e-3); error f - y; steps 6 }
output f
"""

DRAWN = EVEN.replace("N(1, 0)", "N(0, 1)").replace("N(0, 0)", "N(0, 1)")


def test_pairs_are_in_float64_where_float32_would_be_seen() -> None:
    """Nothing is drawn: the error is that of roundings, not those of single precision."""
    value = nexort.loads(EVEN).limit(samples=128)["f"]
    assert value.error.max() < 1e-12
    assert "exact to rounding" in value.method
    u, w, v = 1.0, 0.0, 1.0
    states = np.zeros((2, 3))
    for t in range(7):
        x = np.tanh(w * u + 0.3)
        assert value.plain[t] == pytest.approx(v * x, abs=1e-13)
        chi, slope = v * x - 0.7, v * (1 - x**2)
        gradient = chi * np.array([slope * w, slope * u, x])
        states[0] = 0.9 * states[0] + 0.1 * gradient
        states[1] = 0.999 * states[1] + 0.001 * gradient**2
        m, s = states[0] / (1 - 0.9 ** (t + 1)), states[1] / (1 - 0.999 ** (t + 1))
        u, w, v = np.array([u, w, v]) - 0.1 * m / np.sqrt(s + 1e-6)


def test_what_single_precision_changes_is_part_of_the_error() -> None:
    p = nexort.loads(DRAWN)
    plan = MaximalPlan.of(driver.training(p.program, p._given({})))
    stages = maximal_replicates(plan, Settings())
    half, _ = stages.stages(256, 4)
    wide = maximal_trajectory(plan, 128, np.random.SeedSequence([0, 128]).spawn(4)[0], "float64")
    apart = np.abs(half.draws["f"][0] - wide.outputs["f"])
    np.testing.assert_array_equal(half.roundings["f"], apart)
    assert 1e-12 < apart.max() < 1e-5
    assert (half.rounding("f", 0) == apart).all()
