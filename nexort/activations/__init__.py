"""Entrywise functions: one file an entry or a family of them, found by name.

A module lists what a function is in ``FUNCTIONS`` and, apart from that, what is known of its
Gaussian expectations in ``EXPECTATIONS``, which only the limit reads
(``nexort.activations.expectations``).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import inf
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Evaluate = Callable[..., Array]

EVERYWHERE = (-inf, inf)


@dataclass(frozen=True, slots=True)
class Function:
    """An entrywise function f.

    ``evaluate`` takes ``arity`` broadcastable arrays, entry by entry, and keeps float32 as float32.
    ``partials[i]`` is the derivative by the i-th argument as an expression of nexort's language in
    ``x`` (one argument) or ``x, y`` (two), right almost everywhere. ``latex`` and ``source``, its
    numpy code, have ``{x}`` and ``{y}`` where the arguments go. ``summary`` is one line for the
    user.
    """

    name: str
    evaluate: Evaluate
    partials: tuple[str, ...]
    latex: str
    source: str
    summary: str
    definition: str | None = None
    """f as an expression of other functions, where all that is known of f follows from theirs."""
    parity: str | None = None
    """'odd' or 'even' for f(-x) = -f(x) or f(x), of one argument."""
    kinks: tuple[float, ...] = ()
    """Where f is not smooth in its first argument."""
    jumps: bool = False
    """Whether f is discontinuous at its kinks."""
    degree: int | None = None
    """Of an f with a kink at 0 and f(c x) = c^degree f(x) for c > 0."""
    bounds: tuple[float, float] = EVERYWHERE
    """The infimum and the supremum of f."""
    vanishes: bool = False
    """Whether f is 0 at 0, or on one side of it, and nowhere else."""
    at_most_linear: bool = False
    """Whether |f(x)| <= C |x|."""

    @property
    def arity(self) -> int:
        """How many arguments the function takes."""
        return len(self.partials)

    @property
    def nonnegative(self) -> bool:
        """Whether f >= 0."""
        return self.bounds[0] >= 0

    @property
    def positive(self) -> bool:
        """Whether f > 0."""
        return self.nonnegative and not self.vanishes


@dataclass(frozen=True, slots=True)
class KnownExpectations:
    """What is known of the Gaussian expectations of a function.

    ``parts`` is the function as sums and products of the families with closed forms (powers of x,
    sign, erf, exp, sin, cos of multiples of x), from which all of them follow by bilinearity; empty
    for these families themselves. ``citation`` is the source of the closed form of
    E f(y) f(z), None where there is none. ``square`` and ``slope`` are E f(y) f(z) and
    E f'(y) f'(z) in the variances p of y and q of z and their covariance c, where they are shorter
    than what follows from the parts.
    """

    name: str
    parts: str = ""
    citation: str | None = None
    square: str = ""
    slope: str = ""


@cache
def modules() -> tuple[Any, ...]:
    """The modules of this package with entries."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    found = (import_module(f"{__name__}.{name}") for name in names if name != "expectations")
    return tuple(found)


@cache
def registry() -> dict[str, Function]:
    """Every function by name."""
    found = {entry.name: entry for module in modules() for entry in module.FUNCTIONS}
    return dict(sorted(found.items()))


def lookup(name: str) -> Function | None:
    """The function of that name, or None."""
    return registry().get(name)
