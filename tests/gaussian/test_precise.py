"""Values in no more digits than show that they suffice."""

from __future__ import annotations

import pytest
from mpmath import mp, mpf

from nexort.gaussian.precise import Undefined, bounded_value, logarithm, value
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node

ONE = build.constant(1)


def call(name: str, *args: Node) -> Node:
    return build.call(name, *args)


def power(node: Node, exponent: float) -> Node:
    return call("pow", node, build.constant(exponent))


def less(*parts: Node) -> Node:
    """The first less all others."""
    first, *others = parts
    for part in others:
        first = call("sub", first, part)
    return first


SQUARE = call("square", SLOT)
CANCEL = {
    "1 + z^2 - 1 + z^5": call("add", less(call("add", ONE, SQUARE), ONE), power(SLOT, 5)),
    "(1 - cos z) / z^2": call("div", less(ONE, call("cos", SLOT)), SQUARE),
    "exp z - 1 - z": less(call("exp", SLOT), ONE, SLOT),
    "tanh(1 + z) - tanh 1": less(call("tanh", call("add", ONE, SLOT)), call("tanh", ONE)),
    "|tanh z - z|^-0.7": power(call("abs", less(call("tanh", SLOT), SLOT)), -0.7),
    "sign(1 + z - 1)": call("sign", less(call("add", ONE, SLOT), ONE)),
    "sqrt(0.1 + z - 0.1)": call(
        "sqrt", less(call("add", build.constant(0.1), SLOT), build.constant(0.1))
    ),
    "relu(-z)": call("relu", call("neg", SLOT)),
}


@pytest.mark.parametrize("name", CANCEL)
@pytest.mark.parametrize("digits", [20, 80, 160])
def test_fewer_digits_are_right(name: str, digits: int) -> None:
    """To 1e-35 of what all 1600 give, however much cancels."""
    node, at = CANCEL[name], {SLOT: mpf(10) ** -digits}
    with mp.workdps(1600):
        exact = value(node, at)
        found = logarithm(node, at)
        expected = mp.log(abs(exact)) if exact else mpf("-inf")
        assert found == expected or abs(found - expected) < mpf(10) ** -35


@pytest.mark.parametrize("name", CANCEL)
def test_the_bound_holds(name: str) -> None:
    """In digits that do not suffice, too."""
    node, at = CANCEL[name], {SLOT: mpf(10) ** -60}
    with mp.workdps(1600):
        exact = value(node, at)
    held = 0
    for digits in (30, 70, 100, 150, 300):
        with mp.workdps(digits):
            try:
                found, error = bounded_value(node, at)
            except Undefined:
                continue
            held += 1
            assert abs(found - exact) <= error
    assert held > 1


def test_what_is_undefined_is_said() -> None:
    with mp.workdps(1600), pytest.raises(Undefined, match="negative number"):
        logarithm(call("log", call("neg", SLOT)), {SLOT: mpf(1)})
