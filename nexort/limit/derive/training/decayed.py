"""The neural tangent limit with weight decay (Thm 2.10.3, for every weight also the first layer's).

Seen by kets a weight at step t is what decay left of its initial value, w_t = k_t w_0, so that each
step has the kets of an initialization, all of one draw. The output is what that network gives, a
Gaussian process p over steps and inputs, less what the updates of every earlier step have left:

    f_t = p_t - sum_{s<t} K_{t,s},
    K_{t,s} = sum_W rate_s k_t / k_{s+1} <dg_t|Q_s(|dh_r> chi_r <z_r|, r <= s)|y_t> + vectors alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import add, loop_sum, mul, neg, reindexed
from nexort.limit.derive.derivation import (
    Derivation,
    Equation,
    GaussianFamily,
    KetDefinition,
    Label,
    Range,
    WeightUpdate,
)
from nexort.limit.derive.formula import ZERO, Formula, Ket, Symbol
from nexort.limit.derive.lines import Line
from nexort.limit.derive.training.backward import Gradient
from nexort.limit.derive.training.common import ONE_STEP, ZERO_STEP, Run
from nexort.limit.derive.training.covariances import families
from nexort.limit.derive.training.steps import Steps, pieces_of, times
from nexort.limit.derive.training.tangent import inside, weight_term
from nexort.limit.derive.training.timed import mean, settled, timed
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine


def decayed(run: Run) -> Derivation:
    """The limit. Raises Unsupported."""
    return Decayed(run).derivation()


class Decayed(Steps):
    """The limit in which kets move by decay alone."""

    regime = "decayed"
    ends = 0

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        every = [g for n in self.weights for g in run.gradients(n)]
        self.active = [g for g in every if run.is_active(g) and g.value != ZERO]
        self.kernel = run.spare("K_Q", "K", "Theta", "NTK", "kernel")
        self.process = run.spare("p", "P", "process", "start")

    # ---- kets and weights ------------------------------------------------------------------------

    def application(
        self, line: Line, piece: Line, gradient: Gradient | None, t: Affine, span: Range
    ) -> KetDefinition:
        """W_t|x_t> = k_t (hat(W_0 x_t) + dot(W_0 x_t)), the dot that of an initialization."""
        matrix = piece.matrix
        assert matrix is not None
        ket = replace(piece.ket, indices=(*piece.indices, t))
        hat = replace(ket, part="hat")
        argument = timed(piece.value, t, self.fixed)
        assert isinstance(argument, Ket)
        dot = add(
            *(
                mul(line.scale, s.line.scale, self.dot_term(argument, s, t))
                for s in pieces_of(self.start.dots[line], line, piece)
            )
        )
        value = add(hat, dot)
        why = self.start.why.get(line) if dot == ZERO else None
        rule = "vanishing dot" if dot == ZERO else "hat and dot"
        initial = f"{matrix.name}{'^T' if matrix.transposed else ''} |{argument.name}>"
        self.trace.record(rule, None, value, f"the initial {initial}. {why or ''}".rstrip(". "))
        if gradient is not None:
            keep = self.run.kept(gradient, ZERO_STEP, t)
            value = times(keep, value)
            matrix = replace(matrix, indices=(*matrix.indices, t))
        return KetDefinition(
            ket, (*piece.ranges, span), line.labels, value, matrix, argument, hat, dot, why,
            line.auxiliary,
        )  # fmt: skip

    def moves(self) -> Iterator[WeightUpdate]:
        """w_t = k_t w_0."""
        for name in self.weights:
            for gradient in self.run.gradients(name):
                yield from self.starts(name, gradient)
                t, span = self.run.steps()
                left = self.member(name, gradient, t)
                value = mul(
                    self.run.kept(gradient, ZERO_STEP, t), self.member(name, gradient, ZERO_STEP)
                )
                later = replace(span, first=ONE_STEP)
                yield WeightUpdate(left, (*gradient.ranges, later), gradient.labels, value)

    # ---- the output ------------------------------------------------------------------------------

    def value(self, t: Affine) -> Formula:
        """f_t = p_t - sum_{s<t} K_{t,s}."""
        axes = self._axes()
        var = self.names.fresh("s")
        moved = Symbol(self.kernel, (t, Affine.variable(var)), axes)
        result: Formula = neg(loop_sum(var, ZERO_STEP, t - ONE_STEP, moved))
        start = self.run.training.start
        if not isinstance(start, str):
            result = add(self.run.given_start(), result)
        if self.run.regime.vanishes:
            return result
        result = add(Symbol(self.process, (t,), axes, "process"), result)
        if start != "plain":
            result = add(result, neg(Symbol(self.process, (ZERO_STEP,), axes, "process")))
        return result

    def more(self) -> Iterator[Equation]:
        """K_{t,s}."""
        t, span = self.run.steps()
        s, _ = self.run.steps("s")
        [(past, _)] = s.terms
        terms = [self._weight(gradient, t, s) for gradient in self.active]
        left = Symbol(self.kernel, (t, s), self._axes())
        value = settled(add(*terms)) if terms else ZERO
        self.trace.record("neural tangent operator", left, value)
        ranges = (replace(span, first=ONE_STEP), Range(past, ZERO_STEP, t - ONE_STEP))
        yield Equation(left, value, ranges, self.run.labels, False)
        yield from self.norms()

    def _weight(self, gradient: Gradient, t: Affine, s: Affine) -> Formula:
        keep = self.run.kept(gradient, s + ONE_STEP, t)
        return weight_term(
            self.run,
            gradient,
            s,
            mul(self.run.rate(gradient, s), keep),
            lambda f: timed(f, t, self.fixed),
            lambda f, r: timed(f, r, self.fixed),
        )

    def _axes(self) -> tuple[Affine, ...]:
        return tuple(Affine.variable(x.label) for x in self.run.labels)

    def families(self) -> Iterator[GaussianFamily]:
        """Those of kets, and the output of the decayed initial network."""
        yield from families(self.run, self.system, self.ends)
        if self.run.regime.vanishes:
            return
        whole = inside(self.run.forward.output.value)
        if self.start.parities.is_odd(whole) is None:
            raise Unsupported("an output whose entries may have a mean at the start")
        sides: list[Symbol] = []
        bodies: list[Formula] = []
        labels: list[Label] = []
        ranges: list[Range] = []
        for side, hint in (("l", "t"), ("r", "s")):
            step, span = self.run.steps(hint)
            own = tuple(Label(f"${side}{k}", x.axis) for k, x in enumerate(self.run.labels))
            axes = tuple(Affine.variable(x.label) for x in own)
            env = {x.label: a for x, a in zip(self.run.labels, axes, strict=True)}
            sides.append(Symbol(self.process, (step,), axes, "process"))
            bodies.append(timed(reindexed(whole, env), step, self.fixed))
            labels += own
            ranges.append(span)
        yield GaussianFamily(
            sides[0], sides[1], mean(mul(*bodies)), tuple(ranges), tuple(labels), "output"
        )
