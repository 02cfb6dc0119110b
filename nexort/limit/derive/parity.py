"""Sign symmetries of families: what changes its sign when an initial vector or matrix does.

The limit of every program is unchanged in law when one initial vector, all of them, or one matrix
changes sign. A ket that changes sign with it is odd, and its expectation is zero. The parities of
families are a fixed point of their rules: every rule, with the parities of the families it reads,
gives the parity of its own, so by induction along the program every member has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nexort import activations
from nexort.limit.derive.formula import (
    Apply,
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    Ket,
    LoopSum,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
)
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.walking import terms_of

Parity = Mapping[str, int | None]
"""Symmetry to 1 (odd), 0 (even) or None (neither, as far as the rules tell)."""

ALL = "all vectors"


class Parities:
    """The parity of every ket family."""

    def __init__(self, system: System) -> None:
        self.system = system
        matrices = {x.matrix.name for x in system.applications() if x.matrix is not None}
        vectors = dict.fromkeys(map(system.group, system.initial))
        self.symmetries = [ALL, *vectors, *(f"{m} (matrix)" for m in sorted(matrices))]
        self.found: dict[str, dict[str, int | None]] = {
            name: {s: int(s in (ALL, system.group(name))) for s in self.symmetries}
            for name in system.initial
        }
        changed = True
        while changed:
            changed = False
            for name, lines in system.kets.items():
                for line in lines:
                    changed |= self._join(name, self._line(line))

    def _join(self, name: str, parity: Parity | None) -> bool:
        if parity is None:
            return False
        known = self.found.get(name)
        if known is None:
            self.found[name] = dict(parity)
            return True
        joined = {s: known[s] if known[s] == parity[s] else None for s in self.symmetries}
        self.found[name] = joined
        return joined != known

    def _line(self, line: Line) -> Parity | None:
        parity = self.of(line.value)
        if parity is None or line.matrix is None:
            return parity
        own = f"{line.matrix.name} (matrix)"
        return {s: _xor(p, 1) if s == own else p for s, p in parity.items()}

    def of(self, formula: Formula) -> Parity | None:
        """The parity of a random formula; None while it is not known yet."""
        match formula:
            case Ket():
                return self.found.get(formula.name)
            case Sum(terms):
                left = [t for t in terms if not self.vanishes(t)]
                known = [p for p in map(self.of, left) if p is not None]
                return _same(known, self.symmetries) if known else None
            case Product(factors):
                return self._product([self.of(f) for f in factors])
            case Power(base, Number(value)) if (
                isinstance(value, Fraction) and value.denominator == 1
            ):
                return self._product([self.of(base)] * (2 - value.numerator % 2))
            case Apply(name, args):
                return self._applied(name, args)
            case LoopSum() | AxisSum() | CopyMean():
                return self.of(formula.body)
            case Fold(_, _, _, body):
                return self._opaque([self.of(body)])
            case Power():
                return self._opaque([self.of(formula.base), self.of(formula.exponent)])
            case _:
                return dict.fromkeys(self.symmetries, 0)

    def is_odd(self, *factors: Formula) -> str | None:
        """The symmetry under which a product of random formulas is odd, or None."""
        product = self._product([self.of(f) for f in factors])
        if product is None:
            return None
        return next((s for s in self.symmetries if product[s] == 1), None)

    def vanishes(self, term: Formula) -> bool:
        """Whether a term has a factor E[X] with X odd under some symmetry: it is zero."""
        factors = term.factors if isinstance(term, Product) else (term,)
        return any(self._is_zero(f) for f in factors)

    def _is_zero(self, factor: Formula) -> bool:
        match factor:
            case Expectation(body):
                parity = self.of(body)
                return parity is None or 1 in parity.values()
            case Symbol(name, _, _, "scalar"):
                lines = self.system.scalars.get(name, [])
                known = [t for x in lines for t in terms_of(x.value)]
                return bool(known) and all(
                    isinstance(t, Expectation | Product) and self.vanishes(t) for t in known
                )
            case AxisSum() | LoopSum():
                return self.vanishes(factor.body)
            case _:
                return False

    def _product(self, factors: list[Parity | None]) -> Parity | None:
        result: dict[str, int | None] = dict.fromkeys(self.symmetries, 0)
        for factor in factors:
            if factor is None:
                return None
            result = {s: _xor(result[s], factor[s]) for s in self.symmetries}
        return result

    def _applied(self, name: str, args: tuple[Formula, ...]) -> Parity | None:
        entry = activations.lookup(name)
        parity = entry.parity if entry is not None else None
        inner = [self.of(a) for a in args]
        if len(inner) == 1 and parity == "odd":
            return inner[0]
        if len(inner) == 1 and inner[0] is not None and parity == "even":
            return {s: 0 if p is not None else None for s, p in inner[0].items()}
        return self._opaque(inner)

    def _opaque(self, inner: list[Parity | None]) -> Parity:
        """The parity of any function: what is not known yet is 0, and a function of 0 is even."""
        known = [p for p in inner if p is not None]
        return {s: 0 if all(p[s] == 0 for p in known) else None for s in self.symmetries}


def _xor(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a ^ b


def _same(known: list[Parity], symmetries: list[str]) -> Parity:
    first = known[0]
    return {s: first[s] if all(p[s] == first[s] for p in known) else None for s in symmetries}
