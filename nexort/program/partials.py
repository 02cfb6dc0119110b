"""What the registry says of its functions, as graphs: derivatives and definitions are expressions
of nexort's own language, whose arithmetic Python reads once ``^`` is ``**``."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from nexort import activations
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.types import scalar
from nexort.support.diagnostics import InternalError

CONSTANTS = {"pi": math.pi}

_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
}  # fmt: skip


def partial(name: str, position: int, args: tuple[Node, ...]) -> Node:
    """The derivative of a registry function by its argument ``position`` at ``args``, right almost
    everywhere."""
    if name == "pow" and position == 0 and args[1].op is Op.CONST:
        return _power(args[0], args[1])
    return expression_graph(activations.registry()[name].partials[position], args)


def _power(base: Node, exponent: Node) -> Node:
    """d x^c / dx = c x^(c-1) for a literal c: 1 for c = 1 also at x = 0."""
    c = exponent.attr
    assert isinstance(c, int | float)
    if c == 2:
        return build.call("mul", exponent, base)
    if c in (0, 1):
        return build.constant(c)
    return build.call("mul", exponent, build.call("pow", base, build.constant(c - 1)))


@lru_cache(4096)
def substitute_definitions(node: Node) -> Node:
    """A graph with the functions that have a definition replaced by it."""

    def place(x: Node) -> Node:
        if x.op is not Op.CALL:
            return x
        known = activations.lookup(str(x.attr))
        written = None if known is None else known.definition
        return x if written is None else expression_graph(written, x.args)

    return rewrite([node], place)[node]


ARGUMENTS = tuple(Node(Op.SLOT, (), (name,), scalar()) for name in "xy")
"""The slots of a function's arguments."""


@cache
def definition(name: str) -> Node | None:
    """What a function is defined as, over ARGUMENTS, None where it has no definition."""
    known = activations.lookup(name)
    if known is None or known.definition is None:
        return None
    return expression_graph(known.definition, ARGUMENTS)


def expression_graph(text: str, args: Sequence[Node]) -> Node:
    """An expression of ``x, y`` at ``args``."""
    return fill_expression(text, dict(zip("xy", args, strict=False)))


def fill_expression(text: str, args: Mapping[str, Node]) -> Node:
    """An expression of some names at nodes."""
    return _graph(_parsed(text), args)


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text.replace("^", "**"), mode="eval").body


def _graph(tree: ast.expr, args: Mapping[str, Node]) -> Node:
    match tree:
        case ast.Constant(int() | float() as number):
            return build.constant(number)
        case ast.Name(name):
            return args[name] if name in args else build.constant(CONSTANTS[name])
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
            return build.constant(-number)
        case ast.UnaryOp(ast.USub(), operand):
            return build.call("neg", _graph(operand, args))
        case ast.BinOp(left, operator, right):
            name = _OPERATORS[type(operator)]
            return build.call(name, _graph(left, args), _graph(right, args))
        case ast.Call(ast.Name(name), inner):
            return build.call(name, *(_graph(a, args) for a in inner))
        case _:
            raise InternalError(f"an expression of the registry has {ast.dump(tree)}")
