"""Random formulas of one Gaussian ket as functions of z, and their slopes."""

from __future__ import annotations

from fractions import Fraction

from nexort import activations
from nexort.gaussian.expectation import method_of
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.limit.derive.formula import Apply, Formula, Ket, Number, Power, Product, Sum, Symbol
from nexort.limit.derive.walking import kets_of
from nexort.program import build
from nexort.program.differentiate import derivative
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import partial
from nexort.program.types import scalar


def function_graph(formula: Formula, ket: Ket) -> Node | None:
    """f with f(|z>) the formula, as a graph over SLOT ('z',); None where it is not a function of
    that ket, numbers and params alone."""
    match formula:
        case Ket():
            return SLOT if formula == ket else None
        case Number(value):
            return build.constant(_literal(value))
        case Symbol(name, (), (), "param"):
            return Node(Op.PARAM, (), name, scalar())
        case Sum(terms):
            return _folded("add", [function_graph(t, ket) for t in terms])
        case Product(factors):
            return _folded("mul", [function_graph(f, ket) for f in factors])
        case Power(base, Number(value)):
            inner = function_graph(base, ket)
            if inner is None:
                return None
            if value == Fraction(1, 2):
                return build.call("sqrt", inner)
            return build.call("pow", inner, build.constant(_literal(value)))
        case Apply(name, args):
            known = activations.lookup(name)
            found = [function_graph(a, ket) for a in args]
            if known is None or any(f is None for f in found):
                return None
            return build.call(name, *(f for f in found if f is not None))
        case _:
            return None


def _literal(value: Fraction | float) -> int | float:
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    return float(value)


def _folded(name: str, parts: list[Node | None]) -> Node | None:
    result: Node | None = None
    for part in parts:
        if part is None:
            return None
        result = part if result is None else build.call(name, result, part)
    return result


def slope_graph(f: Node) -> Node:
    """f', right almost everywhere."""
    return derivative(f, SLOT, partial)


SINGULAR = frozenset(("log", "sqrt"))
"""Functions whose slope at zero is infinite: Stein's form needs no slope."""


def is_continuous(f: Node) -> bool:
    """Whether f surely has no jump: E z f(z) = Var(z) E f'(z) needs that. No function that jumps at
    zero and no quotient or root is in its graph."""
    for x in walk([f]):
        if x.op is not Op.CALL:
            continue
        name = str(x.attr)
        entry = activations.lookup(name)
        if entry is None or entry.jumps or name in SINGULAR:
            return False
        if name == "div" and any(y is SLOT for y in walk([x.args[1]])):
            return False
        if name == "pow":
            power = x.args[1].attr
            if not (isinstance(power, int | float) and power >= 1):
                return False
    return True


def product_graph(f: Node, g: Node) -> Node:
    """f(z) g(z)."""
    if build.is_number(f, 1):
        return g
    return f if build.is_number(g, 1) else build.call("mul", f, g)


def power_of_z(k: int) -> Node:
    """z^k."""
    if k == 0:
        return build.constant(1)
    return SLOT if k == 1 else build.call("pow", SLOT, build.constant(k))


def is_constant_function(f: Node) -> bool:
    """Whether f does not depend on z."""
    return not any(x is SLOT for x in walk([f]))


def parity(f: Node) -> str | None:
    """'odd', 'even' or None, as far as the graph tells."""
    if any(x.op is Op.PARAM for x in walk([f])):
        return None
    return Univariate(f).parity


def has_closed_form(f: Node, g: Node) -> bool:
    """Whether E f(z_a) g(z_b) is known as a formula of the covariance."""
    if any(x.op is Op.PARAM for x in walk([f, g])):
        return False
    return method_of(Univariate(f), Univariate(g)) == "closed form"


def of_one_ket(formula: Formula, params: bool) -> bool:
    """Whether a formula is a function of one ket and numbers, and params where they are allowed."""
    kets = kets_of(formula)
    f = function_graph(formula, kets[0]) if len(kets) == 1 else None
    return f is not None and (params or not any(x.op is Op.PARAM for x in walk([f])))
