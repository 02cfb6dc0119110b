"""A worklist of unknowns, and an equation for each pair of rules.

The outputs ask for bra-kets; each bra-ket is a pattern (families, relation of their indices), and
every pair of rules that may define its two sides gives one equation, valid for all indices of the
rules. What an equation refers to is asked for in turn. Loops are never run: a network of 100 layers
has the equations of one of 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, rebuilt, reindex, unbound
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.derivation import (
    AxisLabel,
    Equation,
    GaussianFamily,
    IndexRange,
    OutputFormula,
    UpdateFunction,
)
from nexort.limit.derive.expectation import ExpectationRules
from nexort.limit.derive.formula import (
    ZERO,
    Average,
    Bracket,
    Expectation,
    Fold,
    Formula,
    Ket,
    LoopSum,
    Response,
    Symbol,
)
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.naming import is_affine_formula
from nexort.limit.derive.normal import normalize
from nexort.limit.derive.patterns import (
    CaseSide,
    Undecided,
    UnknownPattern,
    align_sides,
    members,
    pattern_of,
)
from nexort.limit.derive.responses import Responses
from nexort.limit.derive.structure import Structure
from nexort.limit.derive.trace import Trace
from nexort.limit.derive.walking import is_random, kets_of, walk_formula
from nexort.program.declarations import OutputRule
from nexort.program.index import Affine
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError, fail

MOST_PATTERNS = 400
MOST_OFFSETS = 4


class Engine:
    """One derivation."""

    def __init__(
        self, program: Program, system: System | None = None, names: BoundNames | None = None
    ) -> None:
        """``system`` are the program's lines if they are known, with the names they use."""
        self.program = program
        self.names = names or BoundNames()
        self.trace = Trace()
        self.system = system or normalize(program, self.names)
        self.processes: dict[str, Callable[[], GaussianFamily]] = {}
        """Laws of numbers that are Gaussian at the start, by name; those that are read are asked
        for."""
        self.structure = Structure(self.system, self.names)
        for before, after in self.structure.dropped:
            self.trace.record("vanishing odd moment", before, after)
        self.values: dict[Line, Formula] = {}
        self.waiting: list[UnknownPattern] = []
        self.seen: set[UnknownPattern] = set()
        self.offsets: dict[tuple[str, str, str], set[object]] = {}
        self.equations: dict[UnknownPattern, list[Equation]] = {}
        self.rules = ExpectationRules(
            self.structure, self.names, self.trace, self.demand, self.value, self
        )
        self.responses = Responses(self.rules)
        self.scalars_seen: set[str] = set()
        self.scalars_waiting: list[str] = []
        self.scalar_equations: dict[str, list[Equation]] = {}

    # ---- the worklist --------------------------------------------------------------------------

    def functions(self) -> tuple[UpdateFunction, ...]:
        """The update functions with states; others are written in."""
        return tuple(x for x in self.system.updates.values() if x.states)

    def settle(self) -> None:
        """Equations for everything asked for."""
        while self.scalars_waiting or self.waiting:
            while self.scalars_waiting:
                self._scalar(self.scalars_waiting.pop(0))
            if self.waiting:
                pattern = self.waiting.pop(0)
                self.equations[pattern] = self._equations(pattern)

    def settle_if_possible(self) -> None:
        """Equations for what covariances read; none where they are too many to be derived."""
        mark, known = self.begin(), dict(self.equations)
        try:
            self.settle()
        except NexortError:
            self.undo(mark)
            self.waiting.clear()
            self.equations = known

    def all_equations(self) -> list[Equation]:
        """The equations found, of scalars and of patterns."""
        found = [e for equations in self.scalar_equations.values() for e in equations]
        for pattern, equations in self.equations.items():
            if pattern.offset is not None and replace(pattern, offset=None) in self.equations:
                continue  # the free pattern has it
            found.extend(equations)
        return found

    def demand(self, unknown: Formula) -> None:
        """Ask for the equations of an unknown."""
        pattern = pattern_of(unknown)
        assert pattern is not None
        free = replace(pattern, offset=None)
        if pattern in self.seen or free in self.seen:
            return
        key = (pattern.kind, pattern.left, pattern.right)
        offsets = self.offsets.setdefault(key, set())
        offsets.add(pattern.offset)
        if len(offsets) > MOST_OFFSETS:
            pattern = free
        self._ask(pattern)

    def _ask(self, pattern: UnknownPattern) -> None:
        if pattern in self.seen:
            return
        self.seen.add(pattern)
        self.waiting.append(pattern)
        if len(self.seen) > MOST_PATTERNS:
            raise fail(
                "not-derivable",
                f"the recursion has more than {MOST_PATTERNS} kinds of bra-kets",
                help="nexort eval and nexort verify still evaluate it",
            )

    # ---- attempts ------------------------------------------------------------------------------

    def begin(self) -> object:
        """What is asked for and recorded so far."""
        return (
            list(self.waiting), set(self.seen), {k: set(v) for k, v in self.offsets.items()},
            set(self.scalars_seen), list(self.scalars_waiting), dict(self.values),
            len(self.trace.steps),
        )  # fmt: skip

    def undo(self, mark: object) -> None:
        """Forget what was asked for and recorded since."""
        assert isinstance(mark, tuple)
        (
            self.waiting, self.seen, self.offsets, self.scalars_seen, self.scalars_waiting,
            self.values, steps,
        ) = mark  # fmt: skip
        del self.trace.steps[steps:]

    # ---- values of rules -----------------------------------------------------------------------

    def value(self, line: Line) -> Formula:
        """The right side of a rule: hat + dot for an application, scalars by their equations."""
        if line not in self.values:
            if line.matrix is not None:
                hat = replace(line.ket, part="hat")
                dot = self.structure.dot(line)
                for item in walk_formula(dot):
                    if isinstance(item, Response):
                        self.demand(item)
                self.values[line] = add(hat, dot)
            else:
                self.values[line] = self.numbers(line.value, line.ranges)
        return self.values[line]

    def numbers(self, formula: Formula, ranges: tuple[IndexRange, ...]) -> Formula:
        """A formula with the scalars in it evaluated by the rules."""
        match formula:
            case Expectation(body):
                return self.rules.of(self.numbers(body, ranges), ranges)
            case Symbol(name, _, _, "scalar"):
                self.need(name)
                return formula
            case LoopSum(var, first, last, body):
                inner = self.numbers(body, (*ranges, IndexRange(var, first, last)))
                return rebuilt(formula, lambda _: inner)
            case Fold(_, var, last, body):
                inner = self.numbers(body, (*ranges, IndexRange(var, Affine(), last)))
                return rebuilt(formula, lambda _: inner)
            case _:
                return rebuilt(formula, lambda f: self.numbers(f, ranges))

    def need(self, name: str) -> None:
        """Ask for the equations of a family of scalars."""
        if name not in self.scalars_seen:
            self.scalars_seen.add(name)
            self.scalars_waiting.append(name)

    # ---- scalars and outputs -------------------------------------------------------------------

    def _scalar(self, name: str) -> None:
        self.scalar_equations[name] = [
            self._scalar_equation(line) for line in self.system.scalars[name]
        ]

    def _scalar_equation(self, line: Line) -> Equation:
        left = Symbol(line.name, line.indices, line.axes)
        right = self.numbers(line.value, line.ranges)
        self.trace.record("bra-ket", line.value, right, f"definition of {line.name}")
        return Equation(left, right, line.ranges, line.labels, closed=False)

    def output(self, output: OutputRule) -> OutputFormula:
        """The limit of an output, the equations it needs asked for."""
        labels = tuple(AxisLabel(f"${k}", a.name) for k, a in enumerate(output.axes))
        axes = tuple(Affine.variable(x.label) for x in labels)
        if output.family is not None:
            line = self.system.scalars[output.family][0]
            if len(self.system.scalars[output.family]) == 1 and output.family not in self.processes:
                return self._inlined(output, line)
            self.need(output.family)
            ranges = self._hull(self.system.scalars[output.family])
            names = tuple(Affine.variable(r.var) for r in ranges)
            value: Formula = Symbol(output.family, names, axes)
            return OutputFormula(output.name, names, axes, value, ranges, labels, value)
        assert output.value is not None
        raw = self.system.outputs[output.name]
        if isinstance(raw, Symbol) and raw.name in self.system.scalars and not raw.indices:
            [line] = self.system.scalars[raw.name]
            raw = line.at((), raw.axes)
        value = self.numbers(raw, ())
        self.trace.record("Master Theorem", raw, value, f"output {output.name}")
        given = self.system.given[output.name]
        return OutputFormula(output.name, (), axes, value, (), labels, given)

    def _inlined(self, output: OutputRule, line: Line) -> OutputFormula:
        """An output that a rule of a scalar gives: the value of the rule."""
        value = self.numbers(line.value, line.ranges)
        self.trace.record("Master Theorem", line.value, value, f"output {output.name}")
        given = Symbol(line.name, line.indices, line.axes)
        return OutputFormula(
            output.name, line.indices, line.axes, value, line.ranges, line.labels, given
        )

    def _hull(self, lines: list[Line]) -> tuple[IndexRange, ...]:
        """The index of a family that several rules define, where they follow one another."""
        if any(len(x.indices) != 1 for x in lines):
            raise fail(
                "not-derivable", f"the members of '{lines[0].name}' form no range",
                lines[0].span, help="put out single members: output m[1], m[2]",
            )  # fmt: skip
        ends = [
            (x.ranges[0].first, x.ranges[0].last) if x.ranges else (x.indices[0], x.indices[0])
            for x in lines
        ]
        ends = [e for e in ends if (e[1] - e[0]).terms or (e[1] - e[0]).constant >= 0]
        if not ends:
            raise fail(
                "not-derivable", f"'{lines[0].name}' has no members after its first",
                lines[0].span, help="a training of 0 steps: put out f[0]",
            )  # fmt: skip
        ordered = sorted(ends, key=lambda e: not any(e[0] == f[1] + Affine(1) for f in ends))
        first = next(e for e in ends if not any(e[0] == f[1] + Affine(1) for f in ordered))
        last = next(e for e in ends if not any(e[1] + Affine(1) == f[0] for f in ordered))
        var = next((x.ranges[0].var for x in lines if x.ranges), "k")
        return (IndexRange(var, first[0], last[1]),)

    # ---- equations -----------------------------------------------------------------------------

    def _equations(self, pattern: UnknownPattern) -> list[Equation]:
        match pattern.kind:
            case "bracket":
                return self._brackets(pattern)
            case "average":
                sides = members(self.system, pattern.left, "l", self.names)
                return [self._average(m) for m in sides]
            case _:
                return self._responses(pattern)

    def pairs(self, pattern: UnknownPattern) -> list[tuple[CaseSide, CaseSide]]:
        """Every pair of rules that may meet, at the pattern's offset."""
        lefts = members(self.system, pattern.left, "l", self.names)
        rights = members(self.system, pattern.right, "r", self.names)
        if pattern.offset is None:
            symmetric = pattern.kind == "bracket" and pattern.left == pattern.right
            return [
                (a, b)
                for m, a in enumerate(lefts)
                for n, b in enumerate(rights)
                if not symmetric or m <= n
            ]
        found = []
        for a in lefts:
            for b in rights:
                pair = align_sides(a, b, pattern.offset)
                if pair is not None:
                    found.append(pair)
        return found

    def cases(self, pattern: UnknownPattern) -> list[tuple[CaseSide, CaseSide]]:
        """The same; where ranges do not tell, all pairs with both indices free."""
        try:
            return self.pairs(pattern)
        except Undecided:
            free = replace(pattern, offset=None)
            self._ask(free)
            return []

    def _brackets(self, pattern: UnknownPattern) -> list[Equation]:
        return [self._bracket(a, b) for a, b in self.cases(pattern)]

    def _bracket(self, a: CaseSide, b: CaseSide) -> Equation:
        """<x|y> of two rules: Gaussian kets stay unless both are, and then both expand; of a
        linear combination and a nonlinear function only the combination does."""
        ranges = a.ranges + b.ranges
        gaussian = [m.ket.name in self.structure.gaussian for m in (a, b)]
        linear = [self._is_combination(m) for m in (a, b)]
        sides = []
        for side, own, other in ((a, 0, 1), (b, 1, 0)):
            keep = side.line is None or (gaussian[own] and not gaussian[other])
            mixed = linear[other] and not linear[own] and not any(gaussian)
            sides.append(side.ket if keep or mixed else self.expanded(side))
        whole = mul(*sides)
        left = Bracket(a.ket, b.ket)
        self.trace.record("definition", left, Expectation(whole))
        right = self.rules.of(whole, ranges)
        labels = self.labels(a.ket) + self.labels(b.ket)
        return Equation(left, right, ranges, labels, closed=False)

    def _is_combination(self, side: CaseSide) -> bool:
        """Whether a rule is a linear combination of kets that are not all Gaussian."""
        if side.line is None or side.line.matrix is not None:
            return False
        kets = {k.name for k in kets_of(side.line.value)}
        return is_affine_formula(side.line.value) and not kets <= self.structure.gaussian

    def expanded(self, side: CaseSide) -> Formula:
        """The right side of a member's rule at its index and labels."""
        assert side.line is not None
        value = unbound(self.value(side.line), self.names)
        return reindex(value, side.line.env(side.ket.indices, side.ket.axes))

    def _average(self, side: CaseSide) -> Equation:
        left = Average(side.ket)
        value = side.ket if side.line is None else self.expanded(side)
        self.trace.record("definition", left, Expectation(value) if is_random(value) else value)
        right = self.rules.of(value, side.ranges) if value != ZERO else ZERO
        return Equation(left, right, side.ranges, self.labels(side.ket), closed=False)

    def _responses(self, pattern: UnknownPattern) -> list[Equation]:
        """One equation for each rule of the ket and each application that has the hat."""
        found = []
        for a, b in self.cases(pattern):
            if a.line is None or b.line is None or b.line.matrix is None:
                continue
            equation = self._response(a, b)
            if equation is None:
                self.responses.unknown.add((a.ket.name, b.ket.name))
            else:
                found.append(equation)
        return found

    def _response(self, a: CaseSide, b: CaseSide) -> Equation | None:
        hat = replace(b.ket, part="hat")
        ranges = a.ranges + b.ranges
        left = Response(a.ket, hat)
        value = self.expanded(a)
        mark = self.begin()
        right = self.responses.slope(value, hat, ranges)
        if right is None or any(isinstance(x, Expectation) for x in walk_formula(right)):
            self.undo(mark)
            return None
        self.trace.record("chain rule", left, right)
        labels = self.labels(a.ket) + self.labels(b.ket)
        return Equation(left, right, ranges, labels, closed=False)

    def labels(self, ket: Ket) -> tuple[AxisLabel, ...]:
        """The labels of a ket whose axes are all free."""
        axes = self.system.axes[ket.name]
        return tuple(AxisLabel(a.terms[0][0], name) for a, name in zip(ket.axes, axes, strict=True))
