"""Covariances of what is random in a run: initial weights, other initial vectors, hats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import delta, mul, place, reindexed
from nexort.limit.derive.derivation import GaussianFamily, Label, Range
from nexort.limit.derive.formula import ZERO, Formula, Ket
from nexort.limit.derive.initials import standard
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.training.cells import compare
from nexort.limit.derive.training.common import ZERO_STEP, Run
from nexort.limit.derive.training.network import number
from nexort.limit.derive.training.timed import mean, timed
from nexort.limit.derive.walking import walk
from nexort.program.index import Affine


def families(run: Run, system: System, ends: int = -1) -> Iterator[GaussianFamily]:
    """Every group of jointly Gaussian kets of a run; ``ends`` is the last step of cotangents, less
    that of the run."""
    yield from _initial(run, system)
    lines = [x for group in system.kets.values() for x in group if x.matrix is not None]
    lines.sort(key=lambda x: (x.span.start, not x.auxiliary))
    for k, left in enumerate(lines):
        for right in lines[k:]:
            found = _hats(run, left, right, ends)
            if found is not None:
                yield found


def _initial(run: Run, system: System) -> Iterator[GaussianFamily]:
    """Weights before the first step, and initial vectors that are no weights."""
    used = {
        k.name
        for group in system.kets.values()
        for x in group
        for k in walk(x.value)
        if isinstance(k, Ket)
    }
    used |= {k.name for x in system.scalars.values() for y in x for k in walk(y.value)
             if isinstance(k, Ket)}  # fmt: skip
    for name, covariance in system.initial.items():
        declared = run.training.network.weights.get(name)
        if name not in used or name in run.regime.vanishing:
            continue
        ranges: list[Range] = []
        sides: list[Ket] = []
        labels: list[Label] = []
        for side in "lr":
            own = {r.var: run.names.fresh("k") for r in system.initial_ranges.get(name, ())}
            ranges += [
                Range(own[r.var], r.first, r.last) for r in system.initial_ranges.get(name, ())
            ]
            mine = [Label(f"${side}{k}", a) for k, a in enumerate(system.axes[name])]
            labels += mine
            at = tuple(Affine.variable(v) for v in own.values())
            axes = tuple(Affine.variable(x.label) for x in mine)
            sides.append(Ket(name, at, axes))
        value: Formula = covariance(*sides)
        if declared is not None:
            value = standard(*sides)
            if number(declared.mean) != ZERO:
                sides = [Ket(run.noise(name), k.indices, k.axes) for k in sides]
            else:
                value = mul(number(declared.variance), value)
                sides = [Ket(name, (*k.indices, ZERO_STEP), k.axes) for k in sides]
        yield GaussianFamily(sides[0], sides[1], value, tuple(ranges), tuple(labels), "initial")


def _hats(run: Run, left: Line, right: Line, ends: int) -> GaussianFamily | None:
    """Cov(hat(W x_t), hat(W y_s)) = sigma^2 <x_t|y_s> for one matrix."""
    a, b = left.matrix, right.matrix
    assert a is not None
    assert b is not None
    if (a.name, a.transposed) != (b.name, b.transposed):
        return None
    own = {r.var: r for r in left.ranges}
    free = {(new := run.names.fresh(r.var)): replace(r, var=new) for r in right.ranges}
    env = {r.var: Affine.variable(n) for r, n in zip(right.ranges, free, strict=True)}
    factor: Formula = mul(left.scale, right.scale)
    for mine, theirs in zip(a.indices, b.indices, strict=True):
        other = place(theirs, env)
        gap = mine - other
        var = next((n for n, c in other.terms if n in free and c == 1), None)
        if var is not None:
            value = Affine.variable(var) + gap
            env = {v: place(x, {var: value}) for v, x in env.items()}
            if not _narrowed(own, value, free.pop(var)):
                return None
        elif gap.terms:
            factor = mul(factor, delta(mine, other))
        elif gap.constant:
            return None
    labels: list[Label] = []
    sides: list[Ket] = []
    arguments: list[Formula] = []
    ranges = [*own.values(), *free.values()]
    for side, line, hint, where in (("l", left, "t", {}), ("r", right, "s", env)):
        t, span = run.steps(hint, ends if run.is_backward(line.name) else 0)
        mine_ = tuple(Label(f"${side}{k}", x.axis) for k, x in enumerate(line.labels))
        axes = tuple(Affine.variable(x.label) for x in mine_)
        at = {**where, **{x.label: y for x, y in zip(line.labels, axes, strict=True)}}
        indices = tuple(place(i, at) for i in line.indices)
        sides.append(Ket(line.name, (*indices, t), axes, "hat"))
        arguments.append(timed(reindexed(line.value, at), t, run.fixed()))
        labels += mine_
        ranges.append(span)
    covariance = mul(factor, mean(mul(*arguments)))
    return GaussianFamily(sides[0], sides[1], covariance, tuple(ranges), tuple(labels), "hat")


def _narrowed(own: dict[str, Range], value: Affine, there: Range) -> bool:
    """Cut the range of the left side's variable to where ``value`` lies in a range; False where
    it never does."""
    var = next((n for n, c in value.terms if n in own and c == 1), None)
    if var is None:
        return compare(there.first, value) <= 0 and compare(value, there.last) <= 0
    rest = value - Affine.variable(var)
    mine = own[var]
    first, last = there.first - rest, there.last - rest
    first = first if compare(mine.first, first) < 0 else mine.first
    last = last if compare(last, mine.last) < 0 else mine.last
    own[var] = Range(var, first, last)
    return compare(first, last) <= 0
