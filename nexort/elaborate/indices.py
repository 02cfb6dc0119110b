"""Index expressions and ranges: tree to :class:`Affine` and :class:`Interval`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexort.elaborate.context import Context
from nexort.elaborate.scope import Entry, LoopVariable, Scope
from nexort.program.declarations import Dim, Param
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node
from nexort.support.diagnostics import NexortError, Span
from nexort.syntax import tree as t

LONGEST_INDEX = 15
"""Digits of an index."""


def elaborate_index(e: Context, expr: t.Item) -> Affine:
    """An integer expression in loop variables, params and dims."""
    match expr:
        case t.Number(text):
            if not text.isdigit() or len(text) > LONGEST_INDEX:
                message = f"an index is an integer, found {text[:20]}"
                raise e.problem("bad-index", message, expr.span)
            return Affine(int(text))
        case t.Paren(value):
            return elaborate_index(e, value)
        case t.Negative(value):
            return elaborate_index(e, value).scaled(-1)
        case t.Name(name):
            entry = _indexing(e, name, expr.span)
            if isinstance(entry, LoopVariable):
                return Affine.variable(entry.name)
            if isinstance(entry, Param | Dim):
                return Affine.variable(name)
        case t.Binary():
            found = _chain(e, expr)
            if found is not None:
                return found
        case _:
            pass
    hint = "an index is an integer expression in loop variables, params and dims, such as l - 1"
    if isinstance(expr, t.Range):
        hint = "a range selects in declarations and loops only: x[k] for k in 1..4"
    raise e.problem("bad-index", f"'{expr.span.text}' is not an index", expr.span, help=hint)


def _chain(e: Context, expr: t.Binary) -> Affine | None:
    """A chain of sums and products, walked from its left end; None where it is not affine."""
    spine = [expr]
    while isinstance(spine[-1].left, t.Binary):
        spine.append(spine[-1].left)
    if any(link.op not in "+-*" for link in spine):
        return None
    a = elaborate_index(e, spine[-1].left)
    for link in reversed(spine):
        b = elaborate_index(e, link.right)
        if link.op != "*":
            a = a + b if link.op == "+" else a - b
        elif a.terms and b.terms:
            return None
        else:
            a = a.scaled(b.constant) if a.terms else b.scaled(a.constant)
    return a


def _indexing(e: Context, name: str, span: Span) -> Entry:
    """What a name in an index stands for; an unknown one is taken for a loop's variable."""
    try:
        return e.lookup(name, span)
    except NexortError as error:
        [found] = error.diagnostics
        if found.code != "unknown-name" or found.help is not None:
            raise
        message = f"unknown name '{name}': it stands in no loop over {name}"
        hint = f"for {name} in 1..3 {{ ... }}, or ... for {name} in 1..3 behind a rule"
        raise e.problem(found.code, message, span, help=hint) from None


def interval(e: Context, tree: t.Range) -> Interval:
    """A range. Without ``by`` its direction is told by its ends, so that ``2..L`` and ``L..2`` are
    both empty at L = 1: a symbolic end is taken to lie above a literal one."""
    first, last = elaborate_index(e, tree.first), elaborate_index(e, tree.last)
    if tree.step is not None:
        step = elaborate_index(e, tree.step)
        if step.terms or step.constant == 0:
            message = "the step of a range is an integer other than 0"
            raise e.problem("bad-range", message, tree.step.span, help="1..9 by 2, L..1 by -1")
        return Interval(first, last, step.constant)
    difference = last - first
    if not difference.terms:
        return Interval(first, last, 1 if difference.constant >= 0 else -1)
    return Interval(first, last, -1 if first.terms and not last.terms else 1)


def loop(e: Context, binder: t.Binder) -> Loop:
    """``var in range``."""
    clash = e.scope.find(binder.var)
    if clash is not None:
        raise e.problem(
            "redefinition",
            f"the loop variable '{binder.var}' hides another '{binder.var}'",
            binder.span,
            notes=(("first defined here", clash.span),),
            help="choose another name for the loop variable",
        )
    return Loop(binder.var, interval(e, binder.range))


def loop_variable(binder: t.Binder) -> LoopVariable:
    """The scope entry of a binder."""
    return LoopVariable(binder.var, binder.span)


def loop_body(
    e: Context,
    loops: Sequence[t.Binder],
    body: Callable[[], Node],
    wrap: Callable[..., Node],
) -> Node:
    """A body under loops, wrapped from the inside out."""
    outer = e.scope
    found = []
    try:
        for binder in loops:
            found.append(loop(e, binder))
            e.scope = Scope(e.scope)
            e.scope.entries[binder.var] = loop_variable(binder)
        node = body()
    finally:
        e.scope = outer
    for around in reversed(found):
        node = wrap(around, node)
    return node
