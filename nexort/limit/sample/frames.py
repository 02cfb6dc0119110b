"""Orthonormal frames of kets on a sample, and the roots of a neuron space.

Kets are rows of N numbers with the sample inner product <x|y> = x.y / N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.sample.points import Points
from nexort.program.unrolled import Array

CLEAN_BELOW = 0.25
"""New roots are made orthogonal to a frame of at most this part of the sample's size."""

MOST_ROOTS = 0.5
"""The frame, new roots and what these are made orthogonal to are at most this part of it."""


WELL_APART = 0.03
"""What is this part of a ket's length keeps its digits when it is taken out of the rest."""


class Basis:
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

    def coordinates(self, rows: Array, first: int | None = None) -> Array:
        """<row|frame>, shape (len(rows), count), of the ``first`` so many kets."""
        return np.asarray(rows @ self.rows[:first].T / self.size)

    def outside(self, rows: Array) -> Array:
        """The part of some kets outside of the frame's span."""
        return np.asarray(rows - self.coordinates(rows) @ self.rows) if self.count else rows

    def directions(self, rest: Array, rows: Array, cutoff: float) -> Directions:
        """Of ``rest``, the part of some kets outside of the span, as :func:`directions`, with kets
        that are orthonormal to the frame's to rounding.

        What is left of a ket that is nearly in the span has a part in it, of the size of roundings
        over what is left. It is taken away once more (twice is enough), or it would grow by 1 over
        the cutoff with every new direction.
        """
        found = directions(rest, rows, cutoff)
        if not len(found.change) or found.least > WELL_APART:
            return found
        kets = self.outside(found.kets)
        if len(kets) == 1:
            return replace(found, kets=kets / lengths(kets)[:, None])
        factor = np.linalg.cholesky(kets @ kets.T / self.size)
        return replace(found, kets=np.linalg.solve(factor, kets))


def lengths(rows: Array) -> Array:
    """The root mean square of every row."""
    found: Array = np.sqrt(np.einsum("ij,ij->i", rows, rows) / rows.shape[1])
    return found


@dataclass(frozen=True, slots=True)
class Directions:
    """``kets`` are orthonormal, the longest first, and ``change @ rest`` to rounding; ``least`` is
    the smallest relative length of what is new in a row beside those before it, ``left`` the
    largest that is not in their span."""

    change: Array
    kets: Array
    least: float
    left: float


def directions(rest: Array, rows: Array, cutoff: float, most: int | None = None) -> Directions:
    """Orthonormal kets spanning ``rest``, the new parts of ``rows``, up to ``cutoff`` times the
    rows' lengths, by a pivoted Cholesky factor of the Gram matrix; at most ``most`` of them."""
    none = Directions(np.empty((0, len(rest))), np.empty((0, rest.shape[1])), 1.0, 0.0)
    scale = lengths(rows)
    if len(rows) == 1:
        [whole], [left] = scale, lengths(rest)
        if not 0 < left < np.inf:
            return none
        if left <= cutoff * whole:
            return replace(none, left=float(left / whole))
        return Directions(np.array([[1 / left]]), rest / left, float(left / whole), 0.0)
    used = np.flatnonzero(scale > 0)
    gram = rest @ rest.T / rest.shape[1]
    if not len(used) or not np.isfinite(gram).all():
        return none
    part = gram[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    largest = float(np.sqrt(part.diagonal().max()))
    if largest <= cutoff:
        return replace(none, left=largest)
    from scipy.linalg import lapack  # its functions of many checks cost more than the work

    factor, order, rank, _ = lapack.dpstrf(part, tol=cutoff**2, lower=1)
    order -= 1
    rank = rank if most is None else min(rank, most)
    left = part.diagonal()[order[rank:]] - (factor[rank:, :rank] ** 2).sum(axis=1)
    size = float(np.sqrt(max(left.max(initial=0.0), 0.0)))
    chosen = used[order[:rank]]
    change = np.zeros((rank, len(rest)))
    change[:, chosen], _ = lapack.dtrtrs(factor[:rank, :rank], np.diag(1 / scale[chosen]), lower=1)
    least = float(factor.diagonal()[:rank].min())
    if least <= WELL_APART:  # once more: nearly parallel kets lose digits
        again = np.linalg.cholesky(change @ gram @ change.T)
        change, _ = lapack.dtrtrs(again, change, lower=1)
    return Directions(change, change @ rest, least, size)


class NeuronSpace:
    """The sample of one neuron space: a source of independent standard normal kets.

    Roots are orthonormal in the sample, and of mean zero: first and second moments have no error.
    A root is also made orthogonal to kets that it is independent of: to arguments of matrices
    before it where the space is ``careful``, and to all kets at hand where it is an initial vector.
    """

    def __init__(
        self,
        size: int,
        seed: np.random.SeedSequence,
        *,
        halves: bool = False,
        careful: bool = True,
        mirrored: bool = False,
        even: int | None = None,
        most: int | None = None,
    ) -> None:
        """``halves``: the sample is two independent halves, which can stand for independent
        copies. ``mirrored``: with every point comes its negative, so that odd functions have no
        error, which is worth more than the evenness of twice the points where some functions are
        neither odd nor even. ``even``: in how many dimensions points are evenly spread, None for
        all; ``most``: how many roots there are at the most, where that is known."""
        self.size, self.careful = size, careful
        parts = 2 if halves else 1
        self.mirrored = mirrored
        count = size // parts // (2 if self.mirrored else 1)
        self.points = [Points(count, s, even=even, most=most) for s in seed.spawn(parts)]
        self.known = Basis(size)
        self.known.append(np.ones((1, size)))

    def take(self, count: int) -> Array:
        """The next ``count`` coordinates of the points, shape (count, N)."""
        parts = [points.take(count) for points in self.points]
        if self.mirrored:
            parts = [x for part in parts for x in (part, -part)]
        return np.concatenate(parts, axis=1)

    def noise(self, count: int) -> Array:
        """``count`` kets of independent standard normal numbers, shape (N, count)."""
        return self.points[0].rng.standard_normal((self.size, count))

    def fresh(self, count: int) -> Array:
        """``count`` new roots, shape (count, N)."""
        return self.root(self.take(count))

    def root(self, new: Array, others: Array | None = None) -> Array:
        """Coordinates made orthonormal, and orthogonal to what is older and to ``others``."""
        count = len(new)
        if self.known.count + count > MOST_ROOTS * self.size:
            return new
        new = self.known.outside(new)
        room = int(MOST_ROOTS * self.size) - self.known.count - count
        if others is not None and room:
            rest = self.known.outside(others)
            basis = directions(rest, others, 1e-4, room).kets
            new = new - (new @ basis.T / self.size) @ basis
        if count == 1:
            new = new / lengths(new)[:, None]
        else:
            # symmetric orthonormalization moves every ket as little as possible
            values, vectors = np.linalg.eigh(new @ new.T / self.size)
            new = np.asarray((vectors / np.sqrt(values)) @ (vectors.T @ new))
        if self.known.count + count <= CLEAN_BELOW * self.size:
            self.known.append(new)
        return new

    def learn(self, rows: Array) -> None:
        """Keep later roots orthogonal to some kets."""
        if not self.careful or self.known.count + len(rows) > CLEAN_BELOW * self.size:
            return
        self.known.append(self.known.directions(self.known.outside(rows), rows, 1e-4).kets)
