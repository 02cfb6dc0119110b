"""An initial matrix as an operator on samples: hats and dots (Def 2.6.5) by innovations.

For each direction an orthonormal basis q_k of all arguments so far is kept, with one fresh standard
normal ket g_k of the other space for each; then

    hat(Wx) = sum_k g_k <q_k|x>,        dot(W^T y) = sum_k q_k E[g_k|y>]

(Remark 2.6.6, Stein's form). A basis grows over all steps of a run and all uses of the matrix. As W
is linear, the image of a basis ket is found once, when it joins: a ket that is older than g_k is
independent of it, and E[g_k|y>] is an average only over the part of y that is new.

Where a basis q fills much of the sample, q' being that of the other direction, what is left of the
matrix is drawn at once, as it is in a network whose neurons are the sample's points:

    W = sum_k W q_k <q_k| + sum_j q'_j <g'_j| (1 - P) + (1 - P') Z (1 - P)

with P the projection on the span of q, P' of q', and independent entries Z of variance 1/N.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexort.limit.sample.frames import Basis, NeuronSpace
from nexort.program.nodes import Node
from nexort.program.unrolled import Array

FULL = 0.25
"""The part of a sample which a basis may fill before the matrix is drawn as a whole."""


class Side:
    """One direction of a matrix: arguments in one space, images in the other."""

    def __init__(self, arguments: NeuronSpace, images: NeuronSpace, cutoff: float) -> None:
        self.spaces, self.cutoff = (arguments, images), cutoff
        self.basis = Basis(arguments.size)
        self.kets = Basis(images.size)
        self.dots = Basis(images.size)
        self.dropped = 0.0

    def apply(self, rows: Array, back: Side, reach: int | None) -> Array:
        """|Wx> of arguments (m, N), shape (m, N'); ``back`` is the side of W^T, and the dot is made
        of its first ``reach`` directions."""
        size = self.basis.size
        known = self.basis.coordinates(rows)
        rest = rows - known @ self.basis.rows
        result = known @ self.kets.rows
        met = back.basis.count if reach is None else min(reach, back.basis.count)
        turned = known @ self.dots.rows if self.dots.count else None
        dots: Array | None = None
        if met:
            dots = back.kets.coordinates(rest, met) @ back.basis.rows[:met]
            result += dots if turned is None else turned + dots
        elif turned is not None:  # the whole has no dot: what is new takes away what is known
            dots = -turned
        found = self.basis.directions(rest, rows, self.cutoff)
        self.dropped = max(self.dropped, found.left)
        if len(found.change):
            new = found.kets
            arguments, images = self.spaces
            kets = images.fresh(len(new))
            result += (rest @ new.T / size) @ kets
            self.basis.append(new)
            self.kets.append(kets)
            if dots is not None or self.dots.count:
                self._turn(len(new), None if dots is None else found.change @ dots)
            arguments.learn(new)
        return np.asarray(result)

    def _turn(self, count: int, dots: Array | None) -> None:
        """Keep the dots of the last ``count`` directions; those before had none so far."""
        missing = self.kets.count - count - self.dots.count
        self.dots.append(np.zeros((missing, self.dots.size)))
        self.dots.append(np.zeros((count, self.dots.size)) if dots is None else dots)

    @property
    def images(self) -> Array:
        """W q of the basis, shape (count, N')."""
        found = self.kets.rows.copy()
        found[: self.dots.count] += self.dots.rows
        return found


class InitialOperator:
    """A matrix with entries N(0, scale^2/n)."""

    def __init__(
        self, rows: NeuronSpace, columns: NeuronSpace, scale: float, cutoff: float
    ) -> None:
        self.scale, self.spaces = scale, (rows, columns)
        self.sides = Side(columns, rows, cutoff), Side(rows, columns, cutoff)
        self.matrix: Array | None = None

    def apply(self, x: Node, kets: Array, reach: int | None) -> Array:
        """The image by a MATMUL node."""
        return self.image(kets, x.attr[2], reach)

    def image(self, kets: Array, flipped: bool, reach: int | None = None) -> Array:
        """|Wx>, or |W^T x> where ``flipped``: shape (m, N) -> (m, N')."""
        if self.matrix is not None:
            return self.scale * pairs_times(self.matrix, kets, flipped)
        side = self.sides[flipped]
        found = self.scale * side.apply(kets, self.sides[not flipped], reach)
        if side.basis.count > FULL * side.basis.size:
            self.matrix = self._drawn()
        return found

    def met(self, flipped: bool) -> int:
        """How many directions of arguments W, or its transpose, has met."""
        return self.sides[flipped].basis.count

    def _drawn(self) -> Array:
        """The whole matrix, shape (N', N)."""
        there, back = self.sides
        q, other = there.basis.rows, back.basis.rows
        size = there.basis.size
        whole = there.spaces[1].noise(size) / np.sqrt(size)
        whole += other.T @ (back.kets.rows / size - other @ whole / other.shape[1])
        whole += (there.images.T / size - whole @ q.T / size) @ q
        return np.asarray(whole)

    @property
    def rank(self) -> int:
        """The larger number of directions."""
        return max(side.basis.count for side in self.sides)

    @property
    def dropped(self) -> float:
        """The largest relative length of a dropped direction."""
        return max(side.dropped for side in self.sides)


class Projection:
    """An initial multi-vector |u>[d] that is only contracted with numbers: |u> @ c are jointly
    Gaussian kets with the covariance of c in R^d."""

    def __init__(
        self, length: int, size: int, fresh: Callable[[int], Array], cutoff: float
    ) -> None:
        """``fresh`` gives so many new roots, shape (count, N)."""
        self.basis, self.kets = Basis(length), Basis(size)
        self.fresh, self.cutoff = fresh, cutoff

    def apply(self, columns: Array) -> Array:
        """The kets of some rows c of d numbers, shape (m, N)."""
        # rows times sqrt(d): the mean of products becomes their sum
        rows = columns * np.sqrt(self.basis.size)
        known = self.basis.coordinates(rows)
        rest = rows - known @ self.basis.rows
        result = known @ self.kets.rows
        found = self.basis.directions(rest, rows, self.cutoff)
        if len(found.change):
            kets = self.fresh(len(found.kets))
            result = result + (rest @ found.kets.T / self.basis.size) @ kets
            self.basis.append(found.kets)
            self.kets.append(kets)
        return np.asarray(result)


def pairs_times(matrix: Array, kets: Array, flipped: bool) -> Array:
    """A matrix over pairs of points applied to kets, or its transpose: (m, N) -> (m, N')."""
    given = kets.astype(matrix.dtype, copy=False)
    return np.asarray(given @ (matrix if flipped else matrix.T), dtype=float)
