"""An initial matrix as an operator on samples: hats and dots (Def 2.6.5) by innovations.

For each direction an orthonormal basis q_k of all arguments so far is kept, with one fresh standard
normal ket g_k of the other space for each; then

    hat(Wx) = sum_k g_k <q_k|x>,        dot(W^T y) = sum_k q_k E[g_k|y>]

(Remark 2.6.6, Stein's form). A basis grows over all steps of a run and all uses of the matrix.
"""

from __future__ import annotations

from nexort.maximal.frames import Frame, Space, directions, lengths
from nexort.program.unrolled import Array

CUTOFF = 1e-7
"""Directions shorter than this part of their argument are dropped."""


class Side:
    """One direction of a matrix: arguments in one space, hats in the other."""

    def __init__(self, arguments: Space, images: Space) -> None:
        self.arguments, self.images = arguments, images
        self.basis = Frame(arguments.size)
        self.kets = Frame(images.size)
        self.dropped = 0.0

    def hats(self, rows: Array) -> Array:
        """hat(Wx) of arguments (m, N), shape (m, N')."""
        coordinates = self.basis.coordinates(rows)
        rest = rows - coordinates @ self.basis.rows
        again = self.basis.coordinates(rest)
        rest -= again @ self.basis.rows
        result: Array = (coordinates + again) @ self.kets.rows
        found, left = directions(rest, lengths(rows), CUTOFF)
        self.dropped = max(self.dropped, left if left > 1e-13 else 0.0)
        if len(found):
            # once more: what is orthogonal to the basis only up to the size of `rest`
            found = self.basis.outside(found)
            found = found / lengths(found)[:, None]
            kets = self.images.fresh(len(found))
            result += (rest @ found.T / self.basis.size) @ kets
            self.basis.append(found)
            self.kets.append(kets)
            self.arguments.learn(found)
        return result


class InitialOperator:
    """A matrix with entries N(0, scale^2/n)."""

    def __init__(self, rows: Space, columns: Space, scale: float) -> None:
        self.scale = scale
        self.sides = Side(columns, rows), Side(rows, columns)

    def apply(self, kets: Array, flipped: bool) -> Array:
        """|Wx>, or |W^T x> where ``flipped``: shape (m, N) -> (m, N')."""
        forward, back = self.sides[flipped], self.sides[not flipped]
        result = forward.hats(kets)
        if back.basis.count:
            result += back.kets.coordinates(kets) @ back.basis.rows
        return self.scale * result

    @property
    def rank(self) -> int:
        """The larger number of directions."""
        return max(side.basis.count for side in self.sides)

    @property
    def dropped(self) -> float:
        """The largest relative length of a dropped direction."""
        return max(side.dropped for side in self.sides)
