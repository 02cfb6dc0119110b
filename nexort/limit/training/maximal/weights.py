"""The weights of a run in the maximal update limit: kets, operators and numbers that move."""

from __future__ import annotations

import numpy as np

from nexort.limit.sample.matrices import InitialOperator
from nexort.limit.training.maximal.moved import Factors, MovedPairs, MovedPart
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.training.task import Weight


class EntriesWeight:
    """A vector weight (axes + (N,)) or a scalar one (axes)."""

    def __init__(self, weight: Weight, value: Array) -> None:
        self.weight = weight
        self.value = value
        self.states: list[Array] | None = None

    def step(self, t: int, gradient: Array) -> None:
        """w <- (1 - decay) w - rate Q_t(g_0, ..., g_t)."""
        w = self.weight
        full = np.ascontiguousarray(np.broadcast_to(gradient, self.value.shape), dtype=float)
        if self.states is None:
            self.states = w.update.start(full.shape)
        # numpy makes contiguous numbers without axes into arrays of one entry
        update = np.asarray(w.update.step(t, full, self.states)).reshape(self.value.shape)
        rate = w.rates[t]
        if w.norm is not None:
            measured = self.value if w.norm.kind == "weights" else update
            rate = rate / w.norm.divisor(t, self._size(measured))
        self.value = (1 - w.decay[t]) * self.value - rate * update

    def _size(self, value: Array) -> float:
        """The root of E over neurons of the sum over axes of squares."""
        count = value.shape[-1] if self.weight.kind == "vector" else 1
        return float(np.sqrt((value**2).sum() / count))

    def decay(self, t: int) -> None:
        """A step without an update."""
        self.value = (1 - self.weight.decay[t]) * self.value


class MatrixWeight:
    """A matrix weight: kept W_0 + D_t."""

    def __init__(
        self, weight: Weight | None, initial: InitialOperator, *, moves: bool, dtype: str
    ) -> None:
        self.weight, self.initial = weight, initial
        self.kept = 1.0
        self.moved: MovedPart | None = None
        self.joined: MovedPairs | None = None
        """Once W_0 is drawn as a whole: D_t, with it included."""
        if weight is not None and moves:
            linear = weight.update.coefficients(len(weight.rates))
            if linear is not None:
                self.moved = Factors(linear)
            else:
                rows, columns = initial.spaces
                sizes = rows.size, columns.size
                self.moved = MovedPairs(weight.update, *sizes, tied=rows is columns, dtype=dtype)

    def apply(self, x: Node, kets: Array, reach: int | None) -> Array:
        """W_t|x>, or W_t^T|x> where the node is of the transpose: shape (m, N) -> (m, N')."""
        flipped = x.attr[2]
        if self.joined is not None:
            return self.joined.apply(kets, flipped)
        result = self.kept * self.initial.apply(x, kets, reach)
        if self.moved is not None:
            result += self.moved.apply(kets, flipped)
        if self.initial.matrix is not None and isinstance(self.moved, MovedPairs):
            self.moved.include(self.initial.matrix * (self.kept * self.initial.scale))
            self.joined, self.initial.matrix = self.moved, None
        return result

    def met(self, flipped: bool) -> int:
        """How many directions of arguments W_0, or its transpose, has met."""
        return self.initial.met(flipped)

    def step(self, t: int, left: Array, right: Array) -> None:
        """Move by the gradient sum_i |left_i> <right_i|."""
        assert self.weight is not None
        assert self.moved is not None
        used = (np.abs(left).max(axis=1) > 0) & (np.abs(right).max(axis=1) > 0)
        keep = 1 - float(self.weight.decay[t])
        rate, norm = float(self.weight.rates[t]), self.weight.norm
        if norm is not None and norm.kind == "weights":
            # updates have a part that vanishes in the norm of w, n^(1 - b) as it was drawn
            rate, norm = rate / norm.divisor(t, self.kept * self.weight.scale), None
        self.moved.step(t, left[used], right[used], rate, keep, norm)
        self.decay(t)

    def decay(self, t: int) -> None:
        """A step without an update."""
        if self.weight is not None:
            self.kept *= 1 - float(self.weight.decay[t])
