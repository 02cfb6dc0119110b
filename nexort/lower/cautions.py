"""What a sampled limit cannot vouch for.

The Master Theorem (2.6.10) asks for nonlinearities that are continuous where their arguments lie.
A jump at zero is harmless where the argument has a density there, or is zero at every width. It is
not where the argument only tends to zero: sign(|x>) at width n is the sign of fluctuations of size
n^(-1/2), whose law the limit |x> = 0 does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from nexort.lower.sampler import Plan
from nexort.program.nodes import Node, walk
from nexort.program.unrolled import Array

SHRINKS = 1.5
"""Twice the sample takes at least a factor 2 off the mean square of what is only sampling noise."""

SPREADS = 0.2
"""Standard deviation over mean of such a mean square, over replicates: sqrt(2) for one direction of
noise; that of a ket that does not vanish is far smaller."""


def vanishing_jumps(
    plan: Plan, half: Mapping[Node, Array], full: Mapping[Node, Array]
) -> frozenset[Node]:
    """The jumps whose argument vanishes in the limit, though not at every width.

    ``half`` and ``full`` have the arguments' mean squares, shape (replicates, rows), at two sample
    sizes, the second twice the first.
    """
    return frozenset(x for x in plan.jumps if _vanishes(plan, x, half[x], full[x]))


def _vanishes(plan: Plan, x: Node, coarse: Array, fine: Array) -> bool:
    a, b = coarse.mean(axis=0), fine.mean(axis=0)
    noise = (b > 0) & (a > SHRINKS * b) & (fine.std(axis=0) > SPREADS * b)
    if noise.any():
        return True
    # zero by a symmetry that holds at no width
    return bool((b == 0).any()) and not plan.zero.isdisjoint(walk([x]))
