"""The posterior of a Gaussian process."""

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
from nexort.support.diagnostics import fail


class JitterWarning(UserWarning):
    """A kernel was singular to rounding, and a multiple of the identity was added to it."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Gaussian process with kernel K, given targets y at the training inputs X:

        mean(x)       = K(x, X) (K(X, X) + N)^-1 y
        cov(x, x')    = K(x, x') - K(x, X) (K(X, X) + N)^-1 K(X, x')

    with N the noise and the jitter on the diagonal. The mean of the prior is 0. ``jitter`` is what
    was added to the diagonal of K(X, X) beside the noise, 0 unless asked for or needed.
    """

    jitter: float
    targets: Array
    _factor: Array = field(repr=False)
    _weights: Array = field(repr=False)

    def mean(self, cross: Any) -> Array:
        """The posterior mean, shape (m,) or (m, outputs) as the targets; ``cross`` is K(x, X),
        m x n."""
        found: Array = self._cross(cross) @ self._weights
        return found

    def variance(self, cross: Any, prior: Any) -> Array:
        """The posterior variance at every test input, shape (m,); ``prior`` is the diagonal of
        K(x, x). Of the function: add the noise for that of new observations."""
        from scipy.linalg import solve_triangular

        between = self._cross(cross)
        diagonal = finite("prior variances", prior)
        expect("prior variances", diagonal, (len(between),), "the rows of the cross kernel")
        half = solve_triangular(self._factor, between.T, lower=True, check_finite=False)
        return variances(diagonal - np.einsum("ij,ij->j", half, half), diagonal, cross)

    def covariance(self, cross: Any, test: Any) -> Array:
        """The posterior covariance among the test inputs, m x m; ``test`` is K(x, x), m x m."""
        from scipy.linalg import solve_triangular

        between = self._cross(cross)
        prior = gram_of("test kernel", test)
        expect("test kernel", prior, (len(between),) * 2, "the rows of the cross kernel")
        half = solve_triangular(self._factor, between.T, lower=True, check_finite=False)
        found: Array = prior - half.T @ half
        return (found + found.T) / 2

    @property
    def log_likelihood(self) -> float:
        """log N(y; 0, K(X, X) + N), summed over outputs:
        -y^T (K + N)^-1 y / 2 - log det(K + N) / 2 - n log(2 pi) / 2."""
        targets = self.targets.reshape(len(self.targets), -1)
        count, outputs = targets.shape
        halves = float(np.log(np.diag(self._factor)).sum())
        fit = float(np.sum(targets * self._weights.reshape(targets.shape)))
        return -fit / 2 - outputs * (halves + count * math.log(2 * math.pi) / 2)

    def _cross(self, cross: Any) -> Array:
        return between_of(cross, len(self.targets))


def posterior(
    kernel: Any, targets: Any, *, noise: Any = 0.0, jitter: float | None = None
) -> Posterior:
    """The Gaussian process with Gram matrix ``kernel`` (n x n), given ``targets``, (n,) or
    (n, outputs), observed with ``noise``: a variance, or one for each input.

    A kernel that is singular to rounding cannot be factorized; then the smallest sufficient power
    of ten times the mean of its diagonal is added to the diagonal, with a JitterWarning.
    ``jitter`` fixes that number instead, 0 forbids it. Raises NexortError where shapes do not match
    and where the kernel is not positive semidefinite.
    """
    from scipy.linalg import cho_solve

    gram, values = training_pairs(kernel, targets)
    noises = finite("noise", noise)
    if noises.ndim:
        expect("noise", noises, (len(gram),), "the training inputs")
    if noises.size and noises.min() < 0:
        raise fail("bad-option", f"noise is a variance, at least 0; found {noises.min():.6g}")
    if jitter is not None and not 0 <= jitter < math.inf:
        raise fail("bad-option", f"jitter is a number of at least 0, found {jitter}")
    noisy = gram + np.diag(np.broadcast_to(noises, len(gram)))
    factor, added = _factorized(kernel, gram, noisy, jitter)
    weights = cho_solve((factor, True), values, check_finite=False)
    return Posterior(added, values, factor, weights)


def _factorized(
    kernel: Any, gram: Array, noisy: Array, jitter: float | None
) -> tuple[Array, float]:
    """The lower Cholesky factor, and what was added to the diagonal."""
    scale = float(np.mean(np.diag(gram))) or 1.0
    eps = float(np.finfo(precision(kernel)).eps)
    least = round(math.log10(eps)) + 1
    ladder = [0.0, *(scale * 10.0**k for k in range(least, least + 9))]
    for added in ladder if jitter is None else [jitter]:
        factor = _cholesky(noisy, added, eps)
        if factor is None:
            continue
        if added and jitter is None:
            warnings.warn(
                f"the kernel is singular to rounding: added jitter {added:.1e} to its diagonal; "
                f"give noise or jitter to choose it",
                JitterWarning,
                stacklevel=3,
            )
        return factor, added
    refuse_negative(kernel, np.linalg.eigvalsh(gram))
    raise fail(
        "singular-kernel",
        f"the {len(gram)} x {len(gram)} kernel is singular to rounding"
        + (f" with jitter {jitter:g}" if jitter is not None else ""),
        help="equal inputs make a kernel singular: give noise, or leave jitter to be chosen",
    )


def _cholesky(matrix: Array, added: float, eps: float) -> Array | None:
    """The lower factor of matrix + added, or None where it is not positive definite to rounding."""
    from scipy.linalg import LinAlgError, cholesky

    shifted = matrix + added * np.eye(len(matrix))
    try:
        factor: Array = cholesky(shifted, lower=True, check_finite=False)
    except LinAlgError:
        return None
    # a pivot lost to rounding: its square is a difference of numbers of the diagonal's size
    pivots, diagonal = np.diag(factor), np.diag(shifted)
    rounding = 10 * math.sqrt(len(matrix)) * eps
    return factor if bool((pivots**2 > rounding * diagonal).all()) else None
