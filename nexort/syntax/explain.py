"""Syntax errors explained: what was found, what was expected, and the usual slips."""

from __future__ import annotations

import re
import unicodedata

from nexort.support.diagnostics import Diagnostic, Source, Span
from nexort.syntax.lexing import Token
from nexort.syntax.slips import slip, unknown_setting, unknown_statement


class UnexpectedError(Exception):
    """The parser stopped at token ``position`` (the statement's length: at its end)."""

    def __init__(self, position: int, expected: frozenset[str]) -> None:
        super().__init__()
        self.position, self.expected = position, expected


_CLOSED_BY = {"LPAR": "RPAR", "CALL": "RPAR", "LSQB": "RSQB", "INDEX": "RSQB", "LBRACE": "RBRACE"}
_SPELLED = {
    "SEP": "end of line", "LPAR": "'('", "CALL": "'('", "INDEX": "'['", "RPAR": "')'",
    "LSQB": "'['", "RSQB": "']'",
    "LBRACE": "'{'", "RBRACE": "'}'", "RANGLE": "'>'", "LANGLE": "'<'", "KETBAR": "'|x>'",
    "BRABAR": "'|'", "EQUAL": "'='", "TILDE": "'~'", "COMMA": "','", "DOTS": "'..'",
    "NAME": "a name", "NUMBER": "a number", "IN": "'in'", "ARROW": "'->'", "COLON": "':'",
    "STRING": 'a "string"', "RETURN": "'return'", "FOR": "'for'", "BY": "'by'", "AS": "'as'",
}  # fmt: skip

_BRAKET = re.compile(r"[<⟨]([^<>|⟨⟩\n]*[-+*/@^ ][^<>|⟨⟩\n]*)\|[^<>⟨⟩\n]*[>⟩]")
"""A bra-ket with an expression before its bar."""

_OPENED = re.compile(r"[<⟨]\s*([\w\[\]]+)\s*[|∣]\s*([^|∣⟨<\s][^⟨<\n]*?)\s*$")
"""A bra with an expression behind its bar."""


def explain_unexpected(source: Source, tokens: list[Token], error: UnexpectedError) -> Diagnostic:
    """A diagnostic for an unexpected token, with special help for the usual slips."""
    at_end = error.position >= len(tokens)
    if at_end:
        token = Token("END", "", tokens[-1].end, tokens[-1].end + 1)
    else:
        token = tokens[error.position]
    span = Span(source, token.start, token.end)
    known = slip(source.text[tokens[0].start : token.start], source.text[token.start :])
    if known is not None:
        return Diagnostic("syntax", known[0], span, (), known[1])
    if token.kind == "UNKNOWN":
        return _unknown_character(token.text, span)
    if at_end or token.kind in ("EQUAL", "TILDE", "LBRACE", "RBRACE", "SEP"):
        opened = _never_closed(tokens, error.position)
        if opened is not None:
            return _unclosed(opened, Span(source, opened.start, opened.end))
    before = tokens[: error.position]
    found = _slip(source, token, before, error.expected)
    if found is not None:
        return Diagnostic(found[0], found[1], span, (), found[2])
    ends = at_end or token.kind == "SEP"
    shown = "the end of the statement" if ends else f"'{token.text}'"
    expected = error.expected
    if "KETBAR" in expected and "NUMBER" in expected:
        wanted = "a value"
    else:
        names = sorted(_SPELLED[name] for name in expected if name in _SPELLED)
        wanted = " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
    message = f"found {shown}" + (f", expected {wanted}" if wanted else "")
    return Diagnostic("syntax", message, span)


def _slip(
    source: Source, token: Token, before: list[Token], expected: frozenset[str]
) -> tuple[str, str, str] | None:
    """Code, message and help of a usual slip."""
    ends = token.kind in ("LBRACE", "SEP", "RPAR", "END")
    if "BRABAR" in expected and "RANGLE" not in expected:
        bra = max((x for x in before if x.kind == "LANGLE"), key=lambda x: x.start)
        whole = _BRAKET.match(source.text, bra.start)
        if whole is not None:
            message = f"a bra holds one name, found '{whole.group(1).strip()}'"
            return "unclosed-bra", message, "name it first: |s> = |v> + |w>, then <s|s>"
        name = source.text[bra.start + 1 : token.start].strip() or "x"
        message = f"the bra '<{name}' is never closed"
        return "unclosed-bra", message, f"write <{name}|y> for a scalar or <{name}| for a bra"
    loop = "DOTS" in expected and "RSQB" not in expected
    if ends and (loop or (before and before[-1].kind == "DOTS")):
        return "endless-loop", "this loop has no end", "write both ends: for k in 1..4"
    if token.kind == "BRABAR":
        rest = source.text[token.start :].split("\n", 1)[0]
        if re.match(r"[|∣]\s*\w", rest):
            return "unclosed-ket", "this '|' opens a ket that is never closed", "write |x> or <x|y>"
    if {"PARAMETRIZATION", "RBRACE"} <= expected and token.kind in ("NAME", "UPDATE"):
        return "syntax", *unknown_setting(token.text)
    if token.kind == "RETURN" and "UPDATE" in expected:
        message = "an optimizer has no 'return'; update functions have"
        return "syntax", message, "write update g, the value that lr multiplies"
    if len(before) == 1 and before[0].kind == "NAME":
        suggestion = unknown_statement(before[0].text)
        if suggestion:
            return "syntax", f"'{before[0].text}' does not start a statement", suggestion
    opened = _OPENED.search(source.text[before[0].start : token.start]) if before else None
    if token.kind == "RANGLE" and opened is not None:
        name, inside = opened.groups()
        return "syntax", "a ket holds one name", f"name it first: |h> = {inside}; then <{name}|h>"
    if token.kind in ("RANGLE", "LANGLE"):
        message = f"'{token.text}' is not a comparison: it only closes kets and opens bras"
        return "syntax", message, "use step(a - b), max(a, b) or min(a, b)"
    return None


def _never_closed(tokens: list[Token], position: int) -> Token | None:
    """The innermost bracket before ``position`` that nothing in the statement closes."""
    opened: list[tuple[int, Token]] = []
    for k, token in enumerate(tokens):
        if token.kind in _CLOSED_BY:
            opened.append((k, token))
        elif opened and token.kind == _CLOSED_BY[opened[-1][1].kind]:
            opened.pop()
    return next((token for k, token in reversed(opened) if k < position), None)


def _unclosed(opened: Token, span: Span) -> Diagnostic:
    if opened.kind == "LBRACE":
        return Diagnostic("unclosed-block", "this block is never closed", span, (), "add '}'")
    closing = _SPELLED[_CLOSED_BY[opened.kind]]
    message = f"this '{opened.text}' is never closed"
    return Diagnostic("unclosed-bracket", message, span, (), f"add {closing}")


_PLAIN = {
    "²": "x^2", "³": "x^3", "√": "sqrt(x)", "÷": "/", "–": "-", "—": "-", "…": "..", "≈": "=",
    "≤": "step(b - a)", "≥": "step(a - b)", "“": '"', "”": '"', "∂": "phi'(|x>) for a derivative",
    "₀": "x[0]", "₁": "x[1]", "₂": "x[2]",
}  # fmt: skip
"""What stands for a character of mathematics or of a word processor."""


def _unknown_character(character: str, span: Span) -> Diagnostic:
    help_text = None
    if character == '"':
        help_text = 'a string ends on the line where it starts: import "layers.nxt"'
    elif character in _PLAIN:
        help_text = f"write {_PLAIN[character]}"
    shown = repr(character)
    if not character.isprintable():
        name = unicodedata.name(character, "a control character").lower()
        shown = f"U+{ord(character):04X} ({name})"
    return Diagnostic("syntax", f"unexpected character {shown}", span, (), help_text)
