"""Entrywise functions and dual activations as numpy source."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from nexort import activations
from nexort.gaussian.kinks import roots
from nexort.limit.derive import families, graphs
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
from nexort.limit.derive.walking import parts
from nexort.limit.derive.walking import walk as walk_of
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op, rewrite, walk

RESERVED = frozenset(
    (
        *keyword.kwlist, "__debug", "np", "special", "cache", "limit", "root", "NODES", "WEIGHTS",
        "gaussian_pair", "gaussian_mean", "bivariate", "sector", "ratio", "range", "sum", "float", "zip", "ValueError",
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

DEVIATIONS = {Power(x, Number(Fraction(1, 2))): x.name for x in (families.P, families.Q)}
INVERSE_DEVIATIONS = [Power(x, Number(Fraction(-1, 2))) for x in (families.P, families.Q)]
SMALLEST, SMALL = "1e-300", "1e-100"

Code = tuple[str, int]


def identifier(name: str, reserved: Iterable[str] = ()) -> str:
    """A name of the program as one of Python: different names stay different."""
    bare = name.rstrip("_")
    return f"{name}_" if bare in RESERVED or bare in reserved else name


def index_code(index: Affine) -> str:
    """An index as an expression of Python."""
    return str(Affine(index.constant, tuple((identifier(n), c) for n, c in index.terms)))


def quoted(text: str, *, marks: int = 1) -> str:
    """A text as a string of Python in one or three quotation marks, whatever it contains."""
    shown = [c if c == "\n" and marks == 3 else _character(c) for c in text]
    return '"' * marks + "".join(shown) + '"' * marks


def _character(c: str) -> str:
    if c in '"\\':
        return f"\\{c}"
    return c if c.isprintable() else f"\\U{ord(c):08x}"


class Unknown(Exception):
    """A function that has no numpy source; carries its name."""


def call(name: str, args: Sequence[Code]) -> str:
    """A function of the registry at expressions, in parentheses where they are operands and not
    arguments. Raises Unknown."""
    if name not in NUMPY:
        raise Unknown(name)
    template = NUMPY[name]

    def placed(slot: re.Match[str]) -> str:
        before, after = template[: slot.start()].rstrip()[-1], template[slot.end()]
        bare = before in "(," and after in "),"
        return inside(args["xy".index(slot.group(1))], SUM if bare else ATOM)

    return re.sub(r"\{([xy])\}", placed, template)


def number(value: Fraction | float) -> Code:
    """A literal."""
    if isinstance(value, Fraction) and value.denominator & (value.denominator - 1):
        return f"{value.numerator} / {value.denominator}", PRODUCT
    whole = isinstance(value, Fraction) and value.denominator == 1
    text = str(value) if whole else repr(float(value))
    return text, UNARY if value < 0 else ATOM


def inside(code: Code, least: int) -> str:
    """An expression, in parentheses where it is looser than ``least``."""
    text, tightness = code
    return f"({text})" if tightness < least else text


def plain(formula: Formula) -> Code:
    """A formula of symbols alone (p, c, q, z, params) as an expression inside a dual activation."""
    if formula == families.ORTHOGONAL:
        return "root", ATOM
    if formula == families.DETERMINANT:
        return "root**2", UNARY
    if formula in DEVIATIONS:
        # only c is ever divided by it, and c is 0 where a variance is
        return f"np.sqrt(np.maximum({DEVIATIONS[formula]}, {SMALLEST}))", ATOM
    match formula:
        case Number(value):
            return number(value)
        case Symbol("pi", (), (), "constant"):
            return "np.pi", ATOM
        case Symbol(name, kind=("param" | "size")):
            return identifier(name, DUAL), ATOM
        case Symbol(name):
            return name, ATOM
        case IndexNumber(index):
            return index_code(index), SUM
        case Sum(terms):
            return joined([plain(t) for t in terms]), SUM
        case Product(factors):
            return quotient([(f, plain) for f in factors])
        case Power(base, exponent):
            return powered(plain(base), exponent, plain(exponent))
        case _ if formula == families.ANGLE:
            # pi/2 - arcsin(c / sqrt(p q)), a right angle where a variance is 0
            return "np.pi / 2 - np.arctan2(c, root)", SUM
        case _ if formula == families.ARCSINE:
            # arcsin(c / sqrt(p q)), without its loss of digits near equal inputs
            return "np.arctan2(c, root)", ATOM
        case Apply(families.BIVARIATE, args):
            shown = ", ".join(plain(a)[0] for a in args)
            return f"bivariate({shown}, root / np.sqrt(p * q))", ATOM
        case Apply(name, args):
            return call(name, [plain(a) for a in args]), ATOM
        case _:
            raise Unknown(type(formula).__name__)


def joined(terms: list[Code]) -> str:
    """A sum."""
    text = inside(terms[0], SUM)
    for term in terms[1:]:
        shown = inside(term, PRODUCT)
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
                    over.append(inside(number(Fraction(value.numerator)), UNARY))
                under.append(str(value.denominator))
            case Power(base, Number(value)) if value < 0:
                positive = base if value == -1 else Power(base, Number(-value))
                under.append(inside(render(positive), UNARY))
            case _:
                over.append(inside(render(factor), UNARY))
    if over and over[0] == "-1":
        over = [f"-{over[1]}", *over[2:]] if len(over) > 1 else over
    top = " * ".join(over) or "1"
    if not under:
        return top, PRODUCT
    bottom = under[0] if len(under) == 1 else f"({' * '.join(under)})"
    return f"{top} / {bottom}", PRODUCT


def powered(base: Code, exponent: Formula, shown: Code) -> Code:
    """A power; roots by np.sqrt, of what rounding must not make negative."""
    match exponent:
        case Number(value) if value == Fraction(1, 2):
            text, _ = base
            return f"np.sqrt(np.maximum({text}, 0))" if " - " in text else f"np.sqrt({text})", ATOM
        case Number(value) if value < 0:
            bare = Number(-value)
            below = base if value == -1 else powered(base, bare, number(-value))
            return f"1 / {inside(below, UNARY)}", PRODUCT
        case _:
            return f"{inside(base, ATOM)}**{inside(shown, ATOM)}", UNARY


ROOT = "root = np.sqrt(np.maximum(p * q - c**2, {least}))"


def root_of(formula: Formula) -> str:
    """What closed forms call ``root``: it must not become negative by rounding, nor 0 where they
    divide by it."""
    return ROOT.format(least="1e-200" if any(map(_by_root, walk_of(formula))) else "0")


def _by_root(x: Formula) -> bool:
    match x:
        case Apply(families.BIVARIATE):
            return True
        case Power(families.DETERMINANT, Number(value)):
            return value < 0
        case _:
            return False



def floors(variances: str) -> str:
    """What comes before closed forms that divide by variances: c is 0 where one is, and so is the
    quotient."""
    floored = (f"np.maximum({x}, {SMALL})" for x in variances)
    return f"{', '.join(variances)} = {', '.join(floored)}"


def floored(formula: Formula) -> bool:
    """Whether a closed form needs them: it divides by what is 0 where a variance is, other than
    in angles and by standard deviations."""
    if formula in (families.ANGLE, families.ARCSINE) or formula in INVERSE_DEVIATIONS:
        return False
    if isinstance(formula, Apply) and formula.function == families.BIVARIATE:
        return True
    return families.divides(formula) or any(map(floored, parts(formula)))


def wrapped(head: str, value: str, indent: str, tail: str = "", width: int = 99) -> list[str]:
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


PAIR_RULE = '''
NODES, INNER = 0.0625 * (np.arange(288) - 143.75), 0.0613 * (np.arange(296) - 147.75)
WEIGHTS, INNER_WEIGHTS = (
    (x[1] - x[0]) * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) for x in (NODES, INNER)
)
"""The trapezoidal rule for the standard normal law: for functions that are analytic in a strip
around the real line it converges geometrically (to 1e-13 for tanh and variances up to 25). No node
is at 0, where a quotient may be 0 / 0: a quarter of a step from there the first error of an even
function is 0, and that of twice the step is not."""


def gaussian_pair(f, g, p, c, q):
    """E f(y) g(z) for centred Gaussians of variances p, q and covariance c, entry by entry."""
    p, c, q = np.broadcast_arrays(p, c, q)
    root = np.sqrt(p)
    slope = np.divide(c, root, out=np.zeros(p.shape), where=root > 0)
    rest = np.sqrt(np.maximum(q - slope**2, 0))
    sums = np.zeros((len(NODES), 3, *p.shape))
    for k, node in enumerate(NODES):
        inner = g((slope * node)[..., None] + rest[..., None] * INNER)
        sums[k] = f(root * node) * sums_of(inner, INNER_WEIGHTS)
    total, off, size = np.moveaxis(sums, 0, -1)
    total, more, _ = sums_of(total, WEIGHTS)
    return checked(total, more + np.abs(off) @ WEIGHTS, np.abs(size) @ WEIGHTS)


def gaussian_mean(f, p):
    """E f(y) for a centred Gaussian of variance p, entry by entry."""
    return checked(*sums_of(f(np.sqrt(np.asarray(p))[..., None] * NODES), WEIGHTS))


def sums_of(values, weights):
    """The sum over the last axis; what twice the step changes, and the terms at the ends; the sum
    of the sizes."""
    terms = values * weights
    total, twice = terms.sum(-1), 2 * terms[..., ::2].sum(-1)
    ends = np.abs(terms[..., [0, -1]]).sum(-1)
    return np.array([total, np.abs(total - twice) + ends, np.abs(terms).sum(-1)])


def checked(total, off, size):
    """The total, where twice the step is right to 1e-5: then this one is to about 1e-10."""
    if not np.all(off <= 1e-5 * size):
        raise ArithmeticError("a function varies too fast at its variance for the trapezoidal rule")
    return total
'''


BIVARIATE_RULE = '''
RAY, RAY_WEIGHTS = np.polynomial.legendre.leggauss(40)


def bivariate(x, y, r, s):
    """P(u < x, v < y) for standard Gaussians u, v with correlation r and s = (1 - r^2)^(1/2) > 0,
    to the digits of small ones too."""
    x, y, r, s = np.broadcast_arrays(x, y, r, s)
    sign = np.where(r < 0, -1, 1)
    value = np.where((x > 0) & (y > 0), 1.0, 0.0)
    for a, b in ((x, y), (y, x)):
        across = (sign * a - b - sign * a * s**2 / (1 + np.abs(r))) / s
        value = value + np.where(a > 0, -1, 1) * sector(np.abs(a), np.clip(across, -1e100, 1e100))
    corner = 0.25 + np.arctan2(r, s) / (2 * np.pi)
    return np.where((x == 0) & (y == 0), corner, np.maximum(value, 0))


def sector(h, b):
    """P(u > h, h v > b u) for independent standard Gaussians u, v: by Owen's T function, far from 0
    as an integral over a ray."""
    slope = np.divide(b, h, out=np.asarray(np.copysign(np.inf, b)), where=h > 0)
    near = special.ndtr(-h) / 2 - special.owens_t(h, slope)
    size, total = np.abs(b), np.zeros(np.shape(h))
    length = np.minimum(9, 40 / np.maximum(size, 1))
    for node, weight in zip((RAY + 1) / 2, RAY_WEIGHTS / 2):
        step = length * node
        total = total + weight * np.exp(-step * (size + step / 2)) * h / (h**2 + (size + step) ** 2)
    ray = np.exp(-(h**2 + size**2) / 2) * length * total / (2 * np.pi)
    return np.where(h**2 + size**2 < 4, near, np.where(b < 0, special.ndtr(-h) - ray, ray))
'''


RATIO = '''
def ratio(a, b):
    """a / b, 0 where b is 0: E[z f(y)] = <z|y> E[y f(y)] / <y|y> is 0 for y = 0."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(b.shape), where=b > 0)
'''


def body(graph: Node, argument: str) -> str:
    """A function's graph at a name, as an expression. Raises Unknown."""
    return plain(graphs.at(graph, Symbol(argument)))[0]
