"""The neural tangent limit against reference data and finite widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_tasks import reference, run_of, update

import nexort
from nexort import driver
from nexort.finite.training import train
from nexort.limit.settings import Settings
from nexort.limit.training.tangent import evaluate_tangent
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.run import tangent_trajectory
from nexort.program.unrolled import Array
from nexort.training.task import Task

MLP = """
dim d, M
data xi[d, M], y[M], train[M]
network f(xi) {
  weight u : vector[d]
  weight W[2..3] : matrix
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..3 { |x[l]> = tanh(W[l] |x[l-1]>) }
  return <v|x[3]>
}
train f {
  parametrization ntp
  optimizer OPTIMIZER
  error ERROR
  steps 4
  OTHERS
}
output f
"""
DATA = {
    "xi": np.array([[0.034, 1.36, 1.225, -0.51], [-0.298, -0.527, 0.57, -0.056]]),
    "y": np.array([0.68, -0.137, -0.379, 0.463]),
    "train": np.array([1.0, 1, 1, 0]),
}


def task(optimizer: str, others: str, error: str = "(f - y) * train", text: str = MLP) -> Task:
    text = text.replace("OPTIMIZER", optimizer).replace("ERROR", error)
    program = nexort.loads(text.replace("OTHERS", others))
    return driver.training(program.program, program._given(DATA))


def draws(found: Task, size: int, count: int, *, random: bool = True) -> Array:
    """f of some replicates, without the random part of the output where not ``random``."""
    plan = TangentPlan.of(found)
    plan = plan if random else replace(plan, drawn=False)
    seeds = np.random.SeedSequence(3).spawn(count)
    return np.stack([tangent_trajectory(plan, size, s).outputs["f"] for s in seeds])


def distance(one: Array, other: Array) -> Array:
    """The difference of two samples' means in standard errors, of what is not always zero."""
    error = np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))
    off = one.mean(axis=0) - other.mean(axis=0)
    return np.asarray(off[error > 0] / error[error > 0])


def test_reference_momentum() -> None:
    found, case = reference("ntp_L2_tanh_momentum")
    value = evaluate_tangent(found, Settings())["f"]
    error = np.hypot(value.error, np.asarray(case["limit_sem"]))
    assert value.value.shape == (9, 4)
    assert (np.abs(value.value - case["limit_mean"]) <= 3 * error).all()
    assert value.error.max() <= 0.002


ADAM, SGD = "adam(lr=0.1, eps=1e-2)", "sgd(lr=0.4)"


@pytest.mark.parametrize("optimizer", [ADAM, SGD])
@pytest.mark.parametrize(
    "decay", ["", "decay 0.1", "decay 0.3 for u", "decay 0.3 for W[2]", "decay 0.3 for v"]
)
def test_decay_of_every_layer_against_width(optimizer: str, decay: str) -> None:
    """What the updates add to the output (Thm 2.10.3) with an error signal that does not read it:
    the same networks are run with and without updates, so that their random part drops out."""
    found = task(optimizer, f"centre\n{decay}", "(0.3 * t - 1) * y * train")
    still = {k: replace(w, rates=0 * w.rates) for k, w in found.weights.items()}
    moved = train(found, 512, 16, seed=2)["f"]
    moved -= train(replace(found, weights=still), 512, 16, seed=2)["f"]
    limit = draws(found, 512, 16, random=False)
    assert np.abs(limit.mean(axis=0)[-1, :2]).min() > 0.03
    assert np.abs(distance(limit, moved)).max() < 4.5


@pytest.mark.parametrize("others", ["", "decay 0.1", "centre\ndecay 0.3 for u"])
def test_covariance_of_random_outputs_against_width(others: str) -> None:
    """The untrained output is a Gaussian process over inputs and steps, and feeds the errors."""
    found = task(SGD, others)
    wide = train(found, 256, 250, seed=2)["f"].reshape(250, -1)
    limit = draws(found, 128, 250).reshape(250, -1)
    squares = [x[:, :, None] * x[:, None, :] for x in (wide, limit)]
    assert limit.std(axis=0)[-1] > 0.02
    assert np.abs(distance(limit, wide)).max() < 4.5
    # entries of one covariance matrix are far from independent
    far = distance(squares[1], squares[0])
    assert np.abs(far).max() < 5
    assert np.sqrt((far**2).mean()) < 2.5


SCALARS = MLP.replace("return <v|x[3]>", "return |v> * |x[3]> + e * c").replace(
    "weight v : vector", "weight v : vector\n  weight c : scalar[M]\n  weight e : scalar = 0.8"
)
EXPONENTS = """{ u: a=0, b=0, c=1/2, d=1/2; W: a=1/2, b=0, c=1, d=1; v: a=0, b=0, c=1/2, d=1/2;
  c: a=0, b=0, c=1/2, d=-1/2; e: a=0, b=0, c=1/2, d=-1/2; out: a=1/2 }"""


@pytest.mark.parametrize("optimizer", [ADAM, SGD])
def test_scalar_weights_that_move_the_output(optimizer: str) -> None:
    """An output bias has a gradient that does not vanish: <dc| Q(dc chi) joins K_Q."""
    text = SCALARS.replace("parametrization ntp", f"parametrization {EXPONENTS}")
    found = task(optimizer, "centre", text=text)
    assert {w.key[0] for w in TangentPlan.of(found).moving} == {"u", "W", "v", "c", "e"}
    far = distance(draws(found, 512, 16), train(found, 1024, 16, seed=1)["f"])
    assert np.abs(far).max() < 4.5


RESIDUE = """
dim d, M
data xi[d, M], y[M], train[M]
vector u[d] ~ N(0, 1)
vector v ~ N(0, 1)
matrix W ~ N(0, 1/n)
|h> = |u> @ xi
|x> = tanh(|h>)
|z> = tanh(W |x> + |h>)
f = <v|z>
"""


@pytest.mark.parametrize("how", ["sign_sgd", "momentum"])
def test_given_start(how: str) -> None:
    found = run_of(RESIDUE, DATA, update(how), rate=0.1, steps=3, parametrization="ntp")
    shifted = replace(found, start=found.errors[0].args[0].args[1])  # f_0 = y: nothing to learn
    value = evaluate_tangent(shifted, Settings(samples=256))["f"]
    np.testing.assert_allclose(value.value, np.tile(DATA["y"], (4, 1)), atol=1e-12)
