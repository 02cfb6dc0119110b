"""Laws of initial objects: ``~ N(0, 1/n)``, ``~ rademacher(1)``, ``~ law(f, 1/n)``.

Everything is reduced to standard objects (Setup 2.6.3): a vector of another mean, variance,
covariance or law is a function of standard normal ones; a matrix is a multiple of one with
variance 1/n, whose entries are sqrt(1/n) f(z) for the law's function f.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nexort.elaborate import calls
from nexort.elaborate.context import Context
from nexort.elaborate.scope import BoundArgument, InlinedFunction, Scope
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op
from nexort.program.types import Axes, Axis, AxisMismatch, Kind, ket, operator, scalar, unify
from nexort.support.diagnostics import Span, count_text, did_you_mean
from nexort.syntax import tree as t

STANDARD_LAWS = {
    "rademacher": "sign(z)",
    "uniform": "sqrt(3) * erf(z / sqrt(2))",
}
"""Standardized laws (mean 0, variance 1) as functions of a standard normal z."""

FORMS = "N(mean, variance), rademacher(variance), uniform(variance) or law(f, variance)"


@dataclass(frozen=True, slots=True)
class DeclaredLaw:
    """``mean``, ``variance`` (a number, or a covariance matrix) and the standardized function of a
    standard normal (None: Gaussian). ``over_n``: the variance was written as ``.../n``."""

    mean: t.Expr | None
    variance: t.Expr
    name: str
    function: t.Expr | None
    over_n: bool


def elaborate_law(e: Context, tree: t.Expr) -> DeclaredLaw:
    """Read the right side of ``~``."""
    if not (isinstance(tree, t.Call) and isinstance(tree.callee, t.Name)):
        raise e.problem("bad-law", "expected a law", tree.span, help=FORMS)
    name, args = tree.callee.name, tree.args
    if any(a.keyword or a.loops for a in args):
        raise e.problem("bad-law", "a law takes plain arguments", tree.span, help=FORMS)
    values = [a.value for a in args]
    wanted = {"N": 2, "law": 2} | dict.fromkeys(STANDARD_LAWS, 1)
    if name not in wanted:
        normal = name.casefold() in ("n", "normal", "gaussian", "gauss", "randn")
        hint = "did you mean 'N'?" if normal else did_you_mean(name, wanted) or FORMS
        raise e.problem("bad-law", f"unknown law '{name}'", tree.callee.span, help=hint)
    if len(values) != wanted[name]:
        message = f"'{name}' takes {count_text(wanted[name], 'argument')}, found {len(values)}"
        raise e.problem("bad-law", message, tree.span, help=FORMS)
    mean = values[0] if name == "N" else None
    function = values[0] if name == "law" else None
    variance, over_n = _variance_of(e, values[-1])
    return DeclaredLaw(mean, variance, name, function, over_n)


def _variance_of(e: Context, tree: t.Expr) -> tuple[t.Expr, bool]:
    """``c`` and False, or ``c/n``, in whatever way it is written, as ``c`` and True."""
    try:
        rest, degree = _over_width(tree)
    except _NotAPower:
        degree = None
    if degree in (0, -1):
        return rest or t.Number("1", tree.span), degree == -1
    message = f"a variance is c or c/n for a number c, found {tree.span.text}"
    hint = "N(0, 1/n), N(0, 2/n): the second number is the variance, the standard deviation squared"
    raise e.problem("bad-law", message, tree.span, help=hint)


class _NotAPower(Exception):
    """An expression is not a number times a power of n."""


def _over_width(x: t.Expr) -> tuple[t.Expr | None, Fraction]:
    """An expression as ``c n^k``: c, None where it is 1, and k. Raises _NotAPower."""
    match x:
        case t.Name("n"):
            return None, Fraction(1)
        case t.Paren(value):
            rest, k = _over_width(value)
            return (rest if rest is None or k == 0 else t.Paren(rest, x.span)), k
        case t.Negative(value):
            rest, k = _over_width(value)
            return t.Negative(rest or t.Number("1", x.span), x.span), k
        case t.Binary(op, left, right) if op in "*/+-":
            return _joined(x, op, _over_width(left), _over_width(right))
        case t.Juxtaposed(factors):
            found = _over_width(factors[0])
            for factor in factors[1:]:
                found = _joined(x, "*", found, _over_width(factor))
            return found
        case t.Binary("^", base, exponent):
            rest, k = _over_width(base)
            if k == 0:
                return x, k
            raised = None if rest is None else t.Binary("^", rest, exponent, x.span)
            return raised, k * _literal(exponent)
        case t.Call(t.Name("sqrt"), (t.Argument(value, None, ()),)):
            rest, k = _over_width(value)
            inner = None if rest is None else t.Argument(rest, None, (), rest.span)
            return None if inner is None else t.Call(x.callee, (inner,), x.span), k / 2
        case _:
            if re.search(r"\bn\b", x.span.text):
                raise _NotAPower
            return x, Fraction(0)


def _joined(
    x: t.Expr, op: str, left: tuple[t.Expr | None, Fraction], right: tuple[t.Expr | None, Fraction]
) -> tuple[t.Expr | None, Fraction]:
    (a, k), (b, m) = left, right
    if op in "+-" and k != m:
        raise _NotAPower
    degree = k if op in "+-" else k + m if op == "*" else k - m
    if op in "*/" and b is None:
        return a, degree
    if op == "*" and a is None:
        return b, degree
    one = t.Number("1", x.span)
    return t.Binary(op, a or one, b or one, x.span), degree


def _literal(x: t.Expr) -> Fraction:
    """A rational exponent. Raises _NotAPower."""
    match x:
        case t.Number(text) if len(text) < 10:
            return Fraction(text)
        case t.Negative(value):
            return -_literal(value)
        case t.Paren(value):
            return _literal(value)
        case t.Binary("/", left, right) if (below := _literal(right)) != 0:
            return _literal(left) / below
        case _:
            raise _NotAPower


def standardized_function(e: Context, found: DeclaredLaw, z: Node) -> Node | None:
    """The law's standardized function at ``z``; None for a Gaussian."""
    if found.name == "N":
        return None
    if found.function is not None:
        name = found.function.name if isinstance(found.function, t.Name) else ""
        callee = calls.function_named(e, name)
        one = isinstance(callee, InlinedFunction) and len(callee.tree.parameters) == 1
        if not one and getattr(callee, "arity", 0) != 1:
            if name and callee is None:
                e.lookup(name, found.function.span)
            message = "the first argument of law is the name of a function of one argument"
            raise e.problem("bad-law", message, found.function.span, help="fn f(z) = sign(z)")
        assert not isinstance(callee, type(None))
        span = found.function.span
        return calls.invoke(e, callee, [z], [span], span)  # type: ignore[arg-type]
    outer, e.scope = e.scope, Scope()
    e.scope.entries["z"] = BoundArgument(z, found.variance.span)
    try:
        return e.node(calls.expression_tree(STANDARD_LAWS[found.name]))
    finally:
        e.scope = outer


def vector_ket(e: Context, found: DeclaredLaw, z: Node, axes: Axes) -> Node:
    """The ket of a declared vector over the standard one ``z``."""
    if found.over_n:
        message = "an initial vector has entries of size 1: its variance does not have n"
        raise e.problem("bad-law", message, found.variance.span, help="write N(0, 1)")
    shaped = standardized_function(e, found, z)
    value = z if shaped is None else shaped
    variance = _variance(e, found)
    span = found.variance.span
    if variance.type.axes:
        root = e.typed([span], span, lambda: build.factor(variance))
        _covers(e, root, axes, span)
        value = e.typed([span, span], span, lambda: build.contract(value, root))
        if value.type.axes != axes:
            value = build.spread(value, ket(axes))
    elif not build.is_number(variance, 1):
        value = build.call("mul", build.call("sqrt", variance), value)
    return _shifted(e, found, value)


def _variance(e: Context, found: DeclaredLaw) -> Node:
    """The variance or covariance: a scalar, not negative where it is a literal."""
    variance, span = e.node(found.variance), found.variance.span
    if variance.type.kind is not Kind.SCALAR:
        article = "an" if variance.type.kind is Kind.OPERATOR else "a"
        message = f"a variance is a scalar, found {article} {variance.type}"
        raise e.problem("bad-law", message, span)
    value = variance.attr if variance.op is Op.CONST else None
    if isinstance(value, int | float) and value < 0:
        raise e.problem("bad-law", f"a variance is not negative, found {value}", span)
    return variance


def _covers(e: Context, root: Node, axes: Axes, span: Span) -> None:
    """A covariance matrix is over the vector's last axis."""
    try:
        if axes:
            unify(axes[-1], root.type.axes[0])
            return
    except AxisMismatch:
        pass
    message = f"a covariance [{', '.join(map(str, root.type.axes))}] is of a vector over "
    message += f"[{root.type.axes[0]}], found {f'one over [{axes[-1]}]' if axes else 'no axis'}"
    raise e.problem("axis-mismatch", message, span)


def _shifted(e: Context, found: DeclaredLaw, value: Node) -> Node:
    if found.mean is None:
        return value
    mean = e.node(found.mean)
    if mean.type.kind is not Kind.SCALAR:
        raise e.problem("bad-law", "a mean is a scalar", found.mean.span)
    if build.is_number(mean, 0):
        return value
    span = found.mean.span
    return e.typed([span, span], span, lambda: build.call("add", value, mean))


def joint_kets(e: Context, found: DeclaredLaw, names: str, count: int) -> list[Node]:
    """The kets of ``vector (u, v) ~ N(mean, covariance)``."""
    axis = Axis(str(count), count)
    z = Node(Op.INIT_VECTOR, (), (names, ()), ket((axis,)))
    both = vector_ket(e, found, z, (axis,))
    return [build.take(both, [Affine(k)]) for k in range(count)]


def matrix(e: Context, found: DeclaredLaw, name: str, axes: Axes) -> tuple[Node, Node | None]:
    """The operator of a declared matrix, and its entries' standardized function."""
    span = found.variance.span
    if not found.over_n:
        message = "an initial matrix has entries of variance c/n"
        raise e.problem("bad-law", message, span, help="write N(0, 1/n) or N(0, 2/n)")
    if found.mean is not None and not build.is_number(e.node(found.mean), 0):
        message = "an initial matrix has entries of mean 0"
        hint = "add the mean as an outer product: W + c * |one> <one|"
        raise e.problem("bad-law", message, found.mean.span, help=hint)
    value = Node(Op.INIT_MATRIX, (), (name, ()), operator(axes))
    variance = _variance(e, found)
    if variance.type.axes:
        message = f"the variance of a matrix is one number, found a {variance.type}"
        raise e.problem("bad-law", message, span)
    if not build.is_number(variance, 1):
        value = build.scale(build.call("sqrt", variance), value)
    z = Node(Op.SLOT, (), ("z",), ket())
    return value, standardized_function(e, found, z)


def initial_scalar(e: Context, found: DeclaredLaw, name: str, axes: Axes) -> Node:
    """An initial scalar: its mean plus a fluctuation of variance c/n (limit 0)."""
    if not found.over_n or found.name != "N":
        message = "an initial scalar is N(mean, c/n), which tends to its mean"
        hint = "scalar c -> 2 for a fixed number"
        raise e.problem("bad-law", message, found.variance.span, help=hint)
    variance, span = _variance(e, found), found.variance.span
    noise = Node(Op.INIT_SCALAR, (), (name, ()), scalar(axes))
    if not build.is_number(variance, 1):
        size = build.call("sqrt", variance)
        noise = e.typed([span, span], span, lambda: build.call("mul", size, noise))
    return _shifted(e, found, noise)
