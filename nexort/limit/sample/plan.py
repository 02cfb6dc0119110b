"""A program without operators as a graph on samples: what is the same for all replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nexort import activations
from nexort.limit.dots import sources_of_dots
from nexort.limit.sample.frames import NeuronSpace
from nexort.limit.sample.graph import (
    Regions,
    SampleGraph,
    SampleSchedule,
    is_ket,
    late,
    reachable,
    reads,
    regions_of,
    schedule_nodes,
)
from nexort.limit.sample.machine import Machine, Sampling
from nexort.limit.sample.matrices import FULL
from nexort.limit.sample.spaces import spaces
from nexort.limit.symmetry import is_even_throughout, vanishing
from nexort.program.nodes import Node, Op, Role
from nexort.program.types import Kind
from nexort.program.unrolled import Unrolled


@dataclass(frozen=True)
class SamplePlan:
    """A program's graph and the order of its nodes."""

    program: Unrolled
    graph: SampleGraph
    schedule: SampleSchedule
    mirrored: bool
    """Whether some functions are neither odd nor even in all Gaussian kets."""
    unknown: frozenset[Node] = frozenset()
    """Expectations that are not shown to exist, so that none of them vanishes by symmetry."""
    heavy: frozenset[Node] = frozenset()
    """Expectations of what is not shown to have a finite variance."""

    @staticmethod
    def of(
        program: Unrolled,
        unknown: frozenset[Node] = frozenset(),
        heavy: frozenset[Node] = frozenset(),
    ) -> SamplePlan:
        """The plan of an unrolled program without operators."""
        members = [m for output in program.outputs for m in output.members]
        regions = regions_of(members)
        order, dots = late(reachable(members), regions), sources_of_dots(members)
        graph = SampleGraph(
            program,
            spaces(members),
            regions,
            tuple(x for x in order if x.op is Op.INIT_VECTOR),
            dots,
            vanishing(members) - unknown,
            frozenset(x for x in order if jumps_at_zero(x)),
            _projected(order, regions),
        )
        mixed = not is_even_throughout(members, dots)
        return SamplePlan(
            program, graph, schedule_nodes(order, members, regions), mixed, unknown, heavy
        )

    @property
    def sampled(self) -> bool:
        """Whether anything random enters the outputs."""
        return any(x.op.role is Role.AVERAGE for x in self.schedule.order)

    @cached_property
    def directions(self) -> int:
        """A bound on how many directions any matrix meets."""
        order = self.schedule.order
        keys = {x.attr[:2] for x in order if x.op is Op.MATMUL}
        return max((self.graph.arguments(order, key) for key in keys), default=0)

    @property
    def jumps(self) -> tuple[Node, ...]:
        """The jumps whose arguments are measured."""
        return tuple(x for x in self.schedule.order if x in self.graph.jumps)

    def machine(
        self,
        size: int,
        seed: np.random.SeedSequence,
        space: Callable[..., NeuronSpace] = NeuronSpace,
    ) -> Machine:
        """What evaluates the program on ``size`` points a neuron space."""
        how, order = Sampling(mirrored=self.mirrored), self.schedule.order
        return Machine(self.graph, size, seed, how, alone=order, space=space)

    def bytes(self, size: int) -> float:
        """What one replicate of ``size`` points holds at a time: live kets, with temporaries as
        large again, and frames; a matrix that is drawn as a whole."""
        total = 8.0 * size * (2 * self._peak + 64)
        if self.directions > FULL * size:
            total += 3 * 8.0 * size**2
        return total

    @cached_property
    def _peak(self) -> int:
        """How many numbers are held for every sample point at the most."""
        live = peak = kept = 0
        for x, drops in zip(self.schedule.order, self.schedule.drops, strict=True):
            if x.op is Op.MATMUL:
                kept += 6 * self.graph.rank(x)  # arguments, hats, images, and roots apart from both
            elif x.op is Op.INIT_VECTOR:
                kept += 2 * self.graph.rank(x)
            live += self.graph.rank(x) if is_ket(x) else 0
            peak = max(peak, live + kept)
            live -= sum(self.graph.rank(a) for a in drops if is_ket(a))
        return peak


def jumps_at_zero(x: Node) -> bool:
    """A function of one ket with a jump at zero."""
    if x.op is not Op.CALL or len(x.args) != 1 or not is_ket(x.args[0]):
        return False
    return activations.registry()[str(x.attr)].jumps


def _projected(order: Iterable[Node], regions: Regions) -> frozenset[Node]:
    """The initial multi-vectors over one axis that are only read in ``|u> @ c``, c numbers."""
    order = list(order)
    plain = {
        a
        for x in order
        for a in reads(x, regions)
        if not (
            x.op is Op.CONTRACT
            and x.attr == 1
            and a is x.args[0]
            and x.args[1].type.kind is Kind.SCALAR
        )
    }
    initial = {x for x in order if x.op is Op.INIT_VECTOR and len(x.type.axes) == 1}
    return frozenset(initial - plain)
