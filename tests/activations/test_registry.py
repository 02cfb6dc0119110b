"""What every entry of the function registry promises."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.activations import Array, Function, lookup, registry
from nexort.support.diagnostics import Source
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

ENTRIES = list(registry().values())
UNARY = [f for f in ENTRIES if f.arity == 1]
POSITIVE = {"log", "sqrt"}  # defined for x > 0
OSCILLATING = {"sin", "cos"}
DTYPES = (np.float32, np.float64)
LIMITS = {
    "arctan": (-np.pi / 2, np.pi / 2),
    "elu": (-1, np.inf),
    "erf": (-1, 1),
    "exp": (0, np.inf),
    "gauss": (0, 0),
    "gelu": (0, np.inf),
    "relu": (0, np.inf),
    "sigmoid": (0, 1),
    "silu": (0, np.inf),
    "softplus": (0, np.inf),
    "step": (0, 1),
    "tanh": (-1, 1),
}


def by_name(function: Function) -> str:
    return function.name


def body_of(text: str) -> t.Expr:
    """The tree of an expression of x and y."""
    [statement] = parse(Source("partial", "fn d(x, y) = " + text)).statements
    assert isinstance(statement, t.Function)
    return statement.body


def value_of(expr: t.Expr, names: dict[str, Array]) -> Array:
    """An expression of entrywise functions, evaluated with the registry."""
    match expr:
        case t.Number(text):
            return np.float64(text)
        case t.Name(name):
            return names[name]
        case t.Paren(inner):
            return value_of(inner, names)
        case t.Negative(inner):
            return -value_of(inner, names)
        case t.Binary(op, left, right):
            name = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}[op]
            arguments = [value_of(left, names), value_of(right, names)]
        case t.Call(t.Name(name), args):
            arguments = [value_of(x.value, names) for x in args]
        case _:
            raise AssertionError(f"not an entrywise expression: {expr}")
    function = lookup(name)
    assert function is not None
    assert function.arity == len(arguments)
    return function.evaluate(*arguments)


def points(function: Function) -> list[Array]:
    """A grid that keeps away from 0 and from x = y, within the function's domain."""
    if function.arity == 1:
        x = np.linspace(-4.03, 3.97, 81)
        return [x[x > 0]] if function.name in POSITIVE else [x]
    x, y = (g.ravel() for g in np.meshgrid(np.linspace(-4.03, 3.97, 41), np.linspace(-2.2, 2, 27)))
    apart = (abs(x - y) > 0.01) & (abs(y) > 0.01) & ((x > 0) | (function.name != "pow"))
    return [x[apart], y[apart]]


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_shape_are_kept(function: Function, dtype: type) -> None:
    arguments = [x.astype(dtype) for x in points(function)]
    values = function.evaluate(*arguments)
    assert values.dtype == dtype
    assert values.shape == arguments[0].shape
    columns = [x[:2, None] if k else x[:3] for k, x in enumerate(arguments)]
    assert function.evaluate(*columns).shape == np.broadcast(*columns).shape
    assert function.evaluate(*[x[:0] for x in arguments]).dtype == dtype


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
def test_partials_agree_with_central_differences(function: Function) -> None:
    arguments, h = points(function), 1e-6
    names = {"pi": np.float64(np.pi), **dict(zip("xy", arguments, strict=False))}
    size = 1 + abs(function.evaluate(*arguments))
    for k, text in enumerate(function.partials):
        ahead, behind = ([x + (j == k) * s for j, x in enumerate(arguments)] for s in (h, -h))
        slope = (function.evaluate(*ahead) - function.evaluate(*behind)) / (2 * h)
        partial = np.broadcast_to(value_of(body_of(text), names), slope.shape)
        assert np.all(abs(partial - slope) <= 1e-6 * abs(slope) + 1e-8 * size), text


@pytest.mark.parametrize("function", UNARY, ids=by_name)
def test_parity(function: Function) -> None:
    x = np.linspace(0.1, 4, 40)
    with np.errstate(invalid="ignore"):
        there, back = function.evaluate(x), function.evaluate(-x)
    found = {
        "odd": np.allclose(back, -there, rtol=1e-14, atol=0),
        "even": np.allclose(back, there, rtol=1e-14, atol=0),
    }
    assert [name for name, holds in found.items() if holds] == [
        name for name in (function.parity,) if name
    ]


@pytest.mark.parametrize("function", UNARY, ids=by_name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_warnings_and_finite_up_to_80(function: Function, dtype: type) -> None:
    x = np.linspace(-80, 80, 1001, dtype=dtype)
    values = function.evaluate(x[x > 0] if function.name in POSITIVE else x)
    assert np.all(np.isfinite(values))


@pytest.mark.parametrize("function", UNARY, ids=by_name)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e4, 1e30, np.inf])
def test_extreme_inputs_give_no_nan(function: Function, dtype: type, size: float) -> None:
    if function.name in OSCILLATING and np.isinf(size):
        pytest.skip("no limit")
    x = np.array([size] if function.name in POSITIVE else [-size, size], dtype)
    with np.errstate(all="ignore"):
        values = function.evaluate(x)
        slope = value_of(body_of(function.partials[0]), {"x": x, "pi": np.float64(np.pi)})
    assert not np.any(np.isnan(values))
    assert np.isinf(size) or not np.any(np.isnan(slope))


@pytest.mark.parametrize(("name", "limits"), LIMITS.items())
@pytest.mark.parametrize("dtype", DTYPES)
def test_limits(name: str, limits: tuple[float, float], dtype: type) -> None:
    function = registry()[name]
    values = function.evaluate(np.array([-np.inf, np.inf], dtype))
    np.testing.assert_array_equal(values, np.array(limits, dtype))


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("step", (0.0,), 0.5),
        ("sign", (0.0,), 0.0),
        ("relu", (-2.0,), 0.0),
        ("leaky_relu", (-2.0, 0.1), -0.2),
        ("leaky_relu", (3.0, 0.1), 3.0),
        ("elu", (-1.0,), np.expm1(-1)),
        ("elu", (2.0,), 2.0),
        ("gelu", (1.0,), 0.8413447460685429),
        ("erf", (1.0,), 0.8427007929497149),
        ("sigmoid", (-100.0,), np.exp(-100)),
        ("softplus", (-100.0,), np.exp(-100)),
        ("silu", (1.0,), 1 / (1 + np.exp(-1))),
        ("gauss", (2.0,), np.exp(-2)),
        ("square", (3.0,), 9.0),
        ("max", (1.0, 2.0), 2.0),
        ("min", (1.0, 2.0), 1.0),
    ],
)
def test_values(name: str, arguments: tuple[float, ...], expected: float) -> None:
    function = lookup(name)
    assert function is not None
    value = function.evaluate(*[np.array([x]) for x in arguments])
    np.testing.assert_allclose(value, [expected], rtol=1e-14)


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
def test_latex_takes_its_arguments(function: Function) -> None:
    text = function.latex.format(x="\\alpha", y="\\beta")
    assert "\\alpha" in text
    assert ("\\beta" in text) == (function.arity == 2)
    assert text.count("{") == text.count("}")


def test_lookup() -> None:
    assert lookup("relu") is registry()["relu"]
    assert lookup("no such function") is None
    assert all(name == function.name for name, function in registry().items())
