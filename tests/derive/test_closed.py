"""Closed forms that are printed, against quadrature in polar coordinates split at the kinks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import acos, pi, sqrt
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy
from scipy import special

from nexort import activations
from nexort.gaussian import catalogue
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import CLOSED, expect_one, expect_pair, method_of
from nexort.gaussian.univariate import Univariate, function
from nexort.limit.derive import closed
from nexort.limit.derive.emit.functions import floors, needs_floors, plain_code, root_of
from nexort.limit.derive.emit.rules import BIVARIATE_RULE
from nexort.limit.derive.formula import Formula
from nexort.limit.derive.printing.symbolic import sympy_expression
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
    found = closed.closed_pair(f, g)
    assert found is not None
    value = sympy_expression(found.formula).subs(dict(zip(symbols("pcq"), (p, c, q), strict=True)))
    assert float(value) == pytest.approx(quadrature(numpy_of(f), numpy_of(g), p, c, q), abs=1e-11)


MEANS = [named(x) for x in ("relu", "abs", "step", "cos", "exp", "gauss")]
MEANS += [build.call("pow", named(x), build.constant(2)) for x in ("relu", "erf", "gelu", "sign")]
MEANS += [ERF_SLOPE, build.call("mul", Z, named("sign"))]


@pytest.mark.parametrize("f", MEANS)
@pytest.mark.parametrize("p", [0.1, 1.0, 2.3])
def test_means(f: Node, p: float) -> None:
    found = closed.closed_mean(f)
    assert found is not None
    value = sympy_expression(found.formula).subs(dict(zip(symbols("p"), (p,), strict=True)))
    wanted = quadrature(numpy_of(f), np.ones_like, p, 0.0, 1.0)
    assert float(value) == pytest.approx(wanted, abs=1e-11)


ENTRIES = {
    f"{name}{prime}": (f.derivative() if prime else f)
    for name, entry in catalogue.catalogue().items()
    for f in (entry.function,)
    for prime in ("", "'")
}
"""Every function with closed forms, and the derivatives."""

REACHED = sorted(
    (a, b)
    for a, f in ENTRIES.items()
    for b, g in ENTRIES.items()
    if method_of(f, g) == CLOSED and (a <= b or b in ("relu", "erf"))
)
"""All pairs that have a closed form in numbers."""


def numbers(name: str, other: str, points: list[tuple[float, float, float]]) -> tuple[Any, Any]:
    """E f(y) g(z), and (E f^2 E g^2)^(1/2), by the numeric kernels."""
    f, g = ENTRIES[name], ENTRIES[other]
    p, c, q = np.array(points).T
    k = Covariance(p, q, c)
    sizes = [expect_pair(h, h, Covariance(v, v, v)).value for h, v in ((f, p), (g, q))]
    return expect_pair(f, g, k).value, np.sqrt(sizes[0] * sizes[1])


def code(formula: Formula, variances: str = "pq") -> Callable[..., Any]:
    """A closed form as the numpy function that is emitted."""
    names: dict[str, Any] = {"np": np, "special": special}
    exec(BIVARIATE_RULE, names)
    first = floors(variances) if needs_floors(formula) else []
    first += [root_of(formula)] if variances == "pq" else []
    body = "\n    ".join([*first, f"return {plain_code(formula)[0]}"])
    exec(
        f"def run({', '.join(variances.replace('q', 'cq'))}):\n    {body}", names
    )  # what it runs is made here
    run: Callable[..., Any] = names["run"]
    return run


@pytest.mark.parametrize(("first", "second"), REACHED)
def test_what_has_numbers_in_closed_form_has_a_formula(first: str, second: str) -> None:
    """At 40 digits the formula, and what it is in numpy, give the numbers of the kernels."""
    found = closed.closed_pair(ENTRIES[first].node, ENTRIES[second].node)
    assert found is not None
    assert found.source
    wanted, size = numbers(first, second, TRIPLES)
    run = sympy.lambdify(symbols("pcq"), sympy_expression(found.formula), "mpmath")
    emitted = code(found.formula)
    for point, value, scale in zip(TRIPLES, wanted, size, strict=True):
        with mp.workdps(40):
            exact = run(*map(mp.mpf, point))
            assert abs(exact - mp.mpf(float(value))) <= 4e-14 * scale + 1e-300, point
        assert abs(emitted(*map(np.float64, point)) - value) <= 1e-11 * scale + 1e-300


@pytest.mark.parametrize("name", ENTRIES)
def test_means_have_formulas(name: str) -> None:
    f = ENTRIES[name]
    found = closed.closed_mean(f.node)
    assert found is not None
    run = sympy.lambdify(symbols("p"), sympy_expression(found.formula), "mpmath")
    for p in (0.1, 1.0, 2.3):
        wanted = expect_one(f, np.array([p]))
        assert wanted.method == CLOSED
        assert float(run(p)) == pytest.approx(float(wanted.value[0]), rel=1e-13, abs=1e-14)


PIECEWISE = {
    f"{name}{prime}": (f.derivative() if prime else f)
    for name, more in (("hardtanh", ()), ("relu6", ()), ("hardswish", ()), ("elu", ()),
                       ("selu", ()), ("celu", (0.7,)))
    for f in (function(name, *more),)
    for prime in ("", "'")
}  # fmt: skip


@pytest.mark.parametrize("times", ["1", "z", "itself"])
@pytest.mark.parametrize("name", PIECEWISE)
def test_means_of_piecewise_functions(name: str, times: str) -> None:
    f = PIECEWISE[name].node
    product = {"1": f, "z": build.call("mul", Z, f), "itself": build.call("mul", f, f)}[times]
    found = closed.closed_mean(product)
    assert found is not None
    run = sympy.lambdify(symbols("p"), sympy_expression(found.formula), "mpmath")
    emitted = code(found.formula, "p")
    for p in (1e-4, 0.3, 1.7, 30.0):
        wanted = expect_one(Univariate(product), np.array([p]), 1e-12).value[0]
        with mp.workdps(40):
            assert float(run(mp.mpf(p))) == pytest.approx(float(wanted), rel=1e-10, abs=1e-13)
        assert float(emitted(np.float64(p))) == pytest.approx(float(wanted), rel=1e-10, abs=1e-13)
    with np.errstate(over="ignore"):
        assert emitted(np.zeros(())) == pytest.approx(_at_zero(product), abs=1e-12)


BENT = sorted((a, b) for a in PIECEWISE for b in PIECEWISE if a <= b)
"""Pairs that need the bivariate normal distribution function."""


@pytest.mark.parametrize(("first", "second"), BENT)
def test_pairs_of_piecewise_functions(first: str, second: str) -> None:
    """The formula at 25 digits, and its numpy code, are the bivariate normal integrals of eval,
    within their errors; the code also of tails and of nearly equal and opposite variables."""
    f, g = PIECEWISE[first], PIECEWISE[second]
    found = closed.closed_pair(f.node, g.node)
    assert found is not None
    near = [(0.3, s * 0.3 * (1 - d), 0.3) for s in (1, -1) for d in (0, 1e-6)]
    points = [*TRIPLES, *near, (2.0, -2.0, 2.0), (1e-4, 5e-5, 1e-4), (40.0, 12.0, 9.0)]
    p, c, q = np.array(points).T
    wanted = expect_pair(f, g, Covariance(p, q, c))
    sizes = [expect_pair(h, h, Covariance(v, v, v)).value for h, v in ((f, p), (g, q))]
    allowed = wanted.error + 1e-13 * np.sqrt(sizes[0] * sizes[1])
    with np.errstate(all="raise", under="ignore"):
        emitted = code(found.formula)(p, c, q)
    np.testing.assert_array_less(np.abs(emitted - wanted.value), allowed + 1e-300)
    run = sympy.lambdify(symbols("pcq"), sympy_expression(found.formula), "mpmath")
    with mp.workdps(25):
        exact = [float(run(*map(mp.mpf, point))) for point in TRIPLES[:2]]
    np.testing.assert_array_less(np.abs(exact - wanted.value[:2]), allowed[:2])


@pytest.mark.parametrize("name", PIECEWISE)
def test_piecewise_functions_of_zero_variances(name: str) -> None:
    f = PIECEWISE[name]
    found = closed.closed_pair(f.node, f.node)
    assert found is not None
    mean, zero = expect_one(f, np.array([0.7]), 1e-13).value[0], _at_zero(f.node)
    with np.errstate(all="raise", under="ignore"):
        value = code(found.formula)(*np.array([(0, 0, 0), (0, 0, 0.7), (0.7, 0, 0)]).T)
    np.testing.assert_allclose(value, [zero**2, zero * mean, zero * mean], rtol=1e-11, atol=1e-12)


def test_the_sign_of_half_a_moment() -> None:
    """E y 1(y < 0) = -(p / 2 pi)^(1/2)."""
    found = closed.closed_mean(build.call("mul", Z, build.call("step", build.call("neg", Z))))
    assert found is not None
    assert float(sympy_expression(found.formula).subs(symbols("p")[0], 2.0)) == pytest.approx(
        -1 / sqrt(pi), rel=1e-14
    )


def _at_zero(f: Node) -> float:
    """f(0), between its two sides where it jumps."""
    return float(np.mean([Univariate(f)(np.array(s)) for s in (-1e-14, 1e-14)]))


@pytest.mark.parametrize(("first", "second"), REACHED)
def test_emitted_code_of_zero_variances(first: str, second: str) -> None:
    found = closed.closed_pair(ENTRIES[first].node, ENTRIES[second].node)
    assert found is not None
    points = [(0.0, 0.0, 0.0), (0.0, 0.0, 1.3), (0.7, 0.0, 0.0)]
    wanted, _ = numbers(first, second, points)
    value = code(found.formula)(*np.array(points).T)
    np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-12)


def test_others_have_none() -> None:
    assert closed.closed_pair(named("tanh"), named("tanh")) is None
    assert closed.closed_mean(named("sigmoid")) is None
    assert closed.closed_pair(named("hardtanh"), named("erf")) is None
    # (1 - 2 p)(1 - 2 q) - 4 c^2 is positive also where E exp(y^2 + z^2) does not exist
    assert closed.closed_pair(build.call("exp", SQUARE), build.call("exp", SQUARE)) is None


def test_what_would_fill_pages_stays_open() -> None:
    bent = build.call("pow", named("hardtanh"), build.constant(6))
    assert closed.closed_pair(build.call("mul", bent, named("selu")), bent) is None


def symbols(names: str) -> list[Any]:
    import sympy

    return [sympy.Symbol(x, real=True) for x in names]
