"""The lexer: text to tokens, with Unicode spellings folded into ASCII and line breaks resolved.

A line break ends a statement, except inside ``( )`` and ``[ ]``, after a binary operator or
a comma, and before a binary operator. Words such as ``vector`` are keywords only where a statement
starts, so that they stay free as names elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nexort.diagnostics import NexortError, Source, Span, fail
from nexort.syntax.tree import Comment

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon",
    "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu",
    "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi", "ρ": "rho", "σ": "sigma", "ς": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma",
    "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip

_NAME = r"[A-Za-z_\u0391-\u03c9ϕϵ][A-Za-z_0-9\u0391-\u03c9ϕϵ]*"
_LABEL = rf"(?:{_NAME}(?:\s*\[[^\[\]\n]*\])?|\d+)"

# Tried in this order at every position; the first that matches wins.
_TOKENS = {
    "SPACE": r"[ \t\f]+",
    "KETBAR": rf"[|∣](?=\s*{_LABEL}\s*[>⟩〉])",
    "BRABAR": r"[|∣]",
    "EXPECT": r"(?:E|𝔼)\s*\{\s*\d+(?:\s*,\s*\d+)*\s*\}(?=\s*\[)",
    "SUM": r"(?:sum|∑|Σ)(?=\s*\(\s*\w+\s*(?:\bin\b|∈))",
    "NAME": _NAME,
    "NUMBER": r"(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    "COPY": r"\{\s*\d+\s*\}",
    "TRANSPOSE": r"\^\s*(?:T|⊤|\{T\})(?![A-Za-z_0-9])|ᵀ|⊤",
    "LANGLE": r"[<⟨〈]",
    "RANGLE": r"[>⟩〉]",
    "ARROW": r"->|→",
    "DOTS": r"\.\.|…",
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
}  # fmt: skip
_SCANNER = re.compile("|".join(f"(?P<{name}>{regex})" for name, regex in _TOKENS.items()))

STATEMENT_WORDS = frozenset(
    "param dim data vector matrix scalar fn update output import state return".split()
)
_WORDS = {"for": "FOR", "in": "IN", "by": "BY", "as": "AS"}
_CONTINUES = frozenset(
    "PLUS MINUS STAR SLASH AT CARET TILDE COMMA".split()
)
_CONTINUED_BY = re.compile(r"(?:\s|#[^\n]*)*(?:[+*·×⋅/@]|[-−](?!>))")
_STARTS = frozenset(("SEP", "LBRACE", "START"))
_AFTER_WORD = re.compile(r"[ \t]*(?:=|\[|'|\()")


class Token(NamedTuple):
    """A token: its kind, its text with Greek letters spelled out, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def scan(source: Source, comments: list[Comment]) -> Iterator[Token]:
    """The tokens of a source; comments are appended to ``comments``.

    Raises NexortError at a character that no token starts with.
    """
    text = source.text
    position, end = 0, len(text)
    match_at = _SCANNER.match
    previous = "START"
    depth = 0
    while position < end:
        match = match_at(text, position)
        if match is None:
            raise _unknown_character(source, position)
        kind = match.lastgroup or ""
        start, position = position, match.end()
        if kind == "SPACE":
            continue
        value = match.group()
        if kind == "COMMENT":
            alone = text[text.rfind("\n", 0, start) + 1 : start].strip() == ""
            comments.append(Comment(value, alone, Span(source, start, position)))
            continue
        if kind == "SEP":
            if value != ";" and (
                depth > 0 or previous in _CONTINUES or _CONTINUED_BY.match(text, position)
            ):
                continue
            if previous in _STARTS:
                continue
        elif kind == "NAME":
            kind, value = _word(text, value, position, previous)
        elif kind in ("LPAR", "LSQB"):
            depth += 1
        elif kind in ("RPAR", "RSQB"):
            depth = max(0, depth - 1)
        elif kind == "LBRACE":
            depth = 0
        previous = kind
        yield Token(kind, value, start, position)


def _word(text: str, value: str, position: int, previous: str) -> tuple[str, str]:
    """The token kind of a word, and its spelling with Greek letters written out."""
    if value in _WORDS:
        return _WORDS[value], value
    if value in STATEMENT_WORDS and previous in _STARTS:
        after = _AFTER_WORD.match(text, position)
        joint = value in ("vector", "return", "output") and after and after.group()[-1] == "("
        if after is None or joint or value == "return":
            return value.upper(), value
    if not value.isascii():
        value = "".join(GREEK.get(character, character) for character in value)
    return "NAME", value


def _unknown_character(source: Source, position: int) -> NexortError:
    character = source.text[position]
    help_text = None
    if character == '"':
        help_text = "a string ends on the line where it starts: import \"layers.nxt\""
    return fail(
        "syntax",
        f"unexpected character {character!r}",
        Span(source, position, position + 1),
        help=help_text,
    )
