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
    Large,
    Macro,
    Operator,
    Raised,
    Root,
    Row,
    Script,
    Strength,
)
from nexort.limit.derive.printing.lines import Token

_SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in text)


def inline(box: Box) -> str:
    """A box as text on one line."""
    return "".join(t.string for t in tokens(box))


def tokens(box: Box, depth: int = 0) -> list[Token]:
    """A box as tokens."""
    match box:
        case Glyph(text, _):
            return [_token(text, depth)]
        case Operator(text, _, Strength.COMMA) if text.endswith(" "):
            return [_token(text.rstrip(), depth), Token(" ", 1, depth, Strength.COMMA, "")]
        case Operator(text, _, strength):
            lone = "· " if strength is Strength.TIMES else text.lstrip()
            breaks = None if strength is Strength.COMMA else strength
            lead = max(0, columns(lone) - columns(text))
            return [Token(text, columns(text), depth, breaks, lone, lead)]
        case Row(parts):
            return [t for part in parts for t in tokens(part, depth)]
        case Script(base, below, above):
            suffix = ("" if above is None else "^" + _script(above)) + (
                "" if below is None else "_" + _script(below)
            )
            return _followed(tokens(base, depth), suffix)
        case Raised(base, exponent):
            text = inline(exponent)
            raised = text.translate(_SUPERSCRIPTS)
            plain = all(c in "0123456789−" for c in text)
            number = isinstance(base, Glyph) and base.text[:1].isdigit()
            power = text if number and len(text) == 1 else f"({text})"
            return _followed(tokens(base, depth), raised if plain else f"^{power}")
        case Fraction(top, bottom):
            over, under = _closed(top, depth), _closed(bottom, depth)
            return [*over, _token("/", depth), *under]
        case Root(body):
            return [_token("√", depth), *_closed(body, depth)]
        case Fenced(left, body, right):
            return _fenced(left.text, body, right.text, depth)
        case Large(sign, below, above, short):
            if short is not None:
                label = inline(short)
            else:
                label = inline(below).replace(" ", "")
                label += "" if above is None else ".." + inline(above)
            label = label if len(label) == 1 else f"{{{label}}}"
            return [_token(f"{sign.text}_{label} ", depth)]
        case Macro(_, _, text):
            return tokens(text, depth)
        case _:
            assert_never(box)


def _token(text: str, depth: int) -> Token:
    return Token(text, columns(text), depth)


def _followed(items: list[Token], suffix: str) -> list[Token]:
    last = items[-1]
    changed = replace(last, string=last.string + suffix, size=last.size + columns(suffix))
    return [*items[:-1], changed]


def _script(box: Box) -> str:
    """A script: letters of axes stand side by side, anything longer goes into braces."""
    text = inline(box)
    if len(text) == 1 or text.isalpha():
        return text
    return f"{{{text}}}"


def _fenced(left: str, body: Box, right: str, depth: int) -> list[Token]:
    return [_token(left, depth), *tokens(body, depth + 1), _token(right, depth)]


def _closed(box: Box, depth: int) -> list[Token]:
    """A box that is one thing beside a slash or a root: in parentheses unless it is."""
    if isinstance(box, Row | Fraction) and not _is_one(box):
        return _fenced("(", box, ")", depth)
    return tokens(box, depth)


def _is_one(box: Row | Fraction) -> bool:
    """Whether a row needs no parentheses: it is a function at arguments, no operator, large sign
    or index such as ``2 l`` or ``l + 1``."""
    if isinstance(box, Fraction) or all(isinstance(p, Glyph) for p in box.parts):
        return False
    signs = [p for p in box.parts if isinstance(p, Glyph) and p.text in "+−"]
    return not signs and not any(isinstance(p, Operator | Large | Fraction) for p in box.parts)
