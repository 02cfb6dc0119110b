"""Gaussian processes that a training's output has a part of: what initial weights give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, rebuilt, reindex, unbound
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import AxisLabel, GaussianFamily, IndexRange
from nexort.limit.derive.formula import Expectation, Formula, Symbol
from nexort.limit.derive.naming import label_axes
from nexort.program.index import Affine
from nexort.program.types import Axes


def process_law(
    process: Symbol,
    whole: Formula,
    axes: Axes,
    steps: tuple[IndexRange, ...],
    names: BoundNames,
    mean: Callable[[Formula], Formula],
) -> GaussianFamily:
    """The law N(0, <x|x>) of <1|x>, ``whole`` the ket x over the ``axes``; at two of the ``steps``
    where there are any, which are the first indices. ``mean`` is E."""
    sides: list[Symbol] = []
    bodies: list[Formula] = []
    labels: list[AxisLabel] = []
    ranges: list[IndexRange] = []
    for side, hint in (("l", "t"), ("r", "s")):
        own = tuple(AxisLabel(f"${side}{k}", x.name) for k, x in enumerate(axes))
        at = tuple(Affine.variable(x.label) for x in own)
        env = {x.label: a for x, a in zip(label_axes(axes), at, strict=True)}
        mine = tuple(replace(r, var=names.fresh(hint)) for r in steps)
        now = tuple(Affine.variable(r.var) for r in mine)
        env |= {r.var: i for r, i in zip(steps, now, strict=True)}
        sides.append(replace(process, indices=(*now, *process.indices), axes=at))
        bodies.append(unbound(reindex(whole, env), names))
        labels += own
        ranges += mine
    covariance = mean(mul(*bodies))
    return GaussianFamily(sides[0], sides[1], covariance, tuple(ranges), tuple(labels), "output")


def averaged_ket(formula: Formula) -> Formula:
    """The ket of which a sum of averages is the average."""
    if isinstance(formula, Expectation):
        return formula.body
    return rebuilt(formula, averaged_ket)
