"""Entrywise functions and dual activations as numpy source."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from nexort import activations
from nexort.gaussian.pointwise import roots
from nexort.limit.derive import families, graphs, walking
from nexort.limit.derive.formula import (
    Apply,
    Formula,
    IndexNumber,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
)
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op, rewrite, walk

RESERVED = frozenset(
    (
        *keyword.kwlist, "__debug", "np", "special", "cache", "limit", "root", "NODES", "WEIGHTS",
        "gaussian_pair", "gaussian_mean", "bivariate", "sector", "RAY", "RAY_WEIGHTS",
        "ratio", "range", "sum", "float", "zip", "ValueError",
    )
)  # fmt: skip
"""Names that have a meaning in a module."""

DUAL = frozenset("pcqz")
"""The arguments of a dual activation."""

SUM, PRODUCT, UNARY, ATOM = range(4)
"""How tightly an expression of Python holds together."""

NUMPY = {
    "arcsin": "np.arcsin(np.clip({x}, -1, 1))",
    "erfc": "special.erfc({x})",
    **{name: function.source for name, function in activations.registry().items()},
}
"""Code of functions: of the registry's, and of what closed forms have besides."""

INVERSE_DEVIATIONS = [families.root_formula(x, -1) for x in (families.P, families.Q)]
SMALLEST, SMALL = "1e-300", "1e-100"

Code = tuple[str, int]

KNOWN: dict[Formula, Code] = {
    families.ORTHOGONAL: ("root", ATOM),
    families.DETERMINANT: ("root**2", UNARY),
    # only c is ever divided by it, and c is 0 where a variance is
    **{families.root_formula(x): (f"np.sqrt(np.maximum({x.name}, {SMALLEST}))", ATOM)
       for x in (families.P, families.Q)},
    # pi/2 - arcsin(c / sqrt(p q)), a right angle where a variance is 0
    families.ANGLE: ("np.pi / 2 - np.arctan2(c, root)", SUM),
    # arcsin(c / sqrt(p q)), without its loss of digits near equal inputs
    families.ARCSINE: ("np.arctan2(c, root)", ATOM),
}  # fmt: skip
"""Parts of closed forms that are stable in one way only."""


def identifier(name: str, reserved: Iterable[str] = ()) -> str:
    """A name of the program as one of Python: different names stay different."""
    bare = name.rstrip("_")
    return f"{name}_" if bare in RESERVED or bare in reserved else name


def index_code(index: Affine) -> str:
    """An index as an expression of Python."""
    return str(Affine(index.constant, tuple((identifier(n), c) for n, c in index.terms)))


def quote(text: str, *, marks: int = 1) -> str:
    """A text as a string of Python in one or three quotation marks, whatever it contains."""
    shown = [c if c == "\n" and marks == 3 else _character(c) for c in text]
    return '"' * marks + "".join(shown) + '"' * marks


def _character(c: str) -> str:
    if c in '"\\':
        return f"\\{c}"
    return c if c.isprintable() else f"\\U{ord(c):08x}"


class Unknown(Exception):
    """A function that has no numpy source; carries its name."""


def call_code(name: str, args: Sequence[Code]) -> str:
    """A function of the registry at expressions, in parentheses where they are operands and not
    arguments. Raises Unknown."""
    if name not in NUMPY:
        raise Unknown(name)
    template = NUMPY[name]

    def placed(slot: re.Match[str]) -> str:
        before, after = template[: slot.start()].rstrip()[-1], template[slot.end()]
        bare = before in "(," and after in "),"
        return enclose(args["xy".index(slot.group(1))], SUM if bare else ATOM)

    return re.sub(r"\{([xy])\}", placed, template)


def number_code(value: Fraction | float) -> Code:
    """A literal."""
    if isinstance(value, Fraction) and value.denominator & (value.denominator - 1):
        return f"{value.numerator} / {value.denominator}", PRODUCT
    whole = isinstance(value, Fraction) and value.denominator == 1
    text = str(value) if whole else repr(float(value))
    return text, UNARY if value < 0 else ATOM


def enclose(code: Code, least: int) -> str:
    """An expression, in parentheses where it is looser than ``least``."""
    text, tightness = code
    return f"({text})" if tightness < least else text


def plain_code(formula: Formula) -> Code:
    """A formula of symbols alone (p, c, q, z, params) as an expression inside a dual activation."""
    if formula in KNOWN:
        return KNOWN[formula]
    match formula:
        case Number(value):
            return number_code(value)
        case Symbol("pi", (), (), "constant"):
            return "np.pi", ATOM
        case Symbol(name, kind=("param" | "size")):
            return identifier(name, DUAL), ATOM
        case Symbol(name):
            return name, ATOM
        case IndexNumber(index):
            return index_code(index), SUM
        case Sum(terms):
            return sum_code([plain_code(t) for t in terms]), SUM
        case Product(factors):
            return quotient([(f, plain_code) for f in factors])
        case Power(base, exponent):
            return power_code(plain_code(base), exponent, plain_code(exponent))
        case Apply(families.BIVARIATE, args):
            shown = ", ".join(plain_code(a)[0] for a in args)
            return f"bivariate({shown}, root / np.sqrt(p * q))", ATOM
        case Apply(name, args):
            return call_code(name, [plain_code(a) for a in args]), ATOM
        case _:
            raise Unknown(type(formula).__name__)


def sum_code(terms: list[Code]) -> str:
    """A sum."""
    text = enclose(terms[0], SUM)
    for term in terms[1:]:
        shown = enclose(term, PRODUCT)
        text += f" - {shown[1:]}" if shown.startswith("-") else f" + {shown}"
    return text


def quotient(factors: Sequence[tuple[Formula, object]]) -> Code:
    """A product; negative powers are divided by."""
    over: list[str] = []
    under: list[str] = []
    for factor, render in factors:
        assert callable(render)
        match factor:
            case Number(Fraction() as value) if value.denominator != 1:
                if value.numerator != 1:
                    over.append(enclose(number_code(Fraction(value.numerator)), UNARY))
                under.append(str(value.denominator))
            case Power(base, Number(value)) if value < 0:
                positive = base if value == -1 else Power(base, Number(-value))
                under.append(enclose(render(positive), UNARY))
            case _:
                over.append(enclose(render(factor), UNARY))
    if over and over[0] == "-1":
        over = [f"-{over[1]}", *over[2:]] if len(over) > 1 else over
    top = " * ".join(over) or "1"
    if not under:
        return top, PRODUCT
    bottom = under[0] if len(under) == 1 else f"({' * '.join(under)})"
    return f"{top} / {bottom}", PRODUCT


def power_code(base: Code, exponent: Formula, shown: Code) -> Code:
    """A power; roots by np.sqrt, of what rounding must not make negative."""
    match exponent:
        case Number(value) if value == Fraction(1, 2):
            text, _ = base
            return f"np.sqrt(np.maximum({text}, 0))" if " - " in text else f"np.sqrt({text})", ATOM
        case Number(value) if value < 0:
            bare = Number(-value)
            below = base if value == -1 else power_code(base, bare, number_code(-value))
            return f"1 / {enclose(below, UNARY)}", PRODUCT
        case _:
            return f"{enclose(base, ATOM)}**{enclose(shown, ATOM)}", UNARY


ROOT = "root = np.sqrt(np.maximum(p * q - c**2, {least}))"


def root_of(formula: Formula) -> str:
    """What closed forms call ``root``: it must not become negative by rounding, nor 0 where they
    divide by it."""
    return ROOT.format(least="1e-200" if any(map(_by_root, walking.walk_formula(formula))) else "0")


def _by_root(x: Formula) -> bool:
    match x:
        case Apply(families.BIVARIATE):
            return True
        case Power(families.DETERMINANT, Number(value)):
            return value < 0
        case _:
            return False


def floors(variances: str) -> list[str]:
    """What comes before closed forms that divide by variances: c is 0 where one is, but for
    roundings, and so is the quotient."""
    floored = (f"np.maximum({x}, {SMALL})" for x in variances)
    floor = f"{', '.join(variances)} = {', '.join(floored)}"
    return ["c = np.where((p > 0) & (q > 0), c, 0)", floor] if len(variances) > 1 else [floor]


def needs_floors(formula: Formula) -> bool:
    """Whether a closed form needs them: it divides by what is 0 where a variance is, other than
    in angles and by standard deviations."""
    if formula in (families.ANGLE, families.ARCSINE) or formula in INVERSE_DEVIATIONS:
        return False
    if isinstance(formula, Apply) and formula.function == families.BIVARIATE:
        return True
    return families.divides(formula) or any(map(needs_floors, walking.parts(formula)))


def wrap_line(head: str, value: str, indent: str, tail: str = "", width: int = 99) -> list[str]:
    """``head value tail``; a long sum has a line a term."""
    line = f"{indent}{head}{value}{tail}"
    terms = _terms(value)
    if len(line) <= width or len(terms) == 1:
        return [line]
    inner = indent + "    "
    return [f"{indent}{head}(", *(inner + t for t in terms), f"{indent}){tail}"]


def _terms(value: str) -> list[str]:
    """The terms of a sum, each but the first with its sign."""
    found, depth, start = [], 0, 0
    for k, character in enumerate(value):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and value[k : k + 3] in (" + ", " - ") and " for " not in value[:k]:
            found.append(value[start:k])
            start = k + 1
    return [*found, value[start:]]


def params_of(graph: Node) -> list[str]:
    """The params and sizes in a function's graph."""
    return sorted({str(x.attr) for x in walk([graph]) if x.op in (Op.PARAM, Op.SIZE)})


def rough(graph: Node, numbers: Mapping[str, int | float]) -> bool:
    """Whether a function of z may have a kink, a jump or a branch, so that a smooth rule does not
    apply. Where a denominator is 0 an integrable function has none of them, as tanh(z) / z."""

    def given(x: Node) -> Node:
        known = x.op in (Op.PARAM, Op.SIZE) and x.attr in numbers
        return build.constant(numbers[str(x.attr)]) if known else x

    return any(_bent(x) for x in walk([rewrite([graph], given)[graph]]) if x.op is Op.CALL)


def _bent(x: Node) -> bool:
    if x.attr in ("max", "min") or activations.registry()[str(x.attr)].kinks:
        return True
    if x.attr not in ("sqrt", "log", "pow"):
        return False
    base, *exponent = x.args
    if exponent and exponent[0].op is Op.CONST and float(exponent[0].attr).is_integer():
        return False
    return bool(params_of(base)) or bool(roots(base))


def body(graph: Node, argument: str) -> str:
    """A function's graph at a name, as an expression. Raises Unknown."""
    return plain_code(graphs.at(graph, Symbol(argument)))[0]
