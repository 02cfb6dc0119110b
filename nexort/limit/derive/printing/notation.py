"""The notation of the paper: formulas to boxes.

Family indices stand above and axis labels below, ``|x^l_a>``; a hat is the Gaussian part of
``W |x>``; ``|w>^[1]`` is an iid copy.
"""

from __future__ import annotations

import fractions
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import mul as operator_mul
from typing import assert_never

from nexort.limit.derive.algebra import reindex
from nexort.limit.derive.arithmetic import MINUS_ONE
from nexort.limit.derive.folding import NORMAL
from nexort.limit.derive.formula import (
    Apply,
    Average,
    AxisSum,
    Bracket,
    CopyMean,
    Delta,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    Ket,
    LoopSum,
    Number,
    Operator,
    Outer,
    Power,
    Product,
    Response,
    Sum,
    Symbol,
)
from nexort.limit.derive.graphs import pair_over_kets
from nexort.limit.derive.printing import names, text_boxes
from nexort.limit.derive.printing.boxes import (
    COMMA,
    COMMA_TIGHT,
    MINUS,
    NEGATIVE,
    PLUS,
    TIMES,
    Box,
    Fenced,
    Fraction,
    Glyph,
    Large,
    Raised,
    Root,
    Row,
    Script,
    box_row,
    brackets,
    is_raised,
    parens,
    same,
    separate_boxes,
)
from nexort.limit.derive.printing.kets import (
    bracket_box,
    index_box,
    index_gap,
    ket_box,
    operator_box,
    outer_box,
    script_box,
    tight,
)
from nexort.limit.derive.walking import factors_of
from nexort.program.index import Affine

SUM, PRODUCT, POWER, ATOM = range(4)
"""How tightly a formula holds together; a looser one inside a tighter one gets parentheses."""

TOP = 40
"""Columns of a numerator; what is longer stands beside its fraction, where lines can be broken."""

MEAN = Glyph("E", r"\E")
PARTIAL = Glyph("∂", r"\partial ")
SIGMA = Glyph("Σ", r"\sum")
Gaussian = GaussianPair | GaussianMean
Atom = (
    Symbol
    | Ket
    | Bracket
    | Average
    | Response
    | Apply
    | Fold
    | Operator
    | Outer
    | Delta
    | CopyMean
    | Expectation
    | Gaussian
)


@dataclass(frozen=True)
class Notation:
    """Formulas to boxes. ``gaussian`` writes a Gaussian expectation in its own way, such as
    ``V_f(k_aa, k_ab, k_bb)``; otherwise it is written over its kets, ``E[f(|z_a>) g(|z_b>)]``."""

    gaussian: Callable[[Notation, Gaussian], Box] | None = None

    def box(self, formula: Formula, least: int = SUM) -> Box:
        """The box of a formula, in parentheses where it binds less tightly than ``least``."""
        found, tightness = self._formula(formula)
        return parens(found) if tightness < least else found

    def _formula(self, formula: Formula) -> tuple[Box, int]:
        match formula:
            case IndexNumber(index):
                return index_box(index), SUM if index.constant and index.terms else PRODUCT
            case Sum(terms):
                return self._sum(terms), SUM
            case Number(value):
                return self._product(value, ())
            case Product((Number(value), *rest)):
                return self._product(value, tuple(rest))
            case Product(factors):
                return self._product(fractions.Fraction(1), factors)
            case Power():
                return self._power(formula)
            case LoopSum() | AxisSum():
                return self._large(formula), PRODUCT
            case Apply(name, args) if name in NORMAL:
                return self._operation(name, args)
            case _:
                return self._atom(formula), ATOM

    def _atom(self, formula: Atom) -> Box:
        match formula:
            case Symbol(name, indices, axes):
                return script_box(names.name_text(name), indices, axes)
            case Ket():
                return ket_box(formula)
            case Bracket() | Average():
                return bracket_box(formula)
            case Response(x, by):
                return self._response(x, by)
            case Apply(name, args):
                return self.applied(name, [self.box(a) for a in args])
            case Fold():
                return self._fold(formula)
            case Operator(matrix):
                return operator_box(matrix)
            case Outer(left, right):
                return outer_box(left, right)
            case Delta(left, right):
                below = box_row(index_box(left), *index_gap(left, right), index_box(right))
                return Script(Glyph("δ", r"\delta"), below, None)
            case CopyMean(copies, body):
                below = separate_boxes([same(str(c)) for c in copies], tight(COMMA_TIGHT))
                return box_row(Script(MEAN, below, None), brackets(self.box(body)))
            case Expectation(body):
                return box_row(MEAN, brackets(self.box(body)))
            case GaussianPair() | GaussianMean():
                return self._gaussian(formula)
            case _:
                assert_never(formula)

    def _operation(self, name: str, args: tuple[Formula, ...]) -> tuple[Box, int]:
        """An operation as it is written; numbers of a product come first."""
        match name, args:
            case "add", _:
                return self._sum(args), SUM
            case "sub", (x, y):
                return self._sum((x, Product((MINUS_ONE, y)))), SUM
            case "div", (x, y):
                return Fraction(self.box(x), self.box(y)), PRODUCT
            case "pow", (x, y):
                return self._power(Power(x, y))
            case "neg", (x,):
                return box_row(NEGATIVE, self.box(x, POWER)), SUM
            case _:
                factors = [f for x in args for f in factors_of(x)]
                values = [f.value for f in factors if isinstance(f, Number)]
                rest = tuple(f for f in factors if not isinstance(f, Number))
                return self._product(reduce(operator_mul, values, fractions.Fraction(1)), rest)

    # ---- arithmetic ------------------------------------------------------------------------------

    def _sum(self, terms: tuple[Formula, ...]) -> Box:
        parts: list[Box] = []
        for k, term in enumerate(terms):
            minus = _is_negative(term)
            if minus:
                term = _negated(term)  # noqa: PLW2901
            if k == 0:
                parts += [NEGATIVE] if minus else []
            else:
                parts.append(MINUS if minus else PLUS)
            parts.append(self.box(term, PRODUCT))
        return Row(tuple(parts))

    def _product(
        self, value: fractions.Fraction | float, factors: tuple[Formula, ...]
    ) -> tuple[Box, int]:
        """A coefficient and factors; negative powers go below the line."""
        fraction, above, below = (
            (value, None, None)
            if isinstance(value, fractions.Fraction)
            else names.recognise_float(value)
        )
        over = [f for f in factors if not _is_below(f)]
        under = [_inverse(f) for f in factors if _is_below(f)]
        top: list[Box] = [above] if above is not None else []
        bottom: list[Box] = [below] if below is not None else []
        if abs(fraction.numerator) != 1 or not (top or over):
            top.insert(0, same(str(abs(fraction.numerator))))
        if fraction.denominator != 1:
            bottom.insert(0, same(str(fraction.denominator)))
        single_below = not bottom and len(under) == 1
        bottom += [self.box(under[0])] if single_below else self._factors(under)
        literal = bool(top) and not over
        if bottom and over and self._stands_beside(over):
            # 1/2 <x|x> ...: what is long stands beside the fraction, where lines can be broken
            shown: list[Box] = [Fraction(_factors_row(top or [same("1")]), _factors_row(bottom))]
            shown += self._factors(over)
            found: Box = _factors_row(shown)
        else:
            top += self._factors(over)
            alone = len(top) == 1 and len(over) == 1
            if bottom and alone:
                top = [self.box(over[0])]
            found = _factors_row(top)
            if bottom:
                found = Fraction(found, _factors_row(bottom))
        if fraction < 0:
            return box_row(NEGATIVE, found), SUM
        single = literal and len(top) == 1 and not bottom and not factors
        return found, ATOM if single else PRODUCT

    def _stands_beside(self, over: list[Formula]) -> bool:
        """Whether factors are too much for the top of a fraction."""
        if len(over) > 1 or isinstance(over[0], LoopSum | AxisSum | Sum):
            return True
        return len(text_boxes.text_inline(self.box(over[0]))) > TOP

    def _factors(self, factors: list[Formula]) -> list[Box]:
        """Factors; a sum with a large sign goes last or into parentheses."""
        boxes = []
        for k, factor in enumerate(factors):
            last = k == len(factors) - 1
            open_end = isinstance(factor, LoopSum | AxisSum) and not last
            apart = isinstance(factor, Apply)
            boxes.append(self.box(factor, POWER if open_end or apart else PRODUCT))
        return boxes

    def _power(self, formula: Power) -> tuple[Box, int]:
        base, exponent = formula.base, formula.exponent
        if isinstance(exponent, Number):
            if exponent.value < 0:
                return self._product(fractions.Fraction(1), (formula,))
            if exponent.value == fractions.Fraction(1, 2):
                return Root(self.box(base)), ATOM
        below = self.box(base, ATOM)
        return Raised(parens(below) if is_raised(below) else below, self.box(exponent)), POWER

    def _large(self, formula: LoopSum | AxisSum) -> Box:
        if isinstance(formula, AxisSum):
            sign = Large(SIGMA, same(formula.label), None, None)
        else:
            lower = box_row(same(formula.var), Glyph("=", " = "), index_box(formula.first))
            short = None
            if formula.first == Affine() and formula.last.constant == -1 and formula.last.terms:
                end = index_box(formula.last + Affine(1))
                short = box_row(same(formula.var), same("<"), end)
            sign = Large(SIGMA, lower, index_box(formula.last), short)
        body = self.box(formula.body, PRODUCT)
        return box_row(sign, body)

    def _fold(self, formula: Fold) -> Box:
        """``Q_t(x^0, ..., x^t)``, an update function over its history."""
        name = Script(function_name(formula.function), index_box(formula.last), None)
        ends = [Affine(), formula.last] if formula.last.terms else [Affine(formula.last.constant)]
        at = [self.box(reindex(formula.body, {formula.var: end})) for end in ends]
        if not formula.last.terms and formula.last.constant:
            at.insert(0, self.box(reindex(formula.body, {formula.var: Affine()})))
        if len(at) == 2:
            at.insert(1, Glyph("…", r"\dots "))
        return box_row(name, parens(separate_boxes(at, COMMA)))

    # ---- expectations ----------------------------------------------------------------------------

    def _response(self, x: Ket, by: Ket) -> Box:
        quotient = Fraction(box_row(PARTIAL, ket_box(x)), box_row(PARTIAL, ket_box(by)))
        return box_row(MEAN, brackets(quotient))

    def _gaussian(self, formula: Gaussian) -> Box:
        if self.gaussian is not None:
            return self.gaussian(self, formula)
        return box_row(MEAN, brackets(self.box(pair_over_kets(formula))))

    def applied(self, name: str, args: list[Box]) -> Box:
        """A function of the registry (or of the program) at boxes."""
        match name, args:
            case "abs", [x]:
                return Fenced(Glyph("abs(", r"\lvert "), x, Glyph(")", r"\rvert "))
            case "sqrt", [x]:
                return Root(x)
            case "square", [x]:
                return Raised(parens(x), same("2"))
            case "step", [x]:
                inside = box_row(x, Glyph(" > ", " > "), same("0"))
                return box_row(Glyph("1", r"\mathbf{1}"), parens(inside))
            case "gauss", [x]:
                half = Fraction(Raised(parens(x), same("2")), same("2"))
                return box_row(Glyph("exp", r"\exp"), parens(box_row(NEGATIVE, half)))
            case "leaky_relu", [x, slope]:
                return box_row(Script(function_name("relu"), slope, None), parens(x))
            case _:
                return box_row(function_name(name), parens(separate_boxes(args, COMMA)))


# ---- parts ---------------------------------------------------------------------------------------


def _factors_row(boxes: list[Box]) -> Box:
    return boxes[0] if len(boxes) == 1 else separate_boxes(boxes, TIMES)


def _is_negative(term: Formula) -> bool:
    match term:
        case Number(value) | Product((Number(value), *_)):
            return value < 0
        case _:
            return False


def _negated(term: Formula) -> Formula:
    match term:
        case Number(value):
            return Number(-value)
        case Product((Number(value), *rest)):
            if value == -1:
                return rest[0] if len(rest) == 1 else Product(tuple(rest))
            return Product((Number(-value), *rest))
        case _:
            return term


def _is_below(factor: Formula) -> bool:
    return (
        isinstance(factor, Power)
        and isinstance(factor.exponent, Number)
        and factor.exponent.value < 0
    )


def _inverse(factor: Formula) -> Formula:
    assert isinstance(factor, Power)
    assert isinstance(factor.exponent, Number)
    value = -factor.exponent.value
    return factor.base if value == 1 else Power(factor.base, Number(value))


_ROMAN = (
    "arcsin",
    "arccos",
    "exp",
    "log",
    "sin",
    "cos",
    "arctan",
    "tanh",
    "sinh",
    "cosh",
    "max",
    "min",
)


def function_name(name: str) -> Glyph:
    """The name of a function, upright where it is a word."""
    if name in _ROMAN:
        return Glyph(name, f"\\{name}")
    written = names.name_text(name)
    if not written.latex.startswith(r"\mathrm"):
        return written
    return Glyph(written.text, written.latex.replace(r"\mathrm", r"\operatorname"))
