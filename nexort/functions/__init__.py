"""Entrywise functions: one file an entry, found by name.

An entry's numpy function acts on arrays entry by entry and keeps float32 as float32; its
derivatives are written in nexort's own expression language.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Evaluate = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Function:
    """An entrywise function.

    ``evaluate`` takes ``arity`` broadcastable arrays. ``partials[i]`` is the derivative by the i-th
    argument as an expression of ``x`` (one argument) or ``x, y`` (two), right almost everywhere.
    ``parity`` is 'odd' or 'even' for f(-x) = -f(x) or f(x), of one argument;
    ``jumps`` that f is discontinuous at 0. ``latex`` has ``{x}``
    and ``{y}`` where the arguments go. ``summary`` is one line for the user.
    """

    name: str
    evaluate: Evaluate
    partials: tuple[str, ...]
    latex: str
    summary: str
    parity: str | None = None
    jumps: bool = False

    @property
    def arity(self) -> int:
        """How many arguments the function takes."""
        return len(self.partials)


@cache
def registry() -> dict[str, Function]:
    """Every entry by name: the ``ENTRIES`` of each module of this package."""
    found: dict[str, Function] = {}
    for module in pkgutil.iter_modules(__path__):
        for entry in import_module(f"{__name__}.{module.name}").ENTRIES:
            found[entry.name] = entry
    return dict(sorted(found.items()))


def lookup(name: str) -> Function | None:
    """The entry of that name, or None."""
    return registry().get(name)
