"""The functions that programs can use, and what is known of each, as rows of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort import activations
from nexort.activations import Function, arithmetic
from nexort.gaussian import catalogue
from nexort.gaussian.expectation import method_of
from nexort.gaussian.univariate import function
from nexort.gaussian.variable import SLOT
from nexort.limit.derive import closed
from nexort.limit.derive.formula import Formula
from nexort.limit.derive.printing import text_boxes
from nexort.limit.derive.printing.notation import Notation
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import scalar

OPERATORS = frozenset(f.name for f in arithmetic.FUNCTIONS)
"""What is written with a sign, and not by its name."""


LONGEST = 75
"""Derivatives that are longer are not in the table."""


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """A function f: its ``route`` is that of E f(y) f(z) for correlated Gaussians y, z; ``mean``,
    ``square`` and ``slope`` are E f(y), E f(y) f(z) and E f'(y) f'(z) in the variances p of y and q
    of z and their covariance c, where they have closed forms."""

    name: str
    arguments: tuple[str, ...]
    formula: str
    derivatives: tuple[str, ...]
    parity: str | None
    kinks: tuple[float, ...]
    jumps: bool
    route: str | None
    source: str | None
    mean: str | None
    square: str | None
    slope: str | None

    @property
    def call(self) -> str:
        """How it is written."""
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The columns of the table."""
        route = "-" if self.route is None else self.route
        known = route if self.source is None else f"{route} ({self.source})"
        slope = self.derivatives[0]
        if len(slope) > LONGEST:
            slope = f"see 'nexort functions {self.name}'"
        return self.call, self.formula, slope, known

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def function_rows() -> list[FunctionRow]:
    """Every function with a name, in alphabetical order."""
    return [function_row(f) for f in activations.registry().values() if f.name not in OPERATORS]


def function_row(f: Function) -> FunctionRow:
    """What is known of one function."""
    letters = ("x", "y") if f.name in ("max", "min") else ("x", "a")
    partials = tuple(rename_argument(p, letters[1]) for p in f.partials)
    known = (f.name, letters[: f.arity], f.summary, partials, f.parity, f.kinks, f.jumps)
    if f.name in ("max", "min") or not _everywhere(f):
        return FunctionRow(*known, None, None, None, None, None)
    one = function(f.name, *[catalogue.SLOPE] * (f.arity - 1))
    source = catalogue.closed_form(one, one)
    graph = build.call(f.name, SLOT, *[PARAM] * (f.arity - 1))
    return FunctionRow(
        *known,
        method_of(one, one),
        None if source is None else catalogue.short(source[1]),
        *_formulas(one.node if f.arity == 1 else graph, f),
    )


PARAM = Node(Op.PARAM, (), "a", scalar())


def rename_argument(text: str, letter: str) -> str:
    """A partial with its second argument by another letter."""
    return re.sub(r"\by\b", letter, text)


def _everywhere(f: Function) -> bool:
    """Whether f is a number at negative x."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(f.evaluate(np.float64(-1.0), *[np.float64(0.5)] * (f.arity - 1))))


def _formulas(graph: Node, f: Function) -> tuple[str | None, str | None, str | None]:
    slope = None
    if f.arity == 1:
        derivative = function(f.name).derivative().node
        slope = closed.closed_pair(derivative, derivative)
    mean = closed.closed_mean(graph)
    square = closed.closed_pair(graph, graph)
    shown = (None if x is None else formula_text(x.formula) for x in (mean, square, slope))
    first, second, third = shown
    return first, second, third


def formula_text(formula: Formula) -> str:
    """A closed form on one line."""
    return str(text_boxes.text_inline(Notation().box(formula)))
