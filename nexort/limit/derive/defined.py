"""Whether every symbol of a derivation has an equation: asked at small sizes, member by member.

Indices are affine in loop variables and params. The outputs, kets and covariances of a derivation
are followed through its equations with every param at a number beyond the constants of all indices,
so that no range is empty and none meets another by accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from nexort.limit.derive.derivation import Derivation, Equation, IndexRange
from nexort.limit.derive.formula import (
    Bracket,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    Ket,
    LoopSum,
    Symbol,
)
from nexort.limit.derive.matching import Equations, Key, grid, is_unknown, key_of
from nexort.limit.derive.walking import parts
from nexort.program.index import Affine

MOST_MEMBERS = 6000
"""Members that are followed; beyond, nothing is said to be defined."""


class TooMany(Exception):
    """Too many members to follow."""


def first_undefined(derivation: Derivation) -> tuple[Formula, ...] | None:
    """A member of every family that is read and has no equation there; None if that is not
    known."""
    try:
        return _Following(derivation).run()
    except TooMany:
        return None


class _Following:
    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self.base = _numbers(derivation)
        self.equations = Equations((*derivation.equations, *_more(derivation)), self.base)
        self.kets: list[tuple[Ket, tuple[IndexRange, ...], tuple[Formula, ...]]] = [
            (k.ket, k.ranges, (k.value,)) for k in derivation.kets
        ]
        for w in derivation.weights:
            if isinstance(w.weight, Ket):
                self.kets.append((w.weight, w.ranges, (w.value,)))
        # of which members there are is the unroller's to check, at the program's own sizes
        self.initial = {
            side.name
            for g in derivation.gaussians
            if g.reason == "initial"
            for side in (g.left, g.right)
            if isinstance(side, Ket)
        }
        self.seen: set[Any] = set()
        self.missing: dict[Any, Formula] = {}
        self.waiting: list[tuple[Formula, dict[str, int]]] = []

    def run(self) -> tuple[Formula, ...]:
        d = self.derivation
        roots: list[tuple[Any, tuple[Formula, ...]]] = [(o.ranges, (o.value,)) for o in d.outputs]
        roots += [(k.ranges, (k.value,)) for k in d.kets]
        roots += [(g.ranges, (g.covariance,)) for g in d.gaussians if g.reason != "linear"]
        for ranges, values in roots:
            for env in grid(ranges, self.base):
                self.waiting += [(v, {**self.base, **env}) for v in values]
        while self.waiting:
            formula, env = self.waiting.pop()
            self._read(formula, env)
        return tuple(self.missing.values())

    def _read(self, formula: Formula, env: dict[str, int]) -> None:
        for item, scope in _walked(formula, env):
            if is_unknown(item):
                self._unknown(item, key_of(item, scope))
            elif isinstance(item, Ket) and item.part == "ket":
                self._ket(item, tuple(i.value(scope) for i in item.indices))

    def _visit(self, key: Any) -> bool:
        if key in self.seen:
            return False
        self.seen.add(key)
        if len(self.seen) > MOST_MEMBERS:
            raise TooMany
        return True

    def _unknown(self, item: Formula, key: Key) -> None:
        if not self._visit(key):
            return
        found = self.equations.find(key)
        if found is None and isinstance(item, Bracket):
            found = self.equations.find((key[0], key[1][::-1]))
        if found is not None:
            self.waiting.append((found[0].right, {**self.base, **found[1]}))
        else:
            self.missing.setdefault((key[0], tuple(n for n, _ in key[1])), item)

    def _ket(self, item: Ket, at: tuple[int, ...]) -> None:
        if item.name in self.initial or not self._visit(("ket", item.name, at)):
            return
        for left, ranges, values in self.kets:
            if left.name != item.name:
                continue
            for env in grid(ranges, self.base):
                scope = {**self.base, **env}
                if tuple(i.value(scope) for i in left.indices) == at:
                    self.waiting += [(v, scope) for v in values]
                    return
        self.missing.setdefault(("ket", item.name), item)


def _more(derivation: Derivation) -> Iterator[Equation]:
    """What gives a number besides equations: an output of it, a rule of a weight, and the law of
    one that is Gaussian."""
    for o in derivation.outputs:
        if isinstance(o.given, Symbol) and o.value != o.given:
            yield Equation(o.given, o.value, o.ranges, o.labels, False)
    for w in derivation.weights:
        if isinstance(w.weight, Symbol):
            yield Equation(w.weight, w.value, w.ranges, w.labels, False)
    for g in derivation.gaussians:
        if isinstance(g.left, Symbol):
            yield Equation(g.left, g.covariance, g.ranges, g.labels, False)


def _walked(formula: Formula, env: dict[str, int]) -> Iterator[tuple[Formula, dict[str, int]]]:
    """Everything inside of a formula, sums over loops written out."""
    match formula:
        case LoopSum(var, first, last, body):
            for k in range(first.value(env), last.value(env) + 1):
                yield from _walked(body, {**env, var: k})
        case Fold(_, var, last, body):
            for k in range(last.value(env) + 1):
                yield from _walked(body, {**env, var: k})
        case GaussianMean(_, _, ket):
            yield ket, env
        case GaussianPair():
            yield from ((formula.left_ket, env), (formula.right_ket, env))
        case _:
            yield formula, env
    if not isinstance(formula, LoopSum | Fold):
        for part in parts(formula):
            yield from _walked(part, env)


def _numbers(derivation: Derivation) -> dict[str, int]:
    """A number for every name in an index, beyond all constants of indices and one another."""
    names: set[str] = set()
    largest = 0
    stack: list[Any] = [derivation.outputs, derivation.equations, derivation.kets]
    stack += [derivation.gaussians, derivation.weights]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, Affine):
            names |= item.names
            largest = max(largest, abs(item.constant)) if item.names else largest
        elif is_dataclass(item):
            stack.extend(getattr(item, f.name) for f in fields(item))
    return dict.fromkeys(sorted(names), largest + 2)
