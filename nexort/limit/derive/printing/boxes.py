"""Layout of formulas, the same for text and LaTeX: a tree of boxes.

A renderer turns a box into a flat list of :class:`Token`, and
:mod:`nexort.limit.derive.printing.lines` breaks such a list into lines, at the outermost place
first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Strength(IntEnum):
    """Where a line may be broken, from the best place to the worst."""

    RELATION = 0
    ADDITIVE = 1
    TIMES = 2
    COMMA = 3


@dataclass(frozen=True, slots=True)
class Glyph:
    """A symbol or a word; never broken."""

    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class Infix:
    """A binary operator, relation or separator; a line may be broken before it (after a comma).

    ``text`` comes with its spaces; a multiplication is invisible: a space, and in LaTeX nothing.
    """

    text: str
    latex: str
    strength: Strength


@dataclass(frozen=True, slots=True)
class Row:
    """Boxes side by side."""

    parts: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """``base`` with indices: of a family above, of axes below."""

    base: Box
    below: Box | None
    above: Box | None


@dataclass(frozen=True, slots=True)
class Raised:
    """A power."""

    base: Box
    exponent: Box


@dataclass(frozen=True, slots=True)
class Fraction:
    """A quotient."""

    top: Box
    bottom: Box


@dataclass(frozen=True, slots=True)
class Root:
    """A square root."""

    body: Box


@dataclass(frozen=True, slots=True)
class Fenced:
    """``body`` between delimiters; lines may be broken inside."""

    left: Glyph
    body: Box
    right: Glyph


@dataclass(frozen=True, slots=True)
class Large:
    """A large operator with its range: a sum over ``below`` up to ``above``. ``short`` is the range
    as text may put it, ``s<t``."""

    sign: Glyph
    below: Box
    above: Box | None
    short: Box | None = None


@dataclass(frozen=True, slots=True)
class Macro:
    """A LaTeX macro over boxes, ``\\ket{x}``; in text, ``text``. Not broken in LaTeX."""

    command: str
    args: tuple[Box, ...]
    text: Box


Box = Glyph | Infix | Row | Script | Raised | Fraction | Root | Fenced | Large | Macro


def is_raised(box: Box) -> bool:
    """Whether a box has something above it, or is under a root: in a power it gets parentheses."""
    match box:
        case Script(_, _, above):
            return above is not None
        case Raised() | Root():
            return True
        case Macro(command):
            return command in ("iid", "transpose")
        case Glyph(_, latex):
            return "^" in latex
        case Row(parts):
            return is_raised(parts[-1])
        case _:
            return False


def box_row(*parts: Box) -> Row:
    """Boxes side by side."""
    return Row(parts)


def same(text: str) -> Glyph:
    """A glyph that is written alike in text and LaTeX."""
    return Glyph(text, text)


def separate_boxes(parts: list[Box], separator: Infix) -> Row:
    """Boxes with a separator in between."""
    found: list[Box] = []
    for k, part in enumerate(parts):
        found += [part] if k == 0 else [separator, part]
    return Row(tuple(found))


PLUS = Infix(" + ", " + ", Strength.ADDITIVE)
MINUS = Infix(" − ", " - ", Strength.ADDITIVE)
TIMES = Infix(" ", r"\, ", Strength.TIMES)
COMMA = Infix(", ", ", ", Strength.COMMA)
SEMICOLON = Infix("; ", r";\ ", Strength.COMMA)
NEGATIVE = Glyph("−", "-")
COMMA_TIGHT = same(",")


def parens(body: Box) -> Fenced:
    """``( body )``"""
    return Fenced(same("("), body, same(")"))


def brackets(body: Box) -> Fenced:
    """``[ body ]``"""
    return Fenced(same("["), body, same("]"))
