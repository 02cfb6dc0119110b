"""Unknowns at numeric indices, and the equation that gives one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexort.limit.derive.derivation import Equation, IndexRange
from nexort.limit.derive.formula import Average, Bracket, Formula, Indices, Response, Symbol
from nexort.program.index import Affine
from nexort.support.diagnostics import InternalError

Members = tuple[tuple[str, tuple[int, ...]], ...]
Key = tuple[str, Members]
"""Kind and, for each ket (or the scalar), name and numeric indices."""


def unknown_members(formula: Formula) -> tuple[str, tuple[tuple[str, Indices], ...]]:
    """The kind of an unknown, and its names with their indices."""
    match formula:
        case Bracket(left, right):
            return "bracket", ((left.name, left.indices), (right.name, right.indices))
        case Average(ket):
            return "average", ((ket.name, ket.indices),)
        case Response(ket, by):
            return "response", ((ket.name, ket.indices), (by.name, by.indices))
        case Symbol(name, indices, _, _):
            return "scalar", ((name, indices),)
        case _:
            raise InternalError(f"{formula} is not an unknown")


def axes_of(formula: Formula) -> Indices:
    """The labels of an unknown, left before right."""
    match formula:
        case Bracket(left, right):
            return left.axes + right.axes
        case Average(ket):
            return ket.axes
        case Response(ket, by):
            return ket.axes + by.axes
        case Symbol():
            return formula.axes
        case _:
            raise InternalError(f"{formula} is not an unknown")


def is_unknown(formula: Formula) -> bool:
    """Whether an equation has to give the formula."""
    if isinstance(formula, Symbol):
        return formula.kind == "scalar"
    return isinstance(formula, Bracket | Average | Response)


def key_of(formula: Formula, numbers: Mapping[str, int]) -> Key:
    """An unknown with numbers for its indices."""
    kind, members = unknown_members(formula)
    return kind, tuple((n, tuple(i.value(numbers) for i in indices)) for n, indices in members)


class Equations:
    """Equations by kind and names."""

    def __init__(self, equations: Iterable[Equation], base: Mapping[str, int]) -> None:
        self.base = base
        self.found: dict[tuple[str, tuple[str, ...]], list[Equation]] = {}
        for equation in equations:
            kind, members = unknown_members(equation.left)
            names = tuple(name for name, _ in members)
            self.found.setdefault((kind, names), []).append(equation)

    def find(self, key: Key) -> tuple[Equation, dict[str, int]] | None:
        """The equation of an unknown, and the values of its index variables."""
        kind, members = key
        for equation in self.found.get((kind, tuple(name for name, _ in members)), ()):
            env = self.match(equation, members)
            if env is not None:
                return equation, env
        return None

    def match(self, equation: Equation, members: Members) -> dict[str, int] | None:
        """The index variables of an equation at an unknown's indices; None if it is not there."""
        env: dict[str, int] = {}
        _, patterns = unknown_members(equation.left)
        free = {r.var for r in equation.ranges}
        for (_, indices), (_, given) in zip(patterns, members, strict=True):
            for index, number in zip(indices, given, strict=True):
                if not _bind(index, number, free, env, self.base):
                    return None
        scope = {**self.base, **env}
        inside = all(
            r.first.value(scope) <= env[r.var] <= r.last.value(scope) for r in equation.ranges
        )
        return env if inside else None


def _bind(
    index: Affine, number: int, free: set[str], env: dict[str, int], base: Mapping[str, int]
) -> bool:
    """Solve index = number for its one variable that has no number yet."""
    unknown = [(n, c) for n, c in index.terms if n in free and n not in env]
    if not unknown:
        return index.value({**base, **env}) == number
    [(name, coefficient)] = unknown
    rest = index - Affine(0, ((name, coefficient),))
    gap = number - rest.value({**base, **env})
    if gap % coefficient:
        return False
    env[name] = gap // coefficient
    return True


def grid(ranges: tuple[IndexRange, ...], base: Mapping[str, int]) -> list[dict[str, int]]:
    """All values of the ranges, the last one fastest."""
    found: list[dict[str, int]] = [{}]
    for r in ranges:
        found = [
            {**env, r.var: value}
            for env in found
            for value in range(r.first.value({**base, **env}), r.last.value({**base, **env}) + 1)
        ]
    return found
