"""Every function of the registry: its expectations, of the numpy function by quadrature."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from gaussian_references import polar

from nexort.activations import Array, registry
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import expect_one, expect_pair
from nexort.gaussian.precise import precise_function as at_many_digits
from nexort.gaussian.univariate import function

SECOND = {"leaky_relu": 0.1, "celu": 0.7}
HALF_LINE = {"log", "sqrt"}
NAMES = [
    f.name
    for f in registry().values()
    if f.name not in HALF_LINE and ((f.arity == 1 and f.name != "neg") or f.name in SECOND)
]
AROUND_ZERO = [name for name in NAMES if set(registry()[name].kinks) <= {0.0}]
LAWS = [(1.0, 1.0, 0.3), (0.6, 1.4, -0.8), (1.2, 0.9, 0.97)]


def numpy_of(name: str) -> Callable[[Array], Array]:
    more = [np.float64(SECOND[name])] if name in SECOND else []
    return lambda z: registry()[name].evaluate(z, *more)


def slope_of(name: str) -> Callable[[Array], Array]:
    """By central differences of order four, a jump at 0 kept."""
    f, h = numpy_of(name), 1e-4

    def slope(z: Array) -> Array:
        away = np.where(np.abs(z) < 3 * h, np.copysign(3 * h, z), z)
        near, far = (f(away + k * h) - f(away - k * h) for k in (1, 2))
        return (8 * near - far) / (12 * h)

    return slope


@pytest.mark.parametrize("name", AROUND_ZERO)
def test_pairs(name: str) -> None:
    f = function(name, *([SECOND[name]] if name in SECOND else []))
    s, t, rho = np.array(LAWS).T
    k = Covariance(s * s, t * t, rho * s * t)
    found = expect_pair(f, f, k)
    wanted = [polar(numpy_of(name), numpy_of(name), *law) for law in LAWS]
    np.testing.assert_allclose(found.value, wanted, rtol=2e-8, atol=2e-8)
    found = expect_pair(f.derivative(), f.derivative(), k)
    wanted = [polar(slope_of(name), slope_of(name), *law) for law in LAWS]
    np.testing.assert_allclose(found.value, wanted, rtol=3e-4, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_means(name: str) -> None:
    f = function(name, *([SECOND[name]] if name in SECOND else []))
    edges = np.unique([-14.0, *np.linspace(-13, 13, 53), 14.0, *registry()[name].kinks])
    x, w = np.polynomial.legendre.leggauss(20)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    z, dz = (middle + half * x).ravel(), (half * w).ravel()
    for s in (0.5, 1.0):
        wanted = np.sum(numpy_of(name)(z) * np.exp(-z * z / (2 * s * s)) * dz)
        wanted /= s * np.sqrt(2 * np.pi)
        assert float(expect_one(f, np.array([s * s])).value[0]) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("name", registry())
def test_many_digits_agree_with_numpy(name: str) -> None:
    arity = registry()[name].arity
    for point in ((0.3, 0.7), (2.5, 1.5), (-1.2, 2.0), (-4.0, 3.0), (7.0, 0.5)):
        if point[0] < 0 and (name in HALF_LINE or name == "pow"):
            continue
        args = point[:arity]
        with mp.workdps(30):
            wanted = float(at_many_digits(name)(*map(mp.mpf, args)))
        value = float(registry()[name].evaluate(*map(np.float64, args)))
        assert value == pytest.approx(wanted, rel=4e-15, abs=1e-15)
