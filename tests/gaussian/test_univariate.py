"""Functions of one variable as graphs: values, kinks, slopes, parity, normal forms."""

from __future__ import annotations

import numpy as np
import pytest

from nexort import activations
from nexort.gaussian.expectation import CLOSED, method_of
from nexort.gaussian.terms import normal_form, terms_graph
from nexort.gaussian.univariate import IDENTITY, NotUnivariate, Univariate, function
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node

UNARY = [f.name for f in activations.registry().values() if f.arity == 1]


def call(name: str, *args: Node | float) -> Node:
    return build.call(name, *(a if isinstance(a, Node) else build.constant(a) for a in args))


def times(c: float, node: Node) -> Node:
    return call("mul", c, node)


RELU, TANH = call("relu", SLOT), call("tanh", SLOT)
USERS: dict[str, tuple[Node, str | None, tuple[float, ...], bool]] = {
    # name: (graph, parity, kinks, whether E f f has a closed form)
    "scaled relu": (times(1.5, call("relu", times(-2.0, SLOT))), None, (0.0,), True),
    "normal distribution": (
        times(0.5, call("add", 1, call("erf", call("div", SLOT, call("sqrt", 2))))), None, (), True,
    ),
    "mixture": (call("add", RELU, times(0.3, TANH)), None, (0.0,), False),
    "shifted": (call("relu", call("sub", SLOT, 1.25)), None, (1.25,), False),
    "quadratic": (call("relu", call("sub", call("square", SLOT), 1)), "even", (-1.0, 1.0), False),
    "clip": (call("max", -1, call("min", 1, SLOT)), None, (-1.0, 1.0), False),
    "larger": (call("max", SLOT, times(0.2, SLOT)), None, (0.0,), True),
    "relu of relu": (call("relu", RELU), None, (0.0,), True),
    "relu of sign": (call("relu", call("sign", SLOT)), None, (0.0,), True),
    "swap": (call("mul", SLOT, call("step", SLOT)), None, (0.0,), True),
    "square of sine": (call("square", call("sin", times(0.7, SLOT))), "even", (), True),
    "cubic": (call("sub", call("pow", SLOT, 3), times(3, SLOT)), "odd", (), True),
    "wave packet": (call("mul", call("gauss", SLOT), call("square", SLOT)), "even", (), True),
    "own gelu": (
        times(0.5, call("mul", SLOT, call("add", 1, call("erf", times(0.5**0.5, SLOT))))),
        None, (), True,
    ),
    "level": (call("step", call("sub", TANH, 0.5)), None, (0.5493061443340548,), False),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(USERS))
def test_users_functions(name: str) -> None:
    node, parity, kinks, closed = USERS[name]
    f = Univariate.of(node)
    assert f == Univariate.of(node)
    assert f.parity == parity
    np.testing.assert_allclose(f.kinks, kinks, rtol=1e-15)
    assert (method_of(f, f) == CLOSED) == closed
    z = np.linspace(-3, 3, 101) + 0.0123
    form = Univariate(terms_graph(normal_form(node)))
    np.testing.assert_allclose(form(z), f(z), rtol=1e-13, atol=1e-13)
    assert f(z.astype(np.float32)).dtype == np.float32
    step = 1e-6
    slope = (f(z + step) - f(z - step)) / (2 * step)
    np.testing.assert_allclose(f.derivative()(z), slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", UNARY)
def test_every_function_of_the_registry(name: str) -> None:
    f = function(name)
    z = np.linspace(0.1, 3, 50)
    np.testing.assert_allclose(f(z), activations.registry()[name].evaluate(z), rtol=1e-14)
    assert f.parity == activations.registry()[name].parity
    step = 1e-6
    slope = (f(z + step) - f(z - step)) / (2 * step)
    np.testing.assert_allclose(f.derivative()(z), slope, rtol=1e-6, atol=1e-8)
    form = Univariate(terms_graph(normal_form(f.node)))
    np.testing.assert_allclose(form(z), f(z), rtol=1e-13, atol=1e-13)


def test_roots_of_waves_are_kinks() -> None:
    f = Univariate.of(call("sign", call("sin", SLOT)))
    np.testing.assert_allclose(f.kinks, np.pi * np.arange(-20, 21), rtol=1e-15)


def test_powers() -> None:
    z = np.array([-1.5, 2.0])
    np.testing.assert_allclose(function("tanh").times_power(2)(z), z**2 * np.tanh(z))
    assert function("tanh").times_power(0) == function("tanh")
    assert Univariate(build.constant(1)).times_power(1) == IDENTITY


def test_other_leaves_are_refused() -> None:
    from nexort.program.nodes import Op
    from nexort.program.types import scalar

    with pytest.raises(NotUnivariate):
        Univariate.of(call("relu", Node(Op.PARAM, (), "a", scalar())))
