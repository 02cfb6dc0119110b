"""What a sampled limit cannot vouch for.

The Master Theorem (2.6.10) asks for nonlinearities that are continuous where their arguments lie.
A jump at zero is harmless where the argument has a density there, or is zero at every width. It is
not where the argument only tends to zero: sign(|x>) at width n is the sign of fluctuations of size
n^(-1/2), whose law the limit |x> = 0 does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nexort.limit.sample.sampler import Plan, Replicate
from nexort.program.nodes import Node
from nexort.program.unrolled import Array

PROBES, PROBE_SIZE = 16, 32
"""Plain random samples, small enough for what vanishes to be seen in them."""

FAR_BELOW = 3.0
"""Sampling noise of mean square s at N_0 points has at most s N_0 / N at N points."""


class _PlainRoots:
    """Independent standard normal kets as they come: nothing is balanced or made orthonormal."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.rng = rng

    def fresh(self, count: int) -> Array:
        """``count`` new kets, shape (count, N)."""
        return self.rng.standard_normal((count, self.size))


def vanishing_jumps(
    plan: Plan, squares: Mapping[Node, Array], size: int, seed: int
) -> frozenset[Node]:
    """The jumps whose argument vanishes in the limit, though not at every width.

    ``squares`` has the mean squares of their arguments, shape (replicates, rows), at ``size``
    sample points. What is zero in a large balanced sample and is not in small plain ones vanishes;
    what is zero in both is zero at every width.
    """
    if not plan.jumps or size <= PROBE_SIZE:
        return frozenset()
    probes = [
        _probe(plan, child) for child in np.random.SeedSequence([seed, PROBE_SIZE]).spawn(PROBES)
    ]
    least = min(0.3, FAR_BELOW * PROBE_SIZE / size)
    found = set()
    for x in plan.jumps:
        small = np.mean([probe[x] for probe in probes], axis=0)
        if (squares[x].mean(axis=0) < least * small).any():
            found.add(x)
    return frozenset(found)


def _probe(plan: Plan, seed: np.random.SeedSequence) -> Mapping[Node, Array]:
    """The mean squares at a small plain sample, where nothing is zero by symmetry."""
    points, design = seed.spawn(2)
    replicate = Replicate(replace(plan, zero=frozenset()), PROBE_SIZE, design)
    replicate.roots = _PlainRoots(PROBE_SIZE, np.random.Generator(np.random.PCG64(points)))
    replicate.run()
    return replicate.squares
