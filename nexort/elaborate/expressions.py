"""Expressions: syntax tree to typed nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from nexort import activations
from nexort.elaborate import arithmetic, calls, indices
from nexort.elaborate.context import Context
from nexort.elaborate.scope import BoundArgument, Entry, LoopVariable, Scope
from nexort.elaborate.values import BraValue, Value
from nexort.program import build
from nexort.program.declarations import Data, Dim, Family, Initial, Param
from nexort.program.index import Affine
from nexort.program.network import Network
from nexort.program.nodes import STANDARD, Node, Op, walk
from nexort.program.types import Kind, scalar
from nexort.support.diagnostics import (
    NexortError,
    Span,
    count_text,
)
from nexort.syntax import tree as t


class Elaborator(Context):
    """Elaborates every form of expression."""

    # ---- names ---------------------------------------------------------------------------------

    def member(self, name: str, items: Sequence[t.Item], span: Span, *, ket: bool) -> Node:
        """``name[items]`` as a value: family indices first, then selections along axes."""
        entry = self.lookup(name, span)
        selectors = [
            None if isinstance(x, t.FullSlice) else indices.elaborate_index(self, x) for x in items
        ]
        arity, node = self._entry_node(entry, name, selectors, span)
        is_ket = node.type.kind is Kind.KET
        if ket and not is_ket:
            what = node.type.kind.value
            message = f"'{name}' is {'an' if what == 'operator' else 'a'} {what}, expected a ket"
            if isinstance(entry, BoundArgument):
                message = f"'{name}' is an argument of a function, expected a ket"
            raise self._kind_error(message, span, entry, f"write {name} without bars")
        if not ket and is_ket and not isinstance(entry, BoundArgument):
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
                return 0, Node(Op.INDEX, (), Affine.variable(entry.name), scalar())
            case Param():
                return 0, Node(Op.PARAM, (), name, scalar())
            case Dim():
                return 0, Node(Op.SIZE, (), name, scalar())
            case Data():
                return 0, Node(Op.DATA, (), name, scalar(entry.axes))
            case BoundArgument():
                return 0, entry.node
            case Initial():
                key = self._family_indices(name, len(entry.ranges), selectors, span)
                node = entry.at(key)
                self.refs.append((_initial_leaf(node, name), span))
                return len(entry.ranges), node
            case Family():
                selectors = self._with_step(name, entry, selectors, span)
                key = self._family_indices(name, entry.arity, selectors, span)
                node = Node(Op.REF, (), (name, key), entry.type)
                self.refs.append((node, span))
                return entry.arity, node
            case Network():
                message = f"'{name}' is a network: its values come from its training"
                hint = f"train {name} {{ ... }} stands before them"
                raise self.problem("wrong-kind", message, span, help=hint)
            case _:
                raise self.not_a_value(name, span)

    def _with_step(
        self, name: str, entry: Family, selectors: list[Affine | None], span: Span
    ) -> list[Affine | None]:
        """The selectors of a trajectory with the step that stands for every step, if none is."""
        last = entry.arity - 1
        if name not in self.trajectories or None not in [*selectors, None][last : last + 1]:
            return selectors
        if self.every_step is None:
            message = f"'{name}' is a run over steps: name a step"
            hint = f"{name}[{', '.join([*'klmpqrs'[:last], 't'])}] for t in 0..T"
            raise self.problem("missing-index", message, span, help=hint)
        if len(selectors) < last:
            return selectors
        self.stepped = True
        return [*selectors[:last], Affine.variable(self.every_step), *selectors[last + 1 :]]

    def _family_indices(
        self, name: str, arity: int, selectors: list[Affine | None], span: Span
    ) -> tuple[Affine, ...]:
        found = [s for s in selectors[:arity] if s is not None]
        if len(found) < arity:
            message = f"'{name}' needs {count_text(arity, 'index', 'indices')}, found {len(found)}"
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
            t.Bra: lambda x: BraValue(None if x.label.name == "1" else self.in_bracket(x.label)),
            t.BraKet: self._braket,
            t.Copied: self._copied,
            t.Expectation: self._expectation,
            t.Call: lambda x: calls.elaborate_call(self, x),
            t.Prime: self._prime,
            t.Transpose: self._transpose,
            t.Negative: lambda x: arithmetic.negative(self, x),
            t.Binary: lambda x: arithmetic.chain(self, x),
            t.Juxtaposed: lambda x: arithmetic.elaborate_juxtaposed(self, x),
            t.Sum: lambda x: indices.loop_body(
                self, x.loops, lambda: self.node(x.body), build.total
            ),
            t.ListLiteral: self._list,
        }

    def _number(self, expr: t.Number) -> Node:
        value = literal_value(expr.text)
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
            None if isinstance(x, t.FullSlice) else indices.elaborate_index(self, x)
            for x in expr.items
        ]
        return self._taken(node, picks, base.span, expr.span)

    def _copied(self, expr: t.Copied) -> Node:
        node = self.node(expr.base)
        return self.typed([expr.base.span], expr.span, lambda: build.copy(node, expr.copy))

    def _expectation(self, expr: t.Expectation) -> Node:
        scope: Scope | None = self.scope
        while scope is not None:
            for entry in scope.entries.values():
                if isinstance(entry, BoundArgument) and entry.node.type.open:
                    message = "an argument on iid copies meets an expectation inside a function"
                    hint = "give the inner expectation a name: |y> = E{1}[ ... ]"
                    raise self.problem("open-copy", message, expr.span, help=hint)
            scope = scope.outer
        node = self.node(expr.body)
        return self.typed([expr.body.span], expr.span, lambda: build.mean(expr.copies, node))

    def _prime(self, expr: t.Prime) -> Node:
        self._no_matrix(expr.base, expr.span)
        message = f"'{expr.span.text}' is a function, expected a value"
        hint = f"call it: {expr.span.text}(|x>)"
        name = expr.base.name if isinstance(expr.base, t.Name) else None
        if name is not None and isinstance(self.scope.find(name), Data | Family):
            message = f"'{name}' is no function, it has no derivative"
            hint = f"{name}^T is the transpose"
        raise self.problem("wrong-kind", message, expr.span, help=hint)

    def _no_matrix(self, base: t.Expr, span: Span) -> None:
        """Raises NexortError where what is derived is a matrix."""
        name = base.base if isinstance(base, t.Index) else base
        if not isinstance(name, t.Name) or activations.lookup(name.name) is not None:
            return
        entry = self.lookup(name.name, name.span)
        kind = entry.value.type.kind if isinstance(entry, Initial) else None
        kind = entry.type.kind if isinstance(entry, Family) else kind
        if kind is Kind.OPERATOR:
            message = f"'{name.name}' is a matrix, it has no derivative"
            hint = f"{base.span.text}^T is the transpose"
            raise self.problem("wrong-kind", message, span, help=hint)

    def _list(self, expr: t.ListLiteral) -> Node:
        nodes = [self.node(item) for item in expr.items]
        sizes = {len(x.items) for x in expr.items if isinstance(x, t.ListLiteral)}
        if len(sizes) > 1 and all(isinstance(x, t.ListLiteral) for x in expr.items):
            shown = " and ".join(map(str, sorted(sizes, reverse=True)))
            message = f"the rows of this list have {shown} entries"
            raise self.problem("wrong-kind", message, expr.span, help="rows are of one length")
        return self.typed([x.span for x in expr.items], expr.span, lambda: build.stack(nodes))

    def label(self, label: t.Label) -> Node:
        """The ket named between the bars."""
        if label.name.isdigit():
            message = f"'{label.name}' does not name a ket"
            raise self.problem("wrong-kind", message, label.span, help="the average is <1|x>")
        return self.member(label.name, label.items, label.span, ket=True)

    def in_bracket(self, label: t.Label) -> Node:
        """The ket named in a bracket."""
        entry = self.scope.find(label.name)
        if isinstance(entry, BoundArgument) and entry.node.type.kind is not Kind.KET:
            message = f"'{label.name}' is an argument of a function, and functions are entrywise"
            hint = "brackets stand outside: |y> = |x> / sqrt(<x|x>)"
            raise self._kind_error(message, label.span, entry, hint)
        return self.label(label)

    def _braket(self, expr: t.BraKet) -> Node:
        left, right, span = expr.left, expr.right, expr.span
        if left.name == "1":
            ket = self.in_bracket(right)
            return self.typed([right.span], span, lambda: build.average(ket))
        if right.name == "1":
            bra = self.in_bracket(left)
            return self.typed([left.span], span, lambda: build.average(bra))
        x, y = self.in_bracket(left), self.in_bracket(right)
        return self.typed([left.span, right.span], span, lambda: build.inner(x, y))

    def _transpose(self, expr: t.Transpose) -> Node:
        node = self.node(expr.base)
        turned = build.adjoint if node.type.kind is Kind.OPERATOR else build.transpose
        return self.typed([expr.base.span], expr.span, lambda: turned(node))


def _brackets(span: Span) -> str:
    text = span.text
    return text[text.index("[") :] if "[" in text else ""


LONGEST_INTEGER = 300
"""Digits of an integer literal: it fits into a float."""


def literal_value(text: str) -> int | float | None:
    """The value of a literal: an int where it is written as one, None where it is too large."""
    if text.isdigit():
        return int(text) if len(text) <= LONGEST_INTEGER else None
    value = float(text)
    return value if math.isfinite(value) else None


def _initial_leaf(node: Node, name: str) -> Node:
    """The standard object under a declared name's graph (itself where there is none)."""
    return next((x for x in walk([node]) if x.op in STANDARD), node)
