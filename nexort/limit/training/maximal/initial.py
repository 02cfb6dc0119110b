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

import numpy as np

from nexort.limit.training.maximal.frames import Frame, Space
from nexort.limit.training.maximal.moved import product
from nexort.program.unrolled import Array

CUTOFF = 0.25
"""Directions shorter than this part of their argument, over the root of the sample's size, are
dropped from hats: a relative change of its square, less than the noise of averages."""

FULL = 0.25
"""The part of a sample which a basis may fill before the matrix is drawn as a whole."""


class Side:
    """One direction of a matrix: arguments in one space, images in the other."""

    def __init__(self, arguments: Space, images: Space) -> None:
        self.spaces = arguments, images
        self.basis = Frame(arguments.size)
        self.kets = Frame(images.size)
        self.images = Frame(images.size)
        self.dropped = 0.0

    def apply(self, rows: Array, back: Side) -> Array:
        """|Wx> of arguments (m, N), shape (m, N'); ``back`` is the side of W^T."""
        size = self.basis.size
        known = self.basis.coordinates(rows)
        rest = rows - known @ self.basis.rows
        result = known @ self.images.rows
        dots = back.kets.coordinates(rest) @ back.basis.rows if back.basis.count else None
        if dots is not None:
            result += dots
        found = self.basis.directions(rest, rows, CUTOFF / np.sqrt(size))
        self.dropped = max(self.dropped, found.left)
        if len(found.change):
            new = found.kets
            arguments, images = self.spaces
            kets = images.fresh(len(new))
            result = result + (rest @ new.T / size) @ kets
            self.basis.append(new)
            self.kets.append(kets)
            self.images.append(kets if dots is None else kets + found.change @ dots)
            arguments.learn(new)
        return np.asarray(result)


class InitialOperator:
    """A matrix with entries N(0, scale^2/n)."""

    def __init__(self, rows: Space, columns: Space, scale: float) -> None:
        self.scale = scale
        self.sides = Side(columns, rows), Side(rows, columns)
        self.matrix: Array | None = None

    def apply(self, kets: Array, flipped: bool) -> Array:
        """|Wx>, or |W^T x> where ``flipped``: shape (m, N) -> (m, N')."""
        if self.matrix is not None:
            return self.scale * product(self.matrix, kets, flipped)
        side = self.sides[flipped]
        found = self.scale * side.apply(kets, self.sides[not flipped])
        if side.basis.count > FULL * side.basis.size:
            self.matrix = self._drawn()
        return found

    def _drawn(self) -> Array:
        """The whole matrix, shape (N', N)."""
        there, back = self.sides
        q, other = there.basis.rows, back.basis.rows
        size = there.basis.size
        whole = there.spaces[1].noise(size) / np.sqrt(size)
        whole += other.T @ (back.kets.rows / size - other @ whole / other.shape[1])
        whole += (there.images.rows.T / size - whole @ q.T / size) @ q
        return np.asarray(whole)

    @property
    def rank(self) -> int:
        """The larger number of directions."""
        return max(side.basis.count for side in self.sides)

    @property
    def dropped(self) -> float:
        """The largest relative length of a dropped direction."""
        return max(side.dropped for side in self.sides)
