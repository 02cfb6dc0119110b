"""The lexer: text to tokens, with Unicode spellings folded into ASCII and line breaks resolved.

A line break ends a statement, except inside ``( )`` and ``[ ]``, after a binary operator or
a comma, and before a binary operator. Words such as ``vector`` are keywords only where a statement
starts, so that they stay free as names elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nexort.support.diagnostics import Source, Span
from nexort.syntax.tree import Comment

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "ο": "omicron", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
GREEK |= {letter.upper(): name.capitalize() for letter, name in GREEK.items()}
GREEK |= {"ϵ": "epsilon", "ς": "sigma", "ϕ": "phi", "µ": "mu", "ϑ": "theta"}

_LETTER = "A-Za-z_" + "".join(GREEK)
_NAME = rf"[{_LETTER}][0-9{_LETTER}]*"
_INSIDE = r"[^\[\]\n]"
for _ in range(3):  # brackets within the brackets of a label
    _INSIDE = rf"(?:[^\[\]\n]|\[{_INSIDE}*\])"
_LABEL = rf"(?:{_NAME}(?:\s*\[{_INSIDE}*\])?|[0-9]+)"
_COPY = "[0-9]{1,6}"  # the number of an iid copy

# Tried in this order at every position; the first that matches wins.
_TOKENS = {
    "KETBAR": rf"[|∣](?=\s*{_LABEL}\s*[>⟩〉])",
    "BRABAR": r"[|∣]",
    "EXPECT": rf"(?:E|𝔼)\s*\{{\s*{_COPY}(?:\s*,\s*{_COPY})*\s*\}}(?=\s*\[)",
    "SUM": r"(?:sum|∑|Σ)(?=\s*\(\s*\w+\s*(?:\bin\b|∈))",
    "NAME": _NAME,
    "NUMBER": r"(?:[0-9]+(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "COPY": rf"\{{\s*{_COPY}\s*\}}",
    "TRANSPOSE": rf"\^\s*(?:T(?![0-9{_LETTER}])|⊤|\{{T\}})|ᵀ|⊤",
    "LANGLE": r"[<⟨〈]",
    "RANGLE": r"[>⟩〉]",
    "ARROW": r"->|→",
    "DOTS": r"\.{2,3}|…",
    "PLUS": r"\+",
    "MINUS": r"[-−]",
    "STAR": r"[*·×⋅]",
    "SLASH": r"/",
    "AT": r"@",
    "CARET": r"\^",
    "EQUAL": r"=",
    "TILDE": r"~",
    "COMMA": r",",
    "COLON": r":",
    "PRIME": r"['′’]",
    "LPAR": r"\(",
    "RPAR": r"\)",
    "LSQB": r"\[",
    "RSQB": r"\]",
    "LBRACE": r"\{",
    "RBRACE": r"\}",
    "ELEMENT": r"∈",
    "STRING": r'"[^"\n]*"',
    "COMMENT": r"#[^\n]*",
    "SEP": r";|\r?\n",
    "END": r"\Z",
}  # fmt: skip
_SPACE = "[ \\t\\f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]*"  # as pasted text has them
_BLANK = re.compile(_SPACE)
_SCANNER = re.compile(
    f"{_SPACE}(?:{'|'.join(f'(?P<{k}>{regex})' for k, regex in _TOKENS.items())})"
)

SETTING_WORDS = frozenset(
    (
        "parametrization", "decay", "normalize", "clip", "error", "steps", "start", "centre",
        "center",
    )
)  # fmt: skip
STATEMENT_WORDS = (
    frozenset(
        ("param", "dim", "data", "vector", "matrix", "scalar", "fn", "update", "output", "import")
    )
    | {"network", "weight", "train", "optimizer", "state", "return"}
    | SETTING_WORDS
)
_WORDS = {"for": "FOR", "in": "IN", "by": "BY", "as": "AS"}
_CONTINUES = frozenset(("PLUS", "MINUS", "STAR", "SLASH", "AT", "CARET", "TILDE", "COMMA"))
_CONTINUED_BY = re.compile(r"(?:\s|#[^\n]*\n)*(?:[+*·×⋅/@]|[-−](?![->]))")
_FACTOR_ENDS = frozenset(
    ("NAME", "NUMBER", "RPAR", "RSQB", "RANGLE", "BRABAR", "PRIME", "TRANSPOSE", "COPY")
)
_AFTER_FACTOR = {"LPAR": "CALL", "LSQB": "INDEX"}
_BRACKETS = frozenset(("LPAR", "RPAR", "LSQB", "RSQB", "LBRACE"))
_STARTS = frozenset(("SEP", "LBRACE", "START"))
_INDICES = _INSIDE.replace(r"\n", "")
_ASSIGNED = re.compile(rf"{_SPACE}(?:\[{_INDICES}*\]{_SPACE})?=|{_SPACE}'")
"""What follows a word that is a name: it is a target, or a derivative."""
_PAPER = re.compile(r"[ \t]*(?!for\b)[\w(.]")
"""After ``clip paper``, where this is no threshold by that name."""


class Token(NamedTuple):
    """A token: its kind, its text with Greek letters spelled out, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def scan(source: Source, comments: list[Comment]) -> Iterator[Token]:
    """The tokens of a source; comments are appended to ``comments``.

    A character that no token starts with is a token of kind UNKNOWN, which no statement accepts.
    """
    text = source.text
    position, end = 0, len(text)
    match_at = _SCANNER.match
    previous = "START"
    opened: list[str] = []  # what stands before each open bracket
    joined = 0  # line breaks before here do not end the statement
    while position < end:
        match = match_at(text, position)
        if match is None:
            position = _BLANK.match(text, position).end()  # type: ignore[union-attr]
            previous = "UNKNOWN"
            yield Token(previous, text[position], position, position + 1)
            position += 1
            continue
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        value = text[start:position]
        if kind == "COMMENT":
            alone = text[text.rfind("\n", 0, start) + 1 : start].strip() == ""
            comments.append(Comment(value, alone, Span(source, start, position)))
            continue
        if kind == "END":
            return
        if kind == "SEP":
            if previous in _STARTS:
                continue
            if value != ";":
                if opened or previous in _CONTINUES or position < joined:
                    continue
                continued = _CONTINUED_BY.match(text, position)
                if continued:
                    joined = continued.end()
                    continue
        elif kind == "NAME":
            kind, value = _word(text, value, position, previous)
        elif kind in _BRACKETS:
            kind, previous = _bracket(kind, previous, opened)
            yield Token(kind, value, start, position)
            continue
        previous = kind
        yield Token(kind, value, start, position)


def _bracket(kind: str, previous: str, opened: list[str]) -> tuple[str, str]:
    """The token kind of a bracket, and what it is to the token after it."""
    if kind in _AFTER_FACTOR:
        opened.append(previous)
        kind = _AFTER_FACTOR[kind] if previous in _FACTOR_ENDS else kind
    elif kind == "LBRACE":
        opened.clear()
    elif opened and opened.pop() == "SUM":
        # the parenthesis of ``sum(...)`` is not a factor: what follows is its body
        return kind, "SUMMED"
    return kind, kind


def _word(text: str, value: str, position: int, previous: str) -> tuple[str, str]:
    """The token kind of a word, and its spelling with Greek letters written out."""
    if value in _WORDS:
        return _WORDS[value], value
    if value == "paper" and previous == "CLIP" and _PAPER.match(text, position):
        return "PAPER", value
    if value in STATEMENT_WORDS and previous in _STARTS:
        assigned = _ASSIGNED.match(text, position)
        if not assigned or value == "return":
            return "CENTRE" if value == "center" else value.upper(), value
    if not value.isascii():
        value = "".join(GREEK.get(character, character) for character in value)
    return "NAME", value
