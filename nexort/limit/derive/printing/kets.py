"""Kets, brackets, matrices and their indices as boxes."""

from __future__ import annotations

from collections.abc import Sequence

from nexort.limit.derive.derivation import Range
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
    Macro,
    Operator,
    Row,
    Script,
    row,
    same,
    separated,
)
from nexort.program.index import Affine

# ---- kets ----------------------------------------------------------------------------------------


def ket(x: Ket) -> Box:
    """``|x^l_a>``, with a hat for the Gaussian part and a number for an iid copy."""
    label = scripted(names.name(x.name), x.indices, x.axes)
    bar, angle = Glyph("|", r"\lvert "), Glyph("⟩", r"\rangle ")
    if x.part == "hat":
        short = names.hatted(x.name)
        if short is None:
            text: Box = row(same("hat"), Fenced(bar, label, angle))
        else:
            text = row(bar, scripted(same(short), x.indices, x.axes), angle)
        found: Box = Macro("hatket", (label,), text)
    else:
        found = Macro("ket", (label,), row(bar, label, angle))
    if x.copy:
        number = same(str(x.copy))
        return Macro("iid", (found, number), row(found, same(f"^[{x.copy}]")))
    return found


def bracket(formula: Bracket | Average) -> Box:
    """``<x^l_a|y^m_b>``, ``<1|x>``."""
    if isinstance(formula, Average):
        left: Box = same("1")
        right = formula.ket
    else:
        left = _label(formula.left)
        right = formula.right
    inside = row(same("⟨"), left, same("|"), _label(right), same("⟩"))
    return Macro("braket", (left, _label(right)), inside)


def _label(x: Ket) -> Box:
    """A ket's name inside of a bracket."""
    found = scripted(names.name(x.name), x.indices, x.axes)
    if x.part == "hat":
        short = names.hatted(x.name)
        text = same(f"hat {names.name(x.name).text}") if short is None else same(short)
        hat = Macro("widehat", (names.name(x.name),), text)
        found = scripted(hat, x.indices, x.axes)
    if x.copy:
        found = Macro("iid", (found, same(str(x.copy))), row(found, same(f"^[{x.copy}]")))
    return found


def outer(left: Ket, right: Ket) -> Box:
    """``|x><y|``."""
    return row(ket(left), Glyph("⟨", r"\langle "), _label(right), Glyph("|", r"\rvert "))


def application(matrix: Matrix, argument: Box) -> Box:
    """``W^l |x>``, ``(W^l)^T |x>``."""
    return row(operator(matrix), TIMES, argument)


def operator(matrix: Matrix) -> Box:
    """An initial matrix or its transpose."""
    base = names.name(matrix.name)
    found = scripted(base, matrix.indices, ())
    if not matrix.transposed:
        return found
    above = _indices(matrix.indices, side_by_side=False) if matrix.indices else same("")
    return Macro("transpose", (base, above), row(found, same("ᵀ")))


# ---- indices -------------------------------------------------------------------------------------


def scripted(base: Box, indices: Indices, axes: Indices) -> Box:
    """``base`` with family indices above and axis labels below."""
    if not indices and not axes:
        return base
    below = None if not axes else _indices(axes, side_by_side=all(_is_letter(a) for a in axes))
    above = None if not indices else _indices(indices, side_by_side=False)
    return Script(base, below, above)


def _indices(items: Indices, side_by_side: bool) -> Box:
    if len(items) == 1:
        return affine(items[0])
    if side_by_side:
        return Row(tuple(affine(i) for i in items))
    return separated([affine(i) for i in items], tight(COMMA_TIGHT))


def _is_letter(index: Affine) -> bool:
    return not index.constant and len(index.terms) == 1 and len(str(index)) == 1


def gap(left: Affine, right: Affine) -> tuple[Box, ...]:
    """What stands between two indices: nothing between letters."""
    return () if _is_letter(left) and _is_letter(right) else (COMMA_TIGHT,)


def affine(index: Affine) -> Box:
    """``l - 1``, ``2 K``, ``T``."""
    parts: list[Box] = []
    for name, coefficient in sorted(index.terms, key=lambda term: term[1] < 0):
        if coefficient < 0:
            parts.append(NEGATIVE)
        elif parts:
            parts.append(same("+"))
        if abs(coefficient) != 1:
            parts.append(same(str(abs(coefficient))))
        parts.append(names.name(name))
    if index.constant or not parts:
        if index.constant < 0:
            parts.append(NEGATIVE)
        elif parts:
            parts.append(same("+"))
        parts.append(same(str(abs(index.constant))))
    return parts[0] if len(parts) == 1 else Row(tuple(parts))


def tight(glyph: Glyph) -> Operator:
    """A separator without a space after it."""
    return Operator(glyph.text, glyph.latex, COMMA.strength)


def ranges(items: Sequence[Range]) -> Box | None:
    """``l = 2..L``; indices of the same range stand together: ``j, k = 1..K``."""
    grouped: dict[tuple[Affine, Affine], list[str]] = {}
    for r in items:
        grouped.setdefault((r.first, r.last), []).append(r.var)
    parts: list[Box] = []
    for (first, last), variables in grouped.items():
        listed = separated([names.name(x) for x in sorted(variables)], COMMA)
        dots = () if first == last else (Glyph("..", r",\dots,"), affine(last))
        parts.append(row(listed, Glyph(" = ", " = "), affine(first), *dots))
    return separated(parts, SEMICOLON) if parts else None
