r"""Boxes as LaTeX mathematics: tokens whose size is an estimate in em of display style.

Delimiters get fixed sizes (``\Bigl(``), never ``\left(``, so that a line may be broken inside.
"""

from __future__ import annotations

import re
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

SMALL = 0.72
"""The size of scripts."""

MACROS = r"""\providecommand{\ket}[1]{\lvert #1\rangle}
\providecommand{\braket}[2]{\langle #1\vert #2\rangle}
\providecommand{\hatket}[1]{\lvert #1\hat{\rangle}}
\providecommand{\dotket}[1]{\lvert #1\dot{\rangle}}
\providecommand{\iid}[2]{{#1}^{(#2)}}
\providecommand{\transpose}[2]{#1^{#2\top}}
\providecommand{\E}{\mathbb{E}}
\providecommand{\Cov}{\operatorname{Cov}}
\providecommand{\covariance}[3]{\bigl(\begin{smallmatrix} #1&#2\\ #2&#3 \end{smallmatrix}\bigr)}
"""
"""Kets, brackets, hats (Gaussian parts), dots, iid copies, transposes, expectations."""


def macros() -> dict[str, tuple[int, str]]:
    """How many arguments each macro takes, and what it stands for."""
    found = re.findall(r"\\providecommand\{\\(\w+)\}(?:\[(\d)\])?\{(.*)\}", MACROS)
    return {name: (int(count or 0), body) for name, count, body in found}


def latex_inline(box: Box) -> str:
    """A box as LaTeX on one line."""
    return "".join(t.string for t in latex_pieces(box)).strip()


def width(box: Box) -> float:
    """The estimated width of a box in em."""
    return sum(t.size for t in latex_pieces(box))


def latex_pieces(box: Box, depth: int = 0) -> list[Piece]:
    """A box as tokens."""
    match box:
        case Glyph(text, latex):
            return [Piece(latex, glyphs(text), depth)]
        case Infix(text, latex, Strength.COMMA) if text.endswith(" "):
            return [Piece(latex.rstrip(), 0.28, depth), Piece(" ", 0.17, depth, Strength.COMMA, "")]
        case Infix(text, latex, strength):
            lone = r"{}\cdot " if strength is Strength.TIMES else "{}" + latex.lstrip()
            breaks = None if strength is Strength.COMMA else strength
            size = 0.17 if strength is Strength.TIMES else glyphs(text)
            lead = 0.33 if strength is Strength.TIMES else 0.0
            return [Piece(latex, size, depth, breaks, lone, lead)]
        case Row(parts):
            return [t for part in parts for t in latex_pieces(part, depth)]
        case Script(base, below, above):
            return _scripted(latex_pieces(base, depth), below, above)
        case Raised(base, exponent):
            return _scripted(latex_pieces(base, depth), None, exponent)
        case Fraction(top, bottom):
            size = max(width(top), width(bottom)) + 0.25
            return [Piece(rf"\frac{{{latex_inline(top)}}}{{{latex_inline(bottom)}}}", size, depth)]
        case Root(body):
            return [Piece(rf"\sqrt{{{latex_inline(body)}}}", width(body) + 0.9, depth)]
        case Fenced(left, body, right):
            big = tall(body)
            opened = Piece(_sized(left.latex, "l", big), 0.5 if big else 0.4, depth)
            closed = Piece(_sized(right.latex, "r", big), 0.5 if big else 0.4, depth)
            return [opened, *latex_pieces(body, depth + 1), closed]
        case Large(sign, below, above):
            limits = max(width(below), 0 if above is None else width(above)) * SMALL
            upper = "" if above is None else f"^{{{latex_inline(above)}}}"
            string = f"{sign.latex}_{{{latex_inline(below)}}}{upper} "
            return [Piece(string, max(1.45, limits) + 0.17, depth)]
        case Macro(command, args, text):
            inner = "".join(f"{{{latex_inline(a)}}}" for a in args)
            return [Piece(f"\\{command}{inner}", width(text), depth)]
        case _:
            assert_never(box)


def tall(box: Box) -> bool:
    """Whether a box is higher than a line."""
    match box:
        case Fraction() | Large():
            return True
        case Row(parts):
            return any(tall(p) for p in parts)
        case Fenced(_, body, _) | Root(body):
            return tall(body)
        case Script(base, _, _) | Raised(base, _):
            return tall(base)
        case _:
            return False


def _sized(delimiter: str, side: str, big: bool) -> str:
    if not big:
        return delimiter
    return f"\\Bigl{delimiter}" if side == "l" else f"\\Bigr{delimiter}"


def _scripted(base: list[Piece], below: Box | None, above: Box | None) -> list[Piece]:
    last = base[-1]
    lower = "" if below is None else f"_{{{latex_inline(below)}}}"
    upper = "" if above is None else f"^{{{latex_inline(above)}}}"
    size = SMALL * max(
        0.0 if below is None else width(below), 0.0 if above is None else width(above)
    )
    string = last.string.rstrip()
    if match := re.fullmatch(r"\{([^{}^]*)_\{([^{}]*)\}\}", string):
        # a name's own subscript stands with the others: sigma_w^2, z_{1,a}^l
        string, own = match.groups()
        lower = f"_{{{own}}}" if below is None else f"_{{{own},{latex_inline(below)}}}"
    changed = replace(last, string=string + upper + lower, size=last.size + size)
    return [*base[:-1], changed]


_SIZES = {" ": 0.25, "|": 0.28, "⟨": 0.39, "⟩": 0.39, "(": 0.39, ")": 0.39, "[": 0.28, "]": 0.28}
_SIZES |= {",": 0.28, ".": 0.28, "−": 0.78, "+": 0.78, "=": 0.78, "^": 0.0, "i": 0.35, "l": 0.32}
_SIZES |= {"j": 0.41, "m": 0.88, "w": 0.72, "∂": 0.58, "/": 0.5}


def glyphs(text: str) -> float:
    """The estimated width of written-out characters in em."""
    total = 0.0
    for c in unicodedata.normalize("NFD", text):
        if unicodedata.combining(c):
            continue
        total += _SIZES.get(c, 0.78 if c.isupper() else 0.55)
    return total
