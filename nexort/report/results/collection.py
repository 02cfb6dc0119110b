"""All results of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.estimate import Estimate
from nexort.report.results.html import html_page
from nexort.report.results.text import lines_of
from nexort.report.schema import with_schema


class Results(Mapping[str, Estimate]):
    """Estimates by output name, in the program's order."""

    def __init__(self, results: Mapping[str, Estimate]) -> None:
        self._results = dict(results)

    def __getitem__(self, name: str) -> Estimate:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return results_text(self)

    def _repr_html_(self) -> str:
        return html_page(value.html_row(name) for name, value in self.items())

    def as_json(self) -> dict[str, Any]:
        """Plain data: value and error as nested lists (null where not finite), method, and the
        labels of family indices where there are any."""
        return {
            name: {
                "value": json_numbers(value.plain),
                "error": json_numbers(value.error),
                "method": value.method,
                **({"indices": [list(axis) for axis in value.labels]} if value.labels else {}),
            }
            for name, value in self._results.items()
        }

    def save(self, path: str | Path) -> None:
        """Write ``.npz`` (entries NAME and NAME.error) or ``.json``. Raises NexortError."""
        from nexort.report.results.saving import save_arrays, save_json, suffix_of

        if suffix_of(path, (".npz", ".json")) == ".json":
            save_json(path, with_schema(self.as_json()))
            return
        arrays = {}
        for name, value in self._results.items():
            arrays[name] = value.plain
            arrays[f"{name}.error"] = value.error
        save_arrays(path, arrays)


def results_text(results: Mapping[str, Estimate]) -> str:
    """All results as text, and how they were found.

    A scalar is a line ``name = value ± error``, a vector or family a line an entry, a matrix a
    table; what is long is abbreviated, and says so.
    """
    blocks = [
        "\n".join(lines_of(name, value.plain, value.error, value.labels))
        for name, value in results.items()
    ]
    text = ""
    for before, block in zip([None, *blocks], blocks, strict=False):
        if before is not None:
            text += "\n\n" if "\n" in block or "\n" in before else "\n"
        text += block
    methods = _methods(results)
    return f"{text}\n{methods}" if methods else text


def _methods(results: Mapping[str, Estimate]) -> str:
    """``(exact)``, or which outputs were found how."""
    names: dict[str, list[str]] = {}
    for name, value in results.items():
        if value.method:
            names.setdefault(value.method, []).append(name)
    if len(names) < 2:
        return "".join(f"({method})" for method in names)
    return "\n".join(f"({method}) {', '.join(group)}" for method, group in names.items())


def json_numbers(array: Array) -> Any:
    """Nested lists of floats, with None for what JSON does not have."""
    values = np.asarray(array, dtype=float)
    if np.isfinite(values).all():
        return values.tolist()
    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    return objects.tolist()
