"""What every entry of the function registry promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from nexort.activations import Array, Function, expectations, lookup, registry
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
    "selu": (-1.7580993408473768, np.inf),
    "relu6": (0, 6),
    "hardtanh": (-1, 1),
    "hardswish": (0, np.inf),
    "softsign": (-1, 1),
    "swish": (0, np.inf),
    "mish": (0, np.inf),
    "quick_gelu": (0, np.inf),
    "gelu_tanh": (0, np.inf),
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
    apart &= (y > 0) | (function.name != "celu")
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
    overflows = function.name == "gelu_tanh" and size**2 > float(
        np.finfo(dtype).max
    )  # its slope has x^2
    assert np.isinf(size) or overflows or not np.any(np.isnan(slope))


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
        ("swish", (-1.0,), -1 / (1 + np.exp(1))),
        ("relu6", (7.0,), 6.0),
        ("relu6", (-1.0,), 0.0),
        ("hardtanh", (-3.0,), -1.0),
        ("hardtanh", (0.25,), 0.25),
        ("hardswish", (-1.5,), -0.375),
        ("hardswish", (4.0,), 4.0),
        ("selu", (-1.0,), -1.1113307378125625),
        ("selu", (1.0,), 1.0507009873554805),
        ("celu", (-1.0, 2.0), 2 * np.expm1(-0.5)),
        ("celu", (3.0, 2.0), 3.0),
        ("mish", (1.0,), 0.8650983882673103),
        ("softsign", (-3.0,), -0.75),
        ("quick_gelu", (1.0,), 0.8457957659328212),
        ("gelu_tanh", (1.0,), 0.8411919906082768),
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


DEFINED = [f for f in ENTRIES if f.definition is not None]
FAMILIES = [
    f for f in ENTRIES if getattr(expectations.known_expectations().get(f.name), "parts", "")
]


@pytest.mark.parametrize("function", DEFINED + FAMILIES, ids=by_name)
def test_functions_are_what_their_definitions_say(function: Function) -> None:
    text = function.definition or expectations.known_expectations()[function.name].parts
    arguments = points(function)
    names = {"pi": np.float64(np.pi), **dict(zip("xy", arguments, strict=False))}
    found, value = value_of(body_of(text), names), function.evaluate(*arguments)
    np.testing.assert_allclose(found, value, rtol=4e-15, atol=4e-15)


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
def test_source_gives_the_values(function: Function) -> None:
    arguments = points(function)
    code = function.source.format(x="x", y="y")
    names = {"np": np, "special": special, **dict(zip("xy", arguments, strict=False))}
    value = function.evaluate(*arguments)
    np.testing.assert_allclose(eval(code, names), value, rtol=4e-15, atol=4e-15)


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
def test_kinks_and_jumps(function: Function) -> None:
    """One-sided slopes differ at kinks, or one-sided values, and nowhere else."""
    second = [np.float64(0.7)] if function.arity == 2 else []
    least = 0.1 if function.name in POSITIVE | {"pow"} else -7.05
    grid = np.arange(least, 7.0, 0.1)
    if function.name in ("max", "min"):
        return  # where both arguments are equal
    h = 1e-6
    for z in sorted({*np.round(grid[np.abs(grid) > 1e-9], 12), *function.kinks}):
        f = [function.evaluate(np.float64(z + k * h), *second) for k in (-2, -1, 1, 2)]
        size = 1 + np.max(np.abs(f))
        jumps = abs(f[2] - f[1]) > 1e-3 * size
        bends = abs((f[3] - f[2]) - (f[1] - f[0])) > 1e-3 * h * size
        assert (jumps or bends or _softly(function, z)) == (z in function.kinks), z
        assert not jumps or function.jumps


def _softly(function: Function, z: float) -> bool:
    """Where only the second derivative jumps."""
    return (function.name, z) in {("elu", 0.0), ("celu", 0.0), ("softsign", 0.0)}


@pytest.mark.parametrize("function", ENTRIES, ids=by_name)
def test_what_is_known_for_counting_sizes(function: Function) -> None:
    x = np.concatenate([np.linspace(-30, 30, 6001), [1e-9, -1e-9, 1e6, -1e6]])
    x = x[x > 0] if function.name in POSITIVE | {"pow"} else x
    second = [np.float64(0.7)] if function.arity == 2 else []
    with np.errstate(all="ignore"):
        value = function.evaluate(x, *second)
    low, high = function.bounds
    assert np.all((value >= low - 1e-15) & (value <= high + 1e-15))
    if np.isfinite(low):
        assert np.min(value) <= low + 1e-3 * (1 + abs(low))
    if function.at_most_linear:
        assert np.all(np.abs(value) <= 2 * np.abs(x))
    if function.degree is not None:
        scaled = function.evaluate(3 * x, *second)
        np.testing.assert_allclose(scaled, 3.0**function.degree * value, rtol=1e-14)
    if function.vanishes:
        for side in (value[(x > 0) & (x < 8)], value[(x < 0) & (x > -8)]):
            assert np.all(side == 0) or np.all(side != 0)


def test_lookup() -> None:
    assert lookup("relu") is registry()["relu"]
    assert lookup("no such function") is None
    assert all(name == function.name for name, function in registry().items())
