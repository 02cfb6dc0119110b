"""Runs in the neural tangent limit: growth without bound, checkpoints, threads, memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from test_tangent import ADAM, MLP, draws, task

from nexort.limit.estimate import LimitValue
from nexort.limit.settings import Settings
from nexort.limit.training.tangent import evaluate_tangent
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.program.unrolled import Array
from nexort.support.checkpoint import Checkpoint
from nexort.support.diagnostics import Diagnostic, NexortError
from nexort.training.fingerprint import fingerprint

CUBE = "update cube(g) { return g + 0.01 * g^3 }\n" + MLP


@pytest.mark.parametrize(
    ("optimizer", "exact", "method"),
    [("cube(lr=50)", True, "sampled"), ("sgd(lr=50)", False, "sampled"),
     ("sgd(lr=50)", True, "Hermite")],
)  # fmt: skip
def test_growth_without_bound_keeps_the_finite_part(
    optimizer: str, exact: bool, method: str
) -> None:
    text = CUBE.replace("steps 4", "steps 12")
    found = task(optimizer, "centre", "(f * f * f - y) * train", text)
    told: list[Diagnostic] = []
    settings = Settings(samples=128, replicates=2, exact=exact)
    value = evaluate_tangent(found, settings, warn=told.append)["f"]
    assert value.method.startswith(method)
    [warning] = told
    assert warning.code == "not-finite"
    assert warning.severity == "warning"
    good = np.isfinite(value.value)[:, 0]
    first = int(np.argmin(good))
    assert 2 < first < 12
    assert good[:first].all()
    assert np.isfinite(value.value[:first]).all()
    assert np.isnan(value.value[first:]).all()
    step = int(warning.message.split("step ")[1].split(";")[0])
    assert step in (first, first - 1)  # the output at it, or the update just before
    assert f"not finite at step {step}" in value.method


def test_states_that_overflow_are_told() -> None:
    """The squares of gradients leave float32, where g / sqrt(inf) = 0 would stop the run."""
    text = MLP.replace("steps 4", "steps 8")
    found = task("adagrad(lr=2)", "centre", "exp(f * f)", text)
    told: list[Diagnostic] = []
    value = evaluate_tangent(found, Settings(samples=128, replicates=2), warn=told.append)["f"]
    assert "after the update" in told[0].message
    assert np.isnan(value.value[-1]).all()
    good = value.value[np.isfinite(value.value[:, 0])]
    assert np.abs(np.diff(good, axis=0)).min() > 0.5


def test_threads_do_not_change_results() -> None:
    found = task(ADAM, "")
    one, two = (
        evaluate_tangent(found, Settings(samples=128, replicates=3, threads=k))["f"] for k in (1, 2)
    )
    assert (one.value == two.value).all()
    assert (one.error == two.error).all()


def test_numbers_do_not_depend_on_what_was_made_before() -> None:
    """Nodes of graphs are shared within a process, and numbered as they are made."""
    found = task(ADAM, "")
    first = draws(found, 64, 1)
    plan = TangentPlan.of(found)  # keeps its nodes
    others = [task(ADAM, "", text=MLP.replace("tanh(W", name + "(W")) for name in ("relu", "sin")]
    parts = [TangentPlan.of(x) for x in others]
    assert (draws(task(ADAM, ""), 64, 1) == first).all()
    assert len(parts) == 2
    assert plan.moving


class Killed(Exception):
    """What ends a run."""


class Dying:
    """A store that fails after some puts."""

    def __init__(self, inside: Checkpoint, puts: int) -> None:
        self.inside, self.left = inside, puts

    def get(self, key: str) -> dict[str, Array] | None:
        return self.inside.get(key)

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        self.inside.put(key, arrays)


@pytest.mark.parametrize("puts", [0, 1, 3])
def test_a_killed_run_resumes_bit_by_bit(puts: int, tmp_path: Path) -> None:
    found = task(ADAM, "decay 0.1")
    settings = Settings(samples=128, replicates=2, threads=1)
    whole = evaluate_tangent(found, settings)["f"]

    def store() -> Checkpoint:
        return Checkpoint(tmp_path / "run.npz", fingerprint(found))

    with pytest.raises(Killed):
        evaluate_tangent(found, settings, checkpoint=Dying(store(), puts))
    again = evaluate_tangent(found, settings, checkpoint=store())["f"]
    assert (again.value == whole.value).all()
    assert (again.error == whole.error).all()
    # a finished run is read, not repeated
    assert _same(evaluate_tangent(found, settings, checkpoint=Dying(store(), 0))["f"], whole)


def _same(one: LimitValue, other: LimitValue) -> bool:
    return bool((one.value == other.value).all() and (one.error == other.error).all())


def test_memory_bounds_the_sample() -> None:
    found = task(ADAM, "centre")
    plan = TangentPlan.of(found)
    small = int(plan.bytes(256))
    value = evaluate_tangent(found, Settings(memory=small, replicates=2))["f"]
    assert value.method == "sampled: 2 x 256 points"
    with pytest.raises(NexortError, match="a sample of 512 points does not fit"):
        evaluate_tangent(found, Settings(samples=512, memory=small))
    with pytest.raises(NexortError, match="a sample of 64 points does not fit"):
        evaluate_tangent(found, Settings(memory=1000))
