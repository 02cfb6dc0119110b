"""The unrolled form of a derivation: loops run, every member has an equation of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, TypeVar

from nexort.derive.algebra import add, number, rebuilt, reindexed, walk
from nexort.derive.derivation import (
    Derivation,
    Equation,
    GaussianFamily,
    KetDefinition,
    OutputFormula,
    Range,
)
from nexort.derive.expectation import canonical_bracket
from nexort.derive.formula import (
    Bracket,
    Expectation,
    Formula,
    IndexNumber,
    LoopSum,
    Matrix,
    Response,
    Symbol,
)
from nexort.derive.matching import Equations, Key, grid, is_unknown, key_of
from nexort.diagnostics import fail
from nexort.program.index import Affine

Line = TypeVar("Line", Equation, KetDefinition, GaussianFamily, OutputFormula)
MOST_EQUATIONS = 20_000


def unrolled(derivation: Derivation, numbers: Mapping[str, int | float]) -> Derivation:
    """A derivation with the numbers of ``params`` and sizes that bound its loops in place.

    Raises NexortError where a loop's end has no number, or there are too many equations.
    """
    return _Unrolling(derivation, numbers).run()


@dataclass
class _Unrolling:
    derivation: Derivation
    numbers: Mapping[str, int | float]

    def __post_init__(self) -> None:
        lines = (
            *self.derivation.outputs, *self.derivation.equations, *self.derivation.kets,
            *self.derivation.gaussians,
        )  # fmt: skip
        names = {n for x in lines for r in x.ranges for n in r.first.names | r.last.names}
        for line in lines:
            for value in _formulas(line):
                for item in walk(value):
                    if isinstance(item, LoopSum):
                        names |= item.first.names | item.last.names
                    names |= _indices(item)
        self.base: dict[str, int] = {
            k: v for k, v in self.numbers.items() if isinstance(v, int) and k in names
        }
        self.missing = names

    def run(self) -> Derivation:
        d = self.derivation
        outputs = tuple(x for o in d.outputs for x in self._all(o))
        equations = tuple(self._needed(outputs))
        closed = all(e.closed for e in equations)
        return replace(
            d,
            outputs=outputs,
            equations=equations,
            kets=tuple(x for k in d.kets for x in self._all(k)),
            gaussians=tuple(x for g in d.gaussians for x in self._all(g)),
            closed=closed and d.closed,
        )

    def _all(self, line: Line) -> Iterable[Line]:
        """A line at every value of its ranges."""
        self._known(line.ranges)
        seen: set[Line] = set()
        for env in grid(line.ranges, self.base):
            placed = self.at(line, env)
            if placed not in seen:
                seen.add(placed)
                yield placed

    def _known(self, ranges: tuple[Range, ...]) -> None:
        own = {r.var for r in ranges}
        for r in ranges:
            for name in (r.first.names | r.last.names) - own:
                if name not in self.base:
                    raise fail(
                        "missing-number", f"--unroll needs a number for '{name}'",
                        help=f"--set {name}=3",
                    )  # fmt: skip

    def _needed(self, outputs: tuple[OutputFormula, ...]) -> Iterable[Equation]:
        """The equations that outputs need, directly or not, in the order they are needed."""
        equations = Equations(self.derivation.equations, self.base)
        seen: set[Key] = set()
        waiting = [u for o in outputs for u in _unknowns(o.value)]
        place = 0
        while place < len(waiting):
            unknown = waiting[place]
            place += 1
            key = key_of(unknown, self.base)
            found = equations.find(key)
            if found is None and key[0] == "bracket":
                key = key[0], key[1][::-1]
                found = equations.find(key)
            if found is None or key in seen:
                continue
            seen.add(key)
            if len(seen) > MOST_EQUATIONS:
                raise fail("too-long", f"more than {MOST_EQUATIONS} equations", help="shorter loops")
            equation, env = found
            placed = self.at(equation, env)
            yield placed
            waiting.extend(_unknowns(placed.right))

    # ---- placing -------------------------------------------------------------------------------

    def at(self, line: Line, env: Mapping[str, int]) -> Line:
        """A line at numeric indices."""
        values = {k: Affine(v) for k, v in {**self.base, **env}.items()}
        changed: dict[str, Any] = {"ranges": ()}
        for field in fields(line):
            value = getattr(line, field.name)
            if field.name in ("indices", "axes"):
                changed[field.name] = tuple(_at(i, values) for i in value)
            elif isinstance(value, Matrix):
                indices = tuple(_at(i, values) for i in value.indices)
                changed[field.name] = replace(value, indices=indices)
            elif hasattr(value, "__dataclass_fields__"):
                changed[field.name] = self.formula(value, values)
        return replace(line, **changed)

    def formula(self, formula: Formula, values: Mapping[str, Affine]) -> Formula:
        """A formula at numeric indices, its loops summed term by term."""
        return self._summed(reindexed(formula, values))

    def _summed(self, formula: Formula) -> Formula:
        match formula:
            case LoopSum(var, first, last, body):
                terms = []
                for value in range(first.value(self.base), last.value(self.base) + 1):
                    terms.append(self._summed(reindexed(body, {var: Affine(value)})))
                return add(*terms)
            case IndexNumber(index) if not index.terms:
                return number(index.constant)
            case Symbol(name, _, _, "param" | "size") if name in self.base:
                return number(self.base[name])
            case Bracket(left, right):
                return canonical_bracket(left, right)
            case _:
                return rebuilt(formula, self._summed)


def _at(index: Affine, values: Mapping[str, Affine]) -> Affine:
    from nexort.derive.algebra import place

    return place(index, values)


def _formulas(line: Any) -> Iterable[Formula]:
    for field in fields(line):
        value = getattr(line, field.name)
        if hasattr(value, "__dataclass_fields__") and not isinstance(value, Matrix):
            yield value


def _indices(item: Formula) -> set[str]:
    """Names in the indices of families (axis labels are not meant: they stay)."""
    match item:
        case Symbol():
            return {n for i in item.indices for n in i.names}
        case Bracket(left, right):
            return {n for k in (left, right) for i in k.indices for n in i.names}
        case Response(ket, by):
            return {n for k in (ket, by) for i in k.indices for n in i.names}
        case _:
            return {n for i in getattr(item, "indices", ()) for n in i.names}


def _unknowns(formula: Formula) -> Iterable[Formula]:
    for item in walk(formula):
        if is_unknown(item):
            yield item


__all__ = ["Expectation", "Fraction", "unrolled"]
