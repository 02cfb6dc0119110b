"""Results as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from nexort.report.results.estimate import Estimate
from nexort.report.results.numbers import uncertain
from nexort.report.results.text import BLOCKS, GAP, LIST_ROWS, MATRIX_ROWS, axis_labels, shown


def page(results: Mapping[str, Estimate]) -> str:
    """A table with a row a result: name, value ± error, method."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{_value(value)}</td>'
        f'<td style="text-align:left"><small>{escape(value.method)}</small></td></tr>'
        for name, value in results.items()
    )
    return f"<table>{rows}</table>"


def _value(value: Estimate) -> str:
    if value.ndim == 0:
        return uncertain(float(value.plain), float(value.error))
    if value.size == 0:
        return f"empty, shape {value.shape}"
    if value.ndim == 1:
        picked = shown(value.size, LIST_ROWS)
        labels = axis_labels(value, 0)
        body = [
            [GAP, ""] if k is None else [str(labels[k]), uncertain(value.plain[k], value.error[k])]
            for k in picked
        ]
        return _table([], body)
    blocks = list(np.ndindex(value.shape[:-2]))
    parts = []
    for index in blocks[:BLOCKS]:
        where = ", ".join(str(axis_labels(value, axis)[k]) for axis, k in enumerate(index))
        title = f"<div>[{where}, ·, ·]</div>" if index else ""
        parts.append(title + _matrix(value, index))
    if len(blocks) > BLOCKS:
        parts.append(f"<div>{GAP} {len(blocks) - BLOCKS} more</div>")
    return "".join(parts)


def _matrix(value: Estimate, index: tuple[int, ...]) -> str:
    values, errors = value.plain[index], value.error[index]
    row_labels, column_labels = (axis_labels(value, value.ndim - k) for k in (2, 1))
    most = LIST_ROWS if value.ndim - len(value.labels) < 2 else MATRIX_ROWS
    rows, columns = shown(values.shape[0], most), shown(values.shape[1], MATRIX_ROWS)
    head = ["", *(GAP if k is None else str(column_labels[k]) for k in columns)]
    body = []
    for i in rows:
        cells = [
            GAP if i is None or k is None else uncertain(values[i, k], errors[i, k])
            for k in columns
        ]
        body.append([GAP if i is None else str(row_labels[i]), *cells])
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
