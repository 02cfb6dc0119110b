"""A derivation over kets: what each is, by hats and dots, and what is jointly Gaussian.

Expectations stay as they are written: bra-kets of kets that move are numbers without a recursion of
their own, as a training's are (Thm 2.7.3).
"""

from __future__ import annotations

from collections.abc import Mapping

from nexort.limit.derive.derivation import Derivation, Range
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import Formula, Symbol
from nexort.limit.derive.settled import settled
from nexort.limit.derive.tables import gaussian_families, ket_definitions
from nexort.limit.derive.walking import walk


class OverKets(Engine):
    """The derivation of a program whose expectations are not evaluated."""

    def found(self, within: Mapping[str, str]) -> Derivation:
        """Everything, before readable names; ``within`` as in :func:`ket_definitions`."""
        outputs = tuple(self._output(o) for o in self.program.outputs)
        self._settle()
        kets = tuple(ket_definitions(self, within))
        self._settle()
        gaussians = tuple(gaussian_families(self))
        self._settle()
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
