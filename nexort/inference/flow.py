"""Kernel gradient flow: training at infinite width, in closed form."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.inference.checks import (
    between_of,
    expect,
    finite,
    gram_of,
    precision,
    refuse_negative,
    training_pairs,
    variances,
)
from nexort.support.diagnostics import count_text, fail


class RankWarning(UserWarning):
    """A kernel is singular to rounding: gradient flow leaves some directions as they start."""


@dataclass(frozen=True, slots=True)
class GradientFlow:
    """Training by gradient descent on half the summed squares of f(X) - y, in continuous time and
    at infinite width (Jacot et al. 2018; Lee et al. 2019, Eqs 8-16): df_t(x)/dt =
    -rate Theta(x, X) (f_t(X) - y), with Theta the neural tangent kernel, so that

        f_t(X) = y + exp(-rate Theta t) (f_0(X) - y)
        f_t(x) = f_0(x) - A_t(x) (f_0(X) - y)
        A_t(x) = Theta(x, X) Theta(X, X)^-1 (1 - exp(-rate Theta(X, X) t)),

    here through the eigenvalues of Theta(X, X), without its inverse. Times are numbers from 0 to
    infinity; at infinity the mean is regression without a ridge. ``rank`` counts the eigenvalues
    above rounding: along the others nothing moves.
    """

    rate: float
    rank: int
    targets: Array
    eigenvalues: Array = field(repr=False)
    _vectors: Array = field(repr=False)

    def training_mean(self, time: float, start: Any = 0.0) -> Array:
        """f_t(X), shape as the targets, from ``start`` = f_0(X), the mean of which is 0."""
        away = self._start(start) - self.targets
        found: Array = self.targets + self._vectors @ self._scaled(self._decay(time), away)
        return found

    def mean(self, time: float, cross: Any, start: Any = 0.0, test_start: Any = 0.0) -> Array:
        """f_t(x) at m test inputs, shape (m,) or (m, outputs); ``cross`` is Theta(x, X), m x n,
        ``start`` is f_0(X) and ``test_start`` f_0(x)."""
        between = between_of(cross, len(self.targets))
        first = finite("test_start", test_start)
        shape = (len(between), *self.targets.shape[1:])
        if first.ndim:
            expect("test_start", first, shape, "the test inputs and the targets")
        learnt = self._scaled(self._filter(time), self.targets - self._start(start))
        found: Array = first + between @ (self._vectors @ learnt)
        return found

    def training_covariance(self, time: float, prior: Any) -> Array:
        """Cov f_t(X) over random initializations, n x n: exp(-rate Theta t) K exp(-rate Theta t),
        K = ``prior`` the NNGP kernel among training inputs."""
        gram = gram_of("prior", prior)
        expect("prior", gram, (len(self.targets),) * 2, "the training inputs")
        kept = (self._vectors * self._decay(time)) @ self._vectors.T
        found: Array = kept @ gram @ kept
        return (found + found.T) / 2

    def covariance(
        self, time: float, cross: Any, prior: Any, prior_cross: Any, prior_test: Any
    ) -> Array:
        """Cov f_t(x) over random initializations, m x m (Lee et al. 2019, Eq 16):

            K(x, x) + A_t K(X, X) A_t^T - A_t K(X, x) - K(x, X) A_t^T

        with ``cross`` = Theta(x, X) and the NNGP kernel K: ``prior`` = K(X, X), ``prior_cross`` =
        K(x, X), ``prior_test`` = K(x, x), or its diagonal: then the variances, shape (m,).
        """
        count = len(self.targets)
        between, first = between_of(cross, count), between_of(prior_cross, count)
        expect("prior_cross", first, between.shape, "the cross kernel")
        gram, test = gram_of("prior", prior), finite("prior_test", prior_test)
        expect("prior", gram, (count, count), "the training inputs")
        learnt = ((between @ self._vectors) * self._filter(time)) @ self._vectors.T
        if test.ndim == 1:
            expect("prior_test", test, (len(between),), "the rows of the cross kernel")
            change = np.einsum("ij,ij->i", learnt @ gram - 2 * first, learnt)
            return variances(test + change, test, cross)
        expect("prior_test", test, (len(between),) * 2, "the rows of the cross kernel")
        mixed = learnt @ first.T
        found: Array = test + learnt @ gram @ learnt.T - mixed - mixed.T
        return (found + found.T) / 2

    def _start(self, start: Any) -> Array:
        first = finite("start", start)
        if first.ndim:
            expect("start", first, self.targets.shape, "the targets")
        return first

    def _scaled(self, factors: Array, columns: Array) -> Array:
        """factors * (U^T columns), U the eigenvectors."""
        found = self._vectors.T @ columns
        scaled: Array = (found.T * factors).T
        return scaled

    def _decay(self, time: float) -> Array:
        """exp(-rate lambda t), which is 1 where lambda is 0, also at infinity."""
        with np.errstate(invalid="ignore"):
            found = np.exp(-self.rate * self.eigenvalues * _time(time))
        return np.where(self.eigenvalues > 0, found, 1.0)

    def _filter(self, time: float) -> Array:
        """(1 - exp(-rate lambda t)) / lambda; 0 where lambda is 0: Theta(x, X), being part of a
        positive kernel, has no component there."""
        positive = self.eigenvalues > 0
        safe = np.where(positive, self.eigenvalues, 1.0)
        return np.where(positive, -np.expm1(-self.rate * safe * _time(time)) / safe, 0.0)


def gradient_flow(kernel: Any, targets: Any, *, rate: float = 1.0) -> GradientFlow:
    """Gradient flow with ``kernel`` = Theta(X, X), n x n, towards ``targets``, (n,) or
    (n, outputs), at a learning ``rate``. With the NNGP kernel in place of the tangent kernel, only
    the readout is trained.

    Warns (RankWarning) where the kernel is singular to rounding. Raises NexortError where shapes do
    not match and where the kernel is not positive semidefinite.
    """
    from scipy.linalg import eigh

    gram, values = training_pairs(kernel, targets)
    if not 0 < rate < math.inf:
        raise fail("bad-option", f"rate is a positive number, found {rate}")
    eigenvalues, vectors = eigh(gram, check_finite=False)
    refuse_negative(kernel, eigenvalues)
    rounding = len(gram) * float(np.finfo(precision(kernel)).eps)
    floor = rounding * max(float(eigenvalues.max()), 0.0)
    rank = int((eigenvalues > floor).sum())
    if rank < len(gram):
        warnings.warn(
            f"the kernel has rank {rank} of {len(gram)} to rounding: gradient flow leaves "
            f"{count_text(len(gram) - rank, 'direction')} of the outputs as they start",
            RankWarning,
            stacklevel=2,
        )
    kept = np.where(eigenvalues > floor, eigenvalues, 0.0)
    return GradientFlow(float(rate), rank, values, kept, vectors)


def _time(time: float) -> float:
    if not float(time) >= 0:
        raise fail("bad-option", f"a time is a number from 0 to infinity, found {time}")
    return float(time)
