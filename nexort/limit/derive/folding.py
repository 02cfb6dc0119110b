"""Arithmetic that is folded where nothing is lost.

0 x = 0, x - x = 0 and x / x = 1 hold for an x that exists, the last for one that is not 0. Where
the normal form of an operation exists in more cases than the operation, that stays as it is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from nexort.limit.derive.arithmetic import MINUS_ONE, add, mul, neg, power
from nexort.limit.derive.formula import (
    Apply,
    Average,
    Bracket,
    Expectation,
    Formula,
    Number,
    Power,
    Product,
    Symbol,
)
from nexort.limit.derive.walking import is_random, walk_formula

NORMAL: dict[str, Callable[..., Formula]] = {
    "add": add,
    "sub": lambda x, y: add(x, neg(y)),
    "mul": mul,
    "div": lambda x, y: mul(x, power(y, MINUS_ONE)),
    "neg": neg,
    "pow": power,
}
"""The normal forms of operations."""

PARTIAL = frozenset((*NORMAL, "log", "sqrt"))
"""Functions that do not exist everywhere, and operations that were left as they are written."""

Condition = tuple[str, Formula]


def normal_operation(name: str, args: tuple[Formula, ...], *, kets_exist: bool = False) -> Formula:
    """An operation in its normal form if that has all of the operation's conditions; else an
    :class:`Apply`. ``kets_exist``: functions of kets do, as they are written."""
    found = NORMAL[name](*args)
    whole = args
    if name == "div":
        whole = (*args, power(args[1], MINUS_ONE))
    elif name == "pow":
        whole = (*args, Power(*args))
    needed = _conditions(whole)
    lost = needed - _conditions((found,)) if needed else needed
    return Apply(name, args) if any(not (kets_exist and is_random(x)) for _, x in lost) else found


MULTIPLICATIVE = frozenset(("sign", "abs"))
"""f(x y) = f(x) f(y)."""


def apply_function(name: str, args: tuple[Formula, ...]) -> Formula:
    """An entrywise function, an operation in its normal form where that exists as it does;
    sign(x y) = sign(x) sign(y), and the same for abs."""
    if name in NORMAL:
        return normal_operation(name, args)
    [first, *rest] = args
    if name in MULTIPLICATIVE and not rest and isinstance(first, Product):
        return mul(*(apply_function(name, (f,)) for f in first.factors))
    if name in MULTIPLICATIVE and isinstance(first, Number):
        if name == "sign":
            return Number(Fraction((first.value > 0) - (first.value < 0)))
        return first if first.value >= 0 else Number(-first.value)
    return Apply(name, args)


def _conditions(formulas: Iterable[Formula]) -> set[Condition]:
    """What has to hold for formulas to exist."""
    found: set[Condition] = set()
    for formula in formulas:
        for x in walk_formula(formula):
            match x:
                case Symbol(kind="scalar") | Bracket() | Average() | Expectation():
                    found.add(("exists", x))
                case Power(base, Number(value)):
                    if value < 0 and not _is_known(base, lambda v: v != 0):
                        found.add(("not 0", base))
                    if value != int(value) and not _is_nonnegative(base):
                        found.add(("not negative", base))
                case Power():
                    found.add(("exists", x))
                case Apply(name) if name in PARTIAL:
                    found.add(("exists", x))
                case _:
                    pass
    return found


def _is_known(formula: Formula, holds: Callable[[float], bool]) -> bool:
    return isinstance(formula, Number) and holds(float(formula.value))


def _is_nonnegative(formula: Formula) -> bool:
    """Whether this is seen not to be negative: squares, their means, sizes of axes."""
    match formula:
        case Power(_, Number(value)):
            return value % 2 == 0
        case Expectation(body):
            return _is_nonnegative(body)
        case Bracket(left, right):
            return left == right
        case Product(factors):
            return all(map(_is_nonnegative, factors))
        case Symbol(kind="size"):
            return True
        case _:
            return _is_known(formula, lambda v: v >= 0)
