"""Entrywise graphs at single points, in many digits."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import ARGUMENTS, definition
from nexort.program.roundings import Rounded

HUGE = mpf(2) ** 4096
"""exp of more than this is infinite, of less than its negative 0."""


class Undefined(Exception):
    """A function that is not real or not finite at a point; says what stands there."""


def precise_number(c: float) -> Any:
    """A literal, as the decimal number that it was written as, or as what it was computed from.
    Raises Undefined."""
    if isinstance(c, int):
        return mpf(c)
    if isinstance(c, Rounded) and c.how is not None:
        name, parts = c.how
        return precise_function(name)(*map(precise_number, parts))
    if not math.isfinite(c):
        raise Undefined("a number beyond the range of floats")
    exact = Fraction(repr(float(c)))
    return mpf(exact.numerator) / exact.denominator


def value(node: Node, at: Mapping[Node, Any]) -> Any:
    """The value of a graph of CALL and CONST nodes. Raises Undefined."""
    found: dict[Node, Any] = dict(at)
    for x in walk([node]):
        if x in found:
            continue
        if x.op is Op.CONST:
            found[x] = precise_number(x.attr)
        else:
            found[x] = precise_function(str(x.attr))(*(found[a] for a in x.args))
    return found[node]


def precise_function(name: str) -> Callable[..., Any]:
    """A function of the registry on mpmath's numbers, by its definition where it has one."""
    graph = definition(name)
    if graph is None:
        return FUNCTIONS[name]
    return lambda *args: value(graph, dict(zip(ARGUMENTS, args, strict=False)))


FEWEST, SURE = 50, 40
"""Digits to begin with, and those that a value has to be right to."""


def logarithm(node: Node, at: Mapping[Node, Any], digits: int = FEWEST) -> Any:
    """log |f|; -inf for 0, None where infinities meet. Of no more than the ``digits`` if they show
    that they suffice (`bounded`), so that only what cancels costs as many as the caller works with.
    Raises Undefined."""
    while digits < mp.dps:
        with mp.workdps(digits):
            digits *= 2
            with contextlib.suppress(Undefined):
                f, error = bounded_value(node, at)
                if 0 < abs(f) < mp.inf and error < mp.inf:
                    lost = error / abs(f) * mpf(10) ** SURE
                    if lost <= 1:
                        return mp.log(abs(f))
                    digits = max(digits, mp.dps + int(mp.log10(lost)) + 1)
    f = value(node, at)
    if mp.isnan(f):
        return None
    if f == 0:
        return mpf("-inf")
    return mp.log(abs(f))


Bounded = tuple[Any, Any]


def bounded_value(node: Node, at: Mapping[Node, Any]) -> Bounded:
    """The value of a graph, and how far roundings may have moved it. Raises Undefined."""
    found: dict[Node, Bounded] = {x: (z, mpf(0)) for x, z in at.items()}
    for x in walk([node]):
        if x in found:
            continue
        if x.op is Op.CONST:
            found[x] = _bounded_number(x.attr)
        else:
            found[x] = _applied(str(x.attr), [found[a] for a in x.args])
    return found[node]


def _bounded_number(c: float) -> Bounded:
    if isinstance(c, Rounded) and c.how is not None:
        name, parts = c.how
        return _applied(name, [_bounded_number(x) for x in parts])
    y = precise_number(c)
    return y, mpf(0) if mp.isint(y) else abs(y) * mpf(10) ** (1 - mp.dps)


def _applied(name: str, parts: Sequence[Bounded]) -> Bounded:
    return with_error(precise_function(name), parts, mpf(10) ** (1 - mp.dps))


def with_error(f: Callable[..., Any], parts: Sequence[Bounded], unit: Any) -> Bounded:
    """A function of numbers or arrays, and how far off it may be: by a rounding of ``unit``, and by
    its changes where its arguments are as far off as they may be, one after another."""
    values = [v for v, _ in parts]
    y = f(*values)
    error = abs(y) * unit
    for k, (v, e) in enumerate(parts):
        if np.any(e):
            for end in (v - e, v + e):
                error = error + abs(f(*values[:k], end, *values[k + 1 :]) - y)
    return y, error


def value_near(node: Node, z: float) -> float:
    """A graph of one variable, its only slot, at a float; nan where it is not real or finite."""
    slots = [x for x in walk([node]) if x.op is Op.SLOT]
    try:
        with mp.workdps(50):
            return float(value(node, {x: mpf(z) for x in slots}))
    except (Undefined, OverflowError, TypeError):
        return float("nan")


def _div(a: Any, b: Any) -> Any:
    if b == 0:
        raise Undefined("a division by 0")
    return a / b


def _log(a: Any) -> Any:
    if a < 0:
        raise Undefined("the logarithm of a negative number")
    if a == 0:
        raise Undefined("the logarithm of 0")
    return mp.log(a)


def _sqrt(a: Any) -> Any:
    if a < 0:
        raise Undefined("the root of a negative number")
    return mp.sqrt(a)


def _pow(a: Any, c: Any) -> Any:
    if a == 0 and c < 0:
        raise Undefined("a division by 0")
    if mp.isint(c):
        return a ** int(c) if abs(c) < HUGE else mpf("nan")
    if a < 0:
        raise Undefined("a broken power of a negative number")
    if a == 0:
        return mpf(0)
    return _exp(c * mp.log(a))


def _exp(a: Any) -> Any:
    if a > HUGE:
        return mpf("inf")
    return mpf(0) if a < -HUGE else mp.exp(a)


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + _exp(-a))


def _softplus(a: Any) -> Any:
    e = _exp(-abs(a))
    return (a if a > 0 else 0) + (e if e < mpf(10) ** -mp.dps else mp.log1p(e))


def _normal(a: Any) -> Any:
    """The normal distribution function."""
    return mp.erfc(-a / mp.sqrt(2)) / 2 if a > -HUGE else mpf(0)


def _tanh(a: Any) -> Any:
    e = _exp(-2 * abs(a))
    return mp.sign(a) * -mp.expm1(-2 * abs(a)) / (1 + e)


def _sinh(a: Any) -> Any:
    return mp.sinh(a) if abs(a) < HUGE else mp.sign(a) * mpf("inf")


def _cosh(a: Any) -> Any:
    return mp.cosh(a) if abs(a) < HUGE else mpf("inf")


def _wave(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def wave(a: Any) -> Any:
        return f(a) if abs(a) < HUGE else mpf("nan")

    return wave


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _div,
    "neg": lambda a: -a,
    "pow": _pow,
    "square": lambda a: a * a,
    "sqrt": _sqrt,
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "sinh": _sinh,
    "cosh": _cosh,
    "sin": _wave(mp.sin),
    "cos": _wave(mp.cos),
    "arctan": mp.atan,
    "erf": mp.erf,
    "gauss": lambda a: _exp(-a * a / 2),
    "gelu": lambda a: a * _normal(a),
    "silu": lambda a: a * _sigmoid(a),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "relu": lambda a: a if a > 0 else mpf(0),
    "leaky_relu": lambda a, s: a if a > 0 else s * a,
    "elu": lambda a: a if a > 0 else mp.expm1(a),
    "abs": abs,
    "sign": mp.sign,
    "step": lambda a: (1 + mp.sign(a)) / 2,
    "max": max,
    "min": min,
}
"""The functions of the registry without a definition."""
