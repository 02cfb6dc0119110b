"""What the outputs of a run in the neural tangent limit read: f_t as a function of f_0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial, reduce

import numpy as np

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.existing import examine, is_risky
from nexort.limit.exact.integrands import UNKNOWN
from nexort.limit.exact.solve import solve
from nexort.limit.existence.ranges import VARIABLE, Growth, ValueRange
from nexort.limit.settings import Settings
from nexort.limit.training.reading.laws import growth, lift_scalars, program_of, with_span
from nexort.limit.training.tangent.exact import WeightKernels, weight_kernels
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.recursion import RTOL, Recursion
from nexort.limit.training.tangent.standard import decay_factors, is_drawn, standard_nodes
from nexort.program import build
from nexort.program.linearity import Linearity, linearity
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.roundings import UNIT, Rounded
from nexort.program.types import Kind, ket, scalar
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import NexortError, Span
from nexort.training.task import Task, output_slot

LARGE = 64
"""Entries of f up to which it is written as a function of f_0."""

FEW = 12
"""The same, entry by entry."""

ROUNDING = 1e-12


class TangentReading:
    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.data: dict[str, Array] = {}
        self.known: dict[Node, ValueRange] = {}
        self.axes = task.out.type.axes
        self.rest: Array | None = None
        """An f that stays, where there is one."""
        self.drawn = is_drawn(task)
        if self.drawn and task.given_start() is None and task.steps:
            self._first_signal()

    def dense(self, slots: Iterable[Node]) -> dict[Node, ValueRange]:
        return {}

    def certain(self, slots: Iterable[Node]) -> bool:
        return False

    def value(
        self, program: Unrolled, means: Sequence[Node], output: UnrolledOutput
    ) -> LimitValue | None:
        if not self.drawn or not self.settings.exact or self.start not in walk(means):
            return None
        if any(x.op is Op.DATA and x.attr in self.data for x in walk(means)):
            return None  # kernels with errors
        rtol = self.settings.rtol or RTOL
        found = solve(program, rtol, self.settings.memory).outputs
        names = {x: o.name for o in program.outputs for x in o.members}
        if any(names[x] not in found for x in means):
            return None
        parts = [found[names[x]] for x in means]
        shape = self.task.step.shape(output.axes)
        value, error = (
            np.stack([np.broadcast_to(x, shape) for x in some]).reshape(
                (*output.family_shape, *shape)
            )
            for some in ([x.value for x in parts], [x.error for x in parts])
        )
        method = max((x.method for x in parts), key=lambda text: not text.startswith("exact"))
        return LimitValue(value, error, method)

    def polynomial(self) -> bool:
        fixed = [x for x, _ in self.task.moments.values() if x is not self.task.out]
        signals = range(self.task.steps if self.drawn else 0)
        return not any(map(is_risky, walk(fixed))) and not any(map(self._is_wild, signals))

    def spans(self) -> Mapping[Node, Span]:
        done = standard_nodes(self.task, self.task.step.spans, decay_factors(self.task, 0))
        return {done[x]: s for x, s in self.task.step.spans.items()}

    def at(self, slot: Node) -> Node:
        x, t = self.task.moments[slot]
        if x is not self.task.out:
            return standard_nodes(self.task, [x], decay_factors(self.task, t))[x]
        if not self.drawn or (t == 0 and self.task.given_start() is not None):
            return slot
        return self.output(t)

    def output(self, t: int) -> Node:
        """f_t, as a ket."""
        if t == 0:
            return self.start
        if self.affine is not None:
            return self._affine(self.affine[0][t], self.affine[1][t], f"f {t}")
        if t == 1 and self.kernels is not None and self.size <= LARGE:
            total = np.zeros((self.size, self.size))
            for key, (kernel, c) in self.kernels.weights.items():
                total += self.task.weights[key].rates[0] * c[0, 0] * kernel
            shape = self.task.step.shape(self.axes)
            step = self._numbers("kernel", total.reshape(shape + shape))
            chi = build.spread(self.signal(0, self.start), ket(self.axes))
            return build.call("sub", self.start, build.contract(step, chi, len(self.axes)))
        slot = Node(Op.SLOT, (), ("f", t), ket(self.axes))
        self.known[slot] = self._range(t)
        return slot

    @property
    def size(self) -> int:
        """Entries of f."""
        return int(np.prod(self.task.step.shape(self.axes), dtype=int))

    @cached_property
    def plan(self) -> TangentPlan:
        return TangentPlan.of(self.task)

    @cached_property
    def kernels(self) -> WeightKernels | None:
        """Of a run from a random f_0 that has them."""
        if self.task.given_start() is not None:
            return None
        return weight_kernels(self.plan, self.settings.rtol or RTOL, self.settings.memory)

    @cached_property
    def start(self) -> Node:
        """A ket of the law of f_0."""
        out = self.plan.steps[0].out
        assert out is not None
        return Node(Op.MATMUL, (out,), ("f at 0", (), False), ket(self.axes))

    @cached_property
    def affine(self) -> tuple[Array, Array] | None:
        """A and b of f_t = A_t (f_0 - y) + b_t, where these are known, y at :attr:`rest`."""
        slot = output_slot(self.axes)
        linear = all(is_affine_in(x, slot) for x in dict.fromkeys(self.task.errors))
        if not linear or self.size > LARGE or self.kernels is None:
            return None
        run, shape = Recursion(self.plan, self.kernels), self.task.step.shape(self.axes)
        zero, units = np.zeros(shape), [x.reshape(shape) for x in np.eye(self.size)]
        offset, _ = run.train(self.kernels, zero)
        slopes = np.stack([run.train(self.kernels, x)[0] - offset for x in units], axis=-1)
        rest = self._no_signal(units)
        stays, _ = run.train(self.kernels, rest)
        if np.array_equal(stays, np.broadcast_to(rest, stays.shape)):
            self.rest, offset = rest, stays
        slopes[np.abs(slopes) <= ROUNDING * np.abs(slopes).max(initial=0.0)] = 0.0
        if not np.isfinite(slopes).all():
            return None
        return slopes.reshape((len(offset), *shape, *shape)), offset

    def _no_signal(self, units: Sequence[Array]) -> Array:
        """A y whose entries have no error signal, where each has one of its own; else 0."""
        at_zero = self.task.signal(0, np.zeros_like(units[0]))
        own = np.array([self.task.signal(0, x)[x != 0][0] for x in units]).reshape(at_zero.shape)
        slope = own - at_zero
        found: Array = np.divide(-at_zero, slope, out=np.zeros(slope.shape), where=slope != 0)
        return found

    def _affine(self, slope: Array, offset: Array, name: str) -> Node:
        """A (f_0 - y) + b; b is exact where it is y."""
        rest = np.zeros(offset.shape) if self.rest is None else self.rest
        if self.size > FEW:
            full = (self._numbers(f"{name} {k}", x) for k, x in enumerate((slope, rest, offset)))
            by = next(full)
            moved = build.contract(by, build.call("sub", self.start, next(full)), len(self.axes))
            return build.call("add", moved, next(full))
        assert self.kernels is not None
        error = (self.kernels.error + UNIT) * (self.task.steps + 1)
        scale = max(np.abs(x).max(initial=0.0) for x in (slope, offset))

        def number(x: float) -> Node:
            return build.constant(Rounded(float(x), error * scale))

        def fixed(x: float) -> Node:
            return number(x) if self.rest is None else build.constant(float(x))

        def entry(at: tuple[int, ...]) -> Node:
            if len(at) < len(self.axes):
                parts = [entry((*at, k)) for k in range(offset.shape[len(at)])]
                return Node(Op.STACK, tuple(parts), None, ket(self.axes[len(at) :]))
            terms = [
                build.call("mul", number(slope[at + of]), self._from_rest(rest, of))
                for of in np.ndindex(offset.shape)
                if slope[at + of]
            ]
            first = build.spread(fixed(offset[at]), ket())
            return reduce(partial(build.call, "add"), terms, first)

        return entry(())

    def _from_rest(self, rest: Array, at: tuple[int, ...]) -> Node:
        own = build.take(self.start, at)
        return build.call("sub", own, build.constant(float(rest[at]))) if rest[at] else own

    def _numbers(self, name: str, value: Array) -> Node:
        """Data of the axes of f, once or twice; no name of a program has a space."""
        self.data[name] = value
        axes = self.axes if value.ndim == len(self.axes) else (*self.axes, *self.axes)
        return Node(Op.DATA, (), name, scalar(axes))

    def signal(self, t: int, f: Node) -> Node:
        """The error signal at a ket f_t."""
        slot, root = output_slot(self.axes), self.task.errors[t]
        return rewrite([root], lambda x: f if x is slot else lift_scalars(x))[root]

    def _first_signal(self) -> None:
        """Raises NexortError where it is not real or not finite with positive probability."""
        chi = self.signal(0, self.start) if self._is_wild(0) else None
        if chi is None or chi.type.kind is not Kind.KET:
            return
        span = self.task.places.get("error")
        spans = {} if span is None else {chi: span}
        try:
            examine(program_of(self.task, self, [chi], spans))
        except NexortError as problem:
            if any(x.code == "not-finite" for x in problem.diagnostics):
                raise with_span(problem, span, "at step 0, ") from None

    def _is_wild(self, t: int) -> bool:
        slot = Node(Op.SLOT, (), ("f", t), ket(self.axes))
        return any(map(is_risky, walk([self.signal(t, slot)])))

    def _range(self, t: int) -> ValueRange:
        """Of f_t: it grows as a power of f_0 where error signals do."""
        kind, power = self.growth
        if kind:
            return UNKNOWN
        return replace(VARIABLE, up=(0, min(1e6, max(1.0, power) ** min(t, 64))))

    @cached_property
    def growth(self) -> Growth:
        """Of error signals, as functions of f."""
        f = Node(Op.SLOT, (), ("f",), ket(self.axes))
        roots = [self.signal(t, f) for t in range(self.task.steps)]
        kets = [x for x in dict.fromkeys(roots) if x.type.kind is Kind.KET]
        return growth(self.task, program_of(self.task, self, kets, {}), kets, {f: VARIABLE})


def is_affine_in(root: Node, slot: Node) -> bool:
    """Whether a graph is affine in a slot, as far as its shape tells."""
    moving: set[Node] = {slot}
    for x in walk([root]):
        parts = [a in moving for a in x.args]
        if not any(parts):
            continue
        moving.add(x)
        match linearity(x) if x.op.local else None:
            case Linearity.SUM:
                fine = True
            case Linearity.PRODUCT:
                fine = not all(parts)
            case Linearity.QUOTIENT:
                fine = not parts[1]
            case None:
                fine = False
        if not fine:
            return False
    return True
