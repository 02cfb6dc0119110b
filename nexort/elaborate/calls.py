"""Calls: entrywise functions and their derivatives, update functions, operators on parentheses."""

from __future__ import annotations

import functools
from dataclasses import replace
from functools import cache

from nexort import activations
from nexort.elaborate import arithmetic, indices
from nexort.elaborate.context import Context
from nexort.elaborate.scope import BoundArgument, InlinedFunction, Scope
from nexort.elaborate.strangers import meant
from nexort.elaborate.values import Value
from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.differentiate import derivative, substitute
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind, scalar
from nexort.support.diagnostics import NexortError, Source, Span, count_text, did_you_mean
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

DEEPEST_CALL = 60
"""How many user functions may be inside one another."""

MOST_CALLS = 20_000
"""How many calls of user functions a program may unfold to."""

MOST_PRIMES = 8
Callee = activations.Function | InlinedFunction | UpdateRule


def elaborate_call(e: Context, expr: t.Call) -> Value:
    """``f(...)`` for a function, else the product of the callee and the parenthesis."""
    base, primes = _strip_primes(expr.callee)
    base, step = _step_index(e, base)
    if isinstance(base, t.Name):
        if e.scope.find(base.name) is not None:
            e.lookup(base.name, base.span)
        if base.name in build.NAMED and e.scope.find(base.name) is None:
            if primes:
                raise e.problem("wrong-kind", f"'{base.name}' has no derivative", base.span)
            [value] = _positional(e, expr, base.name, 1)
            _, make = build.NAMED[base.name]
            return e.typed([expr.args[0].span], expr.span, lambda: make(value))
        callee = function_named(e, base.name)
        if isinstance(callee, UpdateRule):
            return _update(e, expr, callee, step)
        if callee is not None:
            return _entrywise(e, expr, callee, primes)
    if isinstance(base, t.Name) and e.scope.find(base.name) is None and base.name != "pi":
        raise _unknown(e, base)
    if primes or len(expr.args) != 1 or expr.args[0].keyword or expr.args[0].loops:
        message = f"'{base.span.text}' is not a function"
        raise e.problem("wrong-kind", message, base.span)
    left, right = e.value(expr.callee), e.value(expr.args[0].value)
    return arithmetic.elaborate_product(
        e, left, right, expr.callee.span, expr.args[0].span, expr.span
    )


def _step_index(e: Context, base: t.Expr) -> tuple[t.Expr, tuple[t.Item, ...] | None]:
    """``adam[t]`` as ``adam`` and its step, for an update function."""
    if isinstance(base, t.Index) and isinstance(base.base, t.Name):
        known = e.scope.find(base.base.name) is not None
        if known and isinstance(e.lookup(base.base.name, base.span), UpdateRule):
            return base.base, base.items
    return base, None


def _strip_primes(callee: t.Expr) -> tuple[t.Expr, int]:
    primes = 0
    while isinstance(callee, t.Prime):
        callee, primes = callee.base, primes + 1
    return callee, primes


def function_named(e: Context, name: str) -> Callee | None:
    entry = e.scope.find(name)
    if isinstance(entry, InlinedFunction | UpdateRule):
        return entry
    return activations.lookup(name) if entry is None else None


def _unknown(e: Context, base: t.Name) -> NexortError:
    if base.name in e.later or e.incomplete:
        e.lookup(base.name, base.span)
    known = [
        n for n in e.scope.names() if isinstance(e.scope.find(n), InlinedFunction | UpdateRule)
    ]
    hint = meant(base.name, [*known, *activations.registry(), *build.NAMED])
    return e.problem("unknown-name", f"unknown function '{base.name}'", base.span, help=hint)


# ---- arguments -----------------------------------------------------------------------------------


def _positional(e: Context, expr: t.Call, name: str, count: int) -> list[Node]:
    for arg in expr.args:
        if arg.keyword:
            message = f"'{name}' has no argument '{arg.keyword}'"
            hint = f"write {name}({arg.value.span.text})"
            raise e.problem("bad-argument", message, arg.span, help=hint)
        if arg.loops:
            message = f"'{name}' takes single values: only update functions take 'x for s in ...'"
            raise e.problem("bad-argument", message, arg.span)
    if len(expr.args) != count:
        message = f"'{name}' takes {count_text(count, 'argument')}, found {len(expr.args)}"
        raise e.problem("bad-argument", message, expr.span)
    return [e.node(arg.value) for arg in expr.args]


def _bind(e: Context, expr: t.Call, function: t.Function) -> list[tuple[Node, Span]]:
    """The arguments of a user function in order, with defaults and keywords."""
    given: dict[str, tuple[Node, Span]] = {}
    names = [p.name for p in function.parameters]
    for position, arg in enumerate(expr.args):
        name = arg.keyword or (names[position] if position < len(names) else "")
        if arg.loops or name not in names or name in given:
            hint = None
            if arg.loops:
                message = f"'{function.name}' takes single values, not 'x for s in ...'"
            elif name in given:
                message = f"argument '{name}' of '{function.name}' is given twice"
            elif arg.keyword:
                message = f"'{function.name}' has no argument '{arg.keyword}'"
                hint = did_you_mean(arg.keyword, names)
            else:
                takes = count_text(len(names), "argument")
                message = f"'{function.name}' takes {takes}, found {len(expr.args)}"
            raise e.problem(
                "bad-argument", message, arg.span,
                notes=((f"'{function.name}' is defined here", function.span),), help=hint,
            )  # fmt: skip
        given[name] = e.node(arg.value), arg.span
    bound = []
    for parameter in function.parameters:
        if parameter.name in given:
            bound.append(given[parameter.name])
        elif parameter.default is not None:
            bound.append((e.in_file(parameter.default), expr.span))
        else:
            message = f"'{function.name}' misses its argument '{parameter.name}'"
            raise e.problem(
                "bad-argument", message, expr.span,
                notes=((f"'{function.name}' is defined here", function.span),),
            )  # fmt: skip
    return bound


# ---- entrywise functions -------------------------------------------------------------------------


def _entrywise(
    e: Context, expr: t.Call, callee: activations.Function | InlinedFunction, primes: int
) -> Node:
    if isinstance(callee, InlinedFunction):
        bound = _bind(e, expr, callee.tree)
    else:
        nodes = _positional(e, expr, callee.name, callee.arity)
        bound = [(n, a.span) for n, a in zip(nodes, expr.args, strict=True)]
    args, spans = [n for n, _ in bound], [s for _, s in bound]
    if not any(a.type.kind is Kind.OPERATOR for a in args):
        return invoke(e, callee, args, spans, expr.span, primes)
    entries = []
    for arg, span in bound:
        if arg.type.kind is Kind.KET:
            message = "found a ket beside an operator: a function takes one or the other"
            hint = "write iid copies by hand: E{1}[ f(|x>, |y>{1}) * |z>{1} ]"
            raise e.problem("wrong-kind", message, span, help=hint)
        entries.append(arg if arg.type.kind is Kind.SCALAR else _entry(e, arg, span))
    body = invoke(e, callee, entries, spans, expr.span, primes)
    return e.typed(spans, expr.span, lambda: build.entrywise(body))


def _entry(e: Context, acting: Node, span: Span) -> Node:
    """The entry of an operator, with its place for errors that only numbers can tell."""
    made = e.typed([span], span, lambda: build.entry(acting))
    e.refs.append((made, span))
    return made


def invoke(
    e: Context,
    callee: activations.Function | InlinedFunction,
    args: list[Node],
    spans: list[Span],
    span: Span,
    primes: int = 0,
) -> Node:
    """The function of the arguments; with primes, its derivative by the first one."""
    if not primes:
        return _inline(e, callee, args, spans, span)
    if primes > MOST_PRIMES or not args:
        message = "no derivative of so high an order" if args else "a derivative has an argument"
        raise e.problem("bad-argument", message, span)
    slots = [Node(Op.SLOT, (), ("argument", k), a.type) for k, a in enumerate(args)]
    body = _inline(e, callee, slots, spans, span)
    wanted, by_argument = body.type, functools.partial(elaborate_partial, e)
    for _ in range(primes):
        body = e.typed(spans, span, functools.partial(derivative, body, slots[0], by_argument))
    found = substitute(body, dict(zip(slots, args, strict=True)))
    return build.spread(found, wanted)


def _inline(
    e: Context,
    callee: activations.Function | InlinedFunction,
    args: list[Node],
    spans: list[Span],
    span: Span,
) -> Node:
    if isinstance(callee, activations.Function):
        name = callee.name
        return e.typed(spans, span, lambda: build.call(name, *args))
    name = callee.tree.name
    if callee.tree in e.inlining:
        raise e.problem(
            "recursive-function", f"'{name}' calls itself", span,
            help="unfold it with a family: |x[k]> = f(|x[k-1]>) for k in 1..K",
        )  # fmt: skip
    e.inlined += 1
    if len(e.inlining) >= DEEPEST_CALL or e.inlined > MOST_CALLS:
        message = f"functions call one another more than {DEEPEST_CALL} deep"
        if e.inlined > MOST_CALLS:
            message = f"the calls of functions unfold to more than {MOST_CALLS}"
        raise e.problem("too-long", message, span)
    # a function's body sees the file's names, not the loop variables around its call
    scope = Scope(e.scope.declarations())
    for parameter, arg in zip(callee.tree.parameters, args, strict=True):
        scope.entries[parameter.name] = BoundArgument(arg, parameter.span)
    outer, e.scope = e.scope, scope
    e.inlining.append(callee.tree)
    try:
        return e.node(callee.tree.body)
    except NexortError as error:
        raise _called(error, name, span) from None
    finally:
        e.scope = outer
        e.inlining.pop()


def _called(error: NexortError, name: str, span: Span) -> NexortError:
    """An error inside a function, with the call that led to it; of several, the outermost."""
    found = []
    for d in error.diagnostics:
        if d.code == "too-long":
            found.append(replace(d, span=span))
        elif d.code != "recursive-function":
            others = tuple(n for n in d.notes if not n[0].startswith("in this call of "))
            found.append(replace(d, notes=(*others, (f"in this call of '{name}'", span))))
        else:
            found.append(d)
    return NexortError(found)


# ---- derivatives of the registry's functions -----------------------------------------------------


@cache
def expression_tree(text: str) -> t.Expr:
    """The tree of an expression of nexort itself."""
    module = parse(Source("derivative", f"value = {text}"))
    binding = module.statements[0]
    assert isinstance(binding, t.Binding)
    return binding.value


def elaborate_partial(e: Context, name: str, position: int, args: tuple[Node, ...]) -> Node:
    """The derivative of a registry function by one argument, at ``args``."""
    function = activations.registry()[name]
    alone = e.apart()
    span = Span(Source("derivative", ""), 0, 0)
    for letter, arg in zip("xyz", args, strict=False):
        alone.scope.entries[letter] = BoundArgument(arg, span)
    return alone.node(expression_tree(function.partials[position]))


# ---- update functions ----------------------------------------------------------------------------


def _update(e: Context, expr: t.Call, rule: UpdateRule, step: tuple[t.Item, ...] | None) -> Node:
    """``adam[t](x[s] for s in 0..t, eps=1e-4)``: the last step's result over the history."""
    history, spans = [], []
    given: dict[str, Node] = {}
    names = [name for name, _ in rule.parameters]
    for arg in expr.args:
        if arg.keyword is not None:
            if arg.keyword not in names:
                message = f"'{rule.name}' has no hyperparameter '{arg.keyword}'"
                hint = did_you_mean(arg.keyword, names)
                raise e.problem("bad-argument", message, arg.span, help=hint)
            given[arg.keyword] = _hyperparameter(e, arg)
            continue
        history.append(_history_item(e, arg))
        spans.append(arg.span)
    if not history:
        raise e.problem("bad-argument", f"'{rule.name}' needs a history", expr.span)
    parameters = []
    for name, default in rule.parameters:
        node = given.get(name, default)
        if node is None:
            message = f"'{rule.name}' misses its hyperparameter '{name}'"
            notes = ((f"'{rule.name}' is defined here", rule.span),)
            raise e.problem("bad-argument", message, expr.span, notes=notes)
        parameters.append(node)
    first = history[0].type
    is_operator = _is_entry(history[0])
    for item, span in zip(history, spans, strict=True):
        if item.type != first or _is_entry(item) != is_operator:
            found = "an operator" if _is_entry(item) else f"a {item.type}"
            beside = "an operator" if is_operator else f"a {first}"
            message = f"a history holds values of one type, found {found} beside {beside}"
            raise e.problem("wrong-kind", message, span)
    count = indices.elaborate_index(e, step[0]) if step and len(step) == 1 else None
    if step and count is None:
        raise e.problem("bad-index", "an update function takes one step index", expr.callee.span)
    items = Node(Op.LIST, tuple(history), None, first)
    fold = Node(Op.FOLD, (items, *parameters), (rule.name, count), first)
    e.refs.append((fold, expr.span))
    return build.entrywise(fold) if is_operator else fold


def _is_entry(item: Node) -> bool:
    """Whether an item of a history is an operator's entry, in a comprehension or not."""
    while item.op is Op.GENERATE:
        [item] = item.args
    return item.op is Op.ENTRY


def _hyperparameter(e: Context, arg: t.Argument) -> Node:
    node = e.node(arg.value)
    if node.type != scalar():
        article = "an" if node.type.kind is Kind.OPERATOR else "a"
        message = f"a hyperparameter is a scalar without axes, found {article} {node.type}"
        raise e.problem("wrong-kind", message, arg.value.span)
    return node


def _history_item(e: Context, arg: t.Argument) -> Node:
    def body() -> Node:
        node = e.node(arg.value)
        if node.type.kind is Kind.OPERATOR:
            return _entry(e, node, arg.value.span)
        return node

    return indices.loop_body(
        e, arg.loops, body, lambda loop, node: Node(Op.GENERATE, (node,), loop, node.type)
    )
