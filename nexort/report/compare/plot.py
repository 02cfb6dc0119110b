"""A picture of a comparison: how deviations shrink, and where the means go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.compare.style import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    STYLE,
    check_picture_path,
    save,
)
from nexort.report.compare.verification import OutputCheck, Verification, entry_label
from nexort.report.results.numbers import uncertain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES, ENTRIES = 8, 6
"""The most outputs, and entries, drawn."""


def plot_verification(verification: Verification, path: str | Path) -> None:
    """Draw the comparison to ``.png``, ``.pdf`` or ``.svg``.

    Left, the root mean square deviation of a run from the limit against the width; right, the means
    of some entries with their standard errors, and their extrapolation. Raises NexortError.
    """
    check_picture_path(path)
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        figure = Figure(layout=layout)
        left, right = figure.subplots(1, 2)
        rows = max(_decay(left, verification), _approach(right, verification))
        figure.set_size_inches(11, 4.6 + 0.2 * rows)
        save(figure, path)


def _decay(axes: Axes, verification: Verification) -> int:
    """RMS deviation against width, log-log, with the theorem's n^-1/2; the legend's height."""
    widths = np.array(verification.widths, dtype=float)
    drawn = _drawn(verification)
    for k, output in enumerate(drawn):
        colour = COLOURS[k]
        axes.plot(
            widths,
            output.rms,
            color=colour,
            marker=MARKERS[k],
            markersize=5,
            linewidth=1.6,
            label=_decay_label(output),
        )
        band = np.exp(np.minimum(output.rms_error, 5))
        axes.fill_between(
            widths, output.rms / band, output.rms * band, color=colour, alpha=0.18, linewidth=0
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    if drawn and len(widths) > 1:
        _reference(axes, widths, np.array([output.rms for output in drawn]))
    _width_ticks(axes, verification.widths)
    axes.set_xlabel("width n")
    axes.set_ylabel("RMS deviation of a run from the limit")
    axes.set_title("Deviation of single runs", loc="left")
    return _legend(axes, _left_out(verification, drawn))


def _drawn(verification: Verification) -> list[OutputCheck]:
    """The outputs to draw; where there are too many, those that fail come first."""
    outputs = [output for output in verification.outputs if _has_decay(output)]
    return outputs if len(outputs) <= LINES else sorted(outputs, key=lambda o: o.holds)[:LINES]


def _has_decay(output: OutputCheck) -> bool:
    return bool(np.isfinite(output.rms).all() and (output.rms > 0).all() and not output.exact.all())


def _decay_label(output: OutputCheck) -> str:
    verdict = "" if output.holds else ", fails"
    if output.exponent is None:
        return f"{_short(output.name)}{verdict}"
    exponent = uncertain(output.exponent, output.exponent_error or 0.0).replace("-", "−")
    return f"{_short(output.name)}: {exponent}{verdict}"


def _reference(axes: Axes, widths: Array, rms: Array) -> None:
    """A line of slope -1/2 above all others, so that it hides none."""
    top = float((rms * np.sqrt(widths)).max()) * 1.6
    ends = widths[[0, -1]]
    axes.plot(
        ends,
        top / np.sqrt(ends),
        "--",
        color=FAINT,
        linewidth=1.2,
        label="theorem: −1/2",
    )


def _left_out(verification: Verification, drawn: Sequence[OutputCheck]) -> str:
    """What the legend says, and a note on outputs that have no line."""
    shown = {output.name for output in drawn}
    exact = [o.name for o in verification.outputs if o.exact.all() and o.holds]
    others = [o.name for o in verification.outputs if o.name not in shown and o.name not in exact]
    notes = []
    if exact:
        notes.append(f"equal to the limit at every width: {_some(exact)}")
    if others:
        notes.append(f"not drawn: {_some(others)}")
    if drawn and len(verification.widths) > 1:
        notes.append("fitted exponents")
    return "\n".join(notes)


def _some(names: Sequence[str]) -> str:
    count = 1
    while count < len(names) and sum(len(_short(n)) + 2 for n in names[: count + 1]) <= 44:
        count += 1
    more = f" and {len(names) - count} more" if count < len(names) else ""
    return ", ".join(map(_short, names[:count])) + more


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _approach(axes: Axes, verification: Verification) -> int:
    """Means with standard errors around the limit, entry by entry, out to infinite width; the
    legend's height."""
    widths = np.array(verification.widths, dtype=float)
    several = len(widths) > 1
    step = _step(widths)
    infinity = float(np.log(widths[-1])) + 1.4 * step
    entries = _representatives(verification)
    axes.axhline(0, color=INK, linewidth=1.2, zorder=1)
    for k, (output, flat, colour, second) in enumerate(entries):
        shift = (k - (len(entries) - 1) / 2) * 0.5 * step / ENTRIES
        means, errors = (a.reshape(len(widths), -1)[:, flat] for a in (output.means, output.errors))
        limit, limit_error = output.limit.flat[flat], output.limit_error.flat[flat]
        unit = float(np.sqrt(np.mean(errors**2 * widths * verification.seeds) / widths[0]))
        ends = [output.extrapolated.flat[flat]] if several else []
        end_errors = [math.hypot(output.extrapolated_error.flat[flat], limit_error)] * len(ends)
        axes.errorbar(
            [*(np.log(widths) + shift), *([infinity + shift] if several else [])],
            (np.array([*means, *ends]) - limit) / unit,
            np.array([*np.hypot(errors, limit_error), *end_errors]) / unit,
            color=COLOURS[colour],
            marker=MARKERS[colour],
            markersize=5,
            markerfacecolor="white" if second else COLOURS[colour],
            linestyle="none",
            elinewidth=1.4,
            capsize=2.5,
            zorder=3,
            label=_entry_label(output, flat),
        )
    ticks = _thinned(verification.widths)
    places = [*np.log(ticks), *([infinity] if several else [])]
    axes.set_xticks(places, [*map(str, ticks), *(["∞"] if several else [])])
    if several:
        axes.axvspan(infinity - 0.5 * step, infinity + 0.5 * step, color="#F3F3F3", zorder=0)
        axes.set_xlim(float(np.log(widths[0])) - 0.5 * step, infinity + 0.5 * step)
    axes.set_xlabel("width n  (∞: extrapolated)" if several else "width n")
    axes.set_ylabel(f"(mean − limit) / spread of runs at n = {verification.widths[0]}")
    axes.set_title("Means over the runs, entry by entry", loc="left")
    note = "the most deviant entry of each output" if entries else "no entry fluctuates"
    if any(second for *_, second in entries):
        note = "solid: the most deviant entry of an output; open: a typical one"
    return _legend(axes, note)


def _entry_label(output: OutputCheck, flat: int) -> str:
    score = f"{output.score.flat[flat]:.1f}".replace("-", "−")
    entry = entry_label(output.limit.shape, output.labels, flat)
    return f"{_short(output.name)}{entry}, z = {score}"


def _representatives(verification: Verification) -> list[tuple[OutputCheck, int, int, bool]]:
    """Entries to show: of each output the worst, then (True) the median by p-value; each with its
    index and the number of the output's line."""
    chosen: list[tuple[OutputCheck, int, int, bool]] = []
    outputs = _drawn(verification)
    for second in (False, True):
        for colour, output in enumerate(outputs):
            errors = output.errors.reshape(len(output.errors), -1)
            loose = np.flatnonzero(~output.exact.ravel() & (errors[0] > 0))
            order = loose[np.argsort(output.p.ravel()[loose], kind="stable")]
            if len(order) > second and len(chosen) < ENTRIES:
                flat = int(order[len(order) // 2 if second else 0])
                chosen.append((output, flat, colour, second))
    return sorted(chosen, key=lambda entry: entry[2:])


def _step(widths: Array) -> float:
    """A typical distance of widths on the logarithmic axis, but not too small a part of it."""
    if len(widths) == 1:
        return math.log(2)
    places = np.log(widths)
    return max(float(np.median(np.diff(places))), float(places[-1] - places[0]) / 8)


def _thinned(widths: Sequence[int]) -> list[int]:
    """Widths that get a label: all of up to seven, then every second, third, ..."""
    return list(widths)[:: -(-len(widths) // 7)]


def _width_ticks(axes: Axes, widths: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    ticks = _thinned(widths)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _legend(axes: Axes, note: str) -> int:
    """Below the axes, outside of the data; long labels below each other. Returns its rows."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    assert figure is not None
    below = axes.transAxes + ScaledTranslation(0, -0.6, figure.dpi_scale_trans)
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels), default=0) <= 28 else 1
    legend = axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        ncols=columns,
        borderaxespad=0,
        columnspacing=1.6,
        handlelength=1.8,
        title=note or None,
        title_fontsize=9,
        alignment="left",
    )
    legend.get_title().set_color(FAINT)
    return -(-len(labels) // columns) + note.count("\n") + bool(note)


__all__ = ["check_picture_path", "plot_verification"]
