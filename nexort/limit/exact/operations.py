"""What each kind of value does with arrays.

The array of a value has one axis a label, in the labels' order; the axis of a label that it does
not depend on is absent. An operation is made once and used for the whole and for every block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nexort import activations
from nexort.gaussian import orthant, sides
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import (
    CLOSED,
    Expectation,
    expect_one,
    expect_pair,
    gap_after,
    jump_error,
)
from nexort.gaussian.scratch import empty, like, room
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate
from nexort.limit.exact import bent, nearness
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import Index, Label
from nexort.limit.exact.values import Value, What
from nexort.program.unrolled import Array
from nexort.support.roots import symmetric_root

ROUNDINGS = 128
"""Of a variance that is a sum of thousands of entries."""


class NotFiniteError(Exception):
    """A value is infinite or not a number."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


Operation = Callable[[Frame, list[Any]], Any]


def operation(value: Value) -> Operation:
    """The function from the arrays of a value's arguments to its own."""
    match value.what:
        case What.NUMBER:
            return lambda frame, args: float(value.attr)
        case What.ARRAY:
            return _array(value)
        case What.CALL:
            return _call(value)
        case What.SUM:
            return _sum(value)
        case What.EYE:
            return _eye(value)
        case What.STACK:
            return _stack(value)
        case What.ROOT:
            return _root(value)
        case What.GAP:
            return nearness.gap_operation(value, spreads(value))
        case What.MIX:
            return nearness.mix_operation(value, spreads(value))
        case _:
            return _expectation(value)


def _spread(value: Value, labels: tuple[Label, ...]) -> Any:
    """The index that gives an argument's array the axes of ``labels``; None where it has them."""
    if value.labels == labels or not value.labels:
        return None
    return tuple(slice(None) if x in value.labels else None for x in labels)


def spreads(value: Value) -> list[Any]:
    """The indices that give the arguments' arrays the axes of the value."""
    return [_spread(a, value.labels) for a in value.args]


def align_arrays(args: list[Any], places: list[Any]) -> list[Any]:
    """Arrays with the axes that :func:`spreads` gives them."""
    return [a if s is None else a[s] for a, s in zip(args, places, strict=True)]


def labelled_axes(array: Array, indices: tuple[Index, ...], labels: tuple[Label, ...]) -> Array:
    """Fixed entries picked, repeated labels to their diagonal, axes in the labels' order."""
    array = array[tuple(i if isinstance(i, int) else slice(None) for i in indices)]
    names = [i for i in indices if not isinstance(i, int)]
    letters = {x: chr(97 + k) for k, x in enumerate(dict.fromkeys(names))}
    spec = "".join(letters[x] for x in names) + "->" + "".join(letters[x] for x in labels)
    found: Array = np.einsum(spec, array)
    return found


def _array(value: Value) -> Operation:
    source, indices = value.attr

    def run(frame: Frame, args: list[Any]) -> Any:
        found = labelled_axes(frame.source(source, indices), indices, value.labels)
        cut = tuple(frame.ranges.get(x, slice(None)) for x in value.labels)
        return found[cut]

    return run


def _call(value: Value) -> Operation:
    places = spreads(value)
    name = str(value.attr)
    if name == "ratio":
        return lambda frame, args: _ratio(*align_arrays(args, places))
    if name in GAPS:

        def of_gaps(frame: Frame, args: list[Any]) -> Any:
            frame.carried(value)
            return GAPS[name](*align_arrays(args, places))

        return of_gaps
    if name in ("add", "mul"):
        return _chain(value, np.add if name == "add" else np.multiply, places)
    evaluate = activations.registry()[name].evaluate
    return lambda frame, args: evaluate(*align_arrays(args, places))


def _complement(gap: Any) -> Any:
    """rho."""
    gap = np.asarray(gap)
    return sides.correlation(gap) if sides.opposite(gap) else np.subtract(1, gap, out=room(gap))


def _both(own: Any, g: Any, other: Any, h: Any, rest: Any, whole: Any) -> Any:
    """(own g + other h + rest) / whole of gaps g and h, 0 where whole is 0."""
    g, h = np.asarray(g), np.asarray(h)
    less = _weighted(own, sides.one_minus(g), other, sides.one_minus(h), rest, whole)
    if float(less.max(initial=0.0)) <= 2 - sides.OPPOSITE:
        return less
    more = _weighted(own, sides.one_plus(g), other, sides.one_plus(h), rest, whole)
    return sides.gap_of_sides(less, np.where(np.asarray(whole) == 0, 2, more))


def _weighted(own: Any, g: Any, other: Any, h: Any, rest: Any, whole: Any) -> Array:
    first = np.multiply(own, g, out=room(own, g))
    second = np.multiply(other, h, out=room(other, h))
    total = np.asarray(np.add(first, second, out=room(first, second)))
    total = np.asarray(np.add(total, rest, out=room(total, rest)))
    return np.asarray(_ratio(total, whole))


def _signed(gap: Any, c: Any, d: Any) -> Any:
    """The gap of c z_a and d z_b, 1 where one of them vanishes."""
    gap, sign = np.asarray(gap), np.sign(c) * np.sign(d)
    return np.where(sign > 0, gap, np.where(sign < 0, sides.negate_gap(gap), 1))


GAPS: dict[str, Callable[..., Any]] = {
    "complement": _complement, "both": _both, "signed": _signed,
}  # fmt: skip
"""Functions of gaps."""


def _chain(value: Value, step: np.ufunc, places: list[Any]) -> Operation:
    """Terms or factors one after another, in place once the result has all axes."""
    labels: set[Label] = set(value.args[0].labels)
    fits = []
    for a in value.args[1:]:
        fits.append(bool(labels) and labels.issuperset(a.labels))
        labels.update(a.labels)

    def run(frame: Frame, args: list[Any]) -> Any:
        total, *rest = align_arrays(args, places)
        for k, (x, fit) in enumerate(zip(rest, fits, strict=True)):
            if k and fit:
                total = step(total, x, out=total)
            else:
                total = step(total, x, out=like(total) if fit else room(total, x))
        return total

    return run


def _ratio(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0: a regression on what does not vary explains nothing."""
    zero = np.asarray(b) == 0
    return np.where(zero, 0, np.divide(a, np.where(zero, 1, b)))


def _letters(value: Value) -> dict[Label, str]:
    names = sorted({x for a in value.args for x in a.labels})
    return {x: chr(97 + k) for k, x in enumerate(names)}


def einsum_of(value: Value) -> str:
    """What a SUM does, for numpy.einsum."""
    letters = _letters(value)
    sides = ["".join(letters[x] for x in a.labels) for a in value.args]
    return ",".join(sides) + "->" + "".join(letters[x] for x in value.labels)


def _sum(value: Value) -> Operation:
    letters, spec = _letters(value), einsum_of(value)
    sides = spec.partition("->")[0].split(",")
    if len(sides) == 2 and len(value.attr) == 1 and len(value.labels) == 2:
        s = letters[value.attr[0]]
        if len(sides[0]) == len(sides[1]) == 2 and sides[0] != sides[1]:
            turn = [side[0] == s for side in sides]
            first = sides[0].replace(s, "") == letters[value.labels[0]]

            def product(frame: Frame, args: list[Any]) -> Any:
                a, b = (x.T if t else x for x, t in zip(args, turn, strict=True))
                a, b = (a, b) if first else (b, a)
                out = empty((len(a), len(b)), np.result_type(a, b))
                return np.matmul(a, b.T, out=out)

            return product
    return lambda frame, args: np.einsum(spec, *args, optimize=True)


def _eye(value: Value) -> Operation:
    def run(frame: Frame, args: list[Any]) -> Any:
        places = []
        for i in value.attr:
            if isinstance(i, int):
                places.append(np.asarray(i))
            else:
                full = np.arange(frame.sizes(i))[frame.ranges.get(i, slice(None))]
                shape = [-1 if x == i else 1 for x in value.labels]
                places.append(full.reshape(shape))
        return (places[0] == places[1]).astype(frame.dtype)

    return run


def _stack(value: Value) -> Operation:
    rest = tuple(x for x in value.labels if x != value.attr)
    axis = value.labels.index(value.attr)
    places = [_spread(a, rest) for a in value.args]

    def run(frame: Frame, args: list[Any]) -> Any:
        shape = tuple(frame.length(x) for x in rest)
        parts = [np.broadcast_to(a, shape) for a in align_arrays(args, places)]
        found = np.stack(parts, axis).astype(frame.dtype, copy=False)
        cut = [slice(None)] * found.ndim
        cut[axis] = frame.ranges.get(value.attr, slice(None))
        return found[tuple(cut)]

    return run


def _root(value: Value) -> Operation:
    own, at = value.attr

    def run(frame: Frame, args: list[Any]) -> Any:
        matrix = np.asarray(args[0])
        missing = [x for x in own if x not in value.args[0].labels]
        if missing:
            matrix = np.broadcast_to(matrix, tuple(frame.sizes(x) for x in own))
        found = labelled_axes(symmetric_root(matrix), at, value.labels)
        return found[tuple(frame.ranges.get(x, slice(None)) for x in value.labels)]

    return run


def _pair(f: Univariate, g: Univariate, covariance: Any, rtol: float) -> Expectation:
    found = bent.bent_pair(f, g, covariance)
    if found is not None:
        return Expectation(found, 0.0, CLOSED)
    general = covariance.general if isinstance(covariance, bent.Bent) else covariance
    return expect_pair(f, g, general, rtol)


def _unsure(frame: Frame, value: Value, f: Univariate, g: Univariate, covariance: Any) -> Any:
    """What the error of a gap makes of E f(z_a) g(z_b)."""
    error = frame.unsure.get(value.args[0])
    if error is None:
        return 0.0
    general = covariance.general if isinstance(covariance, bent.Bent) else covariance
    return jump_error(f, g, general, error)


def gap_of(value: Value, covariance: Any) -> Array | None:
    """The numbers of an AFTER, from its covariance."""
    f = value.attr
    found = bent.after(f, covariance)
    if found is not None:
        return found
    general = covariance.general if isinstance(covariance, bent.Bent) else covariance
    return gap_after(f, general)


def _shaped(value: Value, array: Any) -> Any:
    """Without the axis that numbers are given in covariances."""
    return array if value.labels else np.asarray(array).reshape(-1)[0]


def _covariance(value: Value) -> Operation:
    places = spreads(value)

    def run(frame: Frame, args: list[Any]) -> Any:
        left, right, *rest = align_arrays(args, places)
        left, right = np.atleast_1d(left), np.atleast_1d(right)
        frame.carried(value)
        if isinstance(value.attr, tuple):
            return bent.child(value.attr[1], rest[0], left, right)
        cross, *gap = (np.atleast_1d(x) for x in rest)
        own = None
        if frame.same and not gap and value.attr is None:
            cross, own = _one_variable(value, left, right, cross)
        if value.attr is not None:
            return bent.Bent(left, right, cross)
        if gap and gap[0].shape == np.broadcast_shapes(left.shape, right.shape):
            return bent.Bent(left, right, gap[0], cross)
        found = Covariance(left, right, cross, gap[0] if gap else None)
        if own is not None:
            found.unsure = np.full(found.shape, found.uncertainty)
            found.unsure[own] = 0
        # of one joint law; where its matrix is given, its root has been taken
        found.notes["positive"] = np.asarray(True)
        return found

    return run


def _one_variable(
    value: Value, left: Array, right: Array, cross: Array
) -> tuple[Array, tuple[Array, ...] | None]:
    """The covariances with that of an entry and itself, known to rounding, as its variance: the
    expectation of a jump depends on the root of the difference. And where that is."""
    axes = {label.axis for label in value.labels}
    if len(value.labels) != 2 or len(axes) != 1 or cross.ndim != 2 or len(set(cross.shape)) != 1:
        return cross, None
    own, s, t = (np.diagonal(np.broadcast_to(x, cross.shape)) for x in (cross, left, right))
    bound = ROUNDINGS * float(np.finfo(cross.dtype).eps) if cross.dtype.kind == "f" else 0.0
    at = np.flatnonzero((s == t) & (np.abs(own - s) <= bound * s))
    cross = cross.copy()
    cross[at, at] = s[at]
    return cross, (at, at)


def expectation_of(value: Value, frame: Frame, arg: Any) -> Any:
    """The numbers of a PAIR, a ONE or a STEIN, from its covariance or variance."""
    return _shaped(value, _found(value, frame, arg)[0])


def _found(value: Value, frame: Frame, arg: Any) -> tuple[Any, Expectation]:
    """The numbers, and the expectation that they come from."""
    if value.what is What.PAIR:
        f, g = value.attr
        found = _pair(f, g, arg, frame.rtol)
        error = _unsure(frame, value, f, g, arg)
        found = replace(found, absolute=found.absolute + error) if np.any(error) else found
        return found.value, found
    variance = np.asarray(arg)
    if value.what is What.ONE:
        found = expect_one(value.attr, variance, frame.rtol)
        return found.value, found
    found = expect_one(value.attr.times_power(1), variance, frame.rtol)
    return _ratio(found.value, variance), found


def _expectation(value: Value) -> Operation:
    def run(frame: Frame, args: list[Any]) -> Any:
        array, found = _found(value, frame, args[0])
        frame.methods[value] = found.method
        if frame.entrywise:
            error = found.error
            error = _ratio(error, np.abs(args[0])) if value.what is What.STEIN else error
            frame.errors[value] = _shaped(value, error)
        elif part := found.part:
            frame.errors[value] = max(part, frame.errors.get(value, 0.0))
        return _shaped(value, array)

    def correlation(frame: Frame, args: list[Any]) -> Any:
        frame.methods[value] = CLOSED
        found = bent.bent_correlation(value.attr, args[0])
        error = _unsure(frame, value, value.attr, value.attr, args[0])
        if np.any(error):
            frame.errors[value] = float(np.max(error)) / float(np.max(np.abs(found)))
        return _shaped(value, found)

    def after(frame: Frame, args: list[Any]) -> Any:
        # a jump makes theta of its root
        jump = orthant.jump(normal_form(value.attr.node))
        frame.carried(value, lambda x: np.sqrt(2 * x) if jump else x)
        return _shaped(value, gap_of(value, args[0]))

    match value.what:
        case What.COV:
            return _covariance(value)
        case What.CORRELATION:
            return correlation
        case What.AFTER:
            return after
        case _:
            return run
