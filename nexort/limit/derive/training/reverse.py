"""Backpropagation of lines (Def 2.9.14): what each line adds to the cotangents of what it reads.

The cotangent of a ket y is |dy> = n d<1|x>/dy, that of a number c is dc = d<1|x>/dc, both for every
output f_i. A line z = psi(y; c) adds |dz> d psi/dy to |dy> and E[|dz> d psi/dc] to dc, a line
z = W y adds W^T |dz>, and c = E[y] adds dc.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from nexort.limit.derive import graphs
from nexort.limit.derive.algebra import MINUS_ONE, add, mul, power
from nexort.limit.derive.derivation import Label, Range
from nexort.limit.derive.expectation import recopied
from nexort.limit.derive.formula import (
    ZERO,
    Apply,
    AxisSum,
    CopyMean,
    Expectation,
    Formula,
    Indices,
    Ket,
    LoopSum,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
)
from nexort.limit.derive.lines import Line
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import factors_of, is_random, walk
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op
from nexort.program.partials import partial
from nexort.program.types import scalar


@dataclass(frozen=True, slots=True)
class Part:
    """One summand of a gradient: ``value``, over the variables ``ranges`` and ``labels`` of the
    line that reads the member ``name[indices]_axes``. All of them are summed, except where an index
    or a label is that of the member. For a matrix the value is a multiple of an Outer."""

    line: Line
    name: str
    indices: Indices
    axes: Indices
    value: Formula
    ranges: tuple[Range, ...]
    labels: tuple[Label, ...]


def parts(line: Line, cotangent: Formula, moving: set[str]) -> Iterator[Part]:
    """What a line without a matrix adds to the cotangents of ``moving`` families."""
    found = _Back(line, moving)
    yield from found.back(line.value, cotangent, line.ranges, line.labels)


def reads(formula: Formula, families: set[str]) -> bool:
    """Whether a formula reads one of the families."""
    return any(isinstance(x, Ket | Symbol) and x.name in families for x in walk(formula))


class _Back:
    """The parts of one line."""

    def __init__(self, line: Line, moving: set[str]) -> None:
        self.line, self.moving = line, moving

    def back(
        self, formula: Formula, g: Formula, ranges: tuple[Range, ...], labels: tuple[Label, ...]
    ) -> Iterator[Part]:
        """The parts of a formula with cotangent ``g``."""
        if not reads(formula, self.moving):
            return
        match formula:
            case Ket(name, indices, axes):
                yield Part(self.line, name, indices, axes, g, ranges, labels)
            case Symbol(name, indices, axes, "scalar"):
                yield Part(self.line, name, indices, axes, averaged(g), ranges, labels)
            case Sum(terms):
                for term in terms:
                    yield from self.back(term, g, ranges, labels)
            case LoopSum(var, first, last, body):
                yield from self.back(body, g, (*ranges, Range(var, first, last)), labels)
            case AxisSum(label, axis, body):
                yield from self.back(body, g, ranges, (*labels, Label(label, axis)))
            case Expectation(body):
                yield from self.back(body, averaged(g), ranges, labels)
            case CopyMean(copies, body):
                yield from self._mean(copies, body, g, ranges, labels)
            case _:
                for inner, slope in _slopes(formula):
                    yield from self.back(inner, mul(g, slope), ranges, labels)

    def _mean(
        self,
        copies: tuple[int, ...],
        body: Formula,
        g: Formula,
        ranges: tuple[Range, ...],
        labels: tuple[Label, ...],
    ) -> Iterator[Part]:
        """d x averages over all indices but the one at which x stands: copy k and the ket's own
        index change places."""
        if any(isinstance(x, CopyMean) for x in walk(g)):
            raise Unsupported("the derivative of a product of averages over copies")
        inside = _Inside(self.line, self.moving)
        for copy, part in inside.copied(body, g, ranges, labels):
            value = part.value
            if is_random(value):
                value = CopyMean(copies, recopied(value, {0: copy, copy: 0}))
            yield replace(part, value=value)


class _Inside(_Back):
    """The parts of the body of an average over copies."""

    def copied(
        self, body: Formula, g: Formula, ranges: tuple[Range, ...], labels: tuple[Label, ...]
    ) -> Iterator[tuple[int, Part]]:
        """The copy that a part is of, and the part."""
        self.copy = 0
        for part in self.back(body, g, ranges, labels):
            yield self.copy, part

    def back(
        self, formula: Formula, g: Formula, ranges: tuple[Range, ...], labels: tuple[Label, ...]
    ) -> Iterator[Part]:
        self.copy = formula.copy if isinstance(formula, Ket) else 0
        yield from super().back(formula, g, ranges, labels)


def averaged(g: Formula) -> Formula:
    """The cotangent of a number that is read at every entry: E[g], numbers moved out."""
    if not is_random(g):
        return g
    factors = factors_of(g)
    random = mul(*(f for f in factors if is_random(f)))
    return mul(*(f for f in factors if not is_random(f)), Expectation(random))


def _slopes(formula: Formula) -> Iterator[tuple[Formula, Formula]]:
    """Every part of a product, a power or a function, and the derivative by it."""
    match formula:
        case Product(factors):
            for k, factor in enumerate(factors):
                yield factor, mul(*factors[:k], *factors[k + 1 :])
        case Power(base, Number(value)):
            yield base, mul(Number(value), power(base, Number(value - Fraction(1))))
        case Power(base, exponent):
            yield base, mul(exponent, power(base, add(exponent, MINUS_ONE)))
            yield exponent, mul(formula, Apply("log", (base,)))
        case Apply(name, args):
            slots = {f"arg{k}": a for k, a in enumerate(args)}
            nodes = tuple(Node(Op.SLOT, (), (s,), scalar()) for s in slots)
            for k, arg in enumerate(args):
                slope = graphs.filled(partial(name, k, nodes), slots)
                if slope != ZERO:
                    yield arg, slope
        case _:
            raise Unsupported(f"the derivative of {type(formula).__name__.lower()}")


def variable(label: Label) -> Affine:
    """A label as an index."""
    return Affine.variable(label.label)
