"""Orthonormal frames of kets on a sample, and the roots of a neuron space.

Kets are rows of N numbers with the sample inner product <x|y> = x.y / N.
"""

from __future__ import annotations

import numpy as np

from nexort.lower.points import Points
from nexort.program.unrolled import Array

CLEAN_BELOW = 0.25
"""New roots are made orthogonal to a frame of at most this part of the sample's size."""


class Frame:
    """Orthonormal kets, one after another."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows = np.empty((8, size))
        self.count = 0

    @property
    def rows(self) -> Array:
        """The kets, shape (count, N)."""
        return self._rows[: self.count]

    def append(self, rows: Array) -> None:
        """Take kets that are orthonormal to all others."""
        count = self.count + len(rows)
        if count > len(self._rows):
            grown = np.empty((2 * count, self.size))
            grown[: self.count] = self.rows
            self._rows = grown
        self._rows[self.count : count] = rows
        self.count = count

    def coordinates(self, rows: Array) -> Array:
        """<row|frame>, shape (len(rows), count)."""
        return np.asarray(rows @ self.rows.T / self.size)

    def outside(self, rows: Array) -> Array:
        """The part of some kets outside of the frame's span."""
        if not self.count:
            return rows
        rest = rows - self.coordinates(rows) @ self.rows
        return np.asarray(rest - self.coordinates(rest) @ self.rows)


def lengths(rows: Array) -> Array:
    """The root mean square of every row."""
    found: Array = np.sqrt(np.einsum("ij,ij->i", rows, rows) / rows.shape[1])
    return found


def directions(rest: Array, scale: Array, cutoff: float) -> tuple[Array, float]:
    """Orthonormal kets spanning ``rest`` up to ``cutoff`` times the rows' ``scale``, the longest
    first, and the largest length that was left out (relative)."""
    size = np.sqrt(rest.shape[1])
    used = scale > 0
    if not used.any() or not np.isfinite(rest).all():
        return rest[:0], 0.0
    scaled = rest[used] / scale[used, None]
    if len(scaled) == 1:
        length = float(lengths(scaled)[0])
        return (scaled / length, 0.0) if length > cutoff else (rest[:0], length)
    from scipy.linalg import qr

    q, r, _ = qr(scaled.T / size, mode="economic", pivoting=True, check_finite=False)
    sizes = np.abs(np.diag(r))
    kept = sizes > cutoff
    left = 0.0 if kept.all() else float(sizes[~kept].max())
    return np.ascontiguousarray(q.T[: len(sizes)][kept]) * size, left


class Space:
    """The sample of one neuron space: a source of independent standard normal kets.

    A new root is made orthogonal, in the sample, to every root and to every ket that was an
    argument of a matrix before: it is independent of them, so E[g|x>] = 0 holds without error, and
    what an average E[g|x_t>] of a later ket needs is only its part outside of their span.
    """

    def __init__(self, size: int, seed: np.random.SeedSequence, *, halves: bool = False) -> None:
        """``halves``: the sample is two independent halves, which can stand for independent
        copies."""
        self.size = size
        parts = 2 if halves else 1
        self.points = [Points(size // parts, s) for s in seed.spawn(parts)]
        self.known = Frame(size)
        self.known.append(np.ones((1, size)))

    def fresh(self, count: int) -> Array:
        """``count`` new roots, shape (count, N)."""
        new = np.concatenate([points.take(count) for points in self.points], axis=1)
        if self.known.count + count > CLEAN_BELOW * self.size:
            return new
        new = self.known.outside(new)
        # symmetric orthonormalization moves every ket as little as possible
        values, vectors = np.linalg.eigh(new @ new.T / self.size)
        new = np.asarray((vectors / np.sqrt(values)) @ (vectors.T @ new))
        self.known.append(new)
        return new

    def learn(self, rows: Array) -> None:
        """Keep later roots orthogonal to some kets."""
        if self.known.count + len(rows) > CLEAN_BELOW * self.size:
            return
        rest = self.known.outside(rows)
        found, _ = directions(rest, lengths(rows), 1e-6)
        found = self.known.outside(found)
        self.known.append(found / lengths(found)[:, None])
