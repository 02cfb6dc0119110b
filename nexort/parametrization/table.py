"""A scaling table as text, Markdown, LaTeX and plain data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from nexort.parametrization.forms import (
    Form,
    power_text,
    sentence,
    symbol_times,
    table_text,
    table_title,
)
from nexort.parametrization.practice import Practice, TensorRow
from nexort.parametrization.report import Classification, change
from nexort.report.schema import with_schema

LETTERS = {
    "std": r"\sigma", "lr": r"\eta", "eps": r"\varepsilon", "decay": r"\lambda", "clip": r"\theta",
}  # fmt: skip
COLUMNS = {
    "init std": ("std", "std"),
    "multiplier": ("multiplier", ""),
    "learning rate": ("rate", "lr"),
    "epsilon": ("epsilon", "eps"),
    "weight decay": ("decay", "decay"),
    "gradients times": ("gradient", ""),
    "clip at": ("threshold", "clip"),
}
"""Titles: the field of a row that has the power of n, and what is multiplied by it."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Powers are those of n, or of n over the width of a base model; at a ``width`` they are
    numbers."""

    base: int | None = None
    width: int | None = None

    @property
    def text(self) -> str:
        """What stands under a power."""
        return "n" if self.base is None else f"(n/{self.base})"

    def number(self, exponent: Fraction) -> float | None:
        """The power at the width; None where no width is asked for."""
        if self.width is None:
            return None
        return float((self.width / (self.base or 1)) ** float(exponent))


def practical(x: Practice, widths: Widths, form: Form, found: Classification) -> str:
    """The table with its notes, above all what its classification says of it where that is not
    good."""
    if form == "json":
        import json

        return json.dumps(with_schema(practice_json(x, widths, found)), indent=2)
    titles = [
        title
        for title, (field, _) in COLUMNS.items()
        if field == "std" or any(getattr(row, field) is not None for row in x.rows)
    ]
    rows = [(*_exponents(row), *(_cell(row, t, widths, form) for t in titles)) for row in x.rows]
    if x.output:
        cells = [_scaled("", x.output, widths, form) if t == "multiplier" else "" for t in titles]
        rows.append(("output", "", str(-x.output), "", "", "", *cells))
    header = ("tensor", "part", "a", "b", "c", "d", *titles)
    first = [sentence(line, form) for line in warning(found)]
    notes = [sentence(n, form) for n in _notes(x, widths, found.verdict)]
    parts = ["\n".join(first), _title(x, form), table_text(header, rows, form), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part)


def warning(found: Classification) -> list[str]:
    """What stands above a table that is not good."""
    if found.good:
        return []
    unmet = [c for c in found.conditions if not c.holds and c.group != "nontrivial"]
    lines = [f"WARNING: do not use this table: it is {found.verdict}"]
    if unmet:
        first = unmet[0]
        place = f" for {first.layer}" if first.layer and first.layer not in first.formula else ""
        lines[0] += f": {first.formula} = {first.left}, not {first.relation} {first.right}{place}"
    if found.changes:
        lines.append(f"repair: {'; '.join(map(change, found.changes))}")
    return lines


def _title(x: Practice, form: Form) -> str:
    return table_title(f"{x.name}: {x.regime} for {x.optimizer}, gauge {x.gauge}", form)


def _exponents(row: TensorRow) -> tuple[str, ...]:
    e = row.exponents
    return row.name, row.part, str(e.a), str(e.b), str(e.c), str(e.d)


def _cell(row: TensorRow, title: str, widths: Widths, form: Form) -> str:
    field, symbol = COLUMNS[title]
    exponent = getattr(row, field)
    if field == "std":
        return _start(row, widths, form)
    return "" if exponent is None else _scaled(symbol, exponent, widths, form)


def _start(row: TensorRow, widths: Widths, form: Form) -> str:
    """How entries start: their standard deviation, and a mean that is not 0."""
    mean = "0" if not row.mean else _scaled(f"{row.mean:.4g}", row.centre, widths, form)
    if row.std is None:
        return f"{mean} (constant)"
    # without a base model the program's own standard deviations are meant
    own = "" if row.scale == 1 else f"{row.scale:.4g}"
    std = _scaled(own if widths.base is None else "std", row.std, widths, form)
    return f"mean {mean}, std {std}" if row.mean else std


def _scaled(symbol: str, exponent: Fraction, widths: Widths, form: Form) -> str:
    number = widths.number(exponent)
    scaled = power_text(exponent, form, widths.text) if number is None else f"{number:.4g}"
    name = LETTERS.get(symbol, symbol) if form == "latex" else symbol
    return symbol_times(name, scaled, form) if name else scaled


def _notes(x: Practice, widths: Widths, verdict: str) -> list[str]:
    notes = []
    if widths.base is not None:
        notes.append(
            f"std, lr, eps, decay are those of the model of width {widths.base}, tuned there"
        )
    if any(row.gradient is not None for row in x.rows):
        notes.append("gradients are multiplied before the update function, which sees their size")
    for formula in dict.fromkeys(row.clipped for row in x.rows if row.clipped):
        names = ", ".join(row.name for row in x.rows if row.clipped == formula)
        notes.append(f"updates Q become {formula}, |.| a norm over all entries, for {names}")
    if not x.trains:
        notes.append(
            f"programs cannot train with {x.optimizer}: coordcheck cannot check this table"
        )
    return [*notes, f"classified as: {verdict}"]


def practice_json(x: Practice, widths: Widths, found: Classification) -> dict[str, object]:
    """Plain data: powers of the width as texts of rationals, and numbers at a width."""
    rows = []
    for row in x.rows:
        powers = {field: getattr(row, field) for field, _ in COLUMNS.values()}
        given = {field: p for field, p in powers.items() if p is not None}
        e = row.exponents
        made: dict[str, object] = {
            "tensor": row.name, "part": row.part,
            "a": str(e.a), "b": str(e.b), "c": str(e.c), "d": str(e.d),
            "mean": row.mean, "mean_power": str(row.centre), "scale": row.scale,
            "powers": {field: str(p) for field, p in given.items()},
        }  # fmt: skip
        if widths.width is not None:
            made["factors"] = {field: widths.number(p) for field, p in given.items()}
        rows.append(made)
    return {
        **({"warning": warning(found)} if warning(found) else {}),
        "program": x.name, "regime": x.regime, "optimizer": x.optimizer, "gauge": x.gauge,
        "base_width": widths.base, "width": widths.width, "tensors": rows,
        "output_multiplier": str(x.output), "verdict": found.verdict,
    }  # fmt: skip
