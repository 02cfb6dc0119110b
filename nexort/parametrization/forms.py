"""Tables as text, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

Form = Literal["text", "markdown", "latex", "json"]
Row = Sequence[str]


def table_text(header: Row, rows: Sequence[Row], form: Form) -> str:
    """Rows under a header. In LaTeX cells between dollars are mathematics."""
    match form:
        case "markdown":
            lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
            return "\n".join(lines)
        case "latex":
            body = "\n".join(" & ".join(map(escape_cell, row)) + r" \\" for row in rows)
            head = " & ".join(map(escape_cell, header)) + r" \\"
            columns = "l" * len(header)
            return (
                f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{head}\n\\hline\n{body}\n\\hline\n"
                "\\end{tabular}"
            )
        case _:
            sizes = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
            return "\n".join(
                "  ".join(c.ljust(s) for c, s in zip(row, sizes, strict=True)).rstrip()
                for row in [header, ["-" * s for s in sizes], *rows]
            )


def _line(row: Row) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"


def escape_cell(cell: str) -> str:
    """A LaTeX cell; mathematics stays."""
    if cell.startswith("$"):
        return cell
    for old, new in (("\\", r"\textbackslash{}"), ("_", r"\_"), ("%", r"\%"), ("&", r"\&"),
                     ("#", r"\#"), ("^", r"\^{}")):  # fmt: skip
        cell = cell.replace(old, new)
    return cell


def table_title(text: str, form: Form) -> str:
    """What stands above a table."""
    match form:
        case "markdown":
            return f"## {text}"
        case "latex":
            return rf"\paragraph{{{escape_cell(text)}}}"
        case _:
            return text


def sentence(text: str, form: Form) -> str:
    """A line of text."""
    return escape_cell(text) + r"\\" if form == "latex" else text


def power_text(exponent: Fraction, form: Form, base: str = "n") -> str:
    """``n^-1/2``; '1' for the exponent 0."""
    if exponent == 0:
        return "$1$" if form == "latex" else "1"
    if form == "latex":
        return f"${base}{'' if exponent == 1 else f'^{{{exponent}}}'}$"
    if exponent == 1:
        return base
    return f"{base}^{exponent}" if exponent.denominator == 1 else f"{base}^({exponent})"


def symbol_times(factor: str, scaled: str, form: Form) -> str:
    """A symbol times a power: 'lr * n^-1'."""
    if form == "latex":
        inside = scaled.strip("$")
        return f"${factor}$" if inside == "1" else f"${factor} \\, {inside}$"
    if scaled == "1":
        return factor
    return scaled if factor == "1" else f"{factor} * {scaled}"
