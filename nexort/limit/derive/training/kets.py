"""A derivation over kets: what each is, by hats and dots, and what is jointly Gaussian.

Expectations stay as they are written: bra-kets of kets that move are numbers without a recursion of
their own, as a training's are (Thm 2.7.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexort.limit.derive.derivation import Derivation, IndexRange
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import Expectation, Formula, Ket, Symbol
from nexort.limit.derive.settled import settle_expectations
from nexort.limit.derive.tables import gaussian_families, ket_definitions, parts_of_moved
from nexort.limit.derive.training.first import with_notes
from nexort.limit.derive.training.lines import TrainingLines
from nexort.limit.derive.training.naming import Reader
from nexort.limit.derive.training.process import averaged_ket, process_law
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import walk_formula
from nexort.limit.derive.writing import with_readable_names
from nexort.program.index import Affine


def moving_kets(read: TrainingLines) -> Derivation:
    """The limit in which kets move. Raises Unsupported, NexortError."""
    told = read.told
    engine = OverKets(told.program, read.system, read.names)
    for operator, value in read.operator():
        engine.trace.record("neural tangent operator", operator, settle_expectations(value))
    within = parts_of_moved(engine)
    found = engine.found(within)
    if read.process is not None and told.process is not None:
        name, node = told.process
        whole = averaged_ket(read.process)
        if engine.structure.parities.is_odd(whole) is None:
            raise Unsupported("an output whose entries may have a mean at the start")
        steps = (IndexRange(told.step, Affine(), told.last),)
        process = Symbol(name, kind="process")
        family = process_law(process, whole, node.type.axes, steps, read.names, _mean)
        found = replace(found, gaussians=(*found.gaussians, family))
    found = replace(found, kets=with_notes(found.kets, read.system, within, read.names))
    found = Reader(read, within).training(found)
    found = with_readable_names(found, told.program, frozenset())
    # bra-kets and slopes are those of the kets, without equations of their own
    missing = tuple(x for x in found.undefined if isinstance(x, Ket | Symbol))
    return replace(found, closed=False, undefined=missing)


def _mean(body: Formula) -> Formula:
    return settle_expectations(Expectation(body))


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

    def numbers(self, formula: Formula, ranges: tuple[IndexRange, ...]) -> Formula:
        for x in walk_formula(formula):
            if isinstance(x, Symbol) and x.kind == "scalar":
                self.need(x.name)
        return settle_expectations(formula)
