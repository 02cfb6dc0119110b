"""Linear update functions in the neural tangent limit: the exact recursion over kernels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_tangent import MLP, task

import nexort
from nexort.limit.estimate import LimitValue
from nexort.limit.settings import Settings
from nexort.limit.training.tangent import evaluate_tangent
from nexort.program.unrolled import Array
from nexort.training.task import Task

FILE = json.loads((Path(__file__).parents[1] / "exact" / "neural_tangents.json").read_text())
STORED, INPUTS = FILE["kernels"], np.array(FILE["inputs"]).T
TARGETS = np.array([0.5, -1.0, 0.3, 0.8, -0.2, 0.1])
MASK = np.array([1.0, 1, 1, 1, 0, 0])

PERCEPTRON = """
dim d, M
data xi[d, M], y[M], train[M]
param B = 0
network f(xi) {
  weight u : vector[d]
  weight b[1..3] : vector
  weight W[2..3] : matrix
  weight v : vector
  weight c : scalar
  |x[1]> = PHI(1.5 / sqrt(d) * (|u> @ xi) + B * |b[1]>)
  for l in 2..3 { |x[l]> = PHI(1.5 * W[l] |x[l-1]> + B * |b[l]>) }
  return 1.5 * |v> * |x[3]> + B * c
}
train f {
  parametrization { u: a=0, b=0, c=1/2, d=1/2; W: a=1/2, b=0, c=1, d=1;
    b: a=0, b=0, c=1/2, d=1/2; v: a=0, b=0, c=1/2, d=1/2; c: a=0, b=0, c=1/2, d=-1/2; out: a=1/2 }
  optimizer OPTIMIZER
  error (f - y) * train
  steps 6
  centre
}
output f
"""


def sgd(kernel: Array) -> Array:
    """f_{t+1} = f_t - 0.05 K chi_t."""
    outputs = [np.zeros(6)]
    for _ in range(6):
        f = outputs[-1]
        outputs.append(f - 0.05 * kernel @ ((f - TARGETS) * MASK))
    return np.stack(outputs)


def nesterov(kernel: Array) -> Array:
    """m <- 0.9 m + g, and the step g + 0.9 m."""
    outputs, m = [np.zeros(6)], np.zeros(6)
    for _ in range(6):
        f = outputs[-1]
        g = (f - TARGETS) * MASK
        m = 0.9 * m + g
        outputs.append(f - 0.01 * kernel @ (g + 0.9 * m))
    return np.stack(outputs)


@pytest.mark.parametrize(
    ("optimizer", "by_hand"), [("sgd(lr=0.05)", sgd), ("nesterov(lr=0.01, beta=0.9)", nesterov)]
)
@pytest.mark.parametrize("name", sorted(n for n in STORED if n != "residual"))
def test_recursion_over_kernels_of_neural_tangents(
    name: str, optimizer: str, by_hand: Callable[[Array], Array]
) -> None:
    phi, bias = name.split(", sigma_b=")
    text = PERCEPTRON.replace("PHI", phi).replace("OPTIMIZER", optimizer)
    data = {"xi": INPUTS, "y": TARGETS, "train": MASK}
    found = nexort.loads(text.replace("B = 0", f"B = {bias}")).limit(data=data)["f"]
    wanted = by_hand(np.array(STORED[name]["ntk"]))
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
    assert (np.abs(found - wanted) <= found.error + 1e-12).all()
    assert found.method == "exact: closed form"


def both(found: Task) -> tuple[dict[str, LimitValue], dict[str, LimitValue]]:
    exact = evaluate_tangent(found, Settings(replicates=8))
    return exact, evaluate_tangent(found, Settings(exact=False, samples=1024, replicates=8))


@pytest.mark.parametrize("start", ["centre", ""])
def test_exact_and_sampled_routes_agree(start: str) -> None:
    """A recorded kernel, one weight's rate and update apart, f_0 drawn or taken off."""
    text = MLP.replace("output f", "output f, <x[3]|x[2]> as features")
    optimizers = "sgd(lr=0.1)\n optimizer momentum(lr=0.1, beta=0.5) for W"
    found = task(optimizers, start, "f * abs(f) - y * train", text)
    exact, sampled = both(found)
    for name, value in exact.items():
        assert not value.method.startswith("sampled")
        assert sampled[name].method.startswith("sampled")
        error = np.hypot(value.error, sampled[name].error)
        assert (np.abs(value.value - sampled[name].value) <= 4 * error + 1e-12).all()
    assert exact["f"].value.shape == (5, 4)
    assert exact["f"].error.max() < (1e-6 if start else 0.05)
