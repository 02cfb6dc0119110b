"""Closed forms that are printed, against quadrature in polar coordinates split at the kinks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import acos, pi, sqrt
from typing import Any

import numpy as np
import pytest

from nexort import activations
from nexort.limit.derive import closed
from nexort.limit.derive.printing.symbolic import expression
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import scalar

Z = Node(Op.SLOT, (), ("z",), scalar())


def named(name: str) -> Node:
    return build.call(name, Z)


SQUARE = build.call("pow", Z, build.constant(2))
ERF_SLOPE = build.call(
    "mul", build.constant(2 / sqrt(pi)), build.call("exp", build.call("neg", SQUARE))
)
LEAKY = build.call("leaky_relu", Z, build.constant(0.2))


def quadrature(f: Callable[[Any], Any], g: Callable[[Any], Any], p: float, c: float, q: float):  # type: ignore[no-untyped-def]
    """E f(y) g(z): y = r sqrt(p) cos t, z = r sqrt(q) cos(t - a), cos a the correlation."""
    angle = acos(max(-1.0, min(1.0, c / sqrt(p * q))))
    edges = sorted(
        {0.0, 2 * pi, pi / 2, 3 * pi / 2, *((angle + s * pi / 2) % (2 * pi) for s in (1, 3))}
    )
    nodes, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for low, high in pairwise(edges):
        t = (high - low) / 2 * nodes + (high + low) / 2
        for near, far in ((0, 2), (2, 5), (5, 9), (9, 14)):
            r = (far - near) / 2 * nodes + (far + near) / 2
            y = np.sqrt(p) * np.outer(np.cos(t), r)
            z = np.sqrt(q) * np.outer(np.cos(t - angle), r)
            inner = (f(y) * g(z) * r * np.exp(-(r**2) / 2)) @ weights * (far - near) / 2
            total += inner @ weights * (high - low) / 2
    return total / (2 * pi)


def numpy_of(node: Node) -> Callable[[Any], Any]:
    """A function of the registry, or a graph of them, as numpy."""
    if node.op is Op.SLOT:
        return lambda z: z
    if node.op is Op.CONST:
        return lambda z: node.attr
    args = [numpy_of(a) for a in node.args]
    return lambda z: activations.registry()[str(node.attr)].evaluate(*(a(z) for a in args))


PAIRS = [(named(x), named(x)) for x in
         ("relu", "step", "sign", "abs", "erf", "gelu", "sin", "cos", "exp", "gauss")]  # fmt: skip
PAIRS += [(named("relu"), named("step")), (named("step"), named("relu")), (LEAKY, LEAKY)]
PAIRS += [(ERF_SLOPE, ERF_SLOPE), (ERF_SLOPE, named("gauss"))]
TRIPLES = [(1.0, 0.3, 1.0), (0.5, -0.6, 1.7), (0.2, 0.05, 0.1), (2.0, 0.0, 0.4), (1.1, 1.08, 1.2)]


@pytest.mark.parametrize(("f", "g"), PAIRS)
@pytest.mark.parametrize(("p", "c", "q"), TRIPLES)
def test_pairs(f: Node, g: Node, p: float, c: float, q: float) -> None:
    found = closed.pair(f, g)
    assert found is not None
    value = expression(found.formula).subs(dict(zip(symbols("pcq"), (p, c, q), strict=True)))
    assert float(value) == pytest.approx(quadrature(numpy_of(f), numpy_of(g), p, c, q), abs=1e-11)


MEANS = [named(x) for x in ("relu", "abs", "step", "cos", "exp", "gauss")]
MEANS += [build.call("pow", named(x), build.constant(2)) for x in ("relu", "erf", "gelu", "sign")]
MEANS += [ERF_SLOPE, build.call("mul", Z, named("sign"))]


@pytest.mark.parametrize("f", MEANS)
@pytest.mark.parametrize("p", [0.1, 1.0, 2.3])
def test_means(f: Node, p: float) -> None:
    found = closed.mean(f)
    assert found is not None
    value = expression(found.formula).subs(dict(zip(symbols("p"), (p,), strict=True)))
    wanted = quadrature(numpy_of(f), np.ones_like, p, 0.0, 1.0)
    assert float(value) == pytest.approx(wanted, abs=1e-11)


def test_others_have_none() -> None:
    assert closed.pair(named("tanh"), named("tanh")) is None
    assert closed.mean(named("sigmoid")) is None
    # exp(+z^2) is no bump
    assert closed.pair(build.call("exp", SQUARE), build.call("exp", SQUARE)) is None


def symbols(names: str) -> list[Any]:
    import sympy

    return [sympy.Symbol(x, real=True) for x in names]
