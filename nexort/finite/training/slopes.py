"""Slopes of entrywise functions on arrays: the registry's partial derivatives, evaluated.

A partial derivative is written in the expression language, whose arithmetic Python reads once
``^`` is ``**``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from nexort.activations import registry
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError

Value = Any
"""A float, which takes the dtype of what it meets, or an array."""

_NAMES = ("x", "y")
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
}  # fmt: skip


def partial_slope(name: str, position: int, args: Sequence[Array]) -> Value:
    """The derivative of a function by one of its arguments, right almost everywhere; a float where
    it is constant."""
    if name == "pow" and position == 0 and not args[1].any():
        return 0.0  # y x^(y-1) is 0/0 at x = 0
    return _value(_parsed(name, position), dict(zip(_NAMES, args, strict=False)))


@cache
def _parsed(name: str, position: int) -> ast.expr:
    text = registry()[name].partials[position]
    return ast.parse(text.replace("^", "**"), mode="eval").body


def _value(tree: ast.expr, args: Mapping[str, Value]) -> Value:
    match tree:
        case ast.Constant(int() | float() as number):
            return float(number)
        case ast.Name("pi"):
            return math.pi
        case ast.Name(name):
            return args[name]
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, args)
        case ast.BinOp(left, operator, right):
            return _call(_OPERATORS[type(operator)], [_value(left, args), _value(right, args)])
        case ast.Call(ast.Name(name), inner):
            return _call(name, [_value(a, args) for a in inner])
        case _:
            raise InternalError(f"a slope has {ast.dump(tree)}")


def _call(name: str, args: Sequence[Value]) -> Value:
    found = registry()[name].evaluate(*args)
    # a numpy float64 would widen float32 arrays
    return found if isinstance(found, np.ndarray) else float(found)
