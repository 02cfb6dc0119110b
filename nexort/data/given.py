"""What a user hands to a program, and the numbers and arrays that a program has by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nexort.program.numbers import Number, number_of, own_sizes, resolve
from nexort.program.program import Program
from nexort.support.diagnostics import Report

if TYPE_CHECKING:
    from nexort.data.arrays import LoadedArray
    from nexort.program.unrolled import Array

MAX_INSTRUCTIONS = 1_000_000
"""Nodes that a program may unroll to, rounds of loops included."""


@dataclass(frozen=True)
class Given:
    """What a user hands to a program: numbers for params and dims, arrays for data, and how many
    instructions it may unroll to."""

    numbers: Mapping[str, Number]
    arrays: Mapping[str, LoadedArray]
    max_instructions: int = MAX_INSTRUCTIONS


def bind_given(
    program: Program, given: Given
) -> tuple[dict[str, Number], dict[str, Array], dict[str, int]]:
    """The params, the data and the sizes of dims. Raises NexortError."""
    from nexort.data.binding import bind

    report = Report()
    params, dims = resolve(program, given.numbers, report)
    report.stop()
    declared = {name: (d.axes, d.span) for name, d in program.data.items()}
    arrays = {**defaults(program, given), **given.arrays}
    return params, *bind(declared, arrays, dims, own_sizes(program, given.numbers))


def defaults(program: Program, given: Given) -> dict[str, LoadedArray]:
    """The literal values of data that are not given."""
    import numpy as np

    from nexort.data.arrays import LoadedArray

    found: dict[str, LoadedArray] = {}
    for name, declared in program.data.items():
        if declared.default is not None and name not in given.arrays:
            array: Array = np.asarray(declared.default.attr, dtype=float)
            found[name] = LoadedArray(array, f"the default of {name}")
    return found


def known_numbers(program: Program, given: Given) -> dict[str, Number]:
    """The numbers of the params that have one, defaults with those that are given."""
    unknown = [name for name in given.numbers if name not in {**program.params, **program.dims}]
    if unknown:
        report = Report()
        resolve(program, given.numbers, report)
        report.stop()
    found: dict[str, Number] = {}
    for name, param in program.params.items():
        value = given.numbers.get(name)
        if value is None and param.default is not None:
            value = number_of(param.default, found)
        if value is not None:
            found[name] = value
    return found


SMALL = 2
"""The size of dims that are not known, where any will do."""


def placeholders(program: Program, given: Given, size: int = SMALL, draw: int = 0) -> Given:
    """Numbers for data that have no values, and sizes for dims that have none: which limit a
    training has depends on neither. The first ``draw`` is of ones, the second positive."""
    import numpy as np

    from nexort.data.arrays import LoadedArray

    report = Report()
    _, dims = resolve(program, given.numbers, report)
    report.stop()
    sizes = {name: size for name, size in dims.items() if size is not None}
    for name, data in program.data.items():
        known = given.arrays.get(name)
        values = known.array if known is not None else None
        if values is None and data.default is not None:
            values = np.asarray(data.default.attr, dtype=float)
        if values is not None and values.ndim == len(data.axes):
            for axis, length in zip(data.axes, values.shape, strict=True):
                sizes.setdefault(axis.name, length)
    arrays = dict(given.arrays)
    for name, data in program.data.items():
        if name not in arrays and data.default is None:
            shape = [a.size if a.size is not None else sizes.get(a.name) for a in data.axes]
            filled = np.ones([size if s is None else s for s in shape])
            if draw:
                rng = np.random.default_rng(draw)
                filled = rng.uniform(0.5, 1.5, filled.shape)
                filled *= rng.choice([1, -1], filled.shape) if draw > 1 else 1
            arrays[name] = LoadedArray(filled, f"numbers for {name}")
    used = {a.name for d in program.data.values() for a in d.axes}
    loose = {name: size for name in dims if name not in sizes and name not in used}
    return replace(given, arrays=arrays, numbers={**given.numbers, **loose})
