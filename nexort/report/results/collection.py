"""All results of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.estimate import Estimate
from nexort.report.schema import numbered


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
        from nexort.report.results.text import render

        return render(self)

    def _repr_html_(self) -> str:
        from nexort.report.results.html import page

        return page(self)

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
            save_json(path, numbered(self.as_json()))
            return
        arrays = {}
        for name, value in self._results.items():
            arrays[name] = value.plain
            arrays[f"{name}.error"] = value.error
        save_arrays(path, arrays)


def json_numbers(array: Array) -> Any:
    """Nested lists of floats, with None for what JSON does not have."""
    values = np.asarray(array, dtype=float)
    if np.isfinite(values).all():
        return values.tolist()
    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    return objects.tolist()
