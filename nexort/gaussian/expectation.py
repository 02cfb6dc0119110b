"""E f(z) and E f(z_a) g(z_b), each by the most certain route there is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import orthant, pairs, pieces, series
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.growth import quadratic_growth
from nexort.gaussian.quadrature import OutOfRange, is_square_integrable, lost_size
from nexort.gaussian.sizes import size_of_terms
from nexort.gaussian.terms import Terms, normal_form, terms_graph
from nexort.gaussian.univariate import Univariate
from nexort.program import build

CLOSED, SERIES, QUADRATURE = "closed form", "Hermite series", "quadrature"
PIECEWISE = "bivariate normal integrals"
"""The routes; the last is of ``nexort.gaussian.pieces``."""
ONE = Univariate(build.constant(1))
ALIKE = 4e-15
"""Gaps 1 - rho up to this are rounding of 0 (float64)."""


class NotIntegrable(Exception):
    """A function without a Gaussian expectation at ``variance``."""

    def __init__(self, function: Univariate, variance: float) -> None:
        super().__init__(f"not integrable against a Gaussian of variance {variance:.6g}")
        self.function, self.variance = function, variance


@dataclass(frozen=True, slots=True)
class Expectation:
    """``value`` and the route, with an ``absolute`` error and one ``relative`` to the products of
    ``scales``, (E f^2)^(1/2) of rows and (E g^2)^(1/2) of columns (bounds or estimates; roundings
    of closed forms are not counted)."""

    value: Array
    absolute: Array | float
    method: str
    relative: float = 0.0
    scales: tuple[Array, Array] | None = None

    @property
    def error(self) -> Array | float:
        """Both errors, absolute."""
        if not self.relative or self.scales is None:
            return self.absolute
        return self.absolute + self.relative * (self.scales[0] * self.scales[1])

    @property
    def part(self) -> float:
        """The largest error, as a part of the product of scales."""
        if isinstance(self.absolute, float) and not self.absolute:
            return self.relative
        if self.scales is None:
            scale: Any = float(np.max(np.abs(self.value), initial=0.0))
        else:
            scale = self.scales[0] * self.scales[1]
        part = np.divide(self.absolute, scale, where=scale > 0, out=np.zeros(np.shape(self.value)))
        return self.relative + float(np.max(part, initial=0.0))


def method_of(f: Univariate, g: Univariate) -> str:
    """The route that :func:`expect_pair` tries first."""
    if pairs.pair_evaluator(f, g) is not None:
        return CLOSED
    if pieces.is_piecewise_pair(f, g):
        return PIECEWISE
    return QUADRATURE if f.kinks and g.kinks else SERIES


def expect_pair(
    f: Univariate, g: Univariate, covariance: Covariance, rtol: float = 1e-8
) -> Expectation:
    """E f(z_a) g(z_b), in the shape of the covariance.

    Raises NotIntegrable, and NotPositive for a covariance that is none.
    """
    found = _expect_pair(f, g, covariance, rtol)
    if found.method == CLOSED or covariance.means is not None:
        return found
    lost = lost_size(f, covariance.left), lost_size(g, covariance.right)
    if lost == (0.0, 0.0):
        return found
    # |E f g - E (f + d)(g + e)| by Cauchy and Schwarz, which says nothing without second moments
    sizes = size_of_terms(f, covariance.left, rtol), size_of_terms(g, covariance.right, rtol)
    with np.errstate(all="ignore"):
        more = lost[0] * (sizes[1] + lost[1]) + sizes[0] * lost[1] + np.zeros(covariance.shape)
    more = np.where(np.isfinite(more), more, 0).reshape(np.shape(found.value))
    return replace(found, absolute=found.absolute + more)


def _expect_pair(f: Univariate, g: Univariate, covariance: Covariance, rtol: float) -> Expectation:
    check_pair(f, g, covariance)
    if covariance.means is not None:
        return _entries(f, g, covariance, rtol)
    evaluate = pairs.pair_evaluator(f, g)
    if evaluate is not None:
        value = _with_zeros(f, g, covariance, evaluate(covariance))
        error = jump_error(f, g, covariance, covariance.uncertainty)
        # closed forms are those of laws under which each function has an expectation of its own
        beyond = _without_moment(f, g, covariance)
        if beyond.any() and (beyond := beyond & np.isnan(value)).any():
            value, error = np.array(value), np.array(np.broadcast_to(error, value.shape))
            value[beyond], error[beyond] = _hard_entries(f, g, covariance, beyond, rtol)
            return Expectation(value, error, QUADRATURE)
        return Expectation(value, error, CLOSED)
    if pieces.is_piecewise_pair(f, g):
        value, error, unsure = pieces.pieces_expectation(f, g, covariance)
        scales = size_of_terms(f, covariance.left, rtol), size_of_terms(g, covariance.right, rtol)
        far = ~(error <= rtol * (scales[0] * scales[1]))
        value = _with_zeros(f, g, covariance, value)
        if covariance.least <= 0:
            error = np.where((covariance.left > 0) & (covariance.right > 0), error, 0)
        found = Expectation(value, error + unsure, PIECEWISE, 0.0, scales)
        return _joined(far, _split(f, g, covariance, rtol), found) if far.any() else found
    return _split(f, g, covariance, rtol)


def jump_error(f: Univariate, g: Univariate, k: Covariance, unsure: Any) -> Array | float:
    """What errors of 1 - rho make of E f(z_a) g(z_b) with jumps J_f and J_g at 0:

    |d E / d theta| = |J_f J_g| / 2 pi,  |d theta| <= d / max(sin theta, (d / 2)^(1/2)).
    """
    jump = abs(orthant.jump(normal_form(f.node)) * orthant.jump(normal_form(g.node)))
    if not jump or not np.any(unsure):
        return 0.0
    least = np.maximum(k.sine, np.sqrt(unsure / 2))
    angle = np.divide(unsure, least, out=np.zeros(k.shape), where=least > 0)
    return np.asarray(angle * (jump / (2 * math.pi)))


def _joined(where: Array, first: Expectation, second: Expectation) -> Expectation:
    """The first at some entries, the second at the others."""
    shape = np.shape(second.value)
    value = np.where(where, first.value, second.value).astype(second.value.dtype, copy=False)
    error = np.where(where, np.broadcast_to(first.error, shape), second.error)
    known = (first if np.any(value[where]) else second).method
    return Expectation(value, error, known, 0.0, second.scales)


def _split(f: Univariate, g: Univariate, covariance: Covariance, rtol: float) -> Expectation:
    """What is known in closed form of the sum, and the rest by series and quadrature."""
    f_known, f_rest, g_known, g_rest = pairs.split_known(f, g)
    value: Any = 0.0
    parts = []
    if f_known and g_known:
        value = pairs.of_terms(f_known, g_known)(covariance)
    for first, second in ((f_rest, None), (f_known, g_rest)):
        if first and (second is None or second):
            left, right = _function(first, f), g if second is None else _function(second, g)
            parts.append(_numeric(left, right, covariance, rtol))
            value = value + parts[-1].value
    method = QUADRATURE if any(p.method == QUADRATURE for p in parts) else SERIES
    value = _with_zeros(f, g, covariance, np.asarray(value).astype(covariance.dtype, copy=False))
    if len(parts) == 1:
        return replace(parts[0], value=value)
    return Expectation(value, sum(p.error for p in parts), method)


def _function(terms: Terms, whole: Univariate) -> Univariate:
    return whole if terms == normal_form(whole.node) else Univariate(terms_graph(terms))


def _with_zeros(f: Univariate, g: Univariate, k: Covariance, value: Array) -> Array:
    """The values with E f(0) g(z_b) = f(0) E g(z_b) where a variance is 0."""
    if k.least > 0:
        return value
    for first, second, own, other in ((f, g, k.left, k.right), (g, f, k.right, k.left)):
        zero = own == 0
        if zero.any():
            mean = expect_one(second, other).value * first(np.zeros((), k.dtype))
            value = np.where(zero, mean, value).astype(k.dtype, copy=False)
    return value


def gap_after(f: Univariate, covariance: Covariance) -> Array | None:
    """1 - corr(f(z_a), f(z_b)) without cancellation, for the relu family; else None."""
    return orthant.orthant_gap(normal_form(f.node), covariance)


def expect_one(
    f: Univariate, variance: Any, rtol: float = 1e-8, mean: Any | None = None
) -> Expectation:
    """E f(m + z) for z of that variance (entry by entry; m is 0 where not given).

    Raises NotIntegrable.
    """
    variance = np.asarray(variance)
    dtype = variance.dtype if np.issubdtype(variance.dtype, np.floating) else np.dtype(float)
    if variance.size:
        check_one(f, float(variance.max()))
    if mean is not None:
        return _one_by_one(f, variance, np.asarray(mean), rtol, dtype)
    if f.parity == "odd":
        return Expectation(np.zeros(variance.shape, dtype), 0.0, CLOSED)
    evaluate = pairs.pair_evaluator(f, ONE)
    if evaluate is not None:
        one = np.ones((), dtype)
        value = evaluate(Covariance(variance.astype(dtype), one, 0 * one))
        if (variance == 0).any():
            value = np.where(variance == 0, f(np.zeros((), dtype)), value)
        return Expectation(np.asarray(value, dtype), 0.0, CLOSED)
    if len(np.unique(variance)) <= 4:
        return _one_by_one(f, variance, np.zeros(()), rtol, dtype)
    found = series.coefficients(f, variance, rtol)
    error = found.error * np.sqrt(found.square)
    return Expectation(found.values[0].astype(dtype), error, QUADRATURE)


def _one_by_one(
    f: Univariate, variance: Array, mean: Array, rtol: float, dtype: Any
) -> Expectation:
    from nexort.gaussian.quadrature import moment_one

    shape = np.broadcast_shapes(variance.shape, mean.shape)
    value, error = np.zeros(shape), np.zeros(shape)
    for at in np.ndindex(shape):
        s = float(np.sqrt(float(np.broadcast_to(variance, shape)[at])))
        m = float(np.broadcast_to(mean, shape)[at])
        if s == 0:
            value[at] = f(np.asarray(m))
        else:
            value[at], error[at] = moment_one(f, s, min(rtol, 1e-8) * 1e-2, m)
    return Expectation(value.astype(dtype), error, QUADRATURE)


# ---- integrability -------------------------------------------------------------------------------


def check_one(f: Univariate, variance: float) -> None:
    """Raise NotIntegrable where |f| grows like exp(q z^2) with 2 q Var >= 1."""
    q = quadratic_growth(f.node)
    if q and 2 * q * variance >= 1 - 1e-9:
        raise NotIntegrable(f, variance)


def check_pair(f: Univariate, g: Univariate, k: Covariance) -> None:
    """Raise NotIntegrable unless 1 - 2 diag(p, q) Sigma has positive eigenvalues, |f| growing like
    exp(p z^2) and |g| like exp(q z^2)."""
    p, q = quadratic_growth(f.node), quadratic_growth(g.node)
    if (p <= 0 and q <= 0) or not k.left.size or not k.right.size:
        return
    if math.inf in (p, q):
        raise NotIntegrable(
            f if p == math.inf else g, float((k.left, k.right)[q == math.inf].max())
        )
    first, second = 1 - 2 * p * k.left, 1 - 2 * q * k.right
    room = np.minimum(first + second, first * second - 4 * p * q * np.square(k.cross))
    if float(room.min()) <= 1e-9:
        alone = (f, k.left) if p > 0 else (g, k.right)
        raise NotIntegrable(alone[0], float(alone[1].max()))


def _without_moment(f: Univariate, g: Univariate, k: Covariance) -> Array:
    """Where f or g has no expectation, though their product may have one."""
    alone: Array = np.zeros((), bool)
    for h, variance in ((f, k.left), (g, k.right)):
        q = quadratic_growth(h.node)
        if q > 0:
            alone = alone | (2 * q * variance >= 1 - 1e-9)
    return np.broadcast_to(alone, k.shape)


# ---- without a closed form -----------------------------------------------------------------------


def _numeric(f: Univariate, g: Univariate, k: Covariance, rtol: float) -> Expectation:
    """A Hermite series for the entries where it converges to rtol of the natural scale
    (E f^2 E g^2)^(1/2), quadrature for the others."""
    if {f.parity, g.parity} == {"odd", "even"}:
        return Expectation(np.zeros(k.shape, k.dtype), 0.0, SERIES)
    if not (is_square_integrable(f) and is_square_integrable(g)):  # no series
        return _entries(f, g, k, rtol)
    try:
        check_pair(f, f, Covariance(k.left, k.left, k.left))
        check_pair(g, g, Covariance(k.right, k.right, k.right))
        first = series.coefficients(f, k.left, rtol)
        second = first if f == g and k.right is k.left else series.coefficients(g, k.right, rtol)
    except (NotIntegrable, OutOfRange):  # f^2 or g^2 has no mean: no series
        return _entries(f, g, k, rtol)
    rho = np.broadcast_to(k.rho, k.shape).astype(float, copy=False)
    top = max(float(rho.max()), -float(rho.min())) if rho.size else 0.0
    terms = series.terms_needed(first, second, top, rtol / 4)
    hard = np.zeros((), bool)
    limit = 1.0
    if terms is None:
        terms = series.TERMS - 1
        limit = series.series_reach(first, second, terms, rtol / 4)
        hard = np.abs(rho) > limit
    value = series.sparing(first, second, rho, terms, rtol / 4)
    reached = min(top, limit)
    scales = first.scale, second.scale
    part = float(first.relative[terms] * second.relative[terms]) * reached ** (terms + 1)
    relative = max(part, rtol / 4) + first.error + second.error + 1e-15
    if not hard.any():
        return Expectation(value.astype(k.dtype, copy=False), 0.0, SERIES, relative, scales)
    scale = np.broadcast_to(scales[0] * scales[1], k.shape)
    value, error = np.array(value), relative * scale
    same = hard & _alike(f, g, k)
    if same.any():  # on the diagonal of a Gram matrix: E f g of one variable
        variance = np.broadcast_to(k.left, k.shape)[same]
        if f == g:
            value[same] = np.broadcast_to(first.square, k.shape)[same]
            error[same] = (first.error + ALIKE * series.TERMS) * value[same]
        else:
            product = Univariate(build.call("mul", f.node, g.node))
            one = expect_one(product, variance, rtol)
            value[same] = one.value
            error[same] = np.asarray(one.error) + ALIKE * series.TERMS * scale[same]
        hard &= ~same
    if hard.any():
        value[hard], error[hard] = _hard_entries(f, g, k, hard, rtol)
    return Expectation(value.astype(k.dtype, copy=False), error, QUADRATURE, 0.0, scales)


def _alike(f: Univariate, g: Univariate, k: Covariance) -> Array:
    """Where z_a and z_b are one variable to rounding. A gap 1 - rho moves a smooth expectation by
    less than the gap times the mean order of its Hermite series, one with jumps by its root."""
    least = 0.0 if f.kinks or g.kinks else ALIKE if k.dtype == np.float64 else 1e-6
    near = (k.one_minus_rho <= least) & (np.abs(k.left - k.right) <= least * k.left)
    return np.broadcast_to(near, k.shape)


def _hard_entries(
    f: Univariate, g: Univariate, k: Covariance, where: Array, rtol: float
) -> tuple[Array, Array]:
    from nexort.gaussian.planar import entries

    arrays = (k.left_std, k.right_std, k.angle)
    left, right, angle = (np.broadcast_to(x, k.shape)[where].astype(float) for x in arrays)
    return entries(f, g, left, right, angle, rtol)


def _entries(f: Univariate, g: Univariate, k: Covariance, rtol: float) -> Expectation:
    """2-D quadrature, entry by entry."""
    from nexort.gaussian.planar import entries

    shape = k.shape
    arrays = (k.left_std, k.right_std, k.angle)
    flat = [np.broadcast_to(x, shape).astype(float).ravel() for x in arrays]
    means = None
    if k.means is not None:
        m = [np.asarray(x, float) for x in k.means]
        shape = np.broadcast_shapes(shape, *(x.shape for x in m))
        flat = [np.broadcast_to(x, shape).astype(float).ravel() for x in arrays]
        means = (np.broadcast_to(m[0], shape).ravel(), np.broadcast_to(m[1], shape).ravel())
    value, error = entries(f, g, flat[0], flat[1], flat[2], rtol, means)
    return Expectation(
        value.reshape(shape).astype(k.dtype, copy=False), error.reshape(shape), QUADRATURE
    )
