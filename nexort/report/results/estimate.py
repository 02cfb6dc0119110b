"""An array of numbers with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.html import cell_of, html_page
from nexort.report.results.numbers import Labels
from nexort.report.results.text import lines_of


class Estimate(np.ndarray[Any, Any]):
    """Values with standard errors: an array that is read-only, so that the two stay together.

    ``error`` has the shape of the values and is 0 where they are exact. ``method`` says how they
    were found (``exact``, ``sampled: 16 x 4096 points``), ``name`` what they are, and ``labels``
    which numbers count the entries of the leading axes (family indices), where not 0, 1, 2, ...;
    ``random`` says that they are expectations of what is random in the limit.
    Indexing, transposing, reshaping and copying keep the errors; arithmetic and all else returns
    plain arrays.
    """

    method: str
    name: str
    labels: Labels
    runs: Array | None
    random: bool
    _error: Array | None

    def __new__(
        cls,
        value: Any,
        error: Any = 0.0,
        method: str = "exact",
        name: str = "",
        labels: Sequence[Sequence[int]] = (),
        random: bool = False,
    ) -> Estimate:
        """``error`` is broadcast to the shape of ``value``."""
        values = np.array(value, dtype=np.float64)
        made = values.view(cls)
        made._error = np.array(np.broadcast_to(np.asarray(error, np.float64), values.shape))
        made._error.flags.writeable = False
        made.method, made.name, made.random = method, name, random
        made.labels = tuple(tuple(int(k) for k in axis) for axis in labels)
        if tuple(map(len, made.labels)) != values.shape[: len(made.labels)]:
            raise ValueError(f"labels {made.labels} for shape {values.shape}")
        made.flags.writeable = False
        return made

    def __array_finalize__(self, parent: Any) -> None:
        self._error = None
        self.runs = None
        self.labels = ()
        self.random = getattr(parent, "random", False)
        self.method = getattr(parent, "method", "")
        self.name = getattr(parent, "name", "")

    @property
    def error(self) -> Array:
        """Standard errors, shape as the values; NaN where they are not known."""
        return np.full(self.shape, np.nan) if self._error is None else self._error

    @property
    def plain(self) -> Array:
        """The values without errors (no copy)."""
        return self.view(np.ndarray)

    def __getitem__(self, key: Any) -> Estimate:
        key = _plain(key)
        place, labels = _indexed(self, key)
        name = self.name and self.name + place
        return Estimate(self.plain[key], self.error[key], self.method, name, labels, self.random)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_plain(inputs), **{k: _plain(v) for k, v in options.items()})

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return func(*_plain(args), **{k: _plain(v) for k, v in kwargs.items()})

    def _both(self, change: Callable[[Array], Array]) -> Estimate:
        changed = change(self.plain), change(self.error)
        return Estimate(*changed, self.method, self.name, random=self.random)

    @property
    def T(self) -> Estimate:  # noqa: N802 - numpy's name
        """The axes in reverse order."""
        return self.transpose()

    def transpose(self, *axes: Any) -> Estimate:
        """As for arrays, errors included; likewise the following."""
        return self._both(lambda a: a.transpose(*axes))

    def reshape(self, *shape: Any, **options: Any) -> Estimate:
        return self._both(lambda a: a.reshape(*shape, **options))

    def ravel(self, *order: Any) -> Estimate:
        return self._both(lambda a: a.ravel(*order))

    def flatten(self, *order: Any) -> Estimate:
        return self._both(lambda a: a.flatten(*order))

    def squeeze(self, *axis: Any) -> Estimate:
        return self._both(lambda a: a.squeeze(*axis))

    def dot(self, other: Any, *out: Any) -> Any:
        """A plain array."""
        return self.plain.dot(_plain(other), *out)

    def astype(self, *args: Any, **options: Any) -> Array:
        """A plain array."""
        return self.plain.astype(*args, **options)

    def copy(self, *order: Any) -> Estimate:
        made = Estimate(self.plain, self.error, self.method, self.name, self.labels, self.random)
        made.runs = self.runs
        return made

    def __copy__(self) -> Estimate:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> Estimate:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        made = (np.array(self.plain), np.array(self.error), self.method, self.name, self.labels,
                self.random)  # fmt: skip
        return Estimate, made, self.runs

    def __setstate__(self, runs: Any, /) -> None:
        self.runs = runs

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.ndim == 0 else str(self)

    def __str__(self) -> str:
        return "\n".join(lines_of(self.name, self.plain, self.error, self.labels))

    def __repr__(self) -> str:
        return f"{self}  ({self.method})" if self.method else str(self)

    def _repr_html_(self) -> str:
        return html_page([self.html_row(self.name)])

    def html_row(self, name: str) -> tuple[str, str, str]:
        """Of :func:`html_page`, under a name."""
        return name, cell_of(self.plain, self.error, self.labels), self.method


def grid_labels(indices: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Labels:
    """The labels of a family's axes from the indices of its members, in order, on a full grid."""
    grid = np.array(indices, dtype=int).reshape((*shape, len(shape)))
    axes = [np.moveaxis(grid[..., k], k, 0).reshape(size, -1)[:, 0] for k, size in enumerate(shape)]
    return tuple(tuple(map(int, axis)) for axis in axes)


def _plain(value: Any) -> Any:
    """Estimates as plain arrays, also within lists and tuples."""
    if isinstance(value, Estimate):
        return value.plain
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def _indexed(value: Estimate, key: Any) -> tuple[str, Labels]:
    """``[2, 0]`` where integers picked leading axes, and the labels of the axes that are left;
    neither after other indexing than with integers and slices."""
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) > value.ndim or any(type(k) not in (int, slice) for k in keys):
        return "", ()
    kept: list[tuple[int, ...]] = []
    picked: list[str] = []
    for axis, k in enumerate((*keys, *[slice(None)] * (value.ndim - len(keys)))):
        labels = value.labels[axis] if axis < len(value.labels) else None
        if isinstance(k, slice):
            kept += [] if labels is None else [labels[k]]
        elif not kept and len(picked) == axis:
            picked.append(str(labels[k] if labels else range(value.shape[axis])[k]))
    return f"[{', '.join(picked)}]" if picked else "", tuple(kept)
