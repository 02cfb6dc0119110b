"""Gaussian processes that a training's output has a part of: what initial weights give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexort.limit.derive.algebra import Names, rebuilt, reindexed, unbound
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import GaussianFamily, Label, Range
from nexort.limit.derive.formula import Expectation, Formula, Symbol
from nexort.limit.derive.naming import labelled
from nexort.program.index import Affine
from nexort.program.types import Axes


def law(
    process: Symbol,
    whole: Formula,
    axes: Axes,
    steps: tuple[Range, ...],
    names: Names,
    mean: Callable[[Formula], Formula],
) -> GaussianFamily:
    """The law N(0, <x|x>) of <1|x>, ``whole`` the ket x over the ``axes``; at two of the ``steps``
    where there are any, which are the first indices. ``mean`` is E."""
    sides: list[Symbol] = []
    bodies: list[Formula] = []
    labels: list[Label] = []
    ranges: list[Range] = []
    for side, hint in (("l", "t"), ("r", "s")):
        own = tuple(Label(f"${side}{k}", x.name) for k, x in enumerate(axes))
        at = tuple(Affine.variable(x.label) for x in own)
        env = {x.label: a for x, a in zip(labelled(axes), at, strict=True)}
        mine = tuple(replace(r, var=names.fresh(hint)) for r in steps)
        now = tuple(Affine.variable(r.var) for r in mine)
        env |= {r.var: i for r, i in zip(steps, now, strict=True)}
        sides.append(replace(process, indices=(*now, *process.indices), axes=at))
        bodies.append(unbound(reindexed(whole, env), names))
        labels += own
        ranges += mine
    covariance = mean(mul(*bodies))
    return GaussianFamily(sides[0], sides[1], covariance, tuple(ranges), tuple(labels), "output")


def inside(formula: Formula) -> Formula:
    """The ket of which a sum of averages is the average."""
    if isinstance(formula, Expectation):
        return formula.body
    return rebuilt(formula, inside)
