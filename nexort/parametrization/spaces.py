"""The spaces that slices are taken from: of perceptrons, and of a program's network."""

from __future__ import annotations

from fractions import Fraction

from nexort.parametrization import theorem
from nexort.parametrization.judge import Judge
from nexort.parametrization.layers import (
    Array,
    Layer,
    Normalization,
    Table,
    named_table,
    perceptron,
)
from nexort.parametrization.optimizers import optimizer_of as by_name
from nexort.parametrization.slices import Range, SliceSpace
from nexort.parametrization.subject import Subject, in_regime
from nexort.parametrization.subject import regime as by_text

UNIFORM = tuple(f"ups({Fraction(k, 16)})" for k in range(9))
MARKS = ("mup", "ntp", "sp", *UNIFORM)
_ONE, _HALF = Fraction(1), Fraction(1, 2)
DEFAULT: tuple[tuple[str, str, tuple[Range, Range]], ...] = (
    ("r", "S", ((-_HALF, _ONE), (Fraction(0), Fraction(3, 2)))),
    ("vector.c", "matrix.c", ((-_HALF, _ONE), (_HALF, Fraction(2)))),
    ("ntp", "sp", ((-_HALF, Fraction(3, 2)), (-_HALF, Fraction(5, 4)))),
)
"""Coordinates and ranges of the slices that are drawn where none is asked for."""


def of_perceptron(
    depth: int, base: str, optimizer: str | None, normalization: str | None
) -> SliceSpace:
    """The tables of a perceptron, classified by the theorem. Raises NexortError."""
    norm: Normalization = normalization or "none"  # type: ignore[assignment]
    degree = None
    if optimizer is not None:
        found = by_name(optimizer, norm if normalization else None)
        degree, norm = found.degree, found.normalization
    layers = perceptron(depth, degree, norm)

    def codes(tables: Array, out: Array, unit: int) -> Array:
        return theorem.Conditions(layers, tables, out, unit).codes()

    regimes = {name: _table(name, layers) for name in MARKS}
    return SliceSpace(_table(base, layers), regimes, codes)


def _table(name: str, layers: tuple[Layer, ...]) -> Table:
    plain, _ = by_text(name)
    s = Fraction(plain[4:-1]) if plain.startswith("ups") else None
    return named_table(plain, layers, s)


def tables_of_subject(found: Subject, base: str) -> SliceSpace:
    """The tables of a program's network, classified by its counted sizes. Raises NexortError."""
    judge = Judge(found.graph())
    regimes = {name: in_regime(found, name).table for name in MARKS}
    return SliceSpace(in_regime(found, base).table, regimes, judge.codes, found.merged)
