"""Values as whole arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nexort.exact.factored import ordered
from nexort.exact.labels import FREE, Index, Label
from nexort.exact.operations import Frame, NotFiniteError, operation
from nexort.exact.values import Value, What
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

    return Frame(size, source, rtol=rtol, same=True)


def evaluate(
    roots: Iterable[Value], frame: Frame, checked: Iterable[Value] = ()
) -> dict[Value, Array]:
    """The arrays of some values; those of ``checked`` are found too, as they must be finite.

    Raises NotFiniteError, IndefiniteError, NotIntegrable.
    """
    roots = list(roots)
    order = ordered([*roots, *checked])
    last: dict[Value, int] = {}
    for position, value in enumerate(order):
        for a in value.args:
            last[a] = position
    kept = set(roots)
    arrays: dict[Value, Any] = {}
    with np.errstate(all="ignore"):
        for position, value in enumerate(order):
            found = operation(value)(frame, [arrays[a] for a in value.args])
            if value.what is not What.COV and not np.all(np.isfinite(found)):
                raise NotFiniteError(value)
            if value in last or value in kept:
                arrays[value] = found
            for a in value.args:
                if last[a] == position and a not in kept:
                    arrays.pop(a, None)
    return {v: np.asarray(arrays[v]) for v in roots}


def filled(value: Value, array: Array, labels: Sequence[Label], shape: tuple[int, ...]) -> Array:
    """A value's array with an axis for each of some labels, those that it has among them."""
    array = np.asarray(array)
    spread = tuple(slice(None) if x in value.labels else None for x in labels)
    return np.broadcast_to(array[spread], shape)


def footprint(roots: Iterable[Value], frame: Frame) -> int:
    """The bytes of the arrays that :func:`evaluate` holds at a time, temporaries as large again."""
    roots = list(roots)
    order = ordered(roots)
    sizes = {v: 8 * math.prod(frame.length(x) for x in v.labels) for v in order}
    last = {a: position for position, v in enumerate(order) for a in v.args}
    kept = set(roots)
    live = peak = 0
    for position, value in enumerate(order):
        live += sizes[value]
        peak = max(peak, live + sizes[value])
        live -= sum(sizes[a] for a in set(value.args) if last[a] == position and a not in kept)
    return peak


def relative_errors(
    roots: Iterable[Value], errors: Mapping[Value, float], eps: float = EPS
) -> dict[Value, float]:
    """For every root the sum of the relative errors of the expectations below it, times what
    differences and divisions may amplify them by, and of the rounding of every step: an estimate
    of its own relative error."""
    return {root: relative_error(ordered([root]), errors, eps) for root in roots}


def relative_error(
    below: Iterable[Value], errors: Mapping[Value, float], eps: float = EPS
) -> float:
    """Of a root with these values below it, itself included."""
    random = [v for v in below if v.what is not What.NUMBER]
    return AMPLIFIED * sum(errors.get(v, 0.0) for v in random) + 4 * eps * len(random)
