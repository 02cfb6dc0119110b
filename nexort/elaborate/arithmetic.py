"""Operators between expressions: chains of ``+ - * / @ ^``, and factors side by side."""

from __future__ import annotations

from nexort.elaborate.context import Context
from nexort.elaborate.strangers import IDENTITY, NO_INVERSE
from nexort.elaborate.values import BraValue, Value
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.support.diagnostics import Span
from nexort.syntax import tree as t

_NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


def negative(e: Context, expr: t.Negative) -> Value:
    value, at, span = e.value(expr.value), expr.value.span, expr.span
    minus = build.constant(-1)
    if isinstance(value, BraValue):
        return elaborate_product(e, minus, value, at, at, span)
    if value.op is Op.CONST and not value.type.axes and isinstance(value.attr, int | float):
        return build.constant(-value.attr)
    if value.type.kind is Kind.OPERATOR:
        return build.scale(minus, value)
    return build.call("neg", value)


def chain(e: Context, expr: t.Binary) -> Value:
    """Binary operators; a long left-leaning chain is walked, not recursed into."""
    spine = [expr]
    while isinstance(spine[-1].left, t.Binary):
        spine.append(spine[-1].left)
    value = e.value(spine[-1].left)
    for link in reversed(spine):
        value = _binary(e, link, value)
    return value


def _binary(e: Context, expr: t.Binary, left: Value) -> Value:
    op, a, b, span = expr.op, expr.left.span, expr.right.span, expr.span
    if op == "^":
        return _power(e, _plain(e, left, a), expr.right, a, span)
    right = e.value(expr.right)
    if op == "*":
        return elaborate_product(e, left, right, a, b, span, entrywise=True)
    if isinstance(left, BraValue) and isinstance(right, BraValue) and op in "+-":
        x, y = _bra_ket(e, left, a), _bra_ket(e, right, b)
        return BraValue(e.typed([a, b], span, lambda: build.call(_NAMES[op], x, y)))
    x, y = _plain(e, left, a), _plain(e, right, b)
    operators = [v.type.kind is Kind.OPERATOR for v in (x, y)]
    if op == "/" and operators == [True, False]:
        inverse = build.call("div", build.constant(1), y)
        return e.typed([b], span, lambda: build.scale(inverse, x))
    if any(operators) and op in "+-":
        if not all(operators):
            kinds = f"{x.type.kind.value} and {y.type.kind.value}"
            message = f"'{op}' joins two of a kind, found {kinds}"
            number = any(v.type.kind is Kind.SCALAR for v in (x, y))
            raise e.problem("wrong-kind", message, span, help=IDENTITY if number else None)
        if op == "-":
            y = build.scale(build.constant(-1), y)
        return e.typed([a, b], span, lambda: build.add_operators(x, y))
    if op == "@":
        return e.typed([a, b], span, lambda: build.contract(x, y))
    return e.typed([a, b], span, lambda: build.call(_NAMES[op], x, y))


def _power(e: Context, base: Node, exponent: t.Expr, at: Span, span: Span) -> Node:
    if base.type.kind is not Kind.OPERATOR:
        power = e.node(exponent)
        return e.typed([at, exponent.span], span, lambda: build.call("pow", base, power))
    if not isinstance(exponent, t.Number) or not exponent.text.isdigit() or exponent.text == "0":
        message = "an operator's power is a positive integer literal"
        raise e.problem("wrong-kind", message, exponent.span, help=_instead(exponent))
    if len(exponent.text) > 3:
        hint = "apply it in a loop: for k in 1..K { |x[k]> = W |x[k-1]> }"
        raise e.problem("too-long", "this power is too large", exponent.span, help=hint)
    result = base
    for _ in range(int(exponent.text) - 1):
        result = build.compose(base, result)
    return result


def _instead(exponent: t.Expr) -> str | None:
    """What an exponent of an operator may have been meant to be."""
    bare = exponent.value if isinstance(exponent, t.Paren) else exponent
    match bare:
        case t.Name("t" | "H" | "dagger" | "top" | "transpose" | "star"):
            return "the transpose: W^T"
        case t.Negative():
            return NO_INVERSE
        case _:
            return None


def _plain(e: Context, value: Value, span: Span) -> Node:
    if isinstance(value, BraValue):
        raise e.problem("wrong-kind", "found a bra, expected a scalar or a ket", span)
    return value


def _bra_ket(e: Context, value: BraValue, span: Span) -> Node:
    if value.ket is None:
        raise e.problem("wrong-kind", "<1| stands directly before a ket", span)
    return value.ket


# ---- side by side ----------------------------------------------------------------------------


def elaborate_product(
    e: Context,
    left: Value,
    right: Value,
    a: Span,
    b: Span,
    span: Span,
    *,
    entrywise: bool = False,
) -> Value:
    """Two factors, beside each other or (``entrywise``) joined by ``*``."""
    if isinstance(left, BraValue) or isinstance(right, BraValue):
        return _bra_product(e, left, right, a, b, span)
    kinds = (left.type.kind, right.type.kind)
    match kinds:
        case (Kind.OPERATOR, Kind.OPERATOR):
            if entrywise:
                message = "'*' is entrywise and does not join operators"
                raise e.problem("wrong-kind", message, span, help="write A B for the product")
            return build.compose(left, right)
        case (Kind.OPERATOR, Kind.SCALAR) if entrywise:
            return e.typed([b], span, lambda: build.scale(right, left))
        case (Kind.SCALAR, Kind.OPERATOR):
            return e.typed([a], span, lambda: build.scale(left, right))
        case (Kind.OPERATOR, _):
            if entrywise:
                message = "'*' is entrywise: an operator acts by standing before the ket"
                raise e.problem("wrong-kind", message, span, help="write W |x> without '*'")
            return e.typed([a, b], span, lambda: build.apply(left, right))
        case (Kind.KET, Kind.OPERATOR):
            message = "an operator stands before the ket it acts on"
            raise e.problem("wrong-kind", message, span, help="write W |x>")
        case _:
            return _scaled(e, left, right, a, b, span, entrywise)


def _scaled(
    e: Context, left: Node, right: Node, a: Span, b: Span, span: Span, entrywise: bool
) -> Node:
    if not entrywise:
        if left.type.kind is right.type.kind is Kind.KET:
            message = "two kets side by side have no meaning"
            raise e.problem("wrong-kind", message, span, help="|x> * |y> is entrywise")
        if any(v.type.kind is Kind.SCALAR and v.type.axes for v in (left, right)):
            message = "a scalar with axes beside another factor is ambiguous"
            hint = "use * for the entrywise product or @ for the contraction"
            raise e.problem("axis-mismatch", message, span, help=hint)
    return e.typed([a, b], span, lambda: build.call("mul", left, right))


def _bra_product(e: Context, left: Value, right: Value, a: Span, b: Span, span: Span) -> Value:
    if isinstance(left, BraValue) and isinstance(right, BraValue):
        raise e.problem("wrong-kind", "two bras side by side have no meaning", span)
    if isinstance(right, BraValue):
        assert isinstance(left, Node)
        if left.type.kind is Kind.KET:
            return _outer(e, left, a, None, right, b)
        if left.type.kind is Kind.OPERATOR:
            message = "found an operator before a bra, expected a scalar or a ket"
            raise e.problem("wrong-kind", message, span, help="write <x|W for W^T |x>")
        ket = _bra_ket(e, right, b)
        return BraValue(e.typed([a, b], span, lambda: build.call("mul", left, ket)))
    assert isinstance(left, BraValue)
    match right.type.kind:
        case Kind.KET:
            if left.ket is None:
                return e.typed([b], span, lambda: build.average(right))
            bra = left.ket
            return e.typed([a, b], span, lambda: build.inner(bra, right))
        case Kind.OPERATOR:
            bra = _bra_ket(e, left, a)
            return BraValue(e.typed([b, a], span, lambda: build.apply(build.adjoint(right), bra)))
        case Kind.SCALAR:
            bra = _bra_ket(e, left, a)
            return BraValue(e.typed([a, b], span, lambda: build.call("mul", bra, right)))


def elaborate_juxtaposed(e: Context, expr: t.Juxtaposed) -> Value:
    """Outer products first, then right to left, so that ``W^T W |x>`` is two applications."""
    items = [(e.value(f), f.span) for f in expr.factors]
    items = _outer_products(e, items)
    value, at = items[-1]
    for left, left_span in reversed(items[:-1]):
        value = elaborate_product(e, left, value, left_span, at, left_span.to(at))
        at = left_span.to(at)
    return value


def _outer_products(e: Context, items: list[tuple[Value, Span]]) -> list[tuple[Value, Span]]:
    """Replace every ``ket [scalar] bra`` by its operator."""
    done: list[tuple[Value, Span]] = []
    for value, span in items:
        if isinstance(value, BraValue):
            chi = done[-1] if done and _is(done[-1][0], Kind.SCALAR) else None
            place = -2 if chi else -1
            if len(done) >= -place and _is(done[place][0], Kind.KET):
                ket, ket_span = done[place]
                made = _outer(e, ket, ket_span, chi, value, span)
                del done[place:]
                done.append((made, ket_span.to(span)))
                continue
        done.append((value, span))
    return done


def _outer(
    e: Context, ket: Value, at: Span, chi: tuple[Value, Span] | None, bra: BraValue, span: Span
) -> Node:
    right = _bra_ket(e, bra, span)
    middle, middle_span = chi if chi else (None, at)
    assert isinstance(ket, Node)
    assert not isinstance(middle, BraValue)
    spans = [at, middle_span, span]
    return e.typed(spans, at.to(span), lambda: build.outer(ket, middle, right))


def _is(value: Value, kind: Kind) -> bool:
    return isinstance(value, Node) and value.type.kind is kind
