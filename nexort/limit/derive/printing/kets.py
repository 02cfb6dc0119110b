"""Kets, brackets, matrices and their indices as boxes."""

from __future__ import annotations

from collections.abc import Sequence

from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import Average, Bracket, Indices, Ket, Matrix
from nexort.limit.derive.printing import names
from nexort.limit.derive.printing.boxes import (
    COMMA,
    COMMA_TIGHT,
    NEGATIVE,
    SEMICOLON,
    TIMES,
    Box,
    Fenced,
    Glyph,
    Infix,
    Macro,
    Row,
    Script,
    box_row,
    same,
    separate_boxes,
)
from nexort.program.index import Affine

# ---- kets ----------------------------------------------------------------------------------------


def ket_box(x: Ket) -> Box:
    """``|x^l_a>``, with a hat for the Gaussian part and a number for an iid copy."""
    label = script_box(names.name_text(x.name), x.indices, x.axes)
    bar, angle = Glyph("|", r"\lvert "), Glyph("⟩", r"\rangle ")
    if x.part == "hat":
        short = names.hat_name(x.name)
        if short is None:
            text: Box = box_row(same("hat"), Fenced(bar, label, angle))
        else:
            text = box_row(bar, script_box(same(short), x.indices, x.axes), angle)
        found: Box = Macro("hatket", (label,), text)
    else:
        found = Macro("ket", (label,), box_row(bar, label, angle))
    if x.copy:
        number = same(str(x.copy))
        return Macro("iid", (found, number), box_row(found, same(f"^[{x.copy}]")))
    return found


def bracket_box(formula: Bracket | Average) -> Box:
    """``<x^l_a|y^m_b>``, ``<1|x>``."""
    if isinstance(formula, Average):
        left: Box = same("1")
        right = formula.ket
    else:
        left = _label(formula.left)
        right = formula.right
    inside = box_row(same("⟨"), left, same("|"), _label(right), same("⟩"))
    return Macro("braket", (left, _label(right)), inside)


def _label(x: Ket) -> Box:
    """A ket's name inside of a bracket."""
    found = script_box(names.name_text(x.name), x.indices, x.axes)
    if x.part == "hat":
        short = names.hat_name(x.name)
        text = same(f"hat {names.name_text(x.name).text}") if short is None else same(short)
        hat = Macro("widehat", (names.name_text(x.name),), text)
        found = script_box(hat, x.indices, x.axes)
    if x.copy:
        found = Macro("iid", (found, same(str(x.copy))), box_row(found, same(f"^[{x.copy}]")))
    return found


def outer_box(left: Ket, right: Ket) -> Box:
    """``|x><y|``."""
    return box_row(ket_box(left), Glyph("⟨", r"\langle "), _label(right), Glyph("|", r"\rvert "))


def application(matrix: Matrix, argument: Box) -> Box:
    """``W^l |x>``, ``(W^l)^T |x>``."""
    return box_row(operator_box(matrix), TIMES, argument)


def operator_box(matrix: Matrix) -> Box:
    """An initial matrix or its transpose."""
    base = names.name_text(matrix.name)
    found = script_box(base, matrix.indices, ())
    if not matrix.transposed:
        return found
    above = _indices(matrix.indices, side_by_side=False) if matrix.indices else same("")
    return Macro("transpose", (base, above), box_row(found, same("ᵀ")))


# ---- indices -------------------------------------------------------------------------------------


def script_box(base: Box, indices: Indices, axes: Indices) -> Box:
    """``base`` with family indices above and axis labels below."""
    if not indices and not axes:
        return base
    below = None if not axes else _indices(axes, side_by_side=all(_is_letter(a) for a in axes))
    above = None if not indices else _indices(indices, side_by_side=False)
    return Script(base, below, above)


def _indices(items: Indices, side_by_side: bool) -> Box:
    if len(items) == 1:
        return index_box(items[0])
    if side_by_side:
        return Row(tuple(index_box(i) for i in items))
    return separate_boxes([index_box(i) for i in items], tight(COMMA_TIGHT))


def _is_letter(index: Affine) -> bool:
    return not index.constant and len(index.terms) == 1 and len(str(index)) == 1


def index_gap(left: Affine, right: Affine) -> tuple[Box, ...]:
    """What stands between two indices: nothing between letters."""
    return () if _is_letter(left) and _is_letter(right) else (COMMA_TIGHT,)


def index_box(index: Affine) -> Box:
    """``l - 1``, ``2 K``, ``T``."""
    parts: list[Box] = []
    for name, coefficient in sorted(index.terms, key=lambda term: term[1] < 0):
        if coefficient < 0:
            parts.append(NEGATIVE)
        elif parts:
            parts.append(same("+"))
        if abs(coefficient) != 1:
            parts.append(same(str(abs(coefficient))))
        parts.append(names.name_text(name))
    if index.constant or not parts:
        if index.constant < 0:
            parts.append(NEGATIVE)
        elif parts:
            parts.append(same("+"))
        parts.append(same(str(abs(index.constant))))
    return parts[0] if len(parts) == 1 else Row(tuple(parts))


def tight(glyph: Glyph) -> Infix:
    """A separator without a space after it."""
    return Infix(glyph.text, glyph.latex, COMMA.strength)


def ranges(items: Sequence[IndexRange]) -> Box | None:
    """``l = 2..L``; indices of the same range stand together: ``j, k = 1..K``."""
    grouped: dict[tuple[Affine, Affine], list[str]] = {}
    for r in items:
        grouped.setdefault((r.first, r.last), []).append(r.var)
    parts: list[Box] = []
    for (first, last), variables in grouped.items():
        listed = separate_boxes([names.name_text(x) for x in sorted(variables)], COMMA)
        dots = () if first == last else (Glyph("..", r",\dots,"), index_box(last))
        parts.append(box_row(listed, Glyph(" = ", " = "), index_box(first), *dots))
    return separate_boxes(parts, SEMICOLON) if parts else None
