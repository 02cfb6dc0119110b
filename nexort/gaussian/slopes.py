"""Partial derivatives of registry functions as graphs.

The registry writes them in nexort's expression language; sums, products, powers and calls of that
language read the same in Python once ``^`` is written ``**``.
"""

from __future__ import annotations

import ast
from functools import cache

from nexort import functions
from nexort.program import build
from nexort.program.nodes import Node

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
}  # fmt: skip


def partial(name: str, position: int, args: tuple[Node, ...]) -> Node:
    """The derivative of a registry function by its argument at ``position``."""
    tree = _parsed(functions.registry()[name].partials[position])
    return _graph(tree, dict(zip(("x", "y"), args, strict=False)))


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text.replace("^", "**"), mode="eval").body


def _graph(tree: ast.expr, names: dict[str, Node]) -> Node:
    match tree:
        case ast.Constant(int() | float() as number):
            return build.constant(number)
        case ast.Name("pi"):
            return build.constant(3.141592653589793)
        case ast.Name(name):
            return names[name]
        case ast.UnaryOp(ast.USub(), operand):
            inner = _graph(operand, names)
            if isinstance(operand, ast.Constant):
                return build.constant(-inner.attr)
            return build.call("neg", inner)
        case ast.BinOp(left, operator, right):
            name = _OPERATORS[type(operator)]
            return build.call(name, _graph(left, names), _graph(right, names))
        case ast.Call(ast.Name(name), args):
            return build.call(name, *(_graph(a, names) for a in args))
    raise AssertionError(f"internal error: the partial {ast.unparse(tree)} has no graph")
