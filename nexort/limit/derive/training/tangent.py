"""The neural tangent limit of a training (Thm 2.4.9, 2.9.23): kets stay as they are at the start.

    f_{t+1} = f_t - rate K_t,
    K_t = sum_W <dg|Q_t(|dh> chi_<=t <z|)|y> + sum_v <dv|Q_t(|dv> chi_<=t)>,

with a sum over the weights, for a matrix over all pairs h = W z, g = W y, and for each over its
members. The kets and their covariances are those of the network and its backward pass at
initialization, a program without training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import (
    add,
    axis_sum,
    index_names,
    loop_sum,
    mul,
    neg,
    rebuilt,
    reindexed,
    unbound,
)
from nexort.limit.derive.derivation import Derivation, GaussianFamily, Label, Range
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import ONE, ZERO, Expectation, Formula, Indices, Ket, Symbol
from nexort.limit.derive.initials import standard
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.training.backward import Gradient, seed_label
from nexort.limit.derive.training.common import ZERO_STEP, Run
from nexort.limit.derive.training.network import deviation, number
from nexort.limit.derive.training.norms import norm, normalized
from nexort.limit.derive.training.steps import step_system
from nexort.limit.derive.training.timed import entries
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine
from nexort.program.network import STEP_VARIABLE

ONE_STEP = Affine(1)


def tangent(run: Run) -> Derivation:
    """The limit. Raises Unsupported, NexortError."""
    return Tangent(run).derivation()


def check_scalars(run: Run) -> None:
    """Raises Unsupported if a scalar weight moves: there is no such limit (Thm 2.9.19)."""
    for name, declared in run.training.network.weights.items():
        moving = any(run.is_active(g) for g in run.gradients(name))
        if declared.kind == "scalar" and moving:
            raise Unsupported(
                f"the scalar weight '{name}': the neural tangent limit has no scalar parameters "
                "(Thm 2.9.19)"
            )


class Tangent:
    """The limit of a training: network, backward pass, K and f as lines, before rules of
    expectations (:meth:`system`), and by them (:meth:`derivation`)."""

    def __init__(self, run: Run) -> None:
        self.run, self.names = run, run.names
        weights = run.training.network.weights
        check_scalars(run)
        self.active = [g for n in weights for g in run.gradients(n) if run.is_active(g)]
        self.kernel = run.spare("K_Q", "K", "Theta", "NTK", "kernel")

    def derivation(self) -> Derivation:
        """Everything, by the engine of programs."""
        run = self.run
        system = self.system()
        program = replace(run.program, training=None)
        engine = Engine(program, system, self.names)
        for line in system.scalars[self.kernel]:
            left = Symbol(line.name, line.indices, line.axes)
            engine.trace.record("neural tangent operator", left, line.value)
        if self._start() is None:
            engine.processes[run.output] = lambda: self._process(engine)
        found = replace(engine.run(), regime="tangent", updates=run.functions)
        outputs = tuple(
            replace(o, ranges=tuple(replace(r, first=ZERO_STEP) for r in o.ranges))
            if isinstance(o.value, Symbol) and o.value.name == run.output and o.value.indices
            else o
            for o in found.outputs
        )
        closed = found.closed and not any(g.reason == "output" for g in found.gaussians)
        return replace(found, outputs=outputs, closed=closed)

    # ---- lines -----------------------------------------------------------------------------------

    def system(self) -> System:
        """Network, backward pass and the recursion of f, as one program."""
        run = self.run
        system = step_system(run)
        weights = run.training.network.weights
        values: dict[str, Formula] = {}
        for name, declared in weights.items():
            mean = number(declared.mean)
            if declared.kind == "scalar":
                values[name] = mean
            elif declared.kind == "vector":
                variance = number(declared.variance)
                if mean != ZERO:
                    self._shifted(system, name, mean)
                elif variance != ONE:
                    system.initial[name] = _Scaled(variance)
        for group in (system.kets, system.scalars):
            for name, lines in group.items():
                group[name] = [replace(x, value=_placed(x.value, values)) for x in lines]
        self.values = values
        del system.scalars[run.output]
        system.scalars[run.output] = list(self._outputs())
        system.scalars[run.error] = [self._signal()]
        system.scalars[self.kernel] = [self._operator()]
        for line in self._norms():
            system.scalars.setdefault(line.name, []).append(line)
        for name, lines in run.outside.scalars.items():
            system.scalars[name] = [replace(x, value=self._unmoved(x.value)) for x in lines]
        for name, lines in run.outside.kets.items():
            system.kets[name] = [replace(x, value=self._unmoved(x.value)) for x in lines]
            system.axes[name] = run.outside.axes[name]
        for name, value in run.outside.outputs.items():
            system.outputs[name] = self._unmoved(value)
            system.given[name] = run.outside.given[name]
        return system

    def _shifted(self, system: System, name: str, mean: Formula) -> None:
        """A weight with a mean: mean + deviation times a standard Gaussian."""
        noise = self.run.noise(name)
        system.initial[noise] = standard
        del system.initial[name]
        system.initial_ranges[noise] = system.initial_ranges.pop(name)
        system.axes[noise] = system.axes[name]
        declared = self.run.training.network.weights[name]
        ranges = tuple(replace(r, var=self.names.fresh("k")) for r in system.initial_ranges[noise])
        at = tuple(Affine.variable(r.var) for r in ranges)
        labels = tuple(Label(f"${k}", a) for k, a in enumerate(system.axes[name]))
        axes = tuple(Affine.variable(x.label) for x in labels)
        value = add(mean, mul(deviation(declared), Ket(noise, at, axes)))
        system.kets[name] = [Line(name, at, ranges, labels, value, declared.span)]

    def _unmoved(self, formula: Formula) -> Formula:
        """A formula of members of the run, all of which are as at the start."""
        network = self.run.training.network
        own = network.families.keys() | network.weights.keys()

        def visit(item: Formula) -> Formula:
            if isinstance(item, Ket | Symbol) and item.name in own:
                return _placed(replace(item, indices=item.indices[:-1]), self.values)
            return rebuilt(item, visit)

        return visit(formula)

    # ---- the recursion of f ----------------------------------------------------------------------

    def _line(self, name: str, index: Affine, ranges: tuple[Range, ...], value: Formula) -> Line:
        span = self.run.training.span
        return Line(name, (index,), ranges, self.run.labels, value, span)

    def _axes(self) -> Indices:
        return tuple(Affine.variable(x.label) for x in self.run.labels)

    def _start(self) -> Formula | None:
        """f_0, or None where it is a Gaussian process."""
        match self.run.training.start:
            case "centre":
                return ZERO
            case "plain":
                return ZERO if self.run.regime.vanishes else None
            case _:
                return self.run.given_start()

    def _outputs(self) -> Iterator[Line]:
        """f_0, and f_t = f_{t-1} - rate K_{t-1}."""
        run, axes = self.run, self._axes()
        start = self._start()
        if start is not None:
            yield self._line(run.output, ZERO_STEP, (), start)
        t, span = run.steps()
        past = t - ONE_STEP
        rate = self._common_rate()
        step: Formula = Symbol(self.kernel, (past,), axes)
        if rate is not None:
            step = mul(reindexed(rate, {STEP_VARIABLE: past}), step)
        value = add(Symbol(run.output, (past,), axes), neg(step))
        yield self._line(run.output, t, (replace(span, first=ONE_STEP),), value)

    def _common_rate(self) -> Formula | None:
        """The learning rate if all weights have the same."""
        moves = [self.run.move(g) for g in self.active]
        rates = {m.rate for m in moves}
        alike = len(rates) == 1 and all(m.norm is None for m in moves)
        return rates.pop() if alike else None

    def _signal(self) -> Line:
        t, span = self.run.steps(last=-1)
        return self._line(self.run.error, t, (span,), self.run.signal(t))

    def _operator(self) -> Line:
        """K_{Q_t}(chi_0, ..., chi_t), Eq 2.10; with learning rates that differ inside."""
        t, span = self.run.steps(last=-1)
        terms = []
        for gradient in self.active:
            if gradient.value == ZERO:
                continue
            rate = ONE if self._common_rate() is not None else self.run.rate(gradient, t)
            terms.append(weight_term(self.run, gradient, t, rate))
        value = _placed(add(*terms), self.values) if terms else ZERO
        return self._line(self.kernel, t, (span,), value)

    def _norms(self) -> Iterator[Line]:
        """What updates are divided by."""
        for gradient in normalized(self.run):
            t, span = self.run.steps(last=-1)
            left = self.run.norm(gradient, t)
            value = _placed(norm(self.run, gradient, t, lambda f, _: f), self.values)
            ranges = (*gradient.ranges, span)
            yield Line(left.name, left.indices, ranges, (), value, self.run.training.span)

    # ---- the output at the start -----------------------------------------------------------------

    def _process(self, engine: Engine) -> GaussianFamily:
        """f_0 -> N(0, <x|x>), x the ket whose entries the output sums."""
        run = self.run
        whole = _placed(inside(run.forward.output.value), self.values)
        mark = engine.begin()
        if engine.rules.of(whole, ()) != ZERO:
            raise Unsupported("an output whose entries may have a mean at the start: 'centre' it")
        engine.undo(mark)  # what a mean of 0 was asked with is read by nothing
        sides = []
        for side in "lr":
            labels = tuple(Label(f"${side}{k}", x.axis) for k, x in enumerate(run.labels))
            axes = tuple(Affine.variable(x.label) for x in labels)
            env = {x.label: a for x, a in zip(run.labels, axes, strict=True)}
            sides.append((labels, axes, unbound(reindexed(whole, env), self.names)))
        (la, aa, xa), (lb, ab, xb) = sides
        covariance = engine.rules.of(mul(xa, xb), ())
        left, right = (Symbol(run.output, (ZERO_STEP,), a) for a in (aa, ab))
        return GaussianFamily(left, right, covariance, (), (*la, *lb), "output")


Change = Callable[[Formula], Formula]


def weight_term(
    run: Run,
    gradient: Gradient,
    t: Affine,
    rate: Formula,
    now: Change = lambda f: f,
    then: Callable[[Formula, Affine], Formula] = lambda f, _: f,
) -> Formula:
    """The part of a weight of K at Q_t times a rate, a sum over its members and entries; an
    expectation that no rule has seen. ``now`` and ``then`` place the kets outside and inside of Q
    at their steps."""
    names, move = run.names, run.move(gradient)
    own = {x.label: names.fresh() for x in gradient.labels}
    value = reindexed(gradient.value, {v: Affine.variable(n) for v, n in own.items()})
    outputs = {seed_label(k): Affine.variable(x.label) for k, x in enumerate(run.labels)}
    single = now(unbound(reindexed(value, outputs), names))
    past = names.fresh("r")
    step = Affine.variable(past)
    joined = run.weighted(then(unbound(value, names), step), step)
    if run.training.network.weights[gradient.name].kind == "matrix":
        single, joined = entries(single, False), entries(joined, False)
    if move.linear:
        body = move.applied(past, t, Expectation(mul(single, joined)))
    else:
        body = Expectation(mul(single, move.applied(past, t, joined)))
    for x in reversed(gradient.labels):
        body = axis_sum(own[x.label], x.axis, body)
    inner = bool(index_names(rate) & {r.var for r in gradient.ranges})
    body = mul(rate, body) if inner else body
    for r in reversed(gradient.ranges):
        body = loop_sum(r.var, r.first, r.last, body)
    return body if inner else mul(rate, body)


class _Scaled:
    """The covariance of a family of standard Gaussians times a variance."""

    def __init__(self, variance: Formula) -> None:
        self.variance = variance

    def __call__(self, left: Ket, right: Ket) -> Formula:
        return mul(self.variance, standard(left, right))


def _placed(formula: Formula, values: dict[str, Formula]) -> Formula:
    """A formula with the numbers of scalar weights."""
    if isinstance(formula, Symbol) and formula.name in values and formula.kind == "scalar":
        return values[formula.name]
    return rebuilt(formula, lambda f: _placed(f, values)) if values else formula


def inside(formula: Formula) -> Formula:
    """The ket of which a sum of averages is the average."""
    if isinstance(formula, Expectation):
        return formula.body
    return rebuilt(formula, inside)
