"""Interval arithmetic over entrywise graphs, with bounds on growth.

Of a function f of variables of any size |z|: an interval that holds its values, whether it is
nowhere 0, and growths ``up`` and ``down`` with |f| <= up and 1/|f| <= down. A growth is (0, d) for
C (1 + |z|)^d, (1, r) for exp(C (1 + |z|)^r). Where r < 2 all Gaussian moments exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import ARGUMENTS, definition
from nexort.program.roundings import Rounded

Growth = tuple[int, float]
BOUNDED: Growth = (0, 0.0)
WILD: Growth = (2, 0.0)
LOGARITHM: Growth = (0, 1e-6)
"""Less than any power."""

ROUNDING = 1e-14


class NotShown(Exception):
    """Interval arithmetic does not show that a function is real and finite everywhere."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """See the module."""

    low: float
    high: float
    nonzero: bool = False
    up: Growth = WILD
    down: Growth = WILD
    dense: bool = False
    """Of a variable: given all others its law is Gaussian, of positive variance."""

    @property
    def positive(self) -> bool:
        """Whether f > 0 everywhere."""
        return self.low > 0 or (self.low == 0 and self.nonzero)

    @property
    def apart(self) -> bool:
        """Whether |f| is bounded away from 0."""
        return self.low > 0 or self.high < 0

    @property
    def tame(self) -> bool:
        """Whether every power of f has an expectation."""
        return self.up < (1, 2.0)


VARIABLE = ValueRange(-math.inf, math.inf, False, (0, 1.0))


ANYTHING = ValueRange(-math.inf, math.inf)


def bounds(node: Node, leaves: Mapping[Node, ValueRange], *, almost: bool = False) -> ValueRange:
    """The range of a graph of CALL and CONST nodes over leaves. Raises NotShown; with ``almost``
    the function is known to be real and finite almost everywhere, and so is its range."""
    found: dict[Node, ValueRange] = {}
    for x in walk([node]):
        if x in leaves:
            found[x] = leaves[x]
        elif x.op is Op.CONST:
            found[x] = constant_range(x.attr)
        elif x.op is Op.CALL:
            try:
                found[x] = of_call(x, [found[a] for a in x.args])
            except NotShown:
                if not almost:
                    raise
                found[x] = ANYTHING
        else:
            raise NotShown
    return found[node]


def constant_range(c: float) -> ValueRange:
    """A number, with all that it may be within its error."""
    if not math.isfinite(c):
        raise NotShown
    error = c.error if isinstance(c, Rounded) else 0.0
    low, high = float(c) - error, float(c) + error
    apart = low > 0 or high < 0
    return ValueRange(low, high, apart, BOUNDED, BOUNDED if apart else WILD)


def _made(low: float, high: float, nonzero: bool, up: Growth, down: Growth) -> ValueRange:
    """A range widened by its roundings; what bounds say of its growth and zeros is used."""
    if math.isnan(low) or math.isnan(high):
        low, high = -math.inf, math.inf
    low -= ROUNDING * abs(low) if math.isfinite(low) else 0
    high += ROUNDING * abs(high) if math.isfinite(high) else 0
    nonzero = nonzero or low > 0 or high < 0
    if math.isfinite(low) and math.isfinite(high):
        up = BOUNDED
    if low > 0 or high < 0:
        down = BOUNDED
    return ValueRange(low, high, nonzero, up, down if nonzero else WILD)


def _times(a: Growth, b: Growth) -> Growth:
    if WILD in (a, b):
        return WILD
    if a[0] == b[0] == 0:
        return (0, a[1] + b[1])
    return max(a, b)


def _exponential(a: Growth) -> Growth:
    """Of exp(|x|) with |x| <= a."""
    if a[0] == 0:
        return (1, a[1]) if a[1] > 0 else BOUNDED
    return WILD


def _logarithm(a: Growth) -> Growth:
    return LOGARITHM if a[0] == 0 else (0, a[1]) if a[0] == 1 else WILD


def _power_growth(a: Growth, c: float) -> Growth:
    return (0, a[1] * c) if a[0] == 0 else a


def _product(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


# ---- arithmetic ----------------------------------------------------------------------------------


def of_call(x: Node, args: list[ValueRange]) -> ValueRange:
    """The range of a function from those of its arguments. Raises NotShown."""
    name = str(x.attr)
    if name == "mul" and x.args[0] is x.args[1]:
        return _square(args[0])
    if name == "pow":
        return _pow(args[0], args[1], x.args[1])
    rule = RULES.get(name)
    if rule is not None:
        return rule(*args)
    graph = definition(name)
    if graph is None:
        raise NotShown
    return bounds(graph, dict(zip(ARGUMENTS, args, strict=False)))


def _add(a: ValueRange, b: ValueRange) -> ValueRange:
    low, high = a.low + b.low, a.high + b.high
    up = max(a.up, b.up)
    for p, q in ((a, b), (b, a)):
        if p.positive and q.low >= 0:
            down = min(p.down, q.down) if q.positive else p.down
            return _made(low, high, True, up, down)
    mirrored = (_neg(a), _neg(b))
    if any(p.positive for p in mirrored) and all(p.low >= 0 for p in mirrored):
        return _neg(_add(*mirrored))
    return _made(low, high, False, up, WILD)


def _neg(a: ValueRange) -> ValueRange:
    return ValueRange(-a.high, -a.low, a.nonzero, a.up, a.down)


def _mul(a: ValueRange, b: ValueRange) -> ValueRange:
    ends = [_product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    nonzero = a.nonzero and b.nonzero
    return _made(min(ends), max(ends), nonzero, _times(a.up, b.up), _times(a.down, b.down))


def _inverse(a: ValueRange) -> ValueRange:
    if not a.nonzero:
        raise NotShown
    low, high = -math.inf, math.inf
    if a.low >= 0:
        low, high = 1 / a.high if a.high else math.inf, 1 / a.low if a.low else math.inf
    elif a.high <= 0:
        return _neg(_inverse(_neg(a)))
    return _made(low, high, True, a.down, a.up)


def _square(a: ValueRange) -> ValueRange:
    low = 0.0 if a.low <= 0 <= a.high else min(a.low**2, a.high**2)
    high = _big(max(abs(a.low), abs(a.high)), 2)
    return _made(low, high, a.nonzero, _times(a.up, a.up), _times(a.down, a.down))


def _big(x: float, power: float) -> float:
    try:
        return float(x**power)
    except OverflowError:
        return math.inf


def _pow(a: ValueRange, b: ValueRange, exponent: Node) -> ValueRange:
    if exponent.op is not Op.CONST:
        if not a.positive:
            raise NotShown
        return _exp(_mul(b, _log(a)))
    c = float(exponent.attr)
    if c < 0:
        return _inverse(_constant_power(a, -c))
    return _constant_power(a, c)


def _constant_power(a: ValueRange, c: float) -> ValueRange:
    up, down = _power_growth(a.up, c), _power_growth(a.down, c)
    if c == 0:
        return constant_range(1.0)
    if c == int(c) and c % 2 == 0:
        low = 0.0 if a.low <= 0 <= a.high else _big(min(abs(a.low), abs(a.high)), c)
        return _made(low, _big(max(abs(a.low), abs(a.high)), c), a.nonzero, up, down)
    if c == int(c):
        ends = [math.copysign(_big(abs(x), c), x) for x in (a.low, a.high)]
        return _made(ends[0], ends[1], a.nonzero, up, down)
    if a.low < 0:
        raise NotShown
    return _made(_big(a.low, c), _big(a.high, c), a.nonzero, up, down)


# ---- functions -----------------------------------------------------------------------------------


def _limit(f: Callable[[float], float], x: float, at_infinity: float, below: float) -> float:
    """f(x) with its limits at infinity."""
    if x == math.inf:
        return at_infinity
    if x == -math.inf:
        return below
    try:
        return f(x)
    except OverflowError:
        return at_infinity if x > 0 else below


def _exp(a: ValueRange) -> ValueRange:
    low, high = (_limit(math.exp, x, math.inf, 0.0) for x in (a.low, a.high))
    grown = _exponential(a.up)
    up = BOUNDED if a.high < math.inf else grown
    down = BOUNDED if a.low > -math.inf else grown
    return _made(low, high, True, up, down)


def _log(a: ValueRange) -> ValueRange:
    if not a.positive:
        raise NotShown
    low = math.log(a.low) if a.low > 0 else -math.inf
    high = math.log(a.high) if a.high < math.inf else math.inf
    return _made(low, high, False, max(_logarithm(a.up), _logarithm(a.down)), WILD)


def _sqrt(a: ValueRange) -> ValueRange:
    return _constant_power(a, 0.5)


def _keeps_sign(a: ValueRange) -> bool:
    """Whether a keeps one sign and is nowhere 0."""
    return a.positive or _neg(a).positive


def _bounded(
    f: Callable[[float], float], least: float, most: float
) -> Callable[[ValueRange], ValueRange]:
    """An increasing bounded f with the sign of x, linear at 0."""

    def rule(a: ValueRange) -> ValueRange:
        low, high = (_limit(f, x, most, least) for x in (a.low, a.high))
        return _made(low, high, a.nonzero, BOUNDED, a.down)

    return rule


def _sigmoid(a: ValueRange) -> ValueRange:
    def f(x: float) -> float:
        return math.exp(min(x, 0)) / (1 + math.exp(-abs(x)))

    low, high = _limit(f, a.low, 1.0, 0.0), _limit(f, a.high, 1.0, 0.0)
    down = BOUNDED if a.low > -math.inf else _exponential(a.up)
    return _made(low, high, True, BOUNDED, down)


def _softplus(a: ValueRange) -> ValueRange:
    def f(x: float) -> float:
        return max(x, 0) + math.log1p(math.exp(-abs(x)))

    low, high = _limit(f, a.low, math.inf, 0.0), _limit(f, a.high, math.inf, 0.0)
    down = BOUNDED if a.low > -math.inf else _exponential(a.up)
    return _made(low, high, True, a.up, down)


def _gauss(a: ValueRange) -> ValueRange:
    return _exp(_mul(constant_range(-0.5), _square(a)))


def _wave(a: ValueRange) -> ValueRange:
    return _made(-1.0, 1.0, False, BOUNDED, WILD)


def _sine(a: ValueRange) -> ValueRange:
    if max(abs(a.low), abs(a.high)) <= math.pi / 2:
        return _made(math.sin(a.low), math.sin(a.high), a.nonzero, BOUNDED, a.down)
    return _waved(a, math.pi / 2, math.sin)


def _cosine(a: ValueRange) -> ValueRange:
    return _waved(a, 0.0, math.cos)


def _waved(a: ValueRange, peak: float, f: Callable[[float], float]) -> ValueRange:
    """A wave with maxima at ``peak`` and minima half a turn from them."""
    if not (math.isfinite(a.low) and math.isfinite(a.high)) or a.high - a.low > 7:
        return _wave(a)
    ends = [f(a.low), f(a.high)]
    low, high = min(ends) - 1e-15, max(ends) + 1e-15
    for shift, value in ((0.0, 1.0), (math.pi, -1.0)):
        first = math.ceil((a.low - 1e-9 - peak - shift) / (2 * math.pi))
        if peak + shift + 2 * math.pi * first <= a.high + 1e-9:
            low, high = min(low, value), max(high, value)
    return _made(low, high, False, BOUNDED, WILD)


def _abs(a: ValueRange) -> ValueRange:
    if a.low >= 0:
        return a
    if a.high <= 0:
        return _neg(a)
    return ValueRange(0.0, max(-a.low, a.high), a.nonzero, a.up, a.down)


def _max(a: ValueRange, b: ValueRange) -> ValueRange:
    down = min((x.down for x in (a, b) if x.positive), default=WILD)
    positive = a.positive or b.positive
    up = max(a.up, b.up)
    return _made(max(a.low, b.low), max(a.high, b.high), positive, up, down)


def _min(a: ValueRange, b: ValueRange) -> ValueRange:
    return _neg(_max(_neg(a), _neg(b)))


def _relu(a: ValueRange) -> ValueRange:
    return a if a.positive else ValueRange(0.0, max(a.high, 0.0), False, a.up)


def _leaky(a: ValueRange, slope: ValueRange) -> ValueRange:
    return _add(_relu(a), _neg(_mul(slope, _relu(_neg(a)))))


def _elu(a: ValueRange) -> ValueRange:
    low = max(a.low, math.expm1(a.low) if a.low < 0 else a.low, -1.0)
    return _made(low, a.high, _keeps_sign(a), a.up, a.down if a.positive else WILD)


def _gate(least: float) -> Callable[[ValueRange], ValueRange]:
    """x times something in (0, 1): gelu, silu."""

    def rule(a: ValueRange) -> ValueRange:
        high = max(a.high, 0.0)
        low = 0.0 if a.low >= 0 else least
        down = _times(a.down, _exponential(_times(a.up, a.up)))
        if a.low >= 0:
            low, down = a.low / 2, a.down
        return _made(low, high, a.nonzero, a.up, down)

    return rule


def _step(a: ValueRange) -> ValueRange:
    if a.positive:
        return constant_range(1.0)
    return constant_range(0.0) if a.high < 0 else _made(0.0, 1.0, False, BOUNDED, WILD)


def _sign(a: ValueRange) -> ValueRange:
    if _keeps_sign(a):
        return constant_range(1.0 if a.positive else -1.0)
    return _made(-1.0, 1.0, a.nonzero, BOUNDED, BOUNDED)


def _sinh(a: ValueRange) -> ValueRange:
    low = _limit(math.sinh, a.low, math.inf, -math.inf)
    high = _limit(math.sinh, a.high, math.inf, -math.inf)
    return _made(low, high, a.nonzero, _exponential(a.up), a.down)


def _cosh(a: ValueRange) -> ValueRange:
    far = _limit(math.cosh, max(abs(a.low), abs(a.high)), math.inf, math.inf)
    return _made(1.0, far, True, _exponential(a.up), BOUNDED)


RULES: dict[str, Callable[..., ValueRange]] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _neg(b)),
    "neg": _neg,
    "mul": _mul,
    "div": lambda a, b: _mul(a, _inverse(b)),
    "square": _square,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "tanh": _bounded(math.tanh, -1.0, 1.0),
    "erf": _bounded(math.erf, -1.0, 1.0),
    "arctan": _bounded(math.atan, -math.pi / 2, math.pi / 2),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "gauss": _gauss,
    "sin": _sine,
    "cos": _cosine,
    "abs": _abs,
    "max": _max,
    "min": _min,
    "relu": _relu,
    "leaky_relu": _leaky,
    "elu": _elu,
    "gelu": _gate(-0.17),
    "silu": _gate(-0.279),
    "step": _step,
    "sign": _sign,
    "sinh": _sinh,
    "cosh": _cosh,
}
"""The range of a function from those of its arguments."""
