"""The kets of a run over its steps: what both limits in which kets move have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import add, axis_sum, delta, loop_sum, mul, place, reindexed
from nexort.limit.derive.dependence import Source
from nexort.limit.derive.derivation import (
    Derivation,
    Equation,
    GaussianFamily,
    KetDefinition,
    OutputFormula,
    Range,
    WeightUpdate,
)
from nexort.limit.derive.formula import ZERO, Formula, Ket, Matrix, Operator, Response, Symbol
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.structure import THERE, Structure
from nexort.limit.derive.training.backward import Gradient
from nexort.limit.derive.training.cells import Box, box_of, compare, solved
from nexort.limit.derive.training.common import ZERO_STEP, Run
from nexort.limit.derive.training.network import deviation, number
from nexort.limit.derive.training.norms import norm, normalized
from nexort.limit.derive.training.reverse import Part
from nexort.limit.derive.training.timed import settled, timed
from nexort.limit.derive.walking import terms_of, walk
from nexort.limit.derive.writing import written
from nexort.program.index import Affine


def step_system(run: Run) -> System:
    """The lines of one step, forth and back."""
    ahead = run.forward.system
    numbers = {run.backward.duals[n] for n in ahead.scalars if n in run.backward.duals}
    system = System(
        {n: list(x) for n, x in ahead.kets.items()},
        {n: list(x) for n, x in ahead.scalars.items()},
        dict(ahead.initial),
        dict(ahead.axes),
        dict(ahead.initial_ranges),
        groups=dict(ahead.groups),
    )
    for line in run.backward.lines:
        group = system.scalars if line.name in numbers else system.kets
        group.setdefault(line.name, []).append(line)
        system.axes[line.name] = tuple(x.axis for x in line.labels)
    return system


class Steps:
    """A derivation whose kets have the step as their last index. Subclasses say how a matrix acts,
    what weights are, and what the output is."""

    regime = ""
    ends = 0
    """The last step of cotangents, less that of the run."""

    def __init__(self, run: Run) -> None:
        self.run, self.names, self.trace = run, run.names, run.trace
        self.fixed = run.fixed()
        self.weights = run.training.network.weights
        self.system = step_system(run)
        self.free = Structure(step_system(run), self.names, symmetric=False)
        self.start = Structure(step_system(run), self.names)
        self.back = {x.name for x in run.backward.lines}

    def derivation(self) -> Derivation:
        """Everything, with readable names."""
        run = self.run
        kets = (*self._kets(), *self._outside())
        found = Derivation(
            run.program.source.title,
            tuple(self._outputs()),
            (),
            kets,
            tuple(self.families()),
            (),
            False,
            self.regime,
            tuple(self.moves()),
            run.functions,
        )
        found = replace(found, equations=tuple(self._equations()), steps=tuple(self.trace.steps))
        found = written(found, run.program, frozenset())
        # bra-kets and slopes are those of the kets, without equations of their own
        missing = tuple(x for x in found.undefined if isinstance(x, Ket | Symbol))
        return replace(found, closed=False, undefined=missing)

    def application(
        self, line: Line, piece: Line, gradient: Gradient | None, t: Affine, span: Range
    ) -> KetDefinition:
        """A rule W_t|x_t>, or a ``piece`` of it whose members of W have one gradient; None for a
        matrix that is no weight."""
        raise NotImplementedError

    def moves(self) -> Iterator[WeightUpdate]:
        """What the weights are."""
        raise NotImplementedError

    def value(self, t: Affine) -> Formula:
        """f_t."""
        raise NotImplementedError

    def families(self) -> Iterator[GaussianFamily]:
        """What is jointly Gaussian."""
        raise NotImplementedError

    def more(self) -> Iterator[Equation]:
        """Equations for what values of f and of weights read."""
        yield from self.norms()

    def norms(self) -> Iterator[Equation]:
        """What updates are divided by."""
        for gradient in normalized(self.run):
            t, span = self.run.steps(last=-1)
            raw = norm(self.run, gradient, t, lambda f, at: timed(f, at, self.fixed))
            ranges = (*gradient.ranges, span)
            yield Equation(self.run.norm(gradient, t), settled(raw), ranges, (), False)

    # ---- kets ------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[Line]:
        """The lines of kets, forth and then back."""
        lines = [x for group in self.system.kets.values() for x in group]
        yield from sorted(lines, key=lambda x: (x.span.start, not x.auxiliary))

    def _kets(self) -> Iterator[KetDefinition]:
        for line in self._lines():
            t, span = self.run.steps(last=self.ends if line.name in self.back else 0)
            if line.matrix is not None:
                for piece, gradient in self.pieces(line):
                    yield self.application(line, piece, gradient, t, span)
                continue
            ket = Ket(line.name, (*line.indices, t), line.axes)
            value = settled(timed(line.value, t, self.fixed))
            rule = "backpropagation" if line.name in self.back else "definition"
            self.trace.record(rule, ket, value)
            yield KetDefinition(
                ket, (*line.ranges, span), line.labels, value, auxiliary=line.auxiliary
            )

    def _outside(self) -> Iterator[KetDefinition]:
        """Kets that the program makes of the run's."""
        for lines in self.run.outside.kets.values():
            for x in lines:
                yield KetDefinition(
                    x.ket, x.ranges, x.labels, settled(x.value), auxiliary=x.auxiliary
                )

    def pieces(self, line: Line) -> Iterator[tuple[Line, Gradient | None]]:
        """An application cut up where the members of its matrix have gradients of different forms,
        or move in different ways."""
        matrix = line.matrix
        assert matrix is not None
        if matrix.name not in self.weights:
            yield line, None
            return
        part = Part(line, matrix.name, matrix.indices, (), ZERO, line.ranges, ())
        box, told, _ = solved(part)
        for gradient in self.run.gradients(matrix.name):
            common = meet(box, box_of(gradient.indices, gradient.ranges))
            if common is None:
                continue
            if common == box:
                yield line, gradient
                continue
            yield _cut(line, told, common), gradient

    def dot_term(self, argument: Ket, source: Source, s: Affine) -> Formula:
        """The term of one application of the transposed matrix, at a step."""
        other = source.line
        labels = [self.names.fresh() for _ in other.labels]
        axes = tuple(Affine.variable(x) for x in labels)
        fresh = {r.var: self.names.fresh(r.var) for r in source.loops}
        loops: dict[str, Affine] = {v: Affine.variable(f) for v, f in fresh.items()}
        indices = tuple(place(i, loops) for i in source.indices)
        hat = Ket(other.name, (*indices, s), axes, "hat")
        acted = timed(other.at(indices, axes), s, self.fixed)
        body = mul(acted, Response(argument, hat))
        there = {THERE + x.label: a for x, a in zip(other.labels, axes, strict=True)}
        for left, right in source.condition:
            body = mul(body, delta(left, place(place(right, there), loops)))
        for label, own in zip(labels, other.labels, strict=True):
            body = axis_sum(label, own.axis, body)
        for loop in reversed(source.loops):
            first, last = place(loop.first, loops), place(loop.last, loops)
            body = loop_sum(fresh[loop.var], first, last, body)
        return body

    # ---- weights ---------------------------------------------------------------------------------

    def member(self, name: str, gradient: Gradient, t: Affine) -> Formula:
        axes = tuple(Affine.variable(x.label) for x in gradient.labels)
        match self.weights[name].kind:
            case "matrix":
                return Operator(Matrix(name, (*gradient.indices, t)))
            case "vector":
                return Ket(name, (*gradient.indices, t), axes)
            case _:
                return Symbol(name, (*gradient.indices, t), axes)

    def starts(self, name: str, gradient: Gradient) -> Iterator[WeightUpdate]:
        """What a weight is before the first step, unless it is a standard Gaussian."""
        declared = self.weights[name]
        left = self.member(name, gradient, ZERO_STEP)
        mean = number(declared.mean)
        value: Formula | None = None
        if declared.kind == "matrix":
            value = Operator(Matrix(name, gradient.indices))
        elif declared.kind == "scalar":
            value = mean
        elif name in self.run.regime.vanishing:
            value = ZERO
        elif mean != ZERO:
            axes = tuple(Affine.variable(x.label) for x in gradient.labels)
            noise = Ket(self.run.noise(name), gradient.indices, axes)
            value = add(mean, mul(deviation(declared), noise))
        if value is not None:
            yield WeightUpdate(left, gradient.ranges, gradient.labels, value)

    # ---- numbers ---------------------------------------------------------------------------------

    def _equations(self) -> Iterator[Equation]:
        """f, the error signal, and the numbers of the network."""
        run = self.run
        axes = tuple(Affine.variable(x.label) for x in run.labels)
        t, span = run.steps()
        yield Equation(Symbol(run.output, (t,), axes), self.value(t), (span,), run.labels, False)
        t, span = run.steps(last=-1)
        left = Symbol(run.error, (t,), axes)
        yield Equation(left, run.signal(t), (span,), run.labels, False)
        for name, lines in self.system.scalars.items():
            for line in lines if name != run.output else ():
                t, span = run.steps(last=self.ends if name in self.back else 0)
                here = Symbol(name, (*line.indices, t), line.axes)
                value = settled(timed(line.value, t, self.fixed))
                yield Equation(here, value, (*line.ranges, span), line.labels, False)
        yield from self.more()
        yield from run.product_equations()
        outside = [x.value for lines in run.outside.scalars.values() for x in lines]
        outside += run.outside.outputs.values()
        read = {x.name for f in outside for x in walk(f) if isinstance(x, Symbol)}
        for name, lines in run.outside.scalars.items():
            shown = name in {o.family for o in run.program.outputs} and name not in read
            for x in lines if not shown or len(lines) > 1 else ():
                yield Equation(
                    Symbol(x.name, x.indices, x.axes), settled(x.value), x.ranges, x.labels, False
                )

    def _outputs(self) -> Iterator[OutputFormula]:
        run = self.run
        for output in run.program.outputs:
            if output.family == run.output:
                t, span = run.steps()
                axes = tuple(Affine.variable(x.label) for x in run.labels)
                value = self.value(t)
                self.trace.record("Master Theorem", Symbol(run.output, (t,), axes), value)
                given = Symbol(run.output, (t,), axes)
                yield OutputFormula(output.name, (t,), axes, value, (span,), run.labels, given)
            else:
                yield run.outside_output(output, settled)


def times(factor: Formula, value: Formula) -> Formula:
    """A number times a formula, sums multiplied out."""
    return add(*(mul(factor, x) for x in terms_of(value)))


def meet(a: Box, b: Box) -> Box | None:
    """What two boxes have in common; None where that is nothing."""
    found = []
    for (first, last), (low, high) in zip(a, b, strict=True):
        start = low if compare(first, low) < 0 else first
        end = high if compare(high, last) < 0 else last
        if compare(start, end) > 0:
            return None
        found.append((start, end))
    return tuple(found)


def _cut(line: Line, told: list[tuple[str, int, Affine]], box: Box) -> Line:
    """A line where its matrix's indices are in a box."""
    env: dict[str, Affine] = {}
    spans: dict[str, Range] = {}
    for (var, sign, rest), (first, last) in zip(told, box, strict=True):
        if not var:
            continue
        ends = (first - rest).scaled(sign), (last - rest).scaled(sign)
        low, high = ends if sign > 0 else ends[::-1]
        if low == high:
            env[var] = low
        else:
            spans[var] = Range(var, low, high)
    assert line.matrix is not None
    at = tuple(place(i, env) for i in line.matrix.indices)
    return replace(
        line,
        indices=tuple(place(i, env) for i in line.indices),
        ranges=tuple(spans.get(r.var, r) for r in line.ranges if r.var not in env),
        value=reindexed(line.value, env),
        matrix=replace(line.matrix, indices=at),
    )


def pieces_of(sources: list[Source], line: Line, piece: Line) -> list[Source]:
    """The sources of a line's dot, for a piece of the line."""
    env = {
        own.terms[0][0]: at
        for own, at in zip(line.indices, piece.indices, strict=True)
        if own != at
    }
    if not env:
        return sources
    return [
        replace(
            s,
            indices=tuple(place(i, env) for i in s.indices),
            loops=tuple(Range(r.var, place(r.first, env), place(r.last, env)) for r in s.loops),
            condition=tuple((place(a, env), place(b, env)) for a, b in s.condition),
        )
        for s in sources
    ]
