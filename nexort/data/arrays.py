"""Arrays with their origin, and what an array must be to serve as data: finite real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.support.diagnostics import fail

MAX_BYTES = 2**32
"""The largest array read from a file, as float64."""

_FOUND = {
    "c": "complex numbers",
    "O": "Python objects",
    "U": "text",
    "S": "text",
    "T": "text",
    "M": "dates",
    "m": "time differences",
    "V": "records",
}


@dataclass(frozen=True)
class LoadedArray:
    """A float64 array and where it is from.

    ``origin`` is the text for messages (``digits.npz:images[:, :8]``). ``in_file`` says that
    ``origin`` is a file reference as ``--data`` takes it, ``table`` that it is from a text table,
    whose single row or column may serve as a vector, and ``asked`` that it was named, rather than
    brought along by a whole ``.npz`` file.
    """

    array: Array
    origin: str
    in_file: bool = False
    table: bool = False
    asked: bool = True


def from_array(name: str, value: Any) -> LoadedArray:
    """A number, (nested) sequence or array as data. Raises NexortError naming ``name``."""
    if isinstance(value, LoadedArray):
        return value
    try:
        found = np.asanyarray(value)
    except (ValueError, TypeError) as error:
        message = f"{name}: the value given is not an array ({error})"
        raise fail("data-values", message) from None
    if isinstance(found, np.ma.MaskedArray) and np.ma.is_masked(found):
        message = f"{name}: {int(found.mask.sum())} numbers are masked, expected none"
        raise fail("data-values", message)
    return LoadedArray(as_numbers(np.asarray(found), name), "the given array")


def check_numeric(dtype: np.dtype[Any], origin: str) -> None:
    """Raise NexortError unless a dtype is one of real numbers or booleans."""
    if dtype.kind in "biuf" and not dtype.hasobject:
        return
    found = "Python objects" if dtype.hasobject else _FOUND.get(dtype.kind, "no numbers")
    helps = {
        "c": "give the real and the imaginary parts as two arrays",
        "O": "save a plain array of numbers: objects are never loaded",
        "V": "save a plain array of numbers, without named fields",
    }
    message = f"{origin}: found {found} (dtype {dtype}), expected real numbers"
    raise fail("data-values", message, help=helps.get("O" if dtype.hasobject else dtype.kind))


def as_numbers(value: Array, origin: str) -> Array:
    """The array in float64. Raises NexortError unless it is not empty, real and finite."""
    check_numeric(value.dtype, origin)
    if value.size == 0:
        raise fail("data-values", f"{origin}: found an empty array of shape {value.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.asarray(value, dtype=np.float64)
        if np.isfinite(array.sum()):  # then so is every entry
            return array
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if count:
        where = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), array.shape))
        place = f", the first, {array[where]}, at {list(where)}" if where else ""
        verb = "is" if count == 1 else "are"
        message = f"{origin}: {count} of {array.size} numbers {verb} NaN or infinite{place}"
        raise fail("data-values", message)
    return array
