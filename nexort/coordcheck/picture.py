"""The usual picture of a coordinate check: size against width on logarithmic axes, one line a
layer, one panel a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexort.coordcheck.outcome import Check
from nexort.coordcheck.rows import QuantityRow
from nexort.coordcheck.tensors import Tensor, What
from nexort.coordcheck.text import exponent_text, steps_shown
from nexort.report.compare.style import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    STYLE,
    check_picture_path,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 8
"""Vectors that are drawn."""

OFF = "#C00000"
GAP = 0.075
"""Between exponents, as a part of a panel's height."""

PANELS: dict[What, str] = {
    "size": "size of x",
    "change": "change of x\nsince the start",
    "gradient": "gradient by x",
}

Series = Mapping[tuple[What, int, Tensor], QuantityRow]


def plot_check(check: Check, path: str | Path) -> None:
    """Draw a check to ``.png``, ``.pdf`` or ``.svg``. Raises NexortError."""
    check_picture_path(path)
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        save(draw_check(check), path)


def draw_check(check: Check) -> Figure:
    """The picture of :func:`plot_check`, in the style that is set."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    series = {(r.quantity.what, r.quantity.step, r.quantity.tensor): r for r in check.judged}
    drawn = _drawn(check, series)
    rows = [w for w in PANELS if any(what == w and x in drawn for what, _, x in series)]
    steps = steps_shown(sorted({t for what, t, x in series if what in PANELS and x in drawn}))
    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    figure.set_size_inches(1.6 + 2.9 * len(steps), 1.5 + 2.3 * len(rows))
    panels = figure.subplots(len(rows), len(steps), sharex=True, sharey="row", squeeze=False)
    for row, what in enumerate(rows):
        for column, t in enumerate(steps):
            axes = panels[row, column]
            found = [(x, series[what, t, x]) for x in drawn if (what, t, x) in series]
            axes.set_visible(bool(found))
            _panel(axes, check.widths, found, drawn)
            if row == 0 and check.trains:
                axes.set_title(f"step {t}")
        _row(panels[row], PANELS[what])
    for column, t in enumerate(steps):
        last = next(axes for axes in panels[::-1, column] if axes.get_visible())
        last.set_xlabel("width n")
        last.tick_params(labelbottom=True)
        for row, what in enumerate(rows):
            found = [(x, series[what, t, x]) for x in drawn if (what, t, x) in series]
            _exponents(panels[row, column], found, drawn)
    off = any(row.status == "off" for (what, t, x), row in series.items() if x in drawn)
    _legend(figure, drawn, off=off)
    return figure


def _row(panels: Sequence[Axes], label: str) -> None:
    """What the first panel of a row that is drawn says for all."""
    first = next(axes for axes in panels if axes.get_visible())
    first.set_ylabel(label)
    first.tick_params(which="both", labelleft=True)


def _drawn(check: Check, series: Series) -> list[Tensor]:
    """The vectors to draw, of many a few that are spread over the depth; and f."""
    kets = [x for x in check.tensors if x.role == "ket" and ("size", 0, x) in series]
    if len(kets) > LINES:
        # of a layer the last vector; then every second, third, ... layer
        kets = [
            kets[k] for k in np.unique(np.linspace(0, len(kets) - 1, LINES).round().astype(int))
        ]
    return [*kets, *(x for x in check.tensors if x.role == "output")]


def _look(x: Tensor, drawn: Sequence[Tensor]) -> tuple[str, str]:
    if x.role == "output":
        return INK, "x"
    place = drawn.index(x)
    return COLOURS[place], MARKERS[place]


def _panel(
    axes: Axes,
    widths: Sequence[int],
    found: Sequence[tuple[Tensor, QuantityRow]],
    drawn: Sequence[Tensor],
) -> None:
    """One kind of size at one step."""
    from matplotlib.ticker import LogFormatterSciNotation, NullLocator

    n = np.array(widths, dtype=float)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for x, row in found:
        fit = row.fit
        if not (np.isfinite(fit.sizes) & (fit.sizes > 0)).any():
            continue
        colour, marker = _look(x, drawn)
        axes.plot(n, fit.sizes, color=colour, marker=marker, markersize=4, linewidth=1.4)
        band = np.exp(np.minimum(fit.errors, 5))
        axes.fill_between(n, fit.sizes / band, fit.sizes * band, color=colour, alpha=0.15, lw=0)
        if isinstance(row.predicted, Fraction):
            start = int(np.argmax(np.isfinite(fit.sizes)))
            line = fit.sizes[start] * (n / n[start]) ** float(row.predicted)
            axes.plot(n, line, ":", color=colour, linewidth=1.1, alpha=0.9)
        if row.status == "off":
            axes.plot(
                n[-1], fit.sizes[-1], "o", markersize=12, markerfacecolor="none",
                markeredgecolor=OFF, markeredgewidth=1.6, clip_on=False,
            )  # fmt: skip
    axes.set_xlim(n[0] * 0.85, n[-1] * (n[-1] / n[0]) ** 0.3)
    ticks = list(widths)[:: -(-len(widths) // 4)]
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    few = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.6))
    axes.yaxis.set_minor_formatter(few)
    axes.tick_params(axis="y", which="minor", labelsize=7.5)


def _exponents(
    axes: Axes, found: Sequence[tuple[Tensor, QuantityRow]], drawn: Sequence[Tensor]
) -> None:
    """The fitted exponents at the lines' ends, apart from each other."""
    low, high = np.log(axes.get_ylim())
    ends = [
        ((float(np.log(row.fit.sizes[-1])) - low) / (high - low), x, row)
        for x, row in found
        if np.isfinite(row.fit.exponent) and np.isfinite(row.fit.sizes[-1])
    ]
    ends.sort(key=lambda end: end[0])
    heights = _apart([end[0] for end in ends])
    for height, (_, x, row) in zip(heights, ends, strict=True):
        axes.text(
            0.985, height, _number(row),
            transform=axes.transAxes, ha="right", va="center", fontsize=7.5,
            color=_look(x, drawn)[0],
            fontweight="bold" if row.status == "off" else "normal",
        )  # fmt: skip


def _number(row: QuantityRow) -> str:
    text = exponent_text(row.fit.exponent).replace("-", "−")
    return f"{text} !" if row.status == "off" else text


def _apart(heights: Sequence[float]) -> list[float]:
    """Sorted heights, moved apart to a line's height as little as can be, inside of the panel.

    Less GAP for each below, they must not fall: the nearest such heights, in least squares, are
    averages over blocks (pool adjacent violators).
    """
    blocks: list[list[float]] = []
    for k, height in enumerate(heights):
        blocks.append([height - k * GAP])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    levels = [float(np.mean(block)) for block in blocks for _ in block]
    lowest, highest = GAP / 2, 1 - GAP / 2 - (len(heights) - 1) * GAP
    return [min(max(x, lowest), max(highest, lowest)) + k * GAP for k, x in enumerate(levels)]


def _legend(figure: Figure, drawn: Sequence[Tensor], *, off: bool) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for x in drawn:
        colour, marker = _look(x, drawn)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=x.label))
    handles.append(Line2D([], [], color=FAINT, linestyle=":", label="predicted power of n"))
    if off:
        handles.append(
            Line2D([], [], color=OFF, marker="o", markersize=9, markerfacecolor="none",
                   linestyle="none", label="off")
        )  # fmt: skip
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 7), labelcolor=INK
    )


__all__ = ["draw_check", "exponent_text", "plot_check"]
