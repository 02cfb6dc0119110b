"""Arrays to declared data names: every dim's size is inferred and cross-checked."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from nexort.data.arrays import LoadedArray
from nexort.program.types import Axes
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Report, Span, did_you_mean

Declared = Mapping[str, tuple[Axes, Span | None]]
Shapes = dict[str, tuple[int, ...]]


class _Size(NamedTuple):
    """What an axis name stands for, and what says so: a data name, or None for ``--set``."""

    size: int
    data: str | None


def bind(
    declared: Declared,
    given: Mapping[str, LoadedArray],
    dims: Mapping[str, int | None],
    written: Mapping[str, Span] | None = None,
) -> tuple[dict[str, Array], dict[str, int]]:
    """The array of every declared name and the size of every dim.

    ``dims`` are the declared dims, with the size where ``--set`` gave one, or the program itself,
    at the places ``written``. Arrays that came along with a whole ``.npz`` and are not declared are
    left out. Raises NexortError with every error.
    """
    report = Report()
    _check_names(declared, given, report)
    arrays = {}
    for name, (axes, span) in declared.items():
        if name in given:
            array = _with_axes(given[name], len(axes))
            if array.ndim != len(axes):
                _wrong_rank(name, axes, given[name], span, report)
            else:
                arrays[name] = array
    sizes = _sizes(declared, given, arrays, dims, written or {}, report)
    for dim in dims:
        used = any(dim == axis.name for axes, _ in declared.values() for axis in axes)
        if dim not in sizes and not used:
            message = f"the size of {dim} is not known: no data is declared over it"
            report.error("data-size", message, help=f"--set {dim}=8")
    report.stop()
    return arrays, sizes


def _check_names(declared: Declared, given: Mapping[str, LoadedArray], report: Report) -> None:
    missing = [name for name in declared if name not in given]
    unknown = [name for name in given if name not in declared]
    for name in missing:
        axes, span = declared[name]
        near = get_close_matches(name, unknown, n=1)
        file = given[near[0]].origin if near and given[near[0]].in_file else "FILE"
        message = f"no numbers are given for data {name}{_axes(axes)}"
        report.error("data-missing", message, span, help=f"--data {_quoted(f'{name}={file}')}")
    for name in unknown:
        if given[name].asked:
            known = ", ".join(declared) or "none"
            message = f"the program has no data '{name}' ({given[name].origin}), it has {known}"
            report.error("data-unknown", message, help=did_you_mean(name, missing or declared))


def _with_axes(loaded: LoadedArray, count: int) -> Array:
    """The array; the one row or column of a text table is also a vector, its one cell a number."""
    array = loaded.array
    if loaded.table and array.ndim == 2 and count < 2 and array.size == max(array.shape):
        return array.reshape(() if count == 0 and array.size == 1 else -1)
    return array


def _wrong_rank(
    name: str, axes: Axes, loaded: LoadedArray, span: Span | None, report: Report
) -> None:
    expected = f"{len(axes)} {'axis' if len(axes) == 1 else 'axes'}" if axes else "one number"
    message = (
        f"data {name}{_axes(axes)} takes {expected}, "
        f"found shape {loaded.array.shape} in {loaded.origin}"
    )
    help_text = None
    if loaded.in_file and loaded.array.ndim == len(axes) + 1:
        part = ", ".join(["0", *":" * (loaded.array.ndim - 1)])
        help_text = f"select a part: --data {_quoted(f'{name}={loaded.origin}[{part}]')}"
    report.error("data-shape", message, span, help=help_text)


def _sizes(
    declared: Declared,
    given: Mapping[str, LoadedArray],
    arrays: Mapping[str, Array],
    dims: Mapping[str, int | None],
    written: Mapping[str, Span],
    report: Report,
) -> dict[str, int]:
    """Sizes by axis name; what disagrees is reported."""
    shapes = {name: array.shape for name, array in arrays.items()}
    known = {dim: _Size(size, None) for dim, size in dims.items() if size is not None}
    for name, shape in shapes.items():
        axes, span = declared[name]
        for position, (axis, size) in enumerate(zip(axes, shape, strict=True)):
            here = f"{size} in {name} ({given[name].origin})"
            if axis.size is not None:
                if axis.size != size:
                    message = f"axis {position + 1} of {name} is {axis.size}, but {here}"
                    fix = _transpose(declared, given, shapes, dims, (name,))
                    report.error("data-shape", message, span, help=fix)
                continue
            first = known.setdefault(axis.name, _Size(size, name))
            if first.size == size:
                continue
            notes: list[tuple[str, Span | None]] = []
            fix = _transpose(declared, given, shapes, dims, (name, first.data))
            if first.data is None and axis.name in written:
                said = f"{first.size} by dim {axis.name} = {first.size}"
                notes.append((f"the size of {axis.name} is given here", written[axis.name]))
                fix = fix or f"--set {axis.name}={size}"
            elif first.data is None:
                said = f"{first.size} by --set {axis.name}={first.size}"
            else:
                origin = given[first.data].origin
                said = f"{first.size} in {first.data} ({origin})"
                if other := declared[first.data][1]:
                    notes.append((f"{first.data} is declared here", other))
            message = f"axis {axis.name} is {said} but {here}"
            report.error("data-shape", message, span, notes=notes, help=fix)
    return {name: found.size for name, found in known.items()}


def _transpose(
    declared: Declared,
    given: Mapping[str, LoadedArray],
    shapes: Shapes,
    dims: Mapping[str, int | None],
    suspects: tuple[str | None, ...],
) -> str | None:
    """Advice to transpose one of the suspects, if that would make it fit all the others."""
    for name in suspects:
        if name is None or len(shapes[name]) < 2:
            continue
        turned = {**shapes, name: shapes[name][::-1]}
        if not _conflicts(declared, turned, dims, name):
            loaded = given[name]
            option = f"--data {_quoted(f'{name}={loaded.origin}.T')}"
            written = option if loaded.in_file else f"give {name}.T"
            return f"the transposed array would fit: {written}"
    return None


def _conflicts(
    declared: Declared, shapes: Shapes, dims: Mapping[str, int | None], name: str
) -> bool:
    """Whether an array's shape contradicts ``--set``, a literal size, or another array."""
    own = list(zip(declared[name][0], shapes[name], strict=True))
    if any(dims.get(axis.name, size) not in (size, None) for axis, size in own):
        return True
    if any(axis.size not in (size, None) for axis, size in own):
        return True
    pairs = [
        (axis.name, size)
        for other, shape in shapes.items()
        for axis, size in zip(declared[other][0], shape, strict=True)
    ]
    return any(axis.name == label and size != n for axis, size in own for label, n in pairs)


def _axes(axes: Axes) -> str:
    return f"[{', '.join(map(str, axes))}]" if axes else ""


def _quoted(option: str) -> str:
    """For a shell, which would read brackets as a pattern."""
    return f"'{option}'" if set(option) & set("[* ") else option
