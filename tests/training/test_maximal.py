"""The maximal update limit against finite widths, reference data and the generic sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_tasks import MLP, reference, run_of, update

import nexort
from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.finite.training import train
from nexort.limit.estimate import LimitValue, Summary
from nexort.limit.evaluate import evaluate as generic
from nexort.limit.sample.replicates import Stage
from nexort.limit.settings import Settings
from nexort.limit.training.maximal import evaluate_maximal
from nexort.limit.training.maximal.evaluate import _summaries
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Diagnostic, Source
from nexort.training.task import Task

HEAD = """
dim d, M
data xi[d, M], y[M], train[M]
vector u[d] ~ N(0, 1)
vector v ~ N(0, 1)
matrix W ~ N(0, 1/n)
|h> = |u> @ xi
|x[1]> = tanh(|h>)
"""

NETWORKS = {
    "recurrent": "|x[2]> = tanh(W |x[1]>);  |x[3]> = tanh(W |x[2]> + |h>)",
    "transposed": "|x[2]> = relu(W |x[1]>);  |x[3]> = relu(W^T |x[2]> + 1/2 * |x[1]>)",
    "deep": "matrix V ~ N(0, 1/n);  |x[2]> = relu(W |x[1]>);  |x[3]> = tanh(V |x[2]>)",
    "normalized": "|x[2]> = tanh(W |x[1]>);  |x[3]> = |x[2]> / sqrt(1/10 + diag(<x[2]|x[2]>))",
    "outer": "|x[2]> = tanh(W |x[1]>)\n"
    "|x[3]> = E{1}[ tanh(|x[2]> * |x[1]>{1}) * |x[1]>{1} ] + |x[2]>",
}

DATA = {
    "xi": np.random.default_rng(5).standard_normal((2, 3)),
    "y": [1.0, -1.0, 0.5],
    "train": [1.0, 1.0, 0.0],
}

ADAM = {"eps": 0.01}


def limit(task: Task, samples: int, replicates: int = 8) -> LimitValue:
    return evaluate_maximal(task, Settings(samples=samples, replicates=replicates))["f"]


def distance(value: LimitValue, draws: Any) -> Any:
    """(limit - mean of the draws) in standard errors of the difference."""
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    return (value.value - draws.mean(axis=0)) / np.hypot(value.error, np.maximum(error, 1e-12))


def test_reference_adam() -> None:
    task, case = reference("mup_L2_tanh_adam")
    value = limit(task, 1024, 16)
    error = np.hypot(value.error, np.asarray(case["limit_sem"]))
    assert np.abs((value.value - case["limit_mean"]) / error).max() < 3
    assert value.error.max() <= 0.002
    assert value.value.shape == (9, 4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.3), ("momentum", 0.2), ("adam", 0.1)])
def test_architectures_against_width(name: str, optimizer: str, rate: float) -> None:
    how = update(optimizer, **(ADAM if optimizer == "adam" else {}))
    text = f"{HEAD}{NETWORKS[name]}\nf = <v|x[3]>\n"
    task = run_of(text, DATA, how, rate=rate, steps=3, start="centre")
    value = limit(task, 512)
    draws = train(task, 2048, 6, seed=1)["f"]
    far = distance(value, draws)[1:]
    assert np.abs(value.value[1:]).max() > 0.1
    # six draws: Student's t of 5 degrees of freedom, and a bias of order 1/n
    assert np.abs(far).max() < 6
    assert np.sqrt((far**2).mean()) < 2.5


@pytest.mark.parametrize("name", ["deep", "transposed", "recurrent"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_many_inputs_against_width(name: str, optimizer: str) -> None:
    """More directions than a quarter of the points: matrices are drawn as a whole on the way."""
    rng = np.random.default_rng(7)
    data = {"xi": rng.standard_normal((3, 40)), "y": rng.standard_normal(40)}
    data["train"] = (np.arange(40) > 3).astype(float) / 36
    how = update(optimizer, **(ADAM if optimizer == "adam" else {}))
    text = f"{HEAD}{NETWORKS[name]}\nf = <v|x[3]>\n"
    task = run_of(
        text, data, how, rate=0.1 if optimizer == "adam" else 1.0, steps=3, start="centre"
    )
    # as many as tell the bias of so few points
    value = limit(task, 256, 64)
    assert "matrices of 256 x 256 numbers" in value.method
    far = distance(value, train(task, 2048, 8, seed=2)["f"])[1:]
    assert np.abs(value.value[1:]).max() > 0.1
    assert np.abs(far).max() < 6
    assert np.sqrt((far**2).mean()) < 2.5


CORE = """
dim d, M
data xi[d, M], y[M], train[M]
param eta = 0.1, T = 3
vector u[d] ~ N(0, 1)
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
update adam(g, beta1=0.9, beta2=0.999, eps=0.01) {
  state m = 0
  state v = 0
  m = beta1 * m + (1 - beta1) * g
  v = beta2 * v + (1 - beta2) * g^2
  return m / (1 - beta1^(t + 1)) / sqrt(v / (1 - beta2^(t + 1)) + eps^2)
}
|a[0]> = |u>
A[0] = W
|b[0]> = |v>
for t in 0..T {
  |x[t]> = tanh(|a[t]> @ xi)
  |z[t]> = tanh(A[t] |x[t]>)
  f[t] = <b[t]|z[t]>
  chi[t] = (f[t] - y) * train
  |dg[t]> = (1 - |z[t]>^2) * |b[t]>
  |dh[t]> = (1 - |x[t]>^2) * (A[t]^T |dg[t]>)
  |a[t+1]> = |a[t]> - eta * adam((|dh[s]> * chi[s]) @ xi^T for s in 0..t)
  A[t+1] = A[t] - eta * adam(|dg[s]> chi[s] <x[s]| for s in 0..t)
  |b[t+1]> = |b[t]> - eta * adam(|z[s]> @ chi[s] for s in 0..t)
}
output f
"""


def test_adam_by_hand_in_the_core_language() -> None:
    """The training loop written out as a core program, which the generic sampler evaluates."""
    arrays = {name: LoadedArray(np.asarray(a, dtype=float), name) for name, a in DATA.items()}
    program = driver.compile_source(Source("core", CORE))
    by_hand = generic(driver.unroll(program, Given({}, arrays)), Settings(samples=512))["f"]
    network = MLP.replace("PHI", "tanh")
    how = update("adam", **ADAM)
    task = run_of(network, DATA, how, rate=0.1, steps=3, numbers={"L": 2})
    value = limit(task, 512)
    far = (value.value - by_hand.value)[1:] / np.hypot(value.error, by_hand.error)[1:]
    assert np.abs(far).max() < 4
    assert value.error.max() < 0.003


BLOWN = """
param rate = 1/10
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d];  weight W : matrix;  weight v : vector
  |h> = |u> @ xi
  |x> = W |h>
  return <v|x>
}
train f {
  parametrization mup
  optimizer sgd(lr=rate)
  error f - y
  steps 12
}
output f
"""


def test_a_run_that_overflows_keeps_its_finite_part() -> None:
    """The steps before are those of a run that ends there, and a warning names the step."""
    data = {"xi": DATA["xi"], "y": DATA["y"]}
    options = {"samples": 256, "replicates": 3}
    told: list[Diagnostic] = []
    program = nexort.loads(BLOWN, rate=30)
    found = program.limit(**options, warn=told.append, data=data)["f"]  # type: ignore[arg-type]
    finite = np.isfinite(np.asarray(found)).all(axis=1)
    end = int(finite.argmin())
    assert 2 < end < 12
    assert not np.isfinite(np.asarray(found)[end:]).any()
    [warning] = told
    assert warning.code == "not-finite"
    assert warning.severity == "warning"
    assert f"step {end}" in warning.message or f"step {end - 1}" in warning.message
    assert warning.span is not None
    assert warning.span.text == "optimizer sgd(lr=rate)"
    short = nexort.loads(BLOWN.replace("steps 12", "steps 2"), rate=30)
    ended = short.limit(**options, data=data)["f"]  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(found)[:3], np.asarray(ended), rtol=1e-9)
    with pytest.warns(RuntimeWarning, match="a smaller learning rate"):
        program.limit(**options, data=data)  # type: ignore[arg-type]


def test_outputs_that_start_at_zero_do_so_exactly() -> None:
    data = {"xi": DATA["xi"], "y": DATA["y"]}
    found = nexort.loads(BLOWN).limit(samples=256, replicates=3, data=data)["f"]
    assert (np.asarray(found)[0] == 0).all()
    assert (found.error[0] == 0).all()
    assert (found.error[1:] > 1e-6).all()


# ---- chaotic runs --------------------------------------------------------------------------------


def summary(half: Array, full: Array) -> Summary:
    """The value of a run over 9 steps of 3 outputs, from given replicates, shape (R, 9, 3)."""
    data = {"xi": np.ones((2, 3)), "y": np.zeros(3), "train": np.ones(3)}
    run = run_of(HEAD + "f = <v|x[1]>", data, update("sgd"), rate=0.1, steps=8)
    notes = {"dropped": 0.0, "rank": 3.0}
    stages = [Stage(size, {"f": x}, None, notes) for size, x in ((512, half), (1024, full))]
    found = _summaries(run, *stages)["f"]
    assert not found.rounded
    return found


def test_the_error_of_a_chaotic_run_is_its_spread() -> None:
    """From step 5 on replicates of N and N/2 points spread alike."""
    rng = np.random.default_rng(4)
    shared = rng.standard_normal((2, 32, 9, 1)) * np.arange(1, 10)[:, None]
    half, full = shared + 0.3 * rng.standard_normal((2, 32, 9, 3))
    half[:, :5] *= np.sqrt(2)
    found = summary(half, full)
    error = found.error
    assert found.lasting
    assert found.biased  # more points may help, more replicates do not
    spread = full.std(axis=0, ddof=1)
    assert np.median(error[:5] / spread[:5]) < 0.5
    assert 0.7 < np.median(error[5:] / spread[5:]) < 1.1


def test_spreads_that_fall_are_not_taken_for_chaos() -> None:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        half, full = np.cumsum(rng.standard_normal((2, 16, 9, 1)), axis=2) + np.zeros(3)
        found += summary(np.sqrt(2) * half, full).lasting
    assert found <= 6
