"""The maximal update limit of a training (Thm 2.7.3, 2.9.30): its loop with kets for vectors.

With W_t = keep W_0 - sum_{s<t} rate_s Q_s(G_0, ..., G_s), G_r = sum_i chi_i |dh_i><x_i| at step r,

    W_t|x> = keep (hat(W_0 x) + dot(W_0 x)) - sum_{s<t} rate_s E_1[Q_s(...)^(1) |x>^(1)],

where the bras and |x> are on one copy. The dot has a term for every earlier application of W_0^T:
those of the steps before, and those of the same step that came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import (
    add,
    index_names,
    loop_sum,
    mul,
    neg,
    reindexed,
)
from nexort.limit.derive.derivation import (
    Derivation,
    GaussianFamily,
    KetDefinition,
    Range,
    WeightUpdate,
)
from nexort.limit.derive.formula import (
    ZERO,
    CopyMean,
    Formula,
    Ket,
    Matrix,
)
from nexort.limit.derive.indexing import on_copy
from nexort.limit.derive.lines import Line
from nexort.limit.derive.training.backward import Gradient
from nexort.limit.derive.training.common import ONE_STEP, ZERO_STEP, Run
from nexort.limit.derive.training.covariances import families
from nexort.limit.derive.training.steps import Steps, pieces_of, times
from nexort.limit.derive.training.timed import copied_mean, entries, settled, timed
from nexort.program.index import Affine
from nexort.program.network import STEP_VARIABLE


def maximal(run: Run) -> Derivation:
    """The limit. Raises Unsupported."""
    return Maximal(run).derivation()


class Maximal(Steps):
    """The limit in which kets move by steps of their own."""

    regime = "maximal"
    ends = -1

    def families(self) -> Iterator[GaussianFamily]:
        return families(self.run, self.system)

    # ---- kets ------------------------------------------------------------------------------------

    def application(
        self, line: Line, piece: Line, gradient: Gradient | None, t: Affine, span: Range
    ) -> KetDefinition:
        """W_t|x_t>: hat and dot of the initial matrix, and its moves."""
        matrix = piece.matrix
        assert matrix is not None
        ket = replace(piece.ket, indices=(*piece.indices, t))
        hat = replace(ket, part="hat")
        argument = timed(piece.value, t, self.fixed)
        assert isinstance(argument, Ket)
        dot = self._dot(line, piece, argument, t)
        value = add(hat, dot)
        note = self._note(line, dot)
        initial = f"{matrix.name}{'^T' if matrix.transposed else ''} |{argument.name}>"
        why = self.free.why.get(line) if dot == ZERO else None
        said = f"the initial {initial}. {why or note or ''}".rstrip(". ")
        self.trace.record("vanishing dot" if dot == ZERO else "hat and dot", None, value, said)
        if gradient is not None:
            keep = self.run.kept(gradient, ZERO_STEP, t)
            moved = self._moved(matrix, gradient, argument, t)
            value = add(mul(keep, hat), times(keep, dot), moved)
            self.trace.record("trained operator", ket, value)
            matrix = replace(matrix, indices=(*matrix.indices, t))
        return KetDefinition(
            ket, (*piece.ranges, span), line.labels, value, matrix, argument, hat, dot, why,
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
            return f"Only earlier steps give a dot, the first none: at one step, {first}"
        return f"The dot vanishes at the first step: {first}"

    def _dot(self, line: Line, piece: Line, argument: Ket, t: Affine) -> Formula:
        """dot(W x_t) = sigma^2 sum over earlier W^T y of |y> E[d|x_t> / d hat(W^T y)]."""
        own = {s.line: s for s in pieces_of(self.free.dots[line], line, piece)}
        terms = []
        for source in pieces_of(self.free.candidates[line], line, piece):
            now = own.get(source.line)
            scale = mul(line.scale, source.line.scale)
            var = self.names.fresh("s")
            s = Affine.variable(var)
            body = self.dot_term(argument, source, s)
            if now == source:
                terms.append(mul(scale, loop_sum(var, ZERO_STEP, t, body)))
                continue
            terms.append(mul(scale, loop_sum(var, ZERO_STEP, t - ONE_STEP, body)))
            if now is not None:
                terms.append(mul(scale, self.dot_term(argument, now, t)))
        return add(*terms) if terms else ZERO

    def _moved(self, matrix: Matrix, gradient: Gradient, argument: Formula, t: Affine) -> Formula:
        """- sum_{s<t} rate_s E_1[Q_s(G_0, ..., G_s) |x_t>^(1)], kept from s + 1 on."""
        if not self.run.is_active(gradient):
            return ZERO
        move = self.run.move(gradient)
        own = dict(zip(gradient.indices, matrix.indices, strict=True))
        env = {i.terms[0][0]: at for i, at in own.items() if i in gradient.variables()}
        value = reindexed(gradient.value, env)
        var, past = self.names.fresh("s"), self.names.fresh("r")
        s, r = Affine.variable(var), Affine.variable(past)
        value = entries(timed(value, r, self.fixed), matrix.transposed)
        body = self.run.weighted(value, r)
        there = on_copy(argument, 1)
        if move.linear:
            inner = move.applied(past, s, copied_mean(mul(body, there)))
        else:
            inner = CopyMean((1,), mul(move.applied(past, s, body), there))
        if inner == ZERO:
            return ZERO
        rate = self.run.rate(gradient, s, matrix.indices)
        keep = self.run.kept(gradient, s + ONE_STEP, t)
        if var not in index_names(rate):
            return mul(neg(rate), loop_sum(var, ZERO_STEP, t - ONE_STEP, mul(keep, inner)))
        return neg(loop_sum(var, ZERO_STEP, t - ONE_STEP, mul(rate, keep, inner)))

    # ---- weights ---------------------------------------------------------------------------------

    def moves(self) -> Iterator[WeightUpdate]:
        for name in self.weights:
            for gradient in self.run.gradients(name):
                yield from self.starts(name, gradient)
                t, span = self.run.steps(last=-1)
                yield self._move(name, gradient, t, span)

    def _move(self, name: str, gradient: Gradient, t: Affine, span: Range) -> WeightUpdate:
        """w_{t+1} = (1 - decay_t) w_t - rate_t Q_t(g_0, ..., g_t)."""
        move = self.run.move(gradient)
        at = {STEP_VARIABLE: t}
        value = mul(reindexed(move.keep, at), self.member(name, gradient, t))
        if self.run.is_active(gradient) and gradient.value != ZERO:
            past = self.names.fresh("r")
            r = Affine.variable(past)
            body = settled(self.run.weighted(timed(gradient.value, r, self.fixed), r))
            moved = move.applied(past, t, body)
            value = add(value, times(neg(self.run.rate(gradient, t)), moved))
        left = self.member(name, gradient, t + ONE_STEP)
        self.trace.record("update", left, value)
        return WeightUpdate(left, (*gradient.ranges, span), gradient.labels, value)

    # ---- numbers ---------------------------------------------------------------------------------

    def value(self, t: Affine) -> Formula:
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
