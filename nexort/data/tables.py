"""Text tables of numbers: cells between commas, semicolons or spaces, perhaps under a header."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, Source, Span, fail

_WORD = re.compile(r"\S+")


def parse_table(source: Source) -> Array:
    """The table as an array of shape (rows, columns).

    The first line is a header if none of its cells is a number. Blank lines and lines that start
    with ``#`` are skipped. Raises NexortError with the row and the column of a bad cell.
    """
    rows: list[list[float]] = []
    separator: str | None = None
    width = first = offset = 0
    for number, line in enumerate(source.text.split("\n"), start=1):
        start, offset = offset, offset + len(line) + 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not first:
            separator = next((mark for mark in ";," if mark in line), None)
        if not first and all(_number(cell) is None for cell, _ in _cells(line, separator)):
            first = number
            continue
        first = first or number
        row = _row(line, separator)
        if row is None:
            raise _bad_cell(source, number, start, separator)
        if rows and len(row) != width:
            message = (
                f"{source.name}: line {number} has {len(row)} columns, "
                f"but the lines before have {width}"
            )
            raise fail("data-table", message, Span(source, start, start + len(line.rstrip())))
        width = len(row)
        rows.append(row)
    if not rows:
        raise fail("data-table", f"{source.name}: found no row of numbers")
    return np.array(rows)


def _row(line: str, separator: str | None) -> list[float] | None:
    """The numbers of a line, or None if a cell is not one."""
    if "_" not in line:
        try:
            return [float(cell) for cell in line.split(separator)]
        except ValueError:
            pass
    numbers = [_number(cell) for cell, _ in _cells(line, separator)]
    return None if None in numbers else [x for x in numbers if x is not None]


def _cells(line: str, separator: str | None) -> Iterator[tuple[str, int]]:
    """The cells of a line, each with its offset."""
    if separator is None:
        for match in _WORD.finditer(line):
            yield match.group(), match.start()
        return
    offset = 0
    for cell in line.split(separator):
        bare = cell.strip()
        yield bare, offset + (cell.index(bare) if bare else 0)
        offset += len(cell) + 1


def _number(cell: str) -> float | None:
    bare = cell.strip('"') if cell.startswith('"') else cell.strip("'")
    try:
        return None if "_" in bare else float(bare)
    except ValueError:
        return None


def _bad_cell(source: Source, row: int, start: int, separator: str | None) -> NexortError:
    """The first cell of a line that is not a number."""
    line = source.text[start:].split("\n", 1)[0]
    cells = enumerate(_cells(line, separator), start=1)
    column, cell, at = next((c, cell, at) for c, (cell, at) in cells if _number(cell) is None)
    found = f"'{cell if len(cell) <= 40 else cell[:40] + '...'}'" if cell else "an empty cell"
    message = f"{source.name}: line {row}, column {column}: found {found}, expected a number"
    decimal = separator == ";" and _number(cell.replace(",", ".")) is not None
    span = Span(source, start + at, start + at + max(1, len(cell)))
    return fail("data-table", message, span, help="write 0.5, not 0,5" if decimal else None)
