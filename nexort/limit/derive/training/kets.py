"""A derivation over kets: what each is, by hats and dots, and what is jointly Gaussian.

Expectations stay as they are written: bra-kets of kets that move are numbers without a recursion of
their own, as a training's are (Thm 2.7.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexort.expand.module import Expansion
from nexort.limit.derive.algebra import reindexed, unbound
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import Derivation, GaussianFamily, Label, Range
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import Expectation, Formula, Ket, Symbol
from nexort.limit.derive.naming import labelled
from nexort.limit.derive.settled import settled
from nexort.limit.derive.tables import gaussian_families, ket_definitions, parts_of_moved
from nexort.limit.derive.training.first import with_notes
from nexort.limit.derive.training.lines import TrainingLines
from nexort.limit.derive.training.naming import Reader
from nexort.limit.derive.training.tangent import inside
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import walk
from nexort.limit.derive.writing import written
from nexort.program.index import Affine
from nexort.program.types import Axes


def over_kets(read: TrainingLines) -> Derivation:
    """The limit in which kets move. Raises Unsupported, NexortError."""
    told = read.told
    engine = OverKets(told.program, read.system, read.names)
    within = parts_of_moved(engine)
    found = engine.found(within)
    if read.process is not None and told.process is not None:
        name, node = told.process
        law = _law(engine, told, Symbol(name, kind="process"), node.type.axes, read.process)
        found = replace(found, gaussians=(*found.gaussians, law))
    found = replace(found, kets=with_notes(found.kets, read.system, within, read.names))
    found = Reader(read, within).training(found)
    found = written(found, told.program, frozenset())
    # bra-kets and slopes are those of the kets, without equations of their own
    missing = tuple(x for x in found.undefined if isinstance(x, Ket | Symbol))
    return replace(found, closed=False, undefined=missing)


def _law(
    engine: Engine, told: Expansion, left: Symbol, axes: Axes, average: Formula
) -> GaussianFamily:
    """What decayed initial weights give, p_t -> N(0, <x_t|x_s>), x the ket whose entries the output
    sums."""
    whole = inside(average)
    if engine.structure.parities.is_odd(whole) is None:
        raise Unsupported("an output whose entries may have a mean at the start")
    sides: list[Symbol] = []
    bodies: list[Formula] = []
    labels: list[Label] = []
    ranges: list[Range] = []
    for side, hint in (("l", "t"), ("r", "s")):
        step = engine.names.fresh(hint)
        own = tuple(Label(f"${side}{k}", x.name) for k, x in enumerate(axes))
        at = tuple(Affine.variable(x.label) for x in own)
        env = {x.label: a for x, a in zip(labelled(axes), at, strict=True)}
        env[told.step] = Affine.variable(step)
        sides.append(replace(left, indices=(Affine.variable(step),), axes=at))
        bodies.append(unbound(reindexed(whole, env), engine.names))
        labels += own
        ranges.append(Range(step, Affine(), told.last))
    covariance = settled(Expectation(mul(*bodies)))
    return GaussianFamily(sides[0], sides[1], covariance, tuple(ranges), tuple(labels), "output")


class OverKets(Engine):
    """The derivation of a program whose expectations are not evaluated."""

    def found(self, within: Mapping[str, str]) -> Derivation:
        """Everything, before readable names; ``within`` as in :func:`ket_definitions`."""
        outputs = tuple(self.output(o) for o in self.program.outputs)
        self.settle()
        kets = tuple(ket_definitions(self, within))
        self.settle()
        gaussians = tuple(gaussian_families(self))
        self.settle()
        equations = tuple(e for found in self.scalar_equations.values() for e in found)
        return Derivation(
            self.program.source.title, outputs, equations, kets, gaussians,
            tuple(self.trace.steps), False, updates=self.functions(),
        )  # fmt: skip

    def demand(self, unknown: Formula) -> None:
        """Nothing is asked for: kets say what it is."""

    def numbers(self, formula: Formula, ranges: tuple[Range, ...]) -> Formula:
        for x in walk(formula):
            if isinstance(x, Symbol) and x.kind == "scalar":
                self.need(x.name)
        return settled(formula)
