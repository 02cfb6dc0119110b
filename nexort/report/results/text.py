"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.numbers import Labels, align_texts, uncertain, without_error

WIDTH = 100
"""Columns of a terminal that a table may take."""

MATRIX_ROWS = 6
LIST_ROWS = 24
BLOCKS = 4
GAP = "…"


def lines_of(name: str, values: Array, errors: Array, given: Labels) -> list[str]:
    """The lines of one result; ``given`` are the labels of its leading axes."""
    if values.ndim == 0:
        text = uncertain(float(values), float(errors))
        return [f"{name} = {text}" if name else text]
    labels = axis_labels(values, given)
    if values.size == 0:
        return [f"{name} is empty (shape {values.shape})"]
    if values.ndim == 1:
        return _list(name, labels[0], values, errors)
    lines: list[str] = []
    blocks = list(np.ndindex(values.shape[:-2]))
    for index in blocks[:BLOCKS]:
        place = ", ".join(str(labels[axis][k]) for axis, k in enumerate(index))
        title = f"{name}[{place}]" if place else name
        rows = LIST_ROWS if values.ndim - len(given) < 2 else MATRIX_ROWS
        lines += _matrix(title, labels[-2:], values[index], errors[index], rows)
    if len(blocks) > BLOCKS:
        lines.append(f"{GAP} {len(blocks) - BLOCKS} more matrices of {name}")
    return lines


def axis_labels(values: Array, given: Labels) -> list[Sequence[int]]:
    """The numbers that count the entries of each axis: as ``given``, else 0, 1, 2, ..."""
    return [*given, *map(range, values.shape[len(given) :])]


def rows_shown(size: int, most: int) -> list[int | None]:
    """Which of ``size`` rows to show: all, or the first and last around a gap (None)."""
    if size <= most:
        return list(range(size))
    half = (most + 1) // 2
    return [*range(half), None, *range(size - (most - half), size)]


def _list(name: str, labels: Sequence[int], values: Array, errors: Array) -> list[str]:
    picked = rows_shown(len(values), LIST_ROWS)
    texts = iter(align_texts([uncertain(values[k], errors[k]) for k in picked if k is not None]))
    names = [f"{name}[{labels[k]}]" for k in picked if k is not None]
    width = max(map(len, names))
    heads = iter(names)
    hidden = f"{GAP} {len(values) - LIST_ROWS} more entries of {name or 'it'}"
    return [
        hidden if k is None else f"{next(heads):<{width}} = {next(texts)}".rstrip() for k in picked
    ]


def _matrix(
    title: str, labels: Sequence[Sequence[int]], values: Array, errors: Array, most: int
) -> list[str]:
    """A table under column labels; errors entry by entry if there is room, else their bound."""
    rows, columns = rows_shown(values.shape[0], most), rows_shown(values.shape[1], MATRIX_ROWS)
    size = f"{values.shape[0]} x {values.shape[1]}"
    notes = [f"{size}, abbreviated" if None in (*rows, *columns) else size]
    cells = _cells(values, errors, rows, columns)
    head = ["", *(GAP if k is None else str(labels[1][k]) for k in columns)]
    left = [GAP if k is None else str(labels[0][k]) for k in rows]
    table = _table(head, left, cells)
    if len(table[0]) > WIDTH:
        bare = [[without_error(cell) for cell in row] for row in cells]
        table = _table(head, left, bare)
    known = errors[np.isfinite(errors)]
    if np.any(known) and not any("±" in line for line in table):
        notes.append(f"errors up to {np.max(known):.2g}")
    heading = f"{title} ({'; '.join(notes)})".lstrip()
    return [heading, *table]


def _cells(
    values: Array, errors: Array, rows: Sequence[int | None], columns: Sequence[int | None]
) -> list[list[str]]:
    """The texts of a table, row by row, aligned within columns."""

    def column(k: int | None) -> Iterator[str]:
        if k is None:
            return iter([GAP] * len(rows))
        texts = iter(
            align_texts([uncertain(values[i, k], errors[i, k]) for i in rows if i is not None])
        )
        return (GAP if i is None else next(texts) for i in rows)

    return [list(row) for row in zip(*(column(k) for k in columns), strict=True)]


def _table(head: Sequence[str], left: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Right-aligned columns under ``head``, beside the row labels."""
    body = [[label, *row] for label, row in zip(left, cells, strict=True)]
    widths = [max(len(row[k].rstrip()) for row in [list(head), *body]) for k in range(len(head))]
    widths = [max(w, *(len(row[k]) for row in body)) for k, w in enumerate(widths)]
    lines = []
    for row in [list(head), *body]:
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  " + "  ".join(padded).rstrip())
    return lines
