"""Expressions: syntax tree to typed nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from nexort import functions
from nexort.diagnostics import (
    Diagnostic,
    NexortError,
    Report,
    Span,
    counted,
    did_you_mean,
    fail,
)
from nexort.elaborate import calls, indices
from nexort.elaborate.scope import (
    Bound,
    Entry,
    LoopVariable,
    Poisoned,
    Scope,
)
from nexort.program import build
from nexort.program.build import TypeProblem
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.program import Data, Dim, Family, Initial, Param
from nexort.program.types import Kind, scalar
from nexort.syntax import tree as t

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BraValue:
    """``<x|`` on its own, waiting for what stands to its right; ``ket`` None is ``<1|``."""

    ket: Node | None


Value = Node | BraValue


class Skip(Exception):
    """The expression uses a name whose own error is already reported."""


class Elaborator:
    """Elaborates expressions in a scope; ``later`` are names that the file defines further on."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.scope = Scope()
        self.later: dict[str, Span] = {}
        self.refs: list[tuple[Node, Span]] = []
        self.inlining: list[t.Function] = []
        self.inlined = 0
        self.incomplete = False
        """Whether an import failed: an unknown name may be one of its names."""

    # ---- errors --------------------------------------------------------------------------------

    def problem(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        notes: Iterable[tuple[str, Span | None]] = (),
        help: str | None = None,
    ) -> NexortError:
        """An error to be raised by the caller."""
        return fail(code, message, span, notes=notes, help=help)

    def guarded(self, action: Callable[[], T], span: Span) -> T | None:
        """Run a part of a statement; its errors are reported and None comes back."""
        try:
            return action()
        except Skip:
            return None
        except RecursionError:
            self.report.error("syntax", "this statement is nested too deeply", span)
            return None
        except NexortError as error:
            for diagnostic in error.diagnostics:
                self.report.add(diagnostic)
            return None

    def typed(self, spans: Sequence[Span], span: Span, make: Callable[[], Node]) -> Node:
        """Build a node; a type problem becomes a diagnostic at the operands' ``spans``."""
        try:
            return make()
        except TypeProblem as problem:
            at = [spans[k] for k in problem.operands if k < len(spans)]
            notes = [("the other operand is here", s) for s in at[:-1]]
            where = at[-1] if at else span
            raise NexortError(
                [Diagnostic(problem.code, problem.message, where, tuple(notes), problem.help)]
            ) from None

    # ---- names ---------------------------------------------------------------------------------

    def lookup(self, name: str, span: Span) -> Entry:
        """The entry of a name. Raises NexortError for an unknown one, Skip for a poisoned one."""
        entry = self.scope.find(name)
        if isinstance(entry, Poisoned):
            raise Skip
        if entry is not None:
            return entry
        if name in self.later:
            raise self.problem(
                "use-before-definition",
                f"'{name}' is used before it is defined",
                span,
                notes=((f"'{name}' is defined here", self.later[name]),),
            )
        if functions.lookup(name) is not None:
            raise self.not_a_value(name, span)
        if name == "n":
            message = "the width n stands only in laws"
            hint = "matrix W ~ N(0, 1/n); averages such as <x|y> are divided by n already"
            raise self.problem("unknown-name", message, span, help=hint)
        if self.incomplete:
            raise Skip
        known = [*self.scope.names(), *functions.registry(), *self.later]
        raise self.problem(
            "unknown-name", f"unknown name '{name}'", span, help=did_you_mean(name, known)
        )

    def not_a_value(self, name: str, span: Span) -> NexortError:
        """The error for a function that is not called."""
        message = f"'{name}' is a function, expected a value"
        return self.problem("wrong-kind", message, span, help=f"call it: {name}(|x>)")

    def member(self, name: str, items: Sequence[t.Item], span: Span, *, ket: bool) -> Node:
        """``name[items]`` as a value: family indices first, then selections along axes."""
        entry = self.lookup(name, span)
        selectors = [None if isinstance(x, t.FullSlice) else indices.affine(self, x) for x in items]
        arity, node = self._entry_node(entry, name, selectors, span)
        is_ket = node.type.kind is Kind.KET
        if ket and not is_ket:
            what = node.type.kind.value
            message = f"'{name}' is {'an' if what == 'operator' else 'a'} {what}, expected a ket"
            if isinstance(entry, Bound):
                message = f"'{name}' is an argument of a function, expected a ket"
            raise self._kind_error(message, span, entry, f"write {name} without bars")
        if not ket and is_ket and not isinstance(entry, Bound):
            raise self._kind_error(
                f"'{name}' is a ket, expected a scalar or an operator", span, entry,
                f"write |{name}{_brackets(span)}> for the ket",
            )  # fmt: skip
        rest = selectors[arity:]
        return self._taken(node, rest, span, span) if rest else node

    def _taken(self, node: Node, picks: Sequence[Affine | None], base: Span, span: Span) -> Node:
        """A selection along axes, with its place kept for errors that only numbers can tell."""
        made = self.typed([base], span, lambda: build.take(node, picks))
        self.refs.append((made, span))
        return made

    def _entry_node(
        self, entry: Entry, name: str, selectors: list[Affine | None], span: Span
    ) -> tuple[int, Node]:
        """How many selectors are family indices, and the node before further selections."""
        match entry:
            case LoopVariable():
                return 0, Node(Op.INDEX, (), Affine.variable(name), scalar())
            case Param():
                return 0, Node(Op.PARAM, (), name, scalar())
            case Dim():
                return 0, Node(Op.SIZE, (), name, scalar())
            case Data():
                return 0, Node(Op.DATA, (), name, scalar(entry.axes))
            case Bound():
                return 0, entry.node
            case Initial():
                key = self._family_indices(name, len(entry.ranges), selectors, span)
                node = _at_indices(entry.value, key)
                self.refs.append((_initial_leaf(node, name), span))
                return len(entry.ranges), node
            case Family():
                key = self._family_indices(name, entry.arity, selectors, span)
                node = Node(Op.REF, (), (name, key), entry.type)
                self.refs.append((node, span))
                return entry.arity, node
            case _:
                raise self.not_a_value(name, span)

    def _family_indices(
        self, name: str, arity: int, selectors: list[Affine | None], span: Span
    ) -> tuple[Affine, ...]:
        found = [s for s in selectors[:arity] if s is not None]
        if len(found) < arity:
            message = f"'{name}' needs {counted(arity, 'index', 'indices')}, found {len(found)}"
            hint = f"write {name}[{', '.join('klmpqrst'[:arity])}] for one member"
            raise self.problem("missing-index", message, span, notes=self._defined(name), help=hint)
        return tuple(found)

    def _defined(self, name: str) -> tuple[tuple[str, Span], ...]:
        entry = self.scope.find(name)
        return () if entry is None else ((f"'{name}' is defined here", entry.span),)

    def _kind_error(self, message: str, span: Span, entry: Entry, hint: str) -> NexortError:
        return self.problem(
            "wrong-kind", message, span, notes=(("defined here", entry.span),), help=hint
        )

    # ---- expressions ---------------------------------------------------------------------------

    def node(self, expr: t.Expr) -> Node:
        """A value that is not a bare bra."""
        value = self.value(expr)
        if isinstance(value, BraValue):
            raise self.problem(
                "wrong-kind", "a bra is not a value on its own", expr.span,
                help="close it with a ket, <x|y>, or make an operator, |z> <x|",
            )  # fmt: skip
        return value

    def in_file(self, expr: t.Expr) -> Node:
        """A value in the file's own scope, without the loops around."""
        outer, self.scope = self.scope, self.scope.outermost()
        try:
            return self.node(expr)
        finally:
            self.scope = outer

    def value(self, expr: t.Expr) -> Value:
        """A node, or a bra."""
        return self._forms[type(expr)](expr)

    @cached_property
    def _forms(self) -> dict[type[Any], Callable[[Any], Value]]:
        """How each form of expression is elaborated."""
        return {
            t.Number: self._number,
            t.Paren: lambda x: self.value(x.value),
            t.Name: self._name,
            t.Index: self._index,
            t.Ket: lambda x: self.label(x.label),
            t.Bra: lambda x: BraValue(None if x.label.name == "1" else self.label(x.label)),
            t.BraKet: self._braket,
            t.Copied: self._copied,
            t.Expectation: self._expectation,
            t.Call: lambda x: calls.call(self, x),
            t.Prime: self._prime,
            t.Transpose: self._transpose,
            t.Negative: self._negative,
            t.Binary: self._chain,
            t.Juxtaposed: self._juxtaposed,
            t.Sum: lambda x: self.looped(x.loops, lambda: self.node(x.body), build.total),
            t.ListLiteral: self._list,
        }

    def _number(self, expr: t.Number) -> Node:
        value = number(expr.text)
        if value is None:
            raise self.problem("bad-number", "this number is too large", expr.span)
        return build.constant(value)

    def _name(self, expr: t.Name) -> Node:
        if expr.name == "pi" and self.scope.find("pi") is None:
            return build.constant(math.pi)
        return self.member(expr.name, (), expr.span, ket=False)

    def _index(self, expr: t.Index) -> Node:
        base = expr.base
        if isinstance(base, t.Name):
            return self.member(base.name, expr.items, expr.span, ket=False)
        node = self.node(base)
        picks = [
            None if isinstance(x, t.FullSlice) else indices.affine(self, x) for x in expr.items
        ]
        return self._taken(node, picks, base.span, expr.span)

    def _copied(self, expr: t.Copied) -> Node:
        node = self.node(expr.base)
        return self.typed([expr.base.span], expr.span, lambda: build.copy(node, expr.copy))

    def _expectation(self, expr: t.Expectation) -> Node:
        scope: Scope | None = self.scope
        while scope is not None:
            for entry in scope.entries.values():
                if isinstance(entry, Bound) and entry.node.type.open:
                    message = "an argument on iid copies meets an expectation inside a function"
                    hint = "give the inner expectation a name: |y> = E{1}[ ... ]"
                    raise self.problem("open-copy", message, expr.span, help=hint)
            scope = scope.outer
        node = self.node(expr.body)
        return self.typed([expr.body.span], expr.span, lambda: build.mean(expr.copies, node))

    def _prime(self, expr: t.Prime) -> Node:
        if isinstance(expr.base, t.Name) and functions.lookup(expr.base.name) is None:
            self.lookup(expr.base.name, expr.base.span)
        message = f"'{expr.span.text}' is a function, expected a value"
        hint = f"call it: {expr.span.text}(|x>)"
        raise self.problem("wrong-kind", message, expr.span, help=hint)

    def _list(self, expr: t.ListLiteral) -> Node:
        nodes = [self.node(item) for item in expr.items]
        return self.typed([x.span for x in expr.items], expr.span, lambda: build.stack(nodes))

    def label(self, label: t.Label) -> Node:
        """The ket named between the bars."""
        if label.name.isdigit():
            message = f"'{label.name}' does not name a ket"
            raise self.problem("wrong-kind", message, label.span, help="the average is <1|x>")
        return self.member(label.name, label.items, label.span, ket=True)

    def _braket(self, expr: t.BraKet) -> Node:
        left, right, span = expr.left, expr.right, expr.span
        if left.name == "1":
            ket = self.label(right)
            return self.typed([right.span], span, lambda: build.average(ket))
        if right.name == "1":
            bra = self.label(left)
            return self.typed([left.span], span, lambda: build.average(bra))
        x, y = self.label(left), self.label(right)
        return self.typed([left.span, right.span], span, lambda: build.inner(x, y))

    def looped(
        self,
        loops: Sequence[t.Binder],
        body: Callable[[], Node],
        wrap: Callable[..., Node],
    ) -> Node:
        """A body under loops, wrapped from the inside out."""
        outer = self.scope
        found = []
        try:
            for binder in loops:
                found.append(indices.loop(self, binder))
                self.scope = Scope(self.scope)
                self.scope.entries[binder.var] = indices.loop_variable(binder)
            node = body()
        finally:
            self.scope = outer
        for loop in reversed(found):
            node = wrap(loop, node)
        return node

    def _transpose(self, expr: t.Transpose) -> Node:
        node = self.node(expr.base)
        turned = build.adjoint if node.type.kind is Kind.OPERATOR else build.transpose
        return self.typed([expr.base.span], expr.span, lambda: turned(node))

    def _negative(self, expr: t.Negative) -> Value:
        value, at, span = self.value(expr.value), expr.value.span, expr.span
        minus = build.constant(-1)
        if isinstance(value, BraValue):
            return self.product(minus, value, at, at, span)
        if value.op is Op.CONST and not value.type.axes and isinstance(value.attr, int | float):
            return build.constant(-value.attr)
        if value.type.kind is Kind.OPERATOR:
            return build.scale(minus, value)
        return build.call("neg", value)

    # ---- arithmetic ----------------------------------------------------------------------------

    def _chain(self, expr: t.Binary) -> Value:
        """Binary operators; a long left-leaning chain is walked, not recursed into."""
        spine = [expr]
        while isinstance(spine[-1].left, t.Binary):
            spine.append(spine[-1].left)
        value = self.value(spine[-1].left)
        for link in reversed(spine):
            value = self._binary(link, value)
        return value

    def _binary(self, expr: t.Binary, left: Value) -> Value:
        op, a, b, span = expr.op, expr.left.span, expr.right.span, expr.span
        if op == "^":
            return self._power(self._plain(left, a), expr.right, a, span)
        right = self.value(expr.right)
        if op == "*":
            return self.product(left, right, a, b, span, entrywise=True)
        if isinstance(left, BraValue) and isinstance(right, BraValue) and op in "+-":
            x, y = self._bra_ket(left, a), self._bra_ket(right, b)
            return BraValue(self.typed([a, b], span, lambda: build.call(_NAMES[op], x, y)))
        x, y = self._plain(left, a), self._plain(right, b)
        operators = [v.type.kind is Kind.OPERATOR for v in (x, y)]
        if op == "/" and operators == [True, False]:
            inverse = build.call("div", build.constant(1), y)
            return self.typed([b], span, lambda: build.scale(inverse, x))
        if any(operators) and op in "+-":
            if not all(operators):
                kinds = f"{x.type.kind.value} and {y.type.kind.value}"
                message = f"'{op}' joins two of a kind, found {kinds}"
                raise self.problem("wrong-kind", message, span)
            if op == "-":
                y = build.scale(build.constant(-1), y)
            return self.typed([a, b], span, lambda: build.add_operators(x, y))
        if op == "@":
            return self.typed([a, b], span, lambda: build.contract(x, y))
        return self.typed([a, b], span, lambda: build.call(_NAMES[op], x, y))

    def _power(self, base: Node, exponent: t.Expr, at: Span, span: Span) -> Node:
        if base.type.kind is not Kind.OPERATOR:
            power = self.node(exponent)
            return self.typed([at, exponent.span], span, lambda: build.call("pow", base, power))
        if (
            not isinstance(exponent, t.Number)
            or not exponent.text.isdigit()
            or exponent.text == "0"
        ):
            message = "an operator's power is a positive integer literal"
            raise self.problem("wrong-kind", message, exponent.span)
        if len(exponent.text) > 3:
            hint = "apply it in a loop: for k in 1..K { |x[k]> = W |x[k-1]> }"
            raise self.problem("too-long", "this power is too large", exponent.span, help=hint)
        result = base
        for _ in range(int(exponent.text) - 1):
            result = build.compose(base, result)
        return result

    def _plain(self, value: Value, span: Span) -> Node:
        if isinstance(value, BraValue):
            raise self.problem("wrong-kind", "found a bra, expected a scalar or a ket", span)
        return value

    def _bra_ket(self, value: BraValue, span: Span) -> Node:
        if value.ket is None:
            raise self.problem("wrong-kind", "<1| stands directly before a ket", span)
        return value.ket

    # ---- side by side ----------------------------------------------------------------------------

    def product(
        self, left: Value, right: Value, a: Span, b: Span, span: Span, *, entrywise: bool = False
    ) -> Value:
        """Two factors, beside each other or (``entrywise``) joined by ``*``."""
        if isinstance(left, BraValue) or isinstance(right, BraValue):
            return self._bra_product(left, right, a, b, span)
        kinds = (left.type.kind, right.type.kind)
        match kinds:
            case (Kind.OPERATOR, Kind.OPERATOR):
                if entrywise:
                    message = "'*' is entrywise and does not join operators"
                    raise self.problem(
                        "wrong-kind", message, span, help="write A B for the product"
                    )
                return build.compose(left, right)
            case (Kind.OPERATOR, Kind.SCALAR) if entrywise:
                return self.typed([b], span, lambda: build.scale(right, left))
            case (Kind.SCALAR, Kind.OPERATOR):
                return self.typed([a], span, lambda: build.scale(left, right))
            case (Kind.OPERATOR, _):
                if entrywise:
                    message = "'*' is entrywise: an operator acts by standing before the ket"
                    raise self.problem("wrong-kind", message, span, help="write W |x> without '*'")
                return self.typed([a, b], span, lambda: build.apply(left, right))
            case (Kind.KET, Kind.OPERATOR):
                message = "an operator stands before the ket it acts on"
                raise self.problem("wrong-kind", message, span, help="write W |x>")
            case _:
                return self._scaled(left, right, a, b, span, entrywise)

    def _scaled(
        self, left: Node, right: Node, a: Span, b: Span, span: Span, entrywise: bool
    ) -> Node:
        if not entrywise:
            if left.type.kind is right.type.kind is Kind.KET:
                message = "two kets side by side have no meaning"
                raise self.problem("wrong-kind", message, span, help="|x> * |y> is entrywise")
            if any(v.type.kind is Kind.SCALAR and v.type.axes for v in (left, right)):
                message = "a scalar with axes beside another factor is ambiguous"
                hint = "use * for the entrywise product or @ for the contraction"
                raise self.problem("axis-mismatch", message, span, help=hint)
        return self.typed([a, b], span, lambda: build.call("mul", left, right))

    def _bra_product(self, left: Value, right: Value, a: Span, b: Span, span: Span) -> Value:
        if isinstance(left, BraValue) and isinstance(right, BraValue):
            raise self.problem("wrong-kind", "two bras side by side have no meaning", span)
        if isinstance(right, BraValue):
            if isinstance(left, BraValue) or left.type.kind is not Kind.SCALAR:
                kind = "bra" if isinstance(left, BraValue) else left.type.kind.value
                message = f"found {kind} before a bra, expected a scalar or a ket"
                raise self.problem("wrong-kind", message, span)
            ket = self._bra_ket(right, b)
            return BraValue(self.typed([a, b], span, lambda: build.call("mul", left, ket)))
        assert isinstance(left, BraValue)
        match right.type.kind:
            case Kind.KET:
                if left.ket is None:
                    return self.typed([b], span, lambda: build.average(right))
                bra = left.ket
                return self.typed([a, b], span, lambda: build.inner(bra, right))
            case Kind.OPERATOR:
                bra = self._bra_ket(left, a)
                acting = build.adjoint(right)
                return BraValue(self.typed([b, a], span, lambda: build.apply(acting, bra)))
            case Kind.SCALAR:
                bra = self._bra_ket(left, a)
                return BraValue(self.typed([a, b], span, lambda: build.call("mul", bra, right)))

    def _juxtaposed(self, expr: t.Juxtaposed) -> Value:
        """Outer products first, then right to left, so that ``W^T W |x>`` is two applications."""
        items = [(self.value(f), f.span) for f in expr.factors]
        items = self._outer_products(items)
        value, at = items[-1]
        for left, left_span in reversed(items[:-1]):
            value = self.product(left, value, left_span, at, left_span.to(at))
            at = left_span.to(at)
        return value

    def _outer_products(self, items: list[tuple[Value, Span]]) -> list[tuple[Value, Span]]:
        """Replace every ``ket [scalar] bra`` by its operator."""
        done: list[tuple[Value, Span]] = []
        for value, span in items:
            if isinstance(value, BraValue):
                chi = done[-1] if done and _is(done[-1][0], Kind.SCALAR) else None
                place = -2 if chi else -1
                if len(done) >= -place and _is(done[place][0], Kind.KET):
                    ket, ket_span = done[place]
                    made = self._outer(ket, ket_span, chi, value, span)
                    del done[place:]
                    done.append((made, ket_span.to(span)))
                    continue
            done.append((value, span))
        return done

    def _outer(
        self, ket: Value, at: Span, chi: tuple[Value, Span] | None, bra: BraValue, span: Span
    ) -> Node:
        right = self._bra_ket(bra, span)
        middle, middle_span = chi if chi else (None, at)
        assert isinstance(ket, Node)
        assert not isinstance(middle, BraValue)
        spans = [at, middle_span, span]
        return self.typed(spans, at.to(span), lambda: build.outer(ket, middle, right))


_NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


def _is(value: Value, kind: Kind) -> bool:
    return isinstance(value, Node) and value.type.kind is kind


def _brackets(span: Span) -> str:
    text = span.text
    return text[text.index("[") :] if "[" in text else ""


LONGEST_INTEGER = 300
"""Digits of an integer literal: it fits into a float."""


def number(text: str) -> int | float | None:
    """The value of a literal: an int where it is written as one, None where it is too large."""
    if text.isdigit():
        return int(text) if len(text) <= LONGEST_INTEGER else None
    value = float(text)
    return value if math.isfinite(value) else None


def _at_indices(value: Node, key: tuple[Affine, ...]) -> Node:
    """An initial object's graph at given family indices."""

    def place(node: Node) -> Node:
        if node.op in (Op.INIT_VECTOR, Op.INIT_MATRIX, Op.INIT_SCALAR):
            name, _ = node.attr
            return Node(node.op, (), (name, key), node.type)
        return node

    return rewrite([value], place)[value] if key else value


def _initial_leaf(node: Node, name: str) -> Node:
    """The standard object under a declared name's graph (itself where there is none)."""
    leaves = (Op.INIT_VECTOR, Op.INIT_MATRIX, Op.INIT_SCALAR)
    return next((x for x in walk([node]) if x.op in leaves), node)
