"""One step's graph on samples: every ket an array axes + (N,) over its space's points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from nexort.limit.sample import arrays
from nexort.limit.training.maximal.frames import Space, lengths
from nexort.limit.training.maximal.plan import Plan, Schedule, is_ket
from nexort.limit.training.maximal.weights import Entries, Matrix
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError
from nexort.training.task import Key, seed_slot

ROUNDING = 1e-13
"""A bra-ket of at most this part of its kets' lengths is zero."""

TUPLES = 2**24
"""Evaluations (point, tuple of copies) of one outer nonlinearity."""

MANY = 16
"""Arguments of matrices in a step from which on a run needs many dimensions."""


class Machine:
    """The current weights, and the values of the step at hand."""

    def __init__(
        self, plan: Plan, size: int, seed: np.random.SeedSequence, dtype: str = "float32"
    ) -> None:
        """``dtype``: of what is kept for pairs of points."""
        self.plan = plan
        self.size, self.dtype = size, dtype
        tied = {rows for rows, columns in plan.spaces.sides.values() if rows == columns}
        *seeds, design = seed.spawn(plan.spaces.count + 1)
        # where pairs of points are updated, careful spaces cost little; what a run has at a step
        # does not depend on how many follow
        many = plan.arguments() > MANY
        even = Counter[int]()
        for x in plan.initial:
            even[plan.spaces.of[x, 0]] += plan.rank(x)
        self.spaces = [
            Space(size, s, halves=i in tied, careful=plan.pairs, even=even[i] if many else None)
            for i, s in enumerate(seeds)
        ]
        self.rng = np.random.Generator(np.random.PCG64(design))
        self.entries: dict[Key, Entries] = {}
        self.matrices: dict[Key, Matrix] = {}
        self.constant: dict[Node, Array] = {}
        self.values: dict[Node, Array] = {}
        # initial vectors have the first coordinates of their points, which are the most even
        self.coordinates = {
            x: self._space(x).take(plan.rank(x)) for x in plan.initial if plan.rank(x)
        }

    def _space(self, x: Node) -> Space:
        return self.spaces[self.plan.spaces.of[x, 0]]

    def run(self, schedule: Schedule) -> None:
        """Evaluate some nodes; those that the schedule keeps stay in ``values``."""
        for x, drops in zip(schedule.order, schedule.drops, strict=True):
            if x not in self.values:
                self.values[x] = self._value(x)
            for a in drops:
                self.values.pop(a, None)

    def seed(self, chi: Array) -> None:
        """The error signal that gradients start from."""
        self.values[seed_slot(self.plan.task.out.type.axes)] = chi

    def ket(self, x: Node) -> Array:
        """A node's array, a ket's axes and points at full length."""
        value = self.values[x]
        shape = self._shape(x)
        if is_ket(x):
            shape = (*shape, self.size)
        return value if value.shape == shape else np.broadcast_to(value, shape)

    def rows(self, x: Node) -> Array:
        """A ket as a matrix with one row an axis position."""
        return self.ket(x).reshape(-1, self.size)

    def _shape(self, x: Node) -> tuple[int, ...]:
        return self.plan.task.step.shape(x.type.axes)

    def _value(self, x: Node) -> Array:
        if not x.args:
            return self._leaf(x)
        match x.op:
            case op if op in arrays.LOCAL:
                return arrays.local(x, [self.values[a] for a in x.args], 1, self._shape(x))
            case Op.INNER:
                left, right = (self.rows(a) for a in x.args)
                product: Array = left @ right.T / self.size
                # kets that were made orthogonal
                rounding = ROUNDING * np.outer(lengths(left), lengths(right))
                none = (np.abs(product) <= rounding) & np.isfinite(rounding)
                product = np.where(none, 0.0, product)
                return product.reshape(self._shape(x))
            case Op.AVERAGE:
                return np.asarray(self.ket(x.args[0]).mean(axis=-1))
            case Op.MATMUL:
                name, indices, flipped = x.attr
                image = self._matrix((name, indices)).apply(self.rows(x.args[0]), flipped)
                return image.reshape((*self._shape(x), self.size))
            case Op.MEAN:
                tuples = max(16, TUPLES // self.size)
                region = self.plan.regions[x]
                return region.average(self.ket, self._shape, self.size, tuples, self.rng)
            case _:
                raise InternalError(f"{x.op.name} in a step of a training run")

    def _leaf(self, x: Node) -> Array:
        match x.op:
            case Op.CONST:
                return np.asarray(x.attr, dtype=float)
            case Op.SIZE:
                return np.asarray(float(self.plan.task.step.sizes[str(x.attr)]))
            case Op.DATA:
                return self.plan.task.step.data[str(x.attr)]
            case Op.INIT_SCALAR | Op.INIT_VECTOR:
                if x.attr in self.entries:
                    return self.entries[x.attr].value
                return self._initial(x)
            case _:
                raise InternalError(f"{x.op.name} in a step of a training run")

    def _initial(self, x: Node) -> Array:
        """The first value of a weight, or the only one of what is none."""
        shape = self._shape(x)
        weight = self.plan.task.weights.get(x.attr)
        if x.op is Op.INIT_SCALAR:
            value = np.full(shape, 0.0 if weight is None else weight.mean)
        else:
            value = self._root(x).reshape((*shape, self.size))
            if weight is not None:
                size = weight.exponents.a + weight.exponents.b + self.plan.task.output_exponent
                vanishes = x.attr in self.plan.readouts and size > 1
                value = 0.0 * value if vanishes else weight.mean + weight.scale * value
        if weight is not None:
            self.entries[x.attr] = Entries(weight, value)
        else:
            self.constant[x] = value
        return value

    def _root(self, x: Node) -> Array:
        """A standard normal multi-ket, orthogonal to what cannot depend on it: at its first use,
        all kets of its space."""
        space, of = self._space(x), self.plan.spaces.of
        new = self.coordinates.pop(x, None)
        if new is None:
            new = space.take(self.plan.rank(x))
        older = [y for y in self.values if is_ket(y) and self.spaces[of[y, 0]] is space]
        return space.root(new, np.concatenate([self.rows(y) for y in older]) if older else None)

    def _matrix(self, key: Key) -> Matrix:
        if key not in self.matrices:
            rows, columns = (self.spaces[i] for i in self.plan.spaces.sides[key])
            weight = self.plan.task.weights.get(key)
            self.matrices[key] = Matrix(
                weight, rows, columns,
                moves=key in self.plan.gradients, dtype=self.dtype,
            )  # fmt: skip
        return self.matrices[key]

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


def bad(values: Mapping[Node, Array], nodes: tuple[Node, ...]) -> Node | None:
    """The first of some nodes that is not finite."""
    for x in nodes:
        if x in values and not np.isfinite(values[x]).all():
            return x
    return None
