"""The outcome of a coordinate check."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.coordcheck.findings import Behaviour, Blame
from nexort.coordcheck.rows import QuantityRow
from nexort.coordcheck.tensors import OWN, Tensor
from nexort.parametrization.repair import GOOD


@dataclass(frozen=True)
class Check:
    """The outcome. ``rows`` are in the order in which a run meets the quantities, with the weights'
    own (``tensors.OWN``) among them. ``expected`` names what was expected ('' for the program's own
    table), ``notes`` say what was assumed."""

    widths: tuple[int, ...]
    seeds: int
    steps: int
    tensors: tuple[Tensor, ...]
    rows: tuple[QuantityRow, ...]
    expected: str
    tolerance: float
    blames: tuple[Blame, ...]
    behaviour: Behaviour
    notes: tuple[str, ...]
    trains: bool = True
    """Whether it is a training; else there is no step but 0."""
    verdict: str = ""
    why: str = ""

    @property
    def judged(self) -> tuple[QuantityRow, ...]:
        """The rows that are compared with predictions."""
        return tuple(r for r in self.rows if r.quantity.what not in OWN)

    @property
    def first(self) -> QuantityRow | None:
        """The first quantity that is off, as the run meets them."""
        return next((r for r in self.judged if r.status == "off"), None)

    @property
    def blame(self) -> Blame | None:
        """The weight whose own exponents explain the first quantity that is off."""
        first = self.first
        if first is None or not self.blames:
            return None
        cause = self.blames[0]
        return cause if cause.first <= first.quantity.order else None

    @property
    def good(self) -> bool:
        """Whether what is expected is a parametrization to train in."""
        return self.verdict in ("", *GOOD)

    @property
    def learns(self) -> bool:
        """Whether f changes at all, if it should."""
        moves = [r for r in self.rows if r.quantity.tensor.role == "output"]
        moves = [r for r in moves if r.quantity.what == "change"]
        return not moves or not all(r.fit.zero for r in moves)

    @property
    def holds(self) -> bool:
        """Whether no quantity is off, and the sizes are those of a training that learns."""
        return self.first is None and self.good and self.learns
