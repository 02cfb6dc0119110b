"""The look of pictures, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nexort.report.results.saving import check_place
from nexort.support.diagnostics import fail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXTENSIONS = (".png", ".pdf", ".svg")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#666666")
MARKERS = "osD^vP<>"
INK, FAINT = "#222222", "#8A8A8A"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "nexort",
}


def check_picture_path(path: str | Path) -> None:
    """Raise NexortError unless a picture can be written to ``path``."""
    if Path(path).suffix.lower() not in EXTENSIONS:
        kinds = ", ".join(EXTENSIONS)
        message = f"{path}: unknown kind of picture, expected {kinds}"
        raise fail("bad-output-file", message, help="--plot picture.png")
    check_place(path)


def save(figure: Figure, path: str | Path) -> None:
    """Write a picture, the same bytes every time. Raises NexortError."""
    suffix = Path(path).suffix.lower()
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
    try:
        figure.savefig(path, dpi=200, metadata=metadata)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror or error}"
        raise fail("bad-output-file", message) from None
