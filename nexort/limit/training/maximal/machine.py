"""The network of a training on samples: a machine whose initial objects are weights that move."""

from __future__ import annotations

import numpy as np

from nexort.limit.sample.machine import Machine, Sampling
from nexort.limit.sample.spaces import Key
from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.limit.training.maximal.weights import EntriesWeight, MatrixWeight
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Array
from nexort.training.task import seed_slot

CUTOFF = 0.25
"""Directions shorter than this part of their argument, over the root of the sample's size, are
dropped from hats: a relative change of its square, less than the noise of averages."""

MANY = 16
"""Arguments of matrices in a step from which on a run needs many dimensions."""


class MaximalMachine(Machine):
    """The current weights, and the values of the step at hand."""

    def __init__(
        self, plan: MaximalPlan, size: int, seed: np.random.SeedSequence, dtype: str = "float32"
    ) -> None:
        """``dtype``: of what is kept for pairs of points."""
        # where pairs of points are updated, careful spaces cost little; what a run has at a step
        # does not depend on how many follow
        many = plan.arguments() > MANY
        how = Sampling(plan.pairs, many, True, many, CUTOFF / float(np.sqrt(size)))
        super().__init__(plan.graph, size, seed, how)
        self.plan, self.dtype = plan, dtype
        self.entries: dict[Key, EntriesWeight] = {}
        self.constant: dict[Node, Array] = {}

    def seed(self, chi: Array) -> None:
        """The error signal that gradients start from."""
        self.values[seed_slot(self.plan.task.out.type.axes)] = chi

    def vector(self, x: Node) -> Array:
        """The current value of a vector weight, or the only one of what is none."""
        return self._current(x)

    def scalar(self, x: Node) -> Array:
        """The current value of a scalar weight, or 0."""
        return self._current(x)

    def operator(self, key: Key) -> MatrixWeight:
        """A matrix weight that moves, or one that is none."""
        weight = self.plan.task.weights.get(key)
        initial = self.initial(key, 1.0 if weight is None else weight.scale)
        return MatrixWeight(weight, initial, moves=key in self.plan.gradients, dtype=self.dtype)

    @property
    def matrices(self) -> dict[Key, MatrixWeight]:
        """The matrices that were met."""
        return {key: x for key, x in self.operators.items() if isinstance(x, MatrixWeight)}

    def _current(self, x: Node) -> Array:
        if x.attr in self.entries:
            return self.entries[x.attr].value
        shape = self.shape(x)
        weight = self.plan.task.weights.get(x.attr)
        if x.op is Op.INIT_SCALAR:
            value = np.full(shape, 0.0 if weight is None else weight.mean)
        else:
            value = self.root(x)
            if weight is not None:
                size = weight.exponents.a + weight.exponents.b + self.plan.task.output_exponent
                vanishes = x.attr in self.plan.readouts and size > 1
                value = 0.0 * value if vanishes else weight.mean + weight.scale * value
        if weight is not None:
            self.entries[x.attr] = EntriesWeight(weight, value)
        else:
            self.constant[x] = value
        return value

    def move(self, t: int) -> None:
        """Every weight's step, by the gradients in ``values``."""
        gradients = self.plan.gradients
        for key, entries in self.entries.items():
            if key in gradients:
                gradient = gradients[key]
                node = gradient.ket if gradient.ket is not None else gradient.scalar
                assert node is not None
                entries.step(t, self.ket(node))
            else:
                entries.decay(t)
        for key, matrix in self.matrices.items():
            if key in gradients:
                matrix.step(t, *self._factors(gradients[key].pairs))
            else:
                matrix.decay(t)

    def _factors(self, pairs: tuple[tuple[Node, Node], ...]) -> tuple[Array, Array]:
        """The gradient of a matrix as sum_i |left_i> <right_i|."""
        lefts, rights = [], []
        for left, right in pairs:
            both = np.broadcast_arrays(self.ket(left), self.ket(right))
            lefts.append(both[0].reshape(-1, self.size))
            rights.append(both[1].reshape(-1, self.size))
        return np.concatenate(lefts), np.concatenate(rights)

    def next(self) -> None:
        """Forget the step's values."""
        self.values = dict(self.constant)
