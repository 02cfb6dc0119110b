"""Gaussian-process inference against brute force: conditional Gaussians, Euler steps, sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.inference import JitterWarning, RankWarning, gradient_flow, one_hot, posterior
from nexort.support.diagnostics import NexortError

PROGRAMS = Path(__file__).parents[1] / "programs"
RNG = np.random.default_rng(3)
N, M = 7, 4
INPUTS = RNG.standard_normal((N + M, 3))
SQUARES = ((INPUTS[:, None] - INPUTS[None]) ** 2).sum(-1)
NNGP = np.exp(-SQUARES / 2)
NTK = NNGP + 0.5 * np.exp(-SQUARES / 6) + 0.1 * INPUTS @ INPUTS.T
TARGETS = RNG.standard_normal((N, 2))
TRAIN, TEST = slice(None, N), slice(N, None)


def blocks(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Among training inputs, test inputs by training inputs, among test inputs."""
    return kernel[TRAIN, TRAIN], kernel[TEST, TRAIN], kernel[TEST, TEST]


def conditional(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the test values from the precision matrix of all of them: its test
    block is the inverse of the conditional covariance."""
    joint = NNGP.copy()
    joint[TRAIN, TRAIN] += np.diag(noise)
    precision = np.linalg.inv(joint)
    covariance = np.linalg.inv(precision[TEST, TEST])
    return -covariance @ precision[TEST, TRAIN] @ TARGETS, covariance


@pytest.mark.parametrize("noise", [0.3, np.linspace(0.01, 1, N)])
def test_posterior_is_the_conditional_gaussian(noise: float | np.ndarray) -> None:
    kernel, cross, test = blocks(NNGP)
    process = posterior(kernel, TARGETS, noise=noise)
    mean, covariance = conditional(np.broadcast_to(noise, N))
    assert process.jitter == 0
    np.testing.assert_allclose(process.mean(cross), mean, rtol=1e-9)
    np.testing.assert_allclose(process.covariance(cross, test), covariance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(process.variance(cross, np.diag(test)), np.diag(covariance))
    one = posterior(kernel, TARGETS[:, 0], noise=noise)
    np.testing.assert_allclose(one.mean(cross), mean[:, 0], rtol=1e-9)


def test_likelihood_is_the_density_of_the_targets() -> None:
    from scipy.stats import multivariate_normal

    kernel = blocks(NNGP)[0]
    found = posterior(kernel, TARGETS, noise=0.2).log_likelihood
    density = multivariate_normal(np.zeros(N), kernel + 0.2 * np.eye(N))
    assert found == pytest.approx(sum(density.logpdf(column) for column in TARGETS.T), rel=1e-12)


def test_posterior_interpolates_without_noise() -> None:
    kernel = blocks(NNGP)[0]
    process = posterior(kernel, TARGETS)
    np.testing.assert_allclose(process.mean(kernel), TARGETS, rtol=1e-8)
    assert process.variance(kernel, np.diag(kernel)).max() < 1e-9


def test_jitter_is_reported() -> None:
    twice = NNGP[np.ix_([0, 0, 1, 2], [0, 0, 1, 2])]
    targets = np.array([1.0, 2.0, 0.0, 0.5])
    with pytest.warns(JitterWarning, match="added jitter"):
        process = posterior(twice, targets)
    assert 0 < process.jitter < 1e-6
    # equal inputs with different targets: their mean
    assert process.mean(twice)[:2] == pytest.approx(1.5, abs=1e-3)
    assert posterior(twice, targets, jitter=1e-3).jitter == 1e-3
    assert posterior(twice, targets, noise=1e-3).jitter == 0
    with pytest.raises(NexortError, match="singular to rounding with jitter 0"):
        posterior(twice, targets, jitter=0)


def euler(start: np.ndarray, time: float, rate: float, steps: int = 4000) -> np.ndarray:
    """df/dt = -rate Theta(., X) (f(X) - y) on all inputs, by Heun's steps of second order."""
    f, h = start.copy(), time / steps

    def slope(f: np.ndarray) -> np.ndarray:
        return -rate * NTK[:, TRAIN] @ (f[TRAIN] - TARGETS)

    for _ in range(steps):
        first = slope(f)
        f = f + h / 2 * (first + slope(f + h * first))
    return f


@pytest.mark.parametrize("time", [0.0, 0.3, 5.0])
def test_flow_is_the_solution_of_its_equation(time: float) -> None:
    kernel, cross, _ = blocks(NTK)
    start = RNG.standard_normal((N + M, 2))
    flow = gradient_flow(kernel, TARGETS, rate=0.7)
    for first in (np.zeros_like(start), start):
        stepped = euler(first, time, 0.7)
        found = flow.mean(time, cross, first[TRAIN], first[TEST])
        np.testing.assert_allclose(found, stepped[TEST], atol=2e-6)
        np.testing.assert_allclose(
            flow.training_mean(time, first[TRAIN]), stepped[TRAIN], atol=2e-6
        )


def test_flow_ends_in_regression_without_a_ridge() -> None:
    kernel, cross, _ = blocks(NTK)
    flow = gradient_flow(kernel, TARGETS)
    ridgeless = cross @ np.linalg.solve(kernel, TARGETS)
    np.testing.assert_allclose(flow.mean(math.inf, cross), ridgeless, rtol=1e-8)
    np.testing.assert_allclose(flow.mean(1e8, cross), ridgeless, rtol=1e-8)
    np.testing.assert_allclose(flow.training_mean(math.inf), TARGETS)
    np.testing.assert_allclose(posterior(kernel, TARGETS).mean(cross), ridgeless, rtol=1e-8)


@pytest.mark.parametrize("time", [0.0, 0.8, math.inf])
def test_covariance_of_the_ensemble(time: float) -> None:
    """f_t is affine in f_0: its covariance is that of the map applied to a basis."""
    kernel, cross, _ = blocks(NTK)
    prior, prior_cross, prior_test = blocks(NNGP)
    flow = gradient_flow(kernel, np.zeros(N))
    columns = np.linalg.cholesky(NNGP)  # f_0 = this times a standard normal vector
    ends = np.stack([flow.mean(time, cross, f[TRAIN], f[TEST]) for f in columns.T], axis=1)
    starts = np.stack([flow.training_mean(time, f[TRAIN]) for f in columns.T], axis=1)
    found = flow.covariance(time, cross, prior, prior_cross, prior_test)
    np.testing.assert_allclose(found, ends @ ends.T, atol=1e-10)
    variance = flow.covariance(time, cross, prior, prior_cross, np.diag(prior_test))
    np.testing.assert_allclose(variance, np.diag(found))
    np.testing.assert_allclose(flow.training_covariance(time, prior), starts @ starts.T, atol=1e-10)


def test_training_the_readout_alone_samples_the_posterior() -> None:
    """With Theta = K the ensemble at infinity has the posterior's covariance (Lee et al. 2019)."""
    kernel, cross, test = blocks(NNGP)
    flow = gradient_flow(kernel, TARGETS)
    process = posterior(kernel, TARGETS)
    np.testing.assert_allclose(
        flow.covariance(math.inf, cross, kernel, cross, test),
        process.covariance(cross, test),
        atol=1e-9,
    )


def test_flow_of_a_singular_kernel_says_so() -> None:
    twice = NTK[np.ix_([0, 0, 1], [0, 0, 1])]
    with pytest.warns(RankWarning, match="rank 2 of 3"):
        flow = gradient_flow(twice, [1.0, 2.0, 0.0])
    assert flow.rank == 2
    np.testing.assert_allclose(flow.training_mean(math.inf), [1.5, 1.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(flow.mean(math.inf, twice), [1.5, 1.5, 0.0], atol=1e-12)


def test_float32_kernels_are_taken_for_what_they_are() -> None:
    kernel, cross, _ = blocks(NNGP)
    single = posterior(kernel.astype(np.float32), TARGETS, noise=0.1)
    np.testing.assert_allclose(
        single.mean(cross), posterior(kernel, TARGETS, noise=0.1).mean(cross), atol=1e-5
    )
    # of rank 3, with eigenvalues of the size of float32's rounding on both sides of zero
    flat = (INPUTS @ INPUTS.T).astype(np.float32)
    with pytest.warns(RankWarning, match="rank 3 of 11"):
        gradient_flow(flat, np.zeros(N + M))


def test_one_hot() -> None:
    np.testing.assert_array_equal(one_hot([0, 2], centred=False), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(one_hot([1], 2), [[-0.5, 0.5]])
    for bad in ([0.5], [-1], [[1]]):
        with pytest.raises(NexortError, match="labels"):
            one_hot(bad)
    with pytest.raises(NexortError, match=r"lie in 0..1, found 0..2"):
        one_hot([0, 2], 2)


def test_digits() -> None:
    """Regression with the kernels of programs/digits.nxt classifies new digits."""
    digits = np.load(PROGRAMS / "data" / "digits.npz")
    inputs, labels = digits["xi"], digits["labels"]
    train, test = inputs[:, :200], inputs[:, 200:]
    p = nexort.load(PROGRAMS / "digits.nxt")
    kernel, cross = p.kernel(train), p.kernel(test, train)
    targets = one_hot(labels[:200])
    for name in ("nngp", "ntk"):
        process = posterior(kernel[name], targets, noise=1e-3)
        right = process.mean(cross[name]).argmax(axis=1) == labels[200:]
        assert process.jitter == 0
        assert right.mean() >= 0.93
    flow = gradient_flow(kernel["ntk"], targets)
    ends = flow.mean(math.inf, cross["ntk"])
    np.testing.assert_allclose(
        ends, posterior(kernel["ntk"], targets).mean(cross["ntk"]), atol=1e-9
    )
    assert np.abs(flow.training_mean(10.0) - targets).max() < np.abs(targets).max()


def mistakes() -> Iterator[tuple[str, Callable[[], object]]]:
    """What the message says, and the call."""
    kernel, cross, test = blocks(NTK)
    process, flow = posterior(kernel, TARGETS, noise=0.1), gradient_flow(kernel, TARGETS)
    bent = kernel - np.mean(np.linalg.eigvalsh(kernel)) * np.eye(N)
    yield "expected a square matrix", lambda: posterior(cross, TARGETS)
    yield "differs from its transpose", lambda: posterior(np.triu(kernel), TARGETS)
    yield "one row for each training input", lambda: posterior(kernel, TARGETS[:3])
    yield "no training inputs", lambda: posterior(np.empty((0, 0)), np.empty(0))
    yield "1 entry not finite", lambda: posterior(kernel, [math.nan, *TARGETS[1:, 0]])
    yield "complex", lambda: posterior(kernel * 1j, TARGETS)
    yield "not real numbers", lambda: posterior([["a"]], TARGETS)
    yield "noise is a variance", lambda: posterior(kernel, TARGETS, noise=-1)
    yield "noise: found shape", lambda: posterior(kernel, TARGETS, noise=[1, 2])
    yield "jitter is a number", lambda: posterior(kernel, TARGETS, jitter=-1)
    yield "not positive semidefinite", lambda: posterior(bent, TARGETS)
    yield "not positive semidefinite", lambda: gradient_flow(bent, TARGETS)
    yield "test inputs first", lambda: process.mean(cross.T)
    yield "test inputs by training inputs", lambda: flow.mean(1.0, np.ones(N))
    yield "not blocks of one", lambda: process.variance(3 * cross, np.diag(test))
    yield "test kernel", lambda: process.covariance(cross, kernel)
    yield "a time is a number", lambda: flow.mean(-1, cross)
    yield "a time is a number", lambda: flow.training_mean(math.nan)
    yield "rate is a positive number", lambda: gradient_flow(kernel, TARGETS, rate=0)
    yield "start: found shape", lambda: flow.mean(1, cross, start=np.ones(3))
    yield "test_start: found shape", lambda: flow.mean(1, cross, test_start=np.ones(3))
    yield "prior_cross", lambda: flow.covariance(1, cross, kernel, cross[:1], test)
    yield "prior_test", lambda: flow.covariance(1, cross, kernel, cross, kernel)


@pytest.mark.parametrize(("message", "call"), list(mistakes()))
def test_mistakes_are_explained(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(NexortError, match=message):
        call()
