"""Results as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.numbers import Labels, uncertain
from nexort.report.results.text import BLOCKS, GAP, LIST_ROWS, MATRIX_ROWS, axis_labels, rows_shown


def html_page(rows: Iterable[tuple[str, str, str]]) -> str:
    """A table with a row a result: its name, the cell of its value ± error, its method."""
    found = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{cell}</td>'
        f'<td style="text-align:left"><small>{escape(method)}</small></td></tr>'
        for name, cell, method in rows
    )
    return f"<table>{found}</table>"


def cell_of(values: Array, errors: Array, given: Labels) -> str:
    """One result; ``given`` are the labels of its leading axes."""
    if values.ndim == 0:
        return uncertain(float(values), float(errors))
    if values.size == 0:
        return f"empty, shape {values.shape}"
    labels = axis_labels(values, given)
    if values.ndim == 1:
        body = [
            [GAP, ""] if k is None else [str(labels[0][k]), uncertain(values[k], errors[k])]
            for k in rows_shown(values.size, LIST_ROWS)
        ]
        return _table([], body)
    blocks = list(np.ndindex(values.shape[:-2]))
    most = LIST_ROWS if values.ndim - len(given) < 2 else MATRIX_ROWS
    parts = []
    for index in blocks[:BLOCKS]:
        where = ", ".join(str(labels[axis][k]) for axis, k in enumerate(index))
        title = f"<div>[{where}, ·, ·]</div>" if index else ""
        parts.append(title + _matrix(values[index], errors[index], labels[-2:], most))
    if len(blocks) > BLOCKS:
        parts.append(f"<div>{GAP} {len(blocks) - BLOCKS} more</div>")
    return "".join(parts)


def _matrix(values: Array, errors: Array, labels: Sequence[Sequence[int]], most: int) -> str:
    rows, columns = rows_shown(values.shape[0], most), rows_shown(values.shape[1], MATRIX_ROWS)
    head = ["", *(GAP if k is None else str(labels[1][k]) for k in columns)]
    body = []
    for i in rows:
        cells = [
            GAP if i is None or k is None else uncertain(values[i, k], errors[i, k])
            for k in columns
        ]
        body.append([GAP if i is None else str(labels[0][i]), *cells])
    note = ""
    if None in (*rows, *columns):
        note = f"<small>{values.shape[0]} × {values.shape[1]}, abbreviated</small>"
    return _table(head, body) + note


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The first column holds labels."""
    top = "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>" if head else ""
    rows = "".join(
        f"<tr><th>{row[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in body
    )
    return f"<table>{top}{rows}</table>"
