"""Slices of the space of parametrizations as pictures and as text: Figure 2.1, computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexort.parametrization.layers import Array
from nexort.parametrization.slices import Mark, Slice
from nexort.parametrization.theorem import VERDICTS
from nexort.report.compare.style import INK, STYLE, check_picture_path, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILLS = {
    "unstable": "#F4D9D0",
    "unfaithful": "#F7ECC8",
    "trivial": "#E9E9E9",
    "feature learning": "#009E73",
    "operator regime": "#A9CCE8",
}
LETTERS = {
    "unstable": ".", "unfaithful": "/", "trivial": "-", "feature learning": "F",
    "operator regime": "o",
}  # fmt: skip
NAMES = {"mup": "µP", "ntp": "NTP", "sp": "SP"}
LEARNS, OPERATOR = VERDICTS.index("feature learning"), VERDICTS.index("operator regime")


def slice_text(x: Slice) -> str:
    """A map with a letter for every point, the largest y first."""
    width = max(len(str(y)) for y in x.ys)
    lines = [f"{x.y} (up) over {x.x} (right)"]
    for j in reversed(range(len(x.ys))):
        row = " ".join(LETTERS[VERDICTS[int(code)]] for code in x.codes[j])
        lines.append(f"{x.ys[j]!s:>{width}} {row}")
    lines.append(f"{x.x} from {x.xs[0]} to {x.xs[-1]}")
    lines.append(", ".join(f"{letter} {name}" for name, letter in LETTERS.items()))
    for m in x.marks:
        where = "" if m.inside else ", outside of the slice"
        lines.append(f"{NAMES.get(m.name, m.name)}: ({m.x}, {m.y}){where}")
    return "\n".join(lines)


def slice_json(x: Slice) -> dict[str, object]:
    """Plain data: coordinates as texts of rationals, verdicts row by row."""
    return {
        "x": x.x,
        "y": x.y,
        "xs": list(map(str, x.xs)),
        "ys": list(map(str, x.ys)),
        "verdicts": [[VERDICTS[int(code)] for code in row] for row in x.codes],
        "marks": [
            {"name": m.name, "x": str(m.x), "y": str(m.y), "inside": m.inside} for m in x.marks
        ],
    }


def draw_slices(slices: Sequence[Slice], path: str | Path, title: str) -> None:
    """A panel a slice. Raises NexortError where the picture cannot be written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    check_picture_path(path)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        count = len(slices)
        figure, axes = plt.subplots(
            1, count, figsize=(4.6 * count, 4.9), squeeze=False, layout="constrained"
        )
        for axis, x in zip(axes[0], slices, strict=True):
            _panel(axis, x)
        handles = [Patch(facecolor=colour, label=name) for name, colour in FILLS.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        if any(not m.inside for x in slices for m in x.marks if not m.name.startswith("ups")):
            title += "   (in brackets: not in the slice)"
        figure.suptitle(title, fontsize=12)
        save(figure, path)
        plt.close(figure)


def _panel(axis: Axes, x: Slice) -> None:
    from matplotlib.colors import ListedColormap

    xs, ys = np.array(x.xs, float), np.array(x.ys, float)
    step = (xs[1] - xs[0]) / 2 if len(xs) > 1 else 0.5
    high = (ys[1] - ys[0]) / 2 if len(ys) > 1 else 0.5
    axis.imshow(
        x.codes,
        origin="lower",
        extent=(xs[0] - step, xs[-1] + step, ys[0] - high, ys[-1] + high),
        cmap=ListedColormap([FILLS[v] for v in VERDICTS]),
        vmin=-0.5,
        vmax=len(VERDICTS) - 0.5,
        interpolation="nearest",
        aspect="auto",
    )
    _limits(axis, x)
    for code in (OPERATOR, LEARNS):
        _edges(axis, x, code)
    _marks(axis, x.marks)
    axis.grid(visible=False)
    axis.set_xlabel(_label(x.x))
    axis.set_ylabel(_label(x.y))


def _limits(axis: Axes, x: Slice) -> None:
    axis.set_xlim(float(x.xs[0]), float(x.xs[-1]))
    axis.set_ylim(float(x.ys[0]), float(x.ys[-1]))


def _edges(axis: Axes, x: Slice, code: int) -> None:
    """Good parametrizations may form lines and points alone: these are drawn thick."""
    own = x.codes == code
    thin = own & _thin(own)
    colour = {LEARNS: FILLS["feature learning"], OPERATOR: "#3D85BF"}[code]
    steps = ((0, 1), (1, 0), (1, 1), (1, -1))
    rows, columns = own.shape
    linked = np.zeros_like(own)
    for j, k in zip(*np.nonzero(thin), strict=True):
        for down, right in steps:
            a, b = j + down, k + right
            if 0 <= a < rows and 0 <= b < columns and thin[a, b]:
                linked[j, k] = linked[a, b] = True
                axis.plot(
                    [float(x.xs[k]), float(x.xs[b])],
                    [float(x.ys[j]), float(x.ys[a])],
                    color=colour, linewidth=4, solid_capstyle="round", zorder=2,
                )  # fmt: skip
    for j, k in zip(*np.nonzero(thin & ~linked), strict=True):
        axis.plot(float(x.xs[k]), float(x.ys[j]), "o", color=colour, markersize=11, zorder=2)


def _thin(own: Array) -> Array:
    """The points of a set that are corners of no filled cell of the grid."""
    full = own[:-1, :-1] & own[1:, :-1] & own[:-1, 1:] & own[1:, 1:]
    thick = np.zeros_like(own)
    for down in (0, 1):
        for right in (0, 1):
            shape = full.shape
            thick[down : down + shape[0], right : right + shape[1]] |= full
    return np.asarray(~thick)


def _marks(axis: Axes, marks: Sequence[Mark]) -> None:
    uniform = [m for m in marks if m.name.startswith("ups") and m.inside]
    low, high = axis.get_xlim(), axis.get_ylim()
    if len(uniform) > 1:
        xs, ys = [float(m.x) for m in uniform], [float(m.y) for m in uniform]
        axis.plot(xs, ys, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
        middle = len(xs) // 2
        _named(axis, "UP$_s$", (xs[middle], ys[middle]))
    for m in marks:
        if m.name.startswith("ups"):
            continue
        x, y = float(m.x), float(m.y)
        if not (low[0] <= x <= low[1] and high[0] <= y <= high[1]):
            continue
        face = INK if m.inside else "white"
        axis.plot(x, y, "o", color=INK, markerfacecolor=face, markersize=7, zorder=4)
        name = NAMES.get(m.name, m.name)
        _named(axis, name if m.inside else f"({name})", (x, y))


def _named(axis: Axes, name: str, at: tuple[float, float]) -> None:
    right, low = at[0] > sum(axis.get_xlim()) / 2, at[1] < sum(axis.get_ylim()) / 2
    axis.annotate(
        name, at, xytext=(-8 if right else 8, -7 if low else 7), textcoords="offset points",
        ha="right" if right else "left", va="top" if low else "bottom", fontsize=10, zorder=5,
    )  # fmt: skip


def _label(name: str) -> str:
    if name in NAMES:
        return f"from the base to {NAMES[name]}"
    known = {
        "r": "r of all layers but the readout",
        "S": "S = A + B of the readout",
        "vector.c": "c of input weights",
        "matrix.c": "c of hidden weights",
        "readout.c": "c of the readout",
    }
    return known.get(name, name)
