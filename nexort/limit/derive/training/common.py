"""What both limits of a training are put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nexort.limit.derive.algebra import (
    MINUS_ONE,
    Names,
    axis_sum,
    index_names,
    mul,
    number,
    power,
    reindexed,
    unbound,
)
from nexort.limit.derive.derivation import Equation, Label, OutputFormula, Range, UpdateFunction
from nexort.limit.derive.formula import ONE, Formula, IndexNumber, Indices, Symbol
from nexort.limit.derive.indexing import Indexer
from nexort.limit.derive.lines import System
from nexort.limit.derive.matching import grid
from nexort.limit.derive.naming import labelled
from nexort.limit.derive.normal import normalized
from nexort.limit.derive.trace import Trace
from nexort.limit.derive.training.backward import Backward, Gradient, backward, seed_label
from nexort.limit.derive.training.network import Forward, forward
from nexort.limit.derive.training.regime import Member, Regime, regime
from nexort.limit.derive.training.updates import Move, Moves, optimizer, singled_out
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine
from nexort.program.network import OUTPUT, STEP_VARIABLE, Training
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.program import OutputRule, Program
from nexort.support.diagnostics import fail

ERROR = "chi"
ZERO_STEP = Affine()
ONE_STEP = Affine(1)


@dataclass
class Run:
    """A training, read: its network forth and back, how weights move, and the names of the run."""

    program: Program
    training: Training
    names: Names
    trace: Trace
    forward: Forward
    backward: Backward
    regime: Regime
    moves: Mapping[Member, Move]
    """How weights move, those that move in the limit and others; see :meth:`move`."""
    functions: tuple[UpdateFunction, ...]
    error: str
    """The name of the error signal."""
    outside: System
    """The program's own lines and outputs, over the members of the run."""
    products: dict[str, Formula] = field(default_factory=dict)
    """Names of products of what decay keeps, and the factor of step t."""

    def move(self, gradient: Gradient) -> Move:
        """How the members of a gradient move."""
        return self.moves[gradient.name, gradient.indices]

    def is_active(self, gradient: Gradient) -> bool:
        """Whether the updates of these members are seen in the limit."""
        return (gradient.name, gradient.indices) in self.regime.active

    def gradients(self, name: str) -> list[Gradient]:
        """The gradients of a family of weights."""
        return self.backward.gradients[name]

    def kept(self, gradient: Gradient, first: Affine, last: Affine) -> Formula:
        """prod_{r = first}^{last - 1} (1 - decay_r) of a weight: a power where the decay is the
        same at all steps, else a number with equations of its own."""
        keep = self.move(gradient).keep
        gap = last - first
        if keep == ONE or gap == Affine():
            return ONE
        if STEP_VARIABLE not in index_names(keep):
            exponent: Formula = IndexNumber(gap) if gap.terms else number(gap.constant)
            return power(keep, exponent)
        name = next((n for n, k in self.products.items() if k == keep), None)
        if name is None:
            more = sum(n.startswith(f"kept_{gradient.name}") for n in self.products)
            name = f"kept_{gradient.name}" + (str(more) if more else "")
        self.products[name] = keep
        return Symbol(name, (first, last))

    def rate(self, gradient: Gradient, step: Affine, indices: Indices | None = None) -> Formula:
        """The learning rate of a step, over the norm where updates are divided by one."""
        move = self.move(gradient)
        value = reindexed(move.rate, {STEP_VARIABLE: step})
        if move.norm is None:
            return value
        return mul(value, power(self.norm(gradient, step, indices), MINUS_ONE))

    def norm(self, gradient: Gradient, step: Affine, indices: Indices | None = None) -> Symbol:
        """What the update of a step is divided by, a number with an equation of its own."""
        at = gradient.indices if indices is None else indices
        return Symbol(f"nu_{gradient.name}", (*at, step))

    def threshold(self, gradient: Gradient) -> Formula:
        """The threshold of a norm over the step ``t``."""
        found = self.move(gradient).norm
        assert found is not None
        assert found.threshold is not None
        return Indexer(self.program, self.names, _never).formula(found.threshold, (), {})

    def product_equations(self) -> Iterator[Equation]:
        """The products of what decay keeps."""
        for name, keep in self.products.items():
            s, all_steps = self.steps("s")
            yield Equation(Symbol(name, (s, s)), ONE, (all_steps,), (), False)
            s, _ = self.steps("s")
            t, span = self.steps(last=-1)
            factor = reindexed(keep, {STEP_VARIABLE: t})
            [(var, _)] = s.terms
            yield Equation(
                Symbol(name, (s, t + ONE_STEP)), mul(factor, Symbol(name, (s, t))),
                (span, Range(var, ZERO_STEP, t)), (), False,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """The name of the output."""
        return self.training.network.name

    @property
    def labels(self) -> tuple[Label, ...]:
        """Labels of the axes of f."""
        return labelled(self.training.network.axes)

    def steps(self, hint: str = "t", last: int = 0) -> tuple[Affine, Range]:
        """A variable of its own for steps 0..T + last."""
        var = self.names.fresh(hint)
        return Affine.variable(var), Range(var, ZERO_STEP, self.training.steps + Affine(last))

    def fixed(self) -> frozenset[str]:
        """Initial objects that are not trained."""
        initial = {*self.program.initial, *self.forward.system.initial}
        return frozenset(initial) - self.training.network.weights.keys()

    def is_backward(self, name: str) -> bool:
        """Whether a family is one of cotangents or of W^T applied to them."""
        return any(x.name == name for x in self.backward.lines)

    def noise(self, weight: str) -> str:
        """The name of the standard Gaussian that a weight with a mean starts from."""
        name = f"z{weight}"
        taken = {*self.forward.taken(), *self.backward.duals.values()}
        while name in taken:
            name += "0"
        return name

    def spare(self, *names: str) -> str:
        """The first of some names that nothing has."""
        program, outside = self.program, self.outside
        taken = {*self.forward.taken(), *self.backward.duals.values(), self.error}
        taken |= {*program.params, *program.data, *program.dims, *outside.scalars, *outside.kets}
        return next(n for n in names if n not in taken)

    def given_start(self) -> Formula:
        """The f_0 that is given, over the labels of f."""
        assert isinstance(self.training.start, Node)
        at = tuple(Affine.variable(x.label) for x in self.labels)
        return Indexer(self.program, self.names, _never).formula(self.training.start, at, {})

    def outside_output(
        self, output: OutputRule, evaluated: Callable[[Formula], Formula]
    ) -> OutputFormula:
        """An output that is not f itself."""
        if output.family is None:
            labels = labelled(output.axes)
            axes = tuple(Affine.variable(x.label) for x in labels)
            value = evaluated(self.outside.outputs[output.name])
            given = self.outside.given[output.name]
            return OutputFormula(output.name, (), axes, value, (), labels, given)
        lines = self.outside.scalars.get(output.family, [])
        if len(lines) != 1:
            raise Unsupported(f"the output '{output.name}' is made of several rules")
        [x] = lines
        value = evaluated(x.value)
        given = Symbol(x.name, x.indices, x.axes)
        return OutputFormula(output.name, x.indices, x.axes, value, x.ranges, x.labels, given)

    def signal(self, step: Affine) -> Formula:
        """chi at a step, over the labels of f."""

        def place(x: Node) -> Node:
            if x.op is Op.SLOT and x.attr == OUTPUT:
                return Node(Op.REF, (), (self.output, (Affine.variable(STEP_VARIABLE),)), x.type)
            return x

        node = rewrite([self.training.error], place)[self.training.error]
        at = tuple(Affine.variable(x.label) for x in self.labels)
        return Indexer(self.program, self.names, _never).formula(node, at, {STEP_VARIABLE: step})

    def weighted(self, gradient: Formula, step: Affine) -> Formula:
        """sum_i chi_i times the gradient of output i, chi at a step; the gradient as it is."""
        axes = self.training.network.axes
        seeds = tuple(Affine.variable(seed_label(k)) for k in range(len(axes)))
        body = mul(Symbol(self.error, (step,), seeds), gradient)
        for k, axis in reversed(list(enumerate(axes))):
            new = self.names.fresh()
            body = reindexed(body, {seed_label(k): Affine.variable(new)})
            body = axis_sum(new, axis.name, body)
        return unbound(body, self.names)


def read(program: Program, numbers: Mapping[str, int | float]) -> Run:
    """Read a training. Raises NexortError, Unsupported."""
    assert program.training is not None
    training = program.training
    names = Names()
    ahead = forward(program, names)
    for weight in training.network.weights.values():
        if weight.kind == "matrix" and not _is_zero(weight.mean):
            raise Unsupported(f"the matrix '{weight.name}' has a mean")
    moves = Moves(program, training, names)
    back = backward(ahead, singled_out(training))
    _check_apart(back, numbers)
    members = [(g.name, g.indices) for some in back.gradients.values() for g in some]
    told = regime(training, {m: optimizer(training, *m) for m in members}, numbers)
    found = {m: moves.of(*m) for m in members}
    taken = {*ahead.taken(), *program.params, *program.data, *program.dims, *program.families}
    taken |= set(back.duals.values())
    error = next(n for n in (ERROR, "error", "errors", "chis") if n not in taken)
    outside = normalized(replace(program, training=None), names, kets_exist=False)
    for line in outside.applications():
        message = (
            f"'{line.name}' cannot be derived symbolically: a matrix acts outside of the network"
        )
        raise fail("not-derivable", message, line.span, help="write it as a rule of the network")
    functions = tuple(
        x for x in moves.functions.values()
        if x.states and any(found[m].function is x for m in told.active)
    )  # fmt: skip
    return Run(
        program, training, names, Trace(), ahead, back, told, found, functions, error, outside
    )


def _check_apart(back: Backward, numbers: Mapping[str, int | float]) -> None:
    """Ranges that are apart for large params must be so at the program's numbers."""
    known = {k: v for k, v in numbers.items() if isinstance(v, int)}
    seen: dict[tuple[str, tuple[int, ...]], object] = {}
    lines: list[tuple[str, Indices, tuple[Range, ...]]] = [
        (x.name, x.indices, x.ranges) for x in back.lines
    ]
    lines += [(g.name, g.indices, g.ranges) for some in back.gradients.values() for g in some]
    for name, indices, ranges in lines:
        try:
            members = [
                tuple(i.value({**known, **env}) for i in indices) for env in grid(ranges, known)
            ]
        except KeyError:
            continue
        for at in members:
            if (name, at) in seen:
                shown = f"{name}[{', '.join(map(str, at))}]"
                raise Unsupported(f"at these numbers '{shown}' is in two ranges of a general form")
            seen[name, at] = None


def _is_zero(node: Node) -> bool:
    return node.op is Op.CONST and node.attr == 0


def _never(*_: object) -> Formula:
    raise Unsupported("an error signal has no operators")
