"""Names for parts of rules: sums inside of functions, and what matrices act on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nexort.limit.derive import univariate as u
from nexort.limit.derive.algebra import (
    index_names,
    rebuilt,
)
from nexort.limit.derive.derivation import AxisLabel, IndexRange
from nexort.limit.derive.formula import (
    Apply,
    AxisSum,
    Formula,
    Indices,
    Ket,
    LoopSum,
    Power,
    Product,
    Sum,
)
from nexort.limit.derive.indexing import Indexer
from nexort.limit.derive.joining import canonical_formula
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.walking import is_random
from nexort.program.index import Affine
from nexort.program.types import Axes
from nexort.support.diagnostics import Span


@dataclass
class RulePlace:
    """The rule that is being read: its index, and how many names its parts got so far."""

    name: str
    indices: Indices
    ranges: tuple[IndexRange, ...]
    span: Span
    count: dict[str, int] = field(default_factory=dict)


class Naming:
    """Lines of parts, each known once; ``place`` is the rule that is being read."""

    place: RulePlace

    def __init__(self, indexer: Indexer, system: System, taken: set[str]) -> None:
        self.indexer, self.system, self.taken = indexer, system, taken
        self.auxiliary: dict[tuple[str, str, int, tuple[str, ...], int], str] = {}
        self.known: dict[tuple[object, ...], str] = {}

    def named_arguments(self, value: Formula, labels: tuple[AxisLabel, ...]) -> Formula:
        """f(|u> a + |b>) as f(|g>) with |g> = |u> a + |b>: sums inside of functions get names."""
        found: dict[Formula, Formula] = {}
        if u.of_one_ket(value, params=False):
            return value

        def name(formula: Formula) -> Formula:
            several = isinstance(formula, Apply) and sum(map(is_random, formula.args)) > 1
            if several and u.of_one_ket(formula, params=True):
                return formula
            if isinstance(formula, Apply | Product | Power):
                formula = rebuilt(formula, name)
            if formula in found:
                return found[formula]
            if not isinstance(formula, Apply):
                return rebuilt(formula, name) if isinstance(formula, Sum) else formula
            args = []
            for arg in formula.args:
                inline = arg in found or u.of_one_ket(arg, params=False)
                if is_affine_formula(arg) and not inline:
                    found[arg] = self.auxiliary_ket(arg, labels)
                args.append(found.get(arg, arg))
            return Apply(formula.function, tuple(args))

        def again(formula: Formula) -> Formula:
            return found[formula] if formula in found else rebuilt(formula, again)

        value = name(value)
        return again(value) if found else value

    def part(self, base: str, value: Formula, labels: tuple[AxisLabel, ...]) -> Line:
        """A line for a part of the rule, over the labels and the variables that it has."""
        bound = sorted(index_names(value) & set(self.indexer.bound))
        ranges = self.place.ranges + tuple(IndexRange(b, *self.indexer.bound[b]) for b in bound)
        indices = self.place.indices + tuple(Affine.variable(b) for b in bound)
        name = self.fresh_name(base, indices, labels)
        return Line(name, indices, ranges, labels, value, self.place.span, auxiliary=True)

    def auxiliary_ket(self, value: Formula, labels: tuple[AxisLabel, ...]) -> Ket:
        """A family of its own for a part of the rule; it keeps the labels that occur."""
        used = index_names(value)
        mine = tuple(x for x in labels if x.label in used)
        return self.add_auxiliary(self.part("g", value, mine))

    def auxiliary_argument(self, value: Formula, labels: tuple[AxisLabel, ...]) -> Ket:
        """A name for what a matrix acts on, with all of its axes."""
        return self.add_auxiliary(self.part("y", value, labels))

    def add_auxiliary(self, line: Line) -> Ket:
        value = canonical_formula(line.value)
        key = (line.indices, line.ranges, line.labels, value, line.matrix, line.scale)
        if key in self.known:
            return replace(line, name=self.known[key]).ket
        self.known[key] = line.name
        self.system.axes[line.name] = tuple(x.axis for x in line.labels)
        self.system.kets.setdefault(line.name, []).append(line)
        return line.ket

    def fresh_name(self, base: str, indices: Indices, labels: tuple[AxisLabel, ...]) -> str:
        """The name of the next part: the same for parts at the same place of a family's rules that
        have as many indices."""
        axes = tuple(x.axis for x in labels)
        count = self.place.count[base] = self.place.count.get(base, 0) + 1
        key = (self.place.name, base, len(indices), axes, count)
        if key not in self.auxiliary:
            self.auxiliary[key] = self.free_name(base)
        return self.auxiliary[key]

    def free_name(self, base: str) -> str:
        """A name that nothing has: the base, or with a number."""
        number = 0
        while (name := base + (str(number) if number else "")) in self.taken:
            number += 1
        self.taken.add(name)
        return name


def is_affine_formula(formula: Formula) -> bool:
    """Whether a random formula is a linear combination of kets, plus a number."""
    match formula:
        case Ket():
            return formula.copy == 0
        case Sum(terms):
            return is_random(formula) and all(
                not is_random(t) or is_affine_formula(t) for t in terms
            )
        case Product(factors):
            random = [f for f in factors if is_random(f)]
            return len(random) == 1 and is_affine_formula(random[0])
        case LoopSum() | AxisSum():
            return is_affine_formula(formula.body)
        case _:
            return False


def label_axes(axes: Axes) -> tuple[AxisLabel, ...]:
    """Labels of the axes of a family: the same for all of its rules."""
    return tuple(AxisLabel(f"${k}", a.name) for k, a in enumerate(axes))
