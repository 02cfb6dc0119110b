"""Which outputs of a training exist, each as a function of what it reads.

In the neural tangent limit kets stay what they are at initialization, f_0 is Gaussian of the
covariance <x|x> of a ket, and f_t - f_0 a sum of kernels times error signals (Thm 2.9.19): where
these are affine in f, so is f_t in f_0. A number that depends on f_0 is the mean over f_0, and
judged as the expectation of a function of a ket W|x>.

In the maximal update limit |W_t x> = W_0|x> + (what training has added). Where |x> at step t is no
linear combination of what W_0 has met before, the hat of W_0|x> is independent of all the rest: a
Gaussian part. All else is of a law that is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from itertools import islice, product
from typing import Protocol

import numpy as np

from nexort.beginning import Start, exists
from nexort.diagnostics import Diagnostic, NexortError, Span
from nexort.exact.engine import Engine
from nexort.exact.existing import EXPECTED, FULL, examine, is_risky, singular
from nexort.exact.integrands import TAME, UNKNOWN, Integrands
from nexort.exact.solve import solve
from nexort.existence.forms import plain
from nexort.existence.ranges import VARIABLE, Growth, NotShown, Range, bounds
from nexort.lower.evaluate import LimitValue, Settings
from nexort.maximal.fresh import has_fresh_part
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.roundings import rounded
from nexort.program.types import Kind, ket, scalar
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.tangent.exact import Kernels, kernels
from nexort.tangent.plan import Plan
from nexort.tangent.recursion import RTOL, Recursion
from nexort.tangent.standard import is_drawn, kept, standard
from nexort.training.task import Key, Task, output_slot

LARGE = 64
"""Entries of f up to which it is written as a function of f_0."""

FEW = 12
"""The same, entry by entry."""

ROUNDING = 1e-12


@dataclass
class Reading:
    """Outputs that are not shown to exist, and values of those that draws of f_0 say little of."""

    unknown: set[str]
    values: dict[str, LimitValue]


def read(task: Task, places: Mapping[str, Span], settings: Settings | None = None) -> Reading:
    """Of all outputs; ``places`` has the declarations of weights.

    Raises NexortError for what does not exist, with the reason.
    """
    shown = exists(task, places)
    settings = settings or Settings()
    laws: Laws = _Tangent(task, settings) if task.regime == "tangent" else _Maximal(task)
    found = Reading(set(), {})
    for output in task.outputs:
        if not _shown(task, laws, output, found.values) or not shown:
            found.unknown.add(output.name)
    return found


class Laws(Protocol):
    """What outputs read, by its law."""

    data: dict[str, Array]
    known: dict[Node, Range]
    """Of SLOT nodes that are kets."""

    def at(self, slot: Node) -> Node:
        """The value of a moment: a ket where it is random."""
        ...

    def spans(self) -> Mapping[Node, Span]:
        """Where the network's nodes were written."""
        ...

    def dense(self, slots: Iterable[Node]) -> dict[Node, Range]:
        """Ranges of those that may have an independent Gaussian part."""
        ...

    def certain(self, slots: Iterable[Node]) -> bool:
        """Whether all of these have."""
        ...

    def polynomial(self) -> bool:
        """Whether all that is read grows as powers of Gaussians."""
        ...

    def value(
        self, program: Unrolled, means: Sequence[Node], output: UnrolledOutput
    ) -> LimitValue | None:
        """The value of an output whose members' means a program has, where it is a function of
        f_0 and exact."""
        ...


def _shown(task: Task, laws: Laws, output: UnrolledOutput, values: dict[str, LimitValue]) -> bool:
    """Whether an output is shown to exist; its value, where it is a singular function of f_0, is
    added to the others. Raises NexortError."""
    inside = walk(output.members)
    if not any(map(_grows, inside)) and laws.polynomial():
        return True
    done = rewrite(output.members, lambda x: _lifted(laws.at(x) if x in task.moments else x))
    members = [done[m] for m in output.members]
    slots = [x for x in walk(members) if x in laws.known]
    spans = {**laws.spans(), **{done[x]: s for x, s in task.spans.items() if x in done}}
    if output.span is not None:
        spans = {**dict.fromkeys(members, output.span), **spans}
    program = _program(task, laws, members, spans)
    try:
        unknown = examine(program, FULL, laws.known)
        fresh = laws.dense(slots) if unknown else {}
        if fresh:
            unknown = _with_density(program, laws, fresh)
    except NexortError as problem:
        raise _placed(problem, output.span) from None
    if any(_reads_f(task, x) for x in inside if x.op in EXPECTED) and any(map(_grows, inside)):
        return False
    if unknown or not all(laws.known[x].tame for x in slots):
        return False
    value = laws.value(program, [_mean(m) for m in members], output)
    if value is not None:
        values[output.name] = value
    return True


def _with_density(program: Unrolled, laws: Laws, fresh: Mapping[Node, Range]) -> frozenset[Node]:
    """As :func:`examine`, with slots that may be dense, where what that says needs them to be."""
    problem, unknown = None, frozenset[Node]()
    try:
        unknown = examine(program, FULL, {**laws.known, **fresh})
    except NexortError as found:
        problem = found
    if (problem or not unknown) and laws.certain(fresh):
        if problem:
            raise problem
        return unknown
    return examine(program, FULL, laws.known)


def _grows(x: Node) -> bool:
    """A function that is not a polynomial, nor bounded by one."""
    if not singular(x) or not any(y.op is Op.SLOT for y in walk(x.args[1:] or x.args)):
        whole = x.op is Op.CALL and x.attr == "pow" and x.args[1].op is Op.CONST
        return whole and not (isinstance(x.args[1].attr, int) and x.args[1].attr >= 0)
    return True


def _reads_f(task: Task, node: Node) -> bool:
    """Whether an expectation is itself a function of a random f."""
    f = (x for x in walk([node]) if x in task.moments and task.moments[x][0] is task.out)
    return task.regime == "tangent" and is_drawn(task) and any(f)


def _lifted(x: Node) -> Node:
    """A function of scalars of which some have become kets."""
    random = any(a.type.kind is Kind.KET for a in x.args)
    if x.type.kind is Kind.KET or not random or x.op in EXPECTED:
        return x
    if x.op is Op.CALL:
        return build.call(str(x.attr), *x.args)
    return Node(x.op, x.args, x.attr, ket(x.type.axes))


def _program(task: Task, laws: Laws, roots: Iterable[Node], spans: Mapping[Node, Span]) -> Unrolled:
    """A program of the means of these."""
    outputs = tuple(
        UnrolledOutput(f"{k}", (x,), ((),), (), x.type.axes, None)
        for k, x in enumerate(dict.fromkeys(map(_mean, roots)))
    )
    data = {**task.step.data, **laws.data}
    return replace(task.step, outputs=outputs, data=data, spans=spans)


def _mean(x: Node) -> Node:
    return build.average(x) if x.type.kind is Kind.KET else x


def _placed(problem: NexortError, span: Span | None, prefix: str = "") -> NexortError:
    """With a place, where it has none."""
    return NexortError(
        [
            replace(x, span=x.span or span, message=prefix + x.message)
            if isinstance(x, Diagnostic)
            else x
            for x in problem.diagnostics
        ]
    )


# ---- the neural tangent limit --------------------------------------------------------------------


class _Tangent:
    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.data: dict[str, Array] = {}
        self.known: dict[Node, Range] = {}
        self.axes = task.out.type.axes
        self.drawn = is_drawn(task)
        if self.drawn and task.given_start() is None and task.steps:
            self._first_signal()

    def dense(self, slots: Iterable[Node]) -> dict[Node, Range]:
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
        done = standard(self.task, self.task.step.spans, kept(self.task, 0))
        return {done[x]: s for x, s in self.task.step.spans.items()}

    def at(self, slot: Node) -> Node:
        x, t = self.task.moments[slot]
        if x is not self.task.out:
            return standard(self.task, [x], kept(self.task, t))[x]
        if not self.drawn or (t == 0 and self.task.given_start() is not None):
            return slot
        return self.output(t)

    def output(self, t: int) -> Node:
        """f_t, as a ket."""
        if t == 0:
            return self.start
        if self.affine is not None:
            slope, offset = (x[t] for x in self.affine)
            return self._affine(slope, offset, f"f {t}")
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
    def plan(self) -> Plan:
        return Plan.of(self.task)

    @cached_property
    def kernels(self) -> Kernels | None:
        """Of a run from a random f_0 that has them."""
        if self.task.given_start() is not None:
            return None
        return kernels(self.plan, self.settings.rtol or RTOL, self.settings.memory)

    @cached_property
    def start(self) -> Node:
        """A ket of the law of f_0."""
        out = self.plan.steps[0].out
        assert out is not None
        return Node(Op.MATMUL, (out,), ("f at 0", (), False), ket(self.axes))

    @cached_property
    def affine(self) -> tuple[Array, Array] | None:
        """A and b of f_t = A_t f_0 + b_t, where these are known."""
        slot = output_slot(self.axes)
        linear = all(is_affine(x, slot) for x in dict.fromkeys(self.task.errors))
        if not linear or self.size > LARGE or self.kernels is None:
            return None
        run, shape = Recursion(self.plan, self.kernels), self.task.step.shape(self.axes)
        offset, _ = run.train(self.kernels, np.zeros(shape))
        slopes = np.stack(
            [
                run.train(self.kernels, unit.reshape(shape))[0] - offset
                for unit in np.eye(self.size)
            ],
            axis=-1,
        )
        slopes[np.abs(slopes) <= ROUNDING * np.abs(slopes).max(initial=0.0)] = 0.0
        if not np.isfinite(slopes).all():
            return None
        return slopes.reshape((len(offset), *shape, *shape)), offset

    def _affine(self, slope: Array, offset: Array, name: str) -> Node:
        """A f_0 + b."""
        if self.size > FEW:
            full = (self._numbers(f"{name} {k}", x) for k, x in enumerate((slope, offset)))
            moved = build.contract(next(full), self.start, len(self.axes))
            return build.call("add", moved, next(full))
        assert self.kernels is not None
        error = self.kernels.error * (self.task.steps + 1)

        def number(x: float) -> Node:
            return build.constant(rounded(float(x), error * abs(float(x))))

        def entry(at: tuple[int, ...]) -> Node:
            if len(at) < len(self.axes):
                parts = [entry((*at, k)) for k in range(offset.shape[len(at)])]
                return Node(Op.STACK, tuple(parts), None, ket(self.axes[len(at) :]))
            terms = [
                build.call("mul", number(slope[at + of]), build.take(self.start, of))
                for of in np.ndindex(offset.shape)
                if slope[at + of]
            ]
            first = build.spread(number(offset[at]), ket())
            return reduce(partial(build.call, "add"), terms, first)

        return entry(())

    def _numbers(self, name: str, value: Array) -> Node:
        """Data of the axes of f, once or twice; no name of a program has a space."""
        self.data[name] = value
        axes = self.axes if value.ndim == len(self.axes) else (*self.axes, *self.axes)
        return Node(Op.DATA, (), name, scalar(axes))

    def signal(self, t: int, f: Node) -> Node:
        """The error signal at a ket f_t."""
        slot, root = output_slot(self.axes), self.task.errors[t]
        return rewrite([root], lambda x: f if x is slot else _lifted(x))[root]

    def _first_signal(self) -> None:
        """Raises NexortError where it is not real or not finite with positive probability."""
        chi = self.signal(0, self.start) if self._is_wild(0) else None
        if chi is None or chi.type.kind is not Kind.KET:
            return
        span = self.task.places.get("error")
        spans = {} if span is None else {chi: span}
        try:
            examine(_program(self.task, self, [chi], spans))
        except NexortError as problem:
            if any(x.code == "not-finite" for x in problem.diagnostics):
                raise _placed(problem, span, "at step 0, ") from None

    def _is_wild(self, t: int) -> bool:
        slot = Node(Op.SLOT, (), ("f", t), ket(self.axes))
        return any(map(is_risky, walk([self.signal(t, slot)])))

    def _range(self, t: int) -> Range:
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
        return growth(self.task, _program(self.task, self, kets, {}), kets, {f: VARIABLE})


def growth(
    task: Task, program: Unrolled, kets: Iterable[Node], laws: Mapping[Node, Range]
) -> Growth:
    """The largest of some kets of a program, the first power at least."""
    integrands = Integrands(Engine(program), 0, laws)
    most: Growth = (0, 1.0)
    for x in kets:
        shape = task.step.shape(x.type.axes)
        for at in islice(product(*map(range, shape)), FULL.pairs):
            graph = plain(integrands.graph(x, at))
            slots = [y for y in walk([graph]) if y.op is Op.SLOT]
            try:
                most = max(
                    most, bounds(graph, {y: integrands.ranges.get(y, VARIABLE) for y in slots}).up
                )
            except NotShown:
                return UNKNOWN.up
    return most


def is_affine(root: Node, slot: Node) -> bool:
    """Whether a graph is affine in a slot, as far as its shape tells."""
    moving: set[Node] = {slot}
    for x in walk([root]):
        parts = [a in moving for a in x.args]
        if not any(parts):
            continue
        moving.add(x)
        name = str(x.attr) if x.op is Op.CALL else x.op.name
        if name in ("mul", "CONTRACT"):
            fine = not all(parts)
        elif name == "div":
            fine = not parts[1]
        else:
            fine = name in ("add", "sub", "neg") or x.op in LINEAR
        if not fine:
            return False
    return True


LEAVES = (Op.MATMUL, Op.INIT_VECTOR, Op.INIT_SCALAR)
LINEAR = (Op.TAKE, Op.TRANSPOSE, Op.DIAGONAL, Op.SPREAD, Op.STACK)


# ---- the maximal update limit --------------------------------------------------------------------


class _Maximal:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.data: dict[str, Array] = {}
        self.known: dict[Node, Range] = {}
        self.images: dict[Node, tuple[Node, int]] = {}
        """The applications of matrices, and their steps, that slots stand for."""

    @cached_property
    def begin(self) -> Start:
        found = Start(self.task, [self.task.out, *(x for x, _ in self.task.moments.values())])
        self.data |= found.data
        return found

    @cached_property
    def law(self) -> Range:
        """Of a ket at a later step: it grows as a power of Gaussians where all does that it is made
        of, and as the first power where gradients do, and updates are linear in them."""
        task = self.task
        kets = [x for g in task.gradients.values() for pair in g.pairs for x in pair]
        kets += [g.ket for g in task.gradients.values() if g.ket is not None]
        inside = walk([task.out, *kets])
        kets += [x.args[0] for x in inside if x.op is Op.MATMUL]
        kets += [a for x in inside if x.op in EXPECTED[:2] for a in x.args]
        done: dict[Node, Node] = {}
        for x in inside:
            if x.op in LEAVES and x.type.kind is Kind.KET:
                done[x] = Node(Op.SLOT, (), ("any", x.serial), x.type)
            else:
                done[x] = x.with_args(tuple(done[a] for a in x.args))
        slots = {x: VARIABLE for x in done.values() if x.op is Op.SLOT}
        roots = [done[x] for x in dict.fromkeys(kets) if x.type.kind is Kind.KET]
        kind, power = growth(task, _program(task, self, roots, {}), roots, slots)
        if kind:
            return UNKNOWN
        moving = (w for w in task.weights.values() if w.active and np.any(w.rates))
        linear = all(w.update.coefficients(1) is not None for w in moving)
        return replace(VARIABLE) if linear and power <= 1 + ROUNDING else TAME

    def spans(self) -> Mapping[Node, Span]:
        return self.begin.spans

    def at(self, slot: Node) -> Node:
        x, t = self.task.moments[slot]
        if x is self.task.out:
            return slot
        done: dict[Node, Node] = {}
        moved: set[Node] = set()
        for y in walk([x]):
            key = y.attr[:2] if y.op is Op.MATMUL else y.attr
            weight = y.op in LEAVES
            if (weight and self._moves(key, t)) or any(a in moved for a in y.args):
                moved.add(y)
            if y not in moved:
                done[y] = self.begin.at(y)
            elif weight:
                done[y] = self._slot(y, key, t)
            else:
                done[y] = y.with_args(tuple(done[a] for a in y.args))
        return done[x]

    def value(
        self, program: Unrolled, means: Sequence[Node], output: UnrolledOutput
    ) -> LimitValue | None:
        return None

    def polynomial(self) -> bool:
        return not self.law.up[0]

    def _moves(self, key: Key, t: int) -> bool:
        """Whether a weight is another at step t than at the start."""
        w = self.task.weights.get(key)
        if w is None:
            return False
        trained = w.active and np.any(w.rates[:t]) and not self.task.gradients[key].is_zero
        return bool(trained or np.any(w.decay[:t]))

    def _slot(self, x: Node, key: Key, t: int) -> Node:
        """What stands for a weight, or what it makes, at a later step."""
        slot = Node(Op.SLOT, (), ("later", x.serial, t), x.type)
        if x.type.kind is Kind.KET:
            dense = x.op is Op.MATMUL
            if key in self.task.weights:
                w = self.task.weights[key]
                dense = dense and w.scale > 0 and bool(np.all(w.decay[:t] != 1))
            self.known[slot] = self.law
            if dense:
                self.images[slot] = x, t
        return slot

    def dense(self, slots: Iterable[Node]) -> dict[Node, Range]:
        return {x: replace(self.known[x], dense=True) for x in slots if x in self.images}

    def certain(self, slots: Iterable[Node]) -> bool:
        return has_fresh_part(self.task, [self.images[x] for x in slots])
