"""Boxes as Unicode text on one line: tokens whose size is their number of columns."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import assert_never

from nexort.limit.derive.printing.boxes import (
    Box,
    Fenced,
    Fraction,
    Glyph,
    Infix,
    Large,
    Macro,
    Raised,
    Root,
    Row,
    Script,
    Strength,
)
from nexort.limit.derive.printing.lines import Piece

_SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def terminal_columns(text: str) -> int:
    """How many columns of a terminal a text takes: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in text)


def text_inline(box: Box) -> str:
    """A box as text on one line."""
    return "".join(t.string for t in text_pieces(box))


def text_pieces(box: Box, depth: int = 0) -> list[Piece]:
    """A box as tokens."""
    match box:
        case Glyph(text, _):
            return [_token(text, depth)]
        case Infix(text, _, Strength.COMMA) if text.endswith(" "):
            return [_token(text.rstrip(), depth), Piece(" ", 1, depth, Strength.COMMA, "")]
        case Infix(text, _, strength):
            lone = "· " if strength is Strength.TIMES else text.lstrip()
            breaks = None if strength is Strength.COMMA else strength
            lead = max(0, terminal_columns(lone) - terminal_columns(text))
            return [Piece(text, terminal_columns(text), depth, breaks, lone, lead)]
        case Row(parts):
            return [t for part in parts for t in text_pieces(part, depth)]
        case Script(base, below, above):
            suffix = ("" if above is None else "^" + _script(above)) + (
                "" if below is None else "_" + _script(below)
            )
            return _followed(text_pieces(base, depth), suffix)
        case Raised(base, exponent):
            text = text_inline(exponent)
            raised = text.translate(_SUPERSCRIPTS)
            plain = all(c in "0123456789−" for c in text)
            number = isinstance(base, Glyph) and base.text[:1].isdigit()
            power = text if number and len(text) == 1 else f"({text})"
            return _followed(text_pieces(base, depth), raised if plain else f"^{power}")
        case Fraction(top, bottom):
            over, under = _is_closed(top, depth), _is_closed(bottom, depth)
            return [*over, _token("/", depth), *under]
        case Root(body):
            return [_token("√", depth), *_is_closed(body, depth)]
        case Fenced(left, body, right):
            return _fenced(left.text, body, right.text, depth)
        case Large(sign, below, above, short):
            if short is not None:
                label = text_inline(short)
            else:
                label = text_inline(below).replace(" ", "")
                label += "" if above is None else ".." + text_inline(above)
            label = label if len(label) == 1 else f"{{{label}}}"
            return [_token(f"{sign.text}_{label} ", depth)]
        case Macro(_, _, text):
            return text_pieces(text, depth)
        case _:
            assert_never(box)


def _token(text: str, depth: int) -> Piece:
    return Piece(text, terminal_columns(text), depth)


def _followed(items: list[Piece], suffix: str) -> list[Piece]:
    last = items[-1]
    changed = replace(last, string=last.string + suffix, size=last.size + terminal_columns(suffix))
    return [*items[:-1], changed]


def _script(box: Box) -> str:
    """A script: letters of axes stand side by side, anything longer goes into braces."""
    text = text_inline(box)
    if len(text) == 1 or text.isalpha():
        return text
    return f"{{{text}}}"


def _fenced(left: str, body: Box, right: str, depth: int) -> list[Piece]:
    return [_token(left, depth), *text_pieces(body, depth + 1), _token(right, depth)]


def _is_closed(box: Box, depth: int) -> list[Piece]:
    """A box that is one thing beside a slash or a root: in parentheses unless it is."""
    if isinstance(box, Row | Fraction) and not _is_one(box):
        return _fenced("(", box, ")", depth)
    return text_pieces(box, depth)


def _is_one(box: Row | Fraction) -> bool:
    """Whether a row needs no parentheses: it is a function at arguments, no operator, large sign
    or index such as ``2 l`` or ``l + 1``."""
    if isinstance(box, Fraction) or all(isinstance(p, Glyph) for p in box.parts):
        return False
    signs = [p for p in box.parts if isinstance(p, Glyph) and p.text in "+−"]
    return not signs and not any(isinstance(p, Infix | Large | Fraction) for p in box.parts)
