"""Values as whole arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nexort.limit.exact.errors import bound_of
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import FREE, Index, Label
from nexort.limit.exact.operations import NotFiniteError, operation
from nexort.limit.exact.values import Value, What
from nexort.program.unrolled import Array, Unrolled

AMPLIFIED = 4.0
EPS = float(np.finfo(float).eps)


def frame_of(program: Unrolled, rtol: float) -> Frame:
    """Reads a program's own data."""

    def size(label: Label) -> int:
        return int(label.axis) if label.axis.isdigit() else program.sizes[label.axis]

    def source(name: Any, indices: tuple[Index, ...]) -> Array:
        match name:
            case ("data", str(entry)):
                return program.data[entry]
            case ("size", str(axis)):
                return np.asarray(float(program.sizes[axis]))
            case ("ones", str(axis)):
                return np.ones(size(Label(FREE, 0, axis)))
            case _:
                return np.asarray(name, dtype=float)

    return Frame(size, source, rtol=rtol, same=True, entrywise=True)


Bounded = tuple[Array, Array]
"""An array, and bounds on the errors of its entries."""


def evaluate_values(
    roots: Iterable[Value], frame: Frame, checked: Iterable[Value] = ()
) -> dict[Value, Bounded]:
    """Some values; those of ``checked`` are found too, as they must be finite.

    Raises NotFiniteError, Indefinite, NotIntegrable.
    """
    roots = list(roots)
    order = dependency_order([*roots, *checked])
    last: dict[Value, int] = {}
    for position, value in enumerate(order):
        for a in value.args:
            last[a] = position
    kept = set(roots)
    arrays: dict[Value, Any] = {}
    bounds: dict[Value, Any] = {}
    with np.errstate(all="ignore"):
        for position, value in enumerate(order):
            args = [arrays[a] for a in value.args]
            found = operation(value)(frame, args)
            if value.what is not What.COV and not np.all(np.isfinite(found)):
                raise NotFiniteError(value)
            if value in last or value in kept:
                arrays[value] = found
                bounds[value] = bound_of(value, frame, args, [bounds[a] for a in value.args], found)
            frame.errors.pop(value, None)
            for a in value.args:
                if last[a] == position and a not in kept:
                    arrays.pop(a, None)
                    bounds.pop(a, None)
    return {v: (np.asarray(arrays[v]), _full(bounds[v], arrays[v])) for v in roots}


def _full(error: Any, array: Any) -> Array:
    return np.broadcast_to(np.asarray(error, float), np.shape(array))


def broadcast_value(
    value: Value, array: Array, labels: Sequence[Label], shape: tuple[int, ...]
) -> Array:
    """A value's array with an axis for each of some labels, those that it has among them."""
    array = np.asarray(array)
    spread = tuple(slice(None) if x in value.labels else None for x in labels)
    return np.broadcast_to(array[spread], shape)


def footprint(roots: Iterable[Value], frame: Frame) -> int:
    """The bytes of the arrays that :func:`evaluate_values` holds at a time with their bounds,
    temporaries as large again."""
    roots = list(roots)
    order = dependency_order(roots)
    sizes = {v: 16 * math.prod(frame.length(x) for x in v.labels) for v in order}
    last = {a: position for position, v in enumerate(order) for a in v.args}
    kept = set(roots)
    live = peak = 0
    for position, value in enumerate(order):
        live += sizes[value]
        peak = max(peak, live + sizes[value])
        live -= sum(sizes[a] for a in set(value.args) if last[a] == position and a not in kept)
    return peak


def relative_error(
    below: Iterable[Value], errors: Mapping[Value, float], eps: float = EPS
) -> float:
    """Of a root with these values below it, itself included: the sum of the errors of the
    expectations, times what divisions may amplify them by, and of the rounding of every step; an
    estimate, relative to the root's size (nexort.limit.exact.sizes)."""
    random = [v for v in below if v.what is not What.NUMBER]
    return AMPLIFIED * sum(errors.get(v, 0.0) for v in random) + 4 * eps * len(random)
