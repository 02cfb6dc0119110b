"""A picture of training: outputs over the steps, finite runs as bands and the limit as a line.

The paper's Figures 5.1 and 5.2: one row a tracked entry of the output, one column a width; the
bands close on the line as the width grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.compare.style import COLOURS, INK, STYLE, check_picture_path, save
from nexort.report.compare.verification import entry_label
from nexort.report.results.estimate import Estimate
from nexort.support.diagnostics import fail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRACKED = 4
"""Entries of an output that are drawn where none are chosen: the first ones."""

MOST = 8
"""The most rows, or columns, of a picture."""

THIN = 20
"""Up to so many single runs are drawn in a panel."""

_RUNS, _LIMIT = COLOURS[0], COLOURS[1]


def plot_trajectories(
    limit: Estimate | None,
    runs: Mapping[int, Array],
    path: str | Path,
    *,
    tracked: Sequence[int] | None = None,
    title: str | None = None,
    name: str = "f",
) -> None:
    """Draw an output over the steps to ``.png``, ``.pdf`` or ``.svg``.

    ``limit`` has shape (steps + 1, *axes), ``runs`` an array (seeds, steps + 1, *axes) a width; of
    either there may be none. ``tracked`` are the entries to draw, counted along all axes after the
    steps. What is not finite is left out. Raises NexortError for entries that there are not, for
    more than fit, and where the file cannot be written.
    """
    check_picture_path(path)
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        save(draw_trajectories(limit, runs, tracked, title, name), path)


def draw_trajectories(
    limit: Estimate | None,
    runs: Mapping[int, Array],
    tracked: Sequence[int] | None,
    title: str | None,
    name: str,
) -> Figure:
    """The picture of :func:`plot_trajectories`, in the style that is set."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shape = _shape(limit, runs)
    rows = _rows(tracked, shape)
    widths: list[int | None] = [*sorted(runs)] or [None]
    if len(widths) > MOST:
        raise fail("bad-option", f"{len(widths)} widths to draw, at most {MOST} fit in a picture")
    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    figure.set_size_inches(max(6.0, 1.2 + 3.0 * len(widths)), 1.3 + 1.75 * len(rows))
    panels = figure.subplots(len(rows), len(widths), sharex=True, sharey="row", squeeze=False)
    for row, flat in enumerate(rows):
        for column, width in enumerate(widths):
            axes = panels[row, column]
            _panel(axes, limit, None if width is None else runs[width], flat)
            if row == 0:
                axes.set_title("limit" if width is None else f"n = {width}")
            if row == len(rows) - 1:
                axes.set_xlabel("step")
        panels[row, 0].set_ylabel(f"{name}{entry_label(shape, (), flat)}")
        _heights(panels[row], limit, runs, flat)
    figure.align_ylabels(list(panels[:, 0]))
    if title:
        figure.suptitle(title, fontsize=12, color=INK)
    # one legend for all panels
    handles, labels = panels[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), labelcolor=INK)
    return figure


def _shape(limit: Estimate | None, runs: Mapping[int, Array]) -> tuple[int, ...]:
    """The axes after the steps, the same for all."""
    shapes = {np.shape(found)[1:] for found in runs.values()}
    if limit is not None:
        shapes.add(limit.shape)
    if len(shapes) != 1:
        raise fail(
            "bad-option", f"found outputs of {len(shapes)} shapes, expected the same for all"
        )
    [(_, *axes)] = shapes
    return tuple(axes)


def _rows(tracked: Sequence[int] | None, shape: tuple[int, ...]) -> list[int]:
    entries = int(np.prod(shape))
    if tracked is None:
        return list(range(min(entries, TRACKED)))
    for k in tracked:
        if not 0 <= k < entries:
            raise fail("bad-option", f"there is no entry {k} to draw, expected 0 to {entries - 1}")
    if not 0 < len(tracked) <= MOST:
        raise fail("bad-option", f"{len(tracked)} entries to draw, expected 1 to {MOST}")
    return list(tracked)


def _panel(axes: Axes, limit: Estimate | None, runs: Array | None, flat: int) -> None:
    """One entry at one width."""
    from matplotlib.ticker import MaxNLocator

    if runs is not None:
        found = _entry(runs, 2, flat)
        steps = np.arange(found.shape[1])
        several = len(found) > 1
        for k, run in enumerate(found[:THIN] if several else ()):
            label = "" if k else "single runs"
            axes.plot(steps, run, color=_RUNS, alpha=0.4, linewidth=0.6, label=label)
        mean, spread = _moments(found)
        axes.plot(steps, mean, color=_RUNS, linewidth=1.4, label="mean" if several else "one run")
        if several:
            axes.fill_between(
                steps, mean - spread, mean + spread, color=_RUNS, alpha=0.22, linewidth=0,
                label="± standard deviation",
            )  # fmt: skip
    if limit is not None:
        value, error = _entry(limit.plain, 1, flat), _entry(limit.error, 1, flat)
        steps = np.arange(len(value))
        axes.fill_between(steps, value - error, value + error, color=_LIMIT, alpha=0.3, linewidth=0)
        axes.plot(steps, value, "--", color=_LIMIT, linewidth=1.6, label="limit, n → ∞", zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.01)


def _entry(values: Array, leading: int, flat: int) -> Array:
    """One entry over the leading axes; NaN where it is not finite."""
    found = np.asarray(values, dtype=float).reshape(*values.shape[:leading], -1)[..., flat]
    return np.where(np.isfinite(found), found, np.nan)


def _moments(found: Array) -> tuple[Array, Array]:
    """Mean and standard deviation over the runs that are finite at a step; NaN where none is."""
    known = np.isfinite(found)
    count = known.sum(axis=0)
    least = np.maximum(count, 1)
    mean = np.where(known, found, 0).sum(axis=0) / least
    squares = np.where(known, (found - mean) ** 2, 0).sum(axis=0)
    spread = np.sqrt(squares / np.maximum(count - 1, 1))
    return np.where(count > 0, mean, np.nan), np.where(count > 0, spread, np.nan)


def _heights(
    row: Sequence[Axes], limit: Estimate | None, runs: Mapping[int, Array], flat: int
) -> None:
    """A range of values that shows the limit and the bands; single wild runs may leave it."""
    shown = []
    if limit is not None:
        shown.append(_entry(limit.plain, 1, flat))
    for found in runs.values():
        mean, spread = _moments(_entry(found, 2, flat))
        shown += [mean - spread, mean + spread]
    values = np.concatenate([v[np.isfinite(v)] for v in shown])
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * (high - low) or 0.1
    row[0].set_ylim(low - margin, high + margin)


__all__ = ["draw_trajectories", "plot_trajectories"]
