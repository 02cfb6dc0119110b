"""Unknowns as functions of their indices: one cached function a family, a branch an equation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nexort.limit.derive.algebra import reindex
from nexort.limit.derive.derivation import Equation
from nexort.limit.derive.emit.functions import identifier, index_code
from nexort.limit.derive.formula import (
    Average,
    AxisSum,
    Bracket,
    Formula,
    Indices,
    LoopSum,
    Response,
    Symbol,
)
from nexort.limit.derive.matching import axes_of, is_unknown, unknown_members
from nexort.limit.derive.printing.names import spare
from nexort.limit.derive.walking import walk_formula
from nexort.program.index import Affine

Name = tuple[str, tuple[str, ...]]
"""Kind and names of an unknown."""


def name_of(unknown: Formula) -> Name:
    """The family of an unknown."""
    kind, members = unknown_members(unknown)
    return kind, tuple(name for name, _ in members)


def indices_of(unknown: Formula) -> Indices:
    """The indices of an unknown, of all its kets."""
    return tuple(i for _, indices in unknown_members(unknown)[1] for i in indices)


@dataclass(frozen=True)
class Branch:
    """An equation as a branch: it holds where every condition does."""

    conditions: tuple[str, ...]
    equation: Equation


@dataclass(frozen=True)
class UnknownFamily:
    """A family of unknowns: the function ``title(arguments)``.

    ``kept`` are the positions among all indices that are arguments: an index that always equals an
    earlier one is left out. ``split`` is how many axes the left ket has.
    """

    name: Name
    title: str
    arguments: tuple[str, ...]
    kept: tuple[int, ...]
    branches: tuple[Branch, ...]
    split: int

    @property
    def symmetric(self) -> bool:
        """Whether <x|y> may have to be read as <y|x>."""
        kind, names = self.name
        return kind == "bracket" and names[0] == names[1] and len(self.branches) > 1

    def unknown(self) -> Formula:
        """The unknown at the arguments."""
        given = dict(zip(self.kept, self.arguments, strict=True))
        left = self.branches[0].equation.left
        old = indices_of(left)
        places = [k if k in given else next(j for j in self.kept if old[j] == old[k])
                  for k in range(len(old))]  # fmt: skip
        return _at(left, [Affine.variable(given[k]) for k in places])

    def call(self, indices: Sequence[Affine]) -> str:
        """The call at some indices."""
        return f"{self.title}({', '.join(index_code(indices[k]) for k in self.kept)})"


def _at(unknown: Formula, indices: Sequence[Affine]) -> Formula:
    """The unknown at other indices."""
    match unknown:
        case Bracket(left, right):
            n = len(left.indices)
            return Bracket(
                replace(left, indices=tuple(indices[:n])),
                replace(right, indices=tuple(indices[n:])),
            )
        case Response(x, by):
            n = len(x.indices)
            return Response(
                replace(x, indices=tuple(indices[:n])), replace(by, indices=tuple(indices[n:]))
            )
        case Average(x):
            return Average(replace(x, indices=tuple(indices)))
        case Symbol():
            return replace(unknown, indices=tuple(indices))
        case _:
            return unknown


def families(
    equations: Sequence[Equation], needed: Sequence[Formula], given: set[str]
) -> dict[Name, UnknownFamily]:
    """The families that formulas need, each after what asks for it; ``given`` are names of data,
    params and sizes."""
    by_name: dict[Name, list[Equation]] = {}
    for equation in equations:
        by_name.setdefault(name_of(equation.left), []).append(equation)
    order: dict[Name, None] = {}
    stack = [name for f in reversed(needed) for name in reversed(list(_read(f, by_name)))]
    while stack:
        name = stack.pop()
        if name not in order:
            order[name] = None
            found = [n for e in by_name[name] for n in _read(e.right, by_name)]
            stack.extend(reversed(found))
    variables = {r.var for e in equations for r in e.ranges}
    taken = given | variables
    titles = {name: _title(name, taken) for name in order}
    given = given | set(titles.values())
    return {name: _family(name, title, by_name, given) for name, title in titles.items()}


def _read(formula: Formula, known: Mapping[Name, object]) -> Iterator[Name]:
    for part in walk_formula(formula):
        if is_unknown(part):
            name = name_of(part)
            if name not in known and name[0] == "bracket":
                name = (name[0], name[1][::-1])
            if name in known:
                yield name


def _family(
    name: Name, title: str, all_: Mapping[Name, list[Equation]], taken: set[str]
) -> UnknownFamily:
    equations = all_[name]
    patterns = [indices_of(e.left) for e in equations]
    uses = [
        indices_of(part)
        for some in all_.values()
        for e in some
        for part in walk_formula(e.right)
        if is_unknown(part) and name_of(part) == name
    ]
    kept: list[int] = []
    for k in range(len(patterns[0])):
        if not any(all(p[j] == p[k] for p in (*patterns, *uses)) for j in kept):
            kept.append(k)
    arguments = _arguments(patterns, kept, equations, taken)
    left = equations[0].left
    split = len(left.left.axes) if isinstance(left, Bracket) else 0
    branches = tuple(_branch(e, [(arguments[n], k) for n, k in enumerate(kept)]) for e in equations)
    return UnknownFamily(name, title, tuple(arguments), tuple(kept), branches, split)


def _arguments(
    patterns: Sequence[Indices],
    kept: Sequence[int],
    equations: Sequence[Equation],
    taken: Iterable[str],
) -> list[str]:
    """Names for arguments: those of the equations' own variables where they have any."""
    found: list[str] = []
    parts = [x for e in equations for x in walk_formula(e.right)]
    bound = {x.var for x in parts if isinstance(x, LoopSum)}
    bound |= {x.label for x in parts if isinstance(x, AxisSum)}
    reserved = {*taken, *bound, *(x.label for e in equations for x in e.labels)}
    for k in kept:
        own = [
            n
            for e, p in zip(equations, patterns, strict=True)
            for n in [str(p[k])]
            if n in {r.var for r in e.ranges}
        ]
        found.append(next(spare([*own, "l", "m"], {*found, *reserved})))
    return found


def _branch(equation: Equation, arguments: Sequence[tuple[str, int]]) -> Branch:
    """The equation in terms of the arguments, and where it holds."""
    indices = indices_of(equation.left)
    free = {r.var: r for r in equation.ranges}
    env: dict[str, Affine] = {}
    conditions: list[str] = []
    for argument, k in arguments:
        own = str(indices[k])
        if own in free and own not in env:
            env[own] = Affine.variable(argument)
        else:
            value = env.get(own, indices[k])
            conditions.append(f"{identifier(argument)} == {index_code(value)}")
    # all at once: arguments may have the names of other variables
    right = reindex(equation.right, env)
    for r in equation.ranges:
        variable = env[r.var]
        ends = [index_code(x) for x in (r.first, variable, r.last)]
        conditions.append(" <= ".join(ends))
    renamed = Equation(equation.left, right, equation.ranges, equation.labels, equation.closed)
    return Branch(tuple(conditions), renamed)


def _title(name: Name, taken: set[str]) -> str:
    kind, names = name
    prefix = {"bracket": "", "average": "mean_", "response": "slope_", "scalar": ""}[kind]
    wanted = prefix + "_".join(names)
    if kind == "scalar":
        wanted = names[0]
    wanted = re.sub(r"\W+", "_", wanted).strip("_") or "value"
    while wanted in taken or identifier(wanted) != wanted:
        wanted += "_at"
    taken.add(wanted)
    return wanted


def flip_bracket(unknown: Bracket) -> Bracket:
    """<y|x>"""
    return Bracket(unknown.right, unknown.left)


def axes_of_unknown(unknown: Formula) -> Indices:
    """The axes of an unknown's array."""
    return axes_of(unknown)


def moves(family: UnknownFamily) -> tuple[bool, bool]:
    """Whether a branch reads unknowns at smaller, and at larger indices."""
    down = up = False
    for branch in family.branches:
        free = {r.var for r in branch.equation.ranges} | set(family.arguments)
        for part in walk_formula(branch.equation.right):
            if is_unknown(part):
                for index in indices_of(part):
                    if len(index.terms) == 1 and index.terms[0][0] in free:
                        down |= index.constant < 0
                        up |= index.constant > 0
    return down, up
