"""Index expressions: integer-affine in loop variables, params and dims (``l - 1``, ``2 k + 1``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Affine:
    """``constant + sum of coefficient * variable``; ``terms`` sorted by name, no zeros."""

    constant: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def variable(name: str) -> Affine:
        """The expression that is just a variable."""
        return Affine(0, ((name, 1),))

    def __add__(self, other: Affine) -> Affine:
        merged = dict(self.terms)
        for name, coefficient in other.terms:
            merged[name] = merged.get(name, 0) + coefficient
        kept = tuple(sorted((n, c) for n, c in merged.items() if c))
        return Affine(self.constant + other.constant, kept)

    def __sub__(self, other: Affine) -> Affine:
        return self + other.scaled(-1)

    def scaled(self, factor: int) -> Affine:
        """The expression times an integer."""
        if factor == 0:
            return Affine()
        return Affine(self.constant * factor, tuple((n, c * factor) for n, c in self.terms))

    def value(self, env: Mapping[str, int]) -> int:
        """The number, once every variable has one. Raises KeyError with an unknown name."""
        total = self.constant
        for name, coefficient in self.terms:
            total += coefficient * env[name]
        return total

    @property
    def names(self) -> frozenset[str]:
        """The variables that occur."""
        return frozenset(name for name, _ in self.terms)

    def __str__(self) -> str:
        text = ""
        for name, c in self.terms:
            size = "" if abs(c) == 1 else f"{abs(c)}*"
            text += (" - " if c < 0 else " + ") + size + name
        if self.constant or not text:
            text += (" - " if self.constant < 0 else " + ") + str(abs(self.constant))
        return "-" + text[3:] if text.startswith(" - ") else text[3:]


@dataclass(frozen=True, slots=True)
class Interval:
    """``first..last by step``, both ends included; ``step`` is +-1 or more, never 0."""

    first: Affine
    last: Affine
    step: int = 1

    def values(self, env: Mapping[str, int]) -> range:
        """The integers; empty where the last lies before the first."""
        end = self.last.value(env) + (1 if self.step > 0 else -1)
        return range(self.first.value(env), end, self.step)

    @property
    def names(self) -> frozenset[str]:
        """The variables that occur in the ends."""
        return self.first.names | self.last.names

    def __str__(self) -> str:
        by = "" if self.step in (1, -1) else f" by {self.step}"
        return f"{self.first}..{self.last}{by}"


@dataclass(frozen=True, slots=True)
class Loop:
    """``var in interval``."""

    var: str
    interval: Interval

    def __str__(self) -> str:
        return f"{self.var} in {self.interval}"
