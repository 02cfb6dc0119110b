"""The maximal update limit of a training (Thm 2.7.3, 2.9.30): its loop with kets for vectors.

With W_t = keep W_0 - sum_{s<t} rate_s Q_s(G_0, ..., G_s), G_r = sum_i chi_i |dh_i><x_i| at step r,

    W_t|x> = keep (hat(W_0 x) + dot(W_0 x)) - sum_{s<t} rate_s E_1[Q_s(...)^(1) |x>^(1)],

where the bras and |x> are on one copy. The dot has a term for every earlier application of W_0^T:
those of the steps before, and those of the same step that came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.derive.algebra import (
    add,
    axis_sum,
    delta,
    index_names,
    loop_sum,
    mul,
    neg,
    place,
    reindexed,
)
from nexort.derive.dependence import Source
from nexort.derive.derivation import (
    Derivation,
    Equation,
    KetDefinition,
    OutputFormula,
    Range,
    WeightUpdate,
)
from nexort.derive.formula import (
    ZERO,
    CopyMean,
    Formula,
    Ket,
    Matrix,
    Operator,
    Response,
    Symbol,
)
from nexort.derive.indexing import on_copy
from nexort.derive.lines import Line, System, covers
from nexort.derive.structure import THERE, Structure
from nexort.derive.training.backward import Gradient
from nexort.derive.training.common import ZERO_STEP, Run
from nexort.derive.training.covariances import families
from nexort.derive.training.network import deviation, number
from nexort.derive.training.timed import copied_mean, entries, settled, timed
from nexort.derive.training.updates import Move, kept_since
from nexort.derive.unsupported import Unsupported
from nexort.derive.walking import terms_of
from nexort.derive.writing import written
from nexort.program.index import Affine
from nexort.program.network import STEP_VARIABLE

ONE_STEP = Affine(1)


def maximal(run: Run) -> Derivation:
    """The limit. Raises Unsupported."""
    return _Maximal(run).derivation()


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
    )
    for line in run.backward.lines:
        group = system.scalars if line.name in numbers else system.kets
        group.setdefault(line.name, []).append(line)
        system.axes[line.name] = tuple(x.axis for x in line.labels)
    return system


class _Maximal:
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
            run.program.source.name,
            tuple(self._outputs()),
            tuple(self._equations()),
            kets,
            tuple(families(run, self.system)),
            (),
            False,
            "maximal",
            tuple(self._moves()),
            run.functions,
        )
        found = replace(found, steps=tuple(self.trace.steps))
        return replace(written(found, run.program, frozenset()), closed=False)

    # ---- kets ------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[Line]:
        """The lines of kets, forth and then back."""
        lines = [x for group in self.system.kets.values() for x in group]
        yield from sorted(lines, key=lambda x: (x.span.start, not x.auxiliary))

    def _kets(self) -> Iterator[KetDefinition]:
        for line in self._lines():
            t, span = self.run.steps(last=-1 if line.name in self.back else 0)
            if line.matrix is not None:
                yield self._application(line, line.matrix, t, span)
                continue
            ket = Ket(line.name, (*line.indices, t), line.axes)
            value = settled(timed(line.value, t, self.fixed))
            rule = "backpropagation" if line.name in self.back else "definition"
            self.trace.record(rule, ket, value)
            yield KetDefinition(
                ket, (*line.ranges, span), line.labels, value, auxiliary=line.auxiliary
            )

    def _application(self, line: Line, matrix: Matrix, t: Affine, span: Range) -> KetDefinition:
        """W_t|x_t>: hat and dot of the initial matrix, and its moves."""
        ket = Ket(line.name, (*line.indices, t), line.axes)
        hat = replace(ket, part="hat")
        argument = timed(line.value, t, self.fixed)
        dot = self._dot(line, argument, t)
        value = add(hat, dot)
        note = self._note(line, dot)
        self.trace.record("hat and dot", ket, value, note or "")
        if matrix.name in self.weights:
            move = self.run.moves[matrix.name]
            keep = kept_since(move.keep, ZERO_STEP, t)
            moved = self._moved(line, matrix, move, argument, t)
            value = add(mul(keep, hat), _times(keep, dot), moved)
            self.trace.record("trained operator", ket, value)
            matrix = replace(matrix, indices=(*matrix.indices, t))
        why = None
        if dot == ZERO:
            why = self.free.why.get(line)
        return KetDefinition(
            ket, (*line.ranges, span), line.labels, value, matrix, argument, hat, dot, why,
            line.auxiliary, note,
        )  # fmt: skip

    def _note(self, line: Line, dot: Formula) -> str | None:
        """Why the dot vanishes at the first step."""
        if dot == ZERO:
            return None
        first = self.start.why.get(line)
        if self.start.dots[line] or first is None:
            return None
        if not self.free.dots[line]:
            return f"Only earlier steps give a dot: at one step, {first}"
        return f"The dot vanishes at the first step: {first}"

    def _dot(self, line: Line, argument: Formula, t: Affine) -> Formula:
        """dot(W x_t) = sigma^2 sum over earlier W^T y of |y> E[d|x_t> / d hat(W^T y)]."""
        own = {s.line: s for s in self.free.dots[line]}
        terms = []
        for source in self.free.candidates[line]:
            now = own.get(source.line)
            scale = mul(line.scale, source.line.scale)
            var = self.names.fresh("s")
            s = Affine.variable(var)
            body = self._dot_term(argument, source, s)
            if now == source:
                terms.append(mul(scale, loop_sum(var, ZERO_STEP, t, body)))
                continue
            terms.append(mul(scale, loop_sum(var, ZERO_STEP, t - ONE_STEP, body)))
            if now is not None:
                terms.append(mul(scale, self._dot_term(argument, now, t)))
        return add(*terms) if terms else ZERO

    def _dot_term(self, argument: Formula, source: Source, s: Affine) -> Formula:
        """The term of one application of the transposed matrix, at a step."""
        other = source.line
        assert isinstance(argument, Ket)
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

    def _moved(
        self, line: Line, matrix: Matrix, move: Move, argument: Formula, t: Affine
    ) -> Formula:
        """- sum_{s<t} rate_s E_1[Q_s(G_0, ..., G_s) |x_t>^(1)], kept from s + 1 on."""
        if matrix.name not in self.run.regime.active:
            return ZERO
        gradient = self._gradient(line, matrix)
        var, past = self.names.fresh("s"), self.names.fresh("r")
        s, r = Affine.variable(var), Affine.variable(past)
        value = entries(timed(gradient, r, self.fixed), matrix.transposed)
        body = self.run.weighted(value, r)
        there = on_copy(argument, 1)
        if move.linear:
            inner = move.applied(past, s, copied_mean(mul(body, there)))
        else:
            inner = CopyMean((1,), mul(move.applied(past, s, body), there))
        if inner == ZERO:
            return ZERO
        rate = reindexed(move.rate, {STEP_VARIABLE: s})
        keep = kept_since(move.keep, s + ONE_STEP, t)
        if STEP_VARIABLE not in index_names(move.rate):
            return mul(neg(rate), loop_sum(var, ZERO_STEP, t - ONE_STEP, mul(keep, inner)))
        return neg(loop_sum(var, ZERO_STEP, t - ONE_STEP, mul(rate, keep, inner)))

    def _gradient(self, line: Line, matrix: Matrix) -> Formula:
        """The gradient by the matrix that a line applies."""
        for g in self.run.backward.gradients[matrix.name]:
            own = Line(g.name, g.indices, g.ranges, g.labels, g.value, line.span)
            if covers(own, matrix.indices, line.ranges):
                return own.at(matrix.indices, ())
        raise Unsupported(f"one rule applies members of '{matrix.name}' of different gradients")

    def _outside(self) -> Iterator[KetDefinition]:
        """Kets that the program makes of the run's."""
        for lines in self.run.outside.kets.values():
            for x in lines:
                yield KetDefinition(
                    x.ket, x.ranges, x.labels, settled(x.value), auxiliary=x.auxiliary
                )

    # ---- weights ---------------------------------------------------------------------------------

    def _moves(self) -> Iterator[WeightUpdate]:
        for name in self.weights:
            for gradient in self.run.backward.gradients[name]:
                yield from self._starts(name, gradient)
                t, span = self.run.steps(last=-1)
                yield self._move(name, gradient, t, span)

    def _member(self, name: str, gradient: Gradient, t: Affine) -> Formula:
        axes = tuple(Affine.variable(x.label) for x in gradient.labels)
        match self.weights[name].kind:
            case "matrix":
                return Operator(Matrix(name, (*gradient.indices, t)))
            case "vector":
                return Ket(name, (*gradient.indices, t), axes)
            case _:
                return Symbol(name, (*gradient.indices, t), axes)

    def _starts(self, name: str, gradient: Gradient) -> Iterator[WeightUpdate]:
        """What a weight is before the first step, unless it is a standard Gaussian."""
        declared = self.weights[name]
        left = self._member(name, gradient, ZERO_STEP)
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

    def _move(self, name: str, gradient: Gradient, t: Affine, span: Range) -> WeightUpdate:
        """w_{t+1} = (1 - decay_t) w_t - rate_t Q_t(g_0, ..., g_t)."""
        move = self.run.moves[name]
        at = {STEP_VARIABLE: t}
        value = mul(reindexed(move.keep, at), self._member(name, gradient, t))
        if name in self.run.regime.active and gradient.value != ZERO:
            past = self.names.fresh("r")
            r = Affine.variable(past)
            body = settled(self.run.weighted(timed(gradient.value, r, self.fixed), r))
            moved = move.applied(past, t, body)
            value = add(value, _times(neg(reindexed(move.rate, at)), moved))
        left = self._member(name, gradient, t + ONE_STEP)
        self.trace.record("update", left, value)
        return WeightUpdate(left, (*gradient.ranges, span), gradient.labels, value)

    # ---- numbers ---------------------------------------------------------------------------------

    def _value(self, t: Affine) -> Formula:
        """f_t."""
        run = self.run
        value = settled(timed(run.forward.output.value, t, self.fixed))
        first = settled(timed(run.forward.output.value, ZERO_STEP, self.fixed))
        match run.training.start:
            case "plain":
                return value
            case "centre":
                return add(value, neg(first))
            case _:
                return add(run.given_start(), value, neg(first))

    def _equations(self) -> Iterator[Equation]:
        """f, the error signal, and the numbers of the network."""
        run = self.run
        axes = tuple(Affine.variable(x.label) for x in run.labels)
        t, span = run.steps()
        yield Equation(Symbol(run.output, (t,), axes), self._value(t), (span,), run.labels, False)
        t, span = run.steps(last=-1)
        left = Symbol(run.error, (t,), axes)
        yield Equation(left, run.signal(t), (span,), run.labels, False)
        for name, lines in self.system.scalars.items():
            for line in lines if name != run.output else ():
                t, span = run.steps(last=-1 if name in self.back else 0)
                here = Symbol(name, (*line.indices, t), line.axes)
                value = settled(timed(line.value, t, self.fixed))
                yield Equation(here, value, (*line.ranges, span), line.labels, False)
        for name, lines in run.outside.scalars.items():
            shown = {o.family for o in run.program.outputs}
            for x in lines if name not in shown or len(lines) > 1 else ():
                yield Equation(
                    Symbol(x.name, x.indices, x.axes), settled(x.value), x.ranges, x.labels, False
                )

    def _outputs(self) -> Iterator[OutputFormula]:
        run = self.run
        for output in run.program.outputs:
            if output.family == run.output:
                t, span = run.steps()
                axes = tuple(Affine.variable(x.label) for x in run.labels)
                value = self._value(t)
                self.trace.record("Master Theorem", Symbol(run.output, (t,), axes), value)
                yield OutputFormula(output.name, (t,), axes, value, (span,), run.labels)
            else:
                yield run.outside_output(output, settled)


def _times(factor: Formula, value: Formula) -> Formula:
    """A number times a formula, sums multiplied out."""
    return add(*(mul(factor, x) for x in terms_of(value)))
