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

from nexort.limit.sample.frames import NeuronSpace
from nexort.limit.sample.plan import SamplePlan
from nexort.limit.sample.replicates import Stage
from nexort.program.nodes import Node
from nexort.program.unrolled import Array

PROBES, PROBE_SIZE = 16, 32
"""Plain random samples, small enough for what vanishes to be seen in them."""

FAR_BELOW = 3.0
"""Sampling noise of mean square s at N_0 points has at most s N_0 / N at N points."""


class _PlainSpace(NeuronSpace):
    """Independent standard normal kets as they come: nothing is balanced or made orthonormal."""

    def take(self, count: int) -> Array:
        """``count`` new kets, shape (count, N)."""
        return self.noise(count).T

    def root(self, new: Array, others: Array | None = None) -> Array:
        """The same."""
        return new

    def learn(self, rows: Array) -> None:
        """Nothing is kept apart."""


def vanishing_jumps(plan: SamplePlan, full: Stage, seed: int) -> frozenset[Node]:
    """The jumps whose argument vanishes in the limit, though not at every width, by what replicates
    have ``measured`` of them: the mean squares of their arguments, shape (R, rows).

    What is zero in a large balanced sample and is not in small plain ones vanishes; what is zero in
    both is zero at every width.
    """
    if not plan.jumps or full.size <= PROBE_SIZE:
        return frozenset()
    probes = [
        _probe(plan, child) for child in np.random.SeedSequence([seed, PROBE_SIZE]).spawn(PROBES)
    ]
    least = min(0.3, FAR_BELOW * PROBE_SIZE / full.size)
    found = set()
    for k, x in enumerate(plan.jumps):
        small = np.mean([probe[x] for probe in probes], axis=0)
        if (full.measured[str(k)].mean(axis=0) < least * small).any():
            found.add(x)
    return frozenset(found)


def _probe(plan: SamplePlan, seed: np.random.SeedSequence) -> Mapping[Node, Array]:
    """The mean squares at a small plain sample, where nothing is zero by symmetry."""
    plain = replace(plan, graph=replace(plan.graph, zero=frozenset()))
    machine = plain.machine(PROBE_SIZE, seed, _PlainSpace)
    with np.errstate(all="ignore"):
        machine.run(plain.schedule)
    return machine.squares
