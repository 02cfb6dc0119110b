"""Innovations: jointly Gaussian kets with a given covariance, without a covariance matrix.

A Gaussian linear map W from an inner-product space to kets, with Cov(Wx, Wy) = <x, y>, is built as
its arguments come: an orthonormal basis q_k of them is kept, with one fresh standard Gaussian ket
g_k for each; then Wx = sum_k g_k <q_k, x>, and an argument outside the span extends the basis. For
an initial matrix the space is that of kets with the sample inner product, and (g_k) gives both the
hats, hat(Wx) = sum_k g_k <q_k|x>, and the dots of the transpose,
dot(W^T y) = sum_k q_k E[g_k |y>] (Remark 2.6.6, Stein's form). For an initial multi-vector |u>[d]
the space is R^d and |u> @ c = sum_k g_k <q_k, c>.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from nexort.limit.sample.points import Points
from nexort.program.unrolled import Array

CUTOFF = 1e-7
"""Directions shorter than this part of their argument are dropped."""

WHITEN_BELOW = 0.25
"""Fresh Gaussians are made orthonormal in the sample while they are fewer than this part of it."""


class Fresh(Protocol):
    """A source of independent standard Gaussian kets of ``size`` sample points."""

    size: int

    def fresh(self, count: int) -> Array:
        """``count`` new kets, shape (count, N)."""
        ...


class Roots:
    """The independent standard Gaussian kets of one replicate.

    In the sample they are made uncorrelated, of mean 0 and variance 1 (exact second moments remove
    the leading sampling error of everything that is quadratic in them).
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        self.size = points.size
        self.known = np.ones((1, self.size))
        self.count = 1

    def fresh(self, count: int) -> Array:
        """``count`` new kets, shape (count, N)."""
        new = self.points.take(count)
        if self.count + count > WHITEN_BELOW * self.size:
            return new
        known = self.known[: self.count]
        for _ in range(2):
            new = new - (new @ known.T / self.size) @ known
        # symmetric orthonormalization moves every ket as little as possible
        values, vectors = np.linalg.eigh(new @ new.T / self.size)
        new = np.asarray((vectors / np.sqrt(values)) @ (vectors.T @ new))
        if self.count + count > len(self.known):
            grown = np.empty((2 * (self.count + count), self.size))
            grown[: self.count] = known
            self.known = grown
        self.known[self.count : self.count + count] = new
        self.count += count
        return new


class Innovations:
    """One Gaussian linear map; arguments are rows of length ``length``."""

    def __init__(self, roots: Fresh, length: int) -> None:
        self.roots = roots
        self.basis = np.empty((0, length))
        self.kets = np.empty((0, roots.size))
        self.dropped = 0.0

    @property
    def rank(self) -> int:
        """The number of directions so far."""
        return len(self.basis)

    def image(self, arguments: Array) -> Array:
        """The kets of the arguments, shape (m, N) for arguments of shape (m, length)."""
        coordinates = arguments @ self.basis.T
        rest = arguments - coordinates @ self.basis
        again = rest @ self.basis.T
        rest -= again @ self.basis
        coordinates += again
        result = coordinates @ self.kets
        scale = np.sqrt(np.einsum("ij,ij->i", arguments, arguments))
        directions = self._directions(rest, scale)
        if len(directions):
            # once more: what is orthogonal to the basis only up to the size of `rest`
            directions -= (directions @ self.basis.T) @ self.basis
            directions /= np.sqrt(np.einsum("ij,ij->i", directions, directions))[:, None]
            kets = self.roots.fresh(len(directions))
            result += (rest @ directions.T) @ kets
            self.basis = np.concatenate([self.basis, directions])
            self.kets = np.concatenate([self.kets, kets])
        return result

    def _directions(self, rest: Array, scale: Array) -> Array:
        """Orthonormal directions of what lies outside the basis, by pivoted QR."""
        if not np.all(np.isfinite(rest)):
            return rest[:0]
        safe = np.where(scale > 0, scale, 1.0)
        scaled = rest / safe[:, None]
        if len(rest) == 1:
            size = float(np.sqrt(scaled[0] @ scaled[0]))
            if size <= CUTOFF:
                self._drop(size)
                return rest[:0]
            return scaled / size
        from scipy.linalg import qr

        q, r, _ = qr(scaled.T, mode="economic", pivoting=True, check_finite=False)
        sizes = np.abs(np.diag(r))
        kept = sizes > CUTOFF
        if not kept.all():
            self._drop(float(sizes[~kept].max()))
        return np.ascontiguousarray(q.T[: len(sizes)][kept])

    def _drop(self, size: float) -> None:
        if size > 1e-13:
            self.dropped = max(self.dropped, size)
