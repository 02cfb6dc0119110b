"""Samples of the neural tangent limit: exact laws of images, and accuracy that is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from test_tangent import ADAM, DATA, MLP, task

from nexort.limit.exact.solve import solve
from nexort.limit.settings import Settings
from nexort.limit.training.tangent import evaluate_tangent
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.run import tangent_trajectory
from nexort.limit.training.tangent.sample import Sample
from nexort.program import build
from nexort.program.unrolled import UnrolledOutput

TIED = MLP.replace("weight W[2..3]", "weight W").replace("W[l]", "W")
TRANSPOSED = TIED.replace("for l in 2..3", "|x[2]> = tanh(W |x[1]>)\n  for l in 3..3").replace(
    "tanh(W |x[l-1]>) }", "tanh(W^T |x[l-1]>) }"
)


def test_images_have_their_exact_covariances() -> None:
    found = task(ADAM, "centre")
    plan = TangentPlan.of(found)
    plan = replace(plan, laws=plan.exact_laws(2**30))
    assert {(way[1], way[2]) for way in plan.laws} == {
        ((2,), False), ((3,), False), ((3,), True), ((2,), True)
    }  # fmt: skip
    sample = Sample(plan, 256, np.random.SeedSequence(1))
    images = [x for law in plan.laws.values() for x in law.coefficients]
    arrays = sample.evaluate(images)
    for x in images:
        gram = build.inner(x.args[0], x.args[0])
        output = UnrolledOutput("g", (gram,), ((),), (), gram.type.axes, None)
        known = solve(replace(plan.graph.step, outputs=(output,))).outputs["g"].value
        rows = arrays[x].reshape(-1, 256)
        np.testing.assert_allclose(
            rows @ rows.T / 256, known.reshape(len(rows), -1), atol=2e-5 * np.abs(known).max()
        )


def test_laws_are_for_matrices_without_dots() -> None:
    assert TangentPlan.of(task(ADAM, "centre", text=TIED)).exact_laws(2**30)
    assert not TangentPlan.of(task(ADAM, "centre", text=TRANSPOSED)).exact_laws(2**30)


def test_laws_change_noise_alone() -> None:
    plan = TangentPlan.of(task("sign_sgd(lr=0.1, eps=1e-2)", "centre"))
    plans = plan, replace(plan, laws=plan.exact_laws(2**30))
    seeds = np.random.SeedSequence(3)
    sampled, exact = (
        np.stack([tangent_trajectory(p, 256, s).outputs["f"] for s in seeds.spawn(24)])
        for p in plans
    )
    error = np.sqrt((sampled.var(axis=0, ddof=1) + exact.var(axis=0, ddof=1)) / 24)[1:]
    far = (sampled.mean(axis=0) - exact.mean(axis=0))[1:] / error
    assert np.abs(far).max() < 4
    assert exact.var(axis=0)[1:].mean() < 0.8 * sampled.var(axis=0)[1:].mean()


def test_accuracy_that_is_asked_for() -> None:
    found = task(ADAM, "centre")
    one = evaluate_tangent(found, Settings(samples=128, replicates=4))["f"]
    two = evaluate_tangent(found, Settings(samples=128, replicates=4, rtol=0.005))["f"]
    scale = np.abs(two.value).max()
    assert one.error.max() > 0.007 * scale
    assert two.met
    assert two.error.max() <= 0.005 * scale
    never = evaluate_tangent(found, Settings(samples=128, replicates=2, rtol=1e-5, max_samples=256))
    assert not never["f"].met
    assert "rtol 1e-05 not reached" in never["f"].method
    assert DATA["y"].shape == never["f"].value.shape[1:]
