"""Names as they are written: Greek letters, indices, and short letters for what is bound."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import isclose, isinf, pi, sqrt

from nexort.limit.derive.printing.boxes import Glyph

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "omicron": "ο", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ",
    "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
}  # fmt: skip
_LATIN_CAPITALS = {
    "Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H", "Iota": "I",
    "Kappa": "K", "Mu": "M", "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T", "Chi": "X",
}  # fmt: skip
"""Capitals that LaTeX has no command for, since they look like Latin ones."""


AS_WRITTEN = "'"
"""Stands before a name that is shown letter by letter."""


def name_text(text: str) -> Glyph:
    """A name: Greek where it is spelled so, a part after ``_`` as a subscript, words upright."""
    if text.startswith(AS_WRITTEN):
        own = text.removeprefix(AS_WRITTEN)
        return Glyph(f"({own})" if "_" in own else own, rf"\mathrm{{{escape_latex(own)}}}")
    head, *tail = [part for part in text.split("_") if part] or [text]
    base = word(head)
    if not tail:
        return base
    below = [word(part) for part in tail]
    return Glyph(
        "_".join([base.text, *(b.text for b in below)]),
        f"{{{base.latex.rstrip()}_{{{','.join(b.latex.rstrip() for b in below)}}}}}",
    )


def word(text: str) -> Glyph:
    """A name without subscripts."""
    letters = text.rstrip("0123456789")
    digits = text[len(letters) :]
    if digits and letters:
        base = word(letters)
        return Glyph(base.text + digits, f"{{{base.latex}_{{{digits}}}}}")
    if text in _GREEK:
        return Glyph(_GREEK[text], "o" if text == "omicron" else f"\\{text} ")
    if text in _LATIN_CAPITALS:
        return Glyph(_GREEK[text.lower()].upper(), rf"\mathrm{{{_LATIN_CAPITALS[text]}}}")
    if text.lower() in _GREEK and text[0].isupper():
        return Glyph(_GREEK[text.lower()].upper(), f"\\{text} ")
    if text.startswith("d") and len(text) > 1 and (len(text) == 2 or text[1:] in _GREEK):
        rest = word(text[1:])  # dh, the gradient by h
        return Glyph("d" + rest.text, "d" + rest.latex)
    return Glyph(text, text if len(text) == 1 else rf"\mathrm{{{escape_latex(text)}}}")


_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Words as LaTeX text; line breaks and other control characters are spaces."""
    found = []
    for c in text:
        found.append(_ESCAPES.get(c, "\\" + c if c in "#$%&_{}" else c if c.isprintable() else " "))
    return "".join(found)


def hat_name(text: str) -> str | None:
    """A short name with a hat over its last letter, ``ĥ``; None for a longer name."""
    letters = text.rstrip("0123456789")
    glyph = word(letters).text if letters else text
    if len(glyph) == 1 or (len(glyph) == 2 and glyph[0] == "d"):
        return unicodedata.normalize("NFC", glyph + "\u0302") + text[len(letters) :]
    return None


def spare(letters: Sequence[str], taken: Iterable[str]) -> Iterator[str]:
    """Letters that are not taken, then numbered ones."""
    used = set(taken)
    yield from (x for x in letters if x not in used)
    k = 1
    while True:
        candidate = f"{letters[0]}{k}"
        if candidate not in used:
            yield candidate
        k += 1


# ---- numbers -------------------------------------------------------------------------------------

_RADICALS = {
    Glyph("π", r"\pi "): pi,
    Glyph("√π", r"\sqrt{\pi}"): sqrt(pi),
    Glyph("√(2π)", r"\sqrt{2\pi}"): sqrt(2 * pi),
    Glyph("√2", r"\sqrt{2}"): sqrt(2),
    Glyph("√(2/π)", r"\sqrt{2/\pi}"): sqrt(2 / pi),
    Glyph("√3", r"\sqrt{3}"): sqrt(3),
    Glyph("√6", r"\sqrt{6}"): sqrt(6),
}


def recognise_float(value: float) -> tuple[Fraction, Glyph | None, Glyph | None]:
    """A float as ``fraction * top / bottom`` where it is one of small numbers, pi and a root, to
    its last digits. A number without such a form comes with a decimal glyph as ``top``."""
    for glyph, size in _RADICALS.items():
        for top, bottom, rest in ((glyph, None, value / size), (None, glyph, value * size)):
            if isinf(rest):
                continue
            near = Fraction(rest).limit_denominator(24)
            if abs(near.numerator) <= 24 and near and isclose(rest, near, rel_tol=4e-16):
                return near, top, bottom
    near = Fraction(value).limit_denominator(12)
    if float(near) == value and near.denominator % 5:  # 1/3 and 1/2, but 0.1
        return near, None, None
    return Fraction(1 if value >= 0 else -1), decimal(abs(value)), None


def decimal(value: float) -> Glyph:
    """A positive float in decimals."""
    text = f"{value:.10g}"
    if "e" in text:
        digits, power = text.split("e")
        raised = f"10^{{{int(power)}}}"
        return Glyph(
            f"{digits}e{int(power)}", raised if digits == "1" else rf"{digits}\cdot {raised}"
        )
    return Glyph(text, text)
