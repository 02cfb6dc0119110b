"""Numbers at compile time: params, sizes, literal arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nexort import activations
from nexort.program import roundings
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program
from nexort.support.diagnostics import Report, Span, did_you_mean

Number = int | float
LONGEST = 1000
"""Bits of an integer that is kept exact; floats reach to 1024."""


def fold(name: str, args: tuple[Number, ...]) -> Number | None:
    """An entrywise function of literals, with its error; exact for integers, None where it is not
    finite."""
    exact = _exactly(name, args)
    if exact is not None and exact.bit_length() <= LONGEST:
        return exact
    evaluate = activations.registry()[name].evaluate
    try:
        with np.errstate(all="ignore"):
            value = float(evaluate(*(np.float64(a) for a in args)))
            if not math.isfinite(value):
                return None
            error = _error(name, evaluate, args, value)
            if not error or (name in ("neg", "abs") and type(args[0]) is not roundings.Rounded):
                return value
            return roundings.Rounded(value, error, (name, args))
    except (OverflowError, ZeroDivisionError):
        return None


def _error(
    name: str, evaluate: Callable[..., Any], args: tuple[Number, ...], value: float
) -> float:
    parts = [roundings.known_number(a) for a in args]
    match name:
        case "add":
            return roundings.known_sum(*parts)[1]
        case "sub":
            (x, e), (y, d) = parts
            return roundings.known_sum((x, e), (-y, d))[1]
        case "mul":
            return roundings.known_product(*parts)[1]
        case "div":
            return roundings.known_quotient(*parts)[1]
        case "neg" | "abs":
            return parts[0][1]
        case _:
            return roundings.known_call(evaluate, args, value)


def _exactly(name: str, args: tuple[Number, ...]) -> int | None:
    match name, args:
        case "add", (int(a), int(b)):
            return a + b
        case "sub", (int(a), int(b)):
            return a - b
        case "mul", (int(a), int(b)):
            return a * b
        case "neg", (int(a),):
            return -a
        case "pow", (int(a), int(b)) if b >= 0 and a.bit_length() * b <= LONGEST:
            return int(a**b)
        case _:
            return None


def number_of(node: Node, numbers: Mapping[str, Number]) -> Number | None:
    """A scalar graph over literals, params and sizes; None where one has no number."""
    values: dict[Node, Number | None] = {}
    for x in walk([node]):
        if x.op is Op.CONST and isinstance(x.attr, int | float):
            values[x] = x.attr
        elif x.op in (Op.PARAM, Op.SIZE):
            values[x] = numbers.get(str(x.attr))
        elif x.op is Op.CALL:
            args = tuple(values[a] for a in x.args)
            known = tuple(a for a in args if a is not None)
            values[x] = fold(str(x.attr), known) if len(known) == len(args) else None
        else:
            values[x] = None
    return values[node]


def resolve(
    program: Program, given: Mapping[str, Number], report: Report
) -> tuple[dict[str, Number], dict[str, int | None]]:
    """The numbers of params and the sizes of dims, from defaults and from ``given`` (--set).

    Reports a name that is neither, a param without value and a size that is not a positive
    integer.
    """
    for name in given:
        if name not in program.params and name not in program.dims:
            known = [*program.params, *program.dims]
            message = f"--set {name}: the program has no param or dim '{name}'"
            report.error("unknown-name", message, help=did_you_mean(name, known))
    numbers: dict[str, Number] = {}
    for name, param in program.params.items():
        value = given.get(name)
        if value is None and param.default is not None:
            if _unknown(param.default, numbers):
                continue  # the param that it depends on is reported
            value = number_of(param.default, numbers)
        if value is not None and _finite(value):
            numbers[name] = value
            continue
        message = f"param '{name}' has no value"
        if value is not None or param.default is not None:
            message = f"the value of param '{name}' is not a finite number"
        report.error("no-value", message, param.span, help=f"--set {name}=3")
    sizes: dict[str, int | None] = {}
    found = dict(numbers)
    for name, dim in program.dims.items():
        size = given.get(name)
        if size is None and dim.size is not None and not _unknown(dim.size, found):
            size = number_of(dim.size, found)
            size = math.nan if size is None else size
        if size is not None and not (isinstance(size, int) and 0 < size < 2**53):
            message = f"the size of dim '{name}' is {size}, expected a positive integer"
            report.error("bad-size", message, dim.span)
            size = 1
        sizes[name] = size
        if size is not None:
            found[name] = size
    return numbers, sizes


def own_sizes(program: Program, given: Mapping[str, Number]) -> dict[str, Span]:
    """The dims whose size is the program's own, and where it stands."""
    dims = program.dims.items()
    return {n: d.span for n, d in dims if d.size is not None and n not in given}


def _unknown(node: Node, known: Mapping[str, Number]) -> bool:
    """Whether an expression reads a param or a dim that has no number."""
    return any(x.op in (Op.PARAM, Op.SIZE) and x.attr not in known for x in walk([node]))


def _finite(value: Number) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False
