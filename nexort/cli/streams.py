"""What goes to standard output and standard error, whatever they can take.

Characters that an encoding lacks have an ASCII form (``⟨x|y⟩`` is ``<x|y>``), else a question mark.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from contextlib import suppress

from nexort.support.diagnostics import fail, printable
from nexort.syntax.lexing import GREEK

_ASCII = {
    "⟨": "<", "⟩": ">", "−": "-", "±": "+-", "·": "*", "×": "x", "⋅": "*", "…": "...", "√": "sqrt",
    "Σ": "sum", "∑": "sum", "∈": "in", "→": "->", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~=",
    "∞": "inf", "ᵀ": "^T", "⊤": "^T", "∂": "d", "𝔼": "E", "′": "'", "’": "'", "‘": "'", "“": '"',
    "”": '"', "–": "-", "—": "-", "∼": "~", "½": "1/2", "∫": "int", "∏": "prod", "│": "|",
    "─": "-", "═": "=", "█": "#", "∣": "|", "‖": "||", "²": "^2", "³": "^3", "¹": "^1",
}  # fmt: skip


def ascii_form(character: str) -> str:
    """A character in ASCII: its usual spelling, its letter without accents, or a question mark."""
    found = _ASCII.get(character) or GREEK.get(character)
    if found is None:
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        found = plain if plain.isprintable() else ""
    return found or "?"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(ascii_form, error.object[error.start : error.end])), error.end


def prepare_streams() -> None:
    """Make ready what everything is written to. Raises NexortError where there is no output."""
    codecs.register_error("nexort.ascii", _replaced)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nexort.ascii")
    if sys.stdout is None:
        hint = "give it a file or a terminal; > /dev/null drops what is written"
        raise fail("cannot-write", "standard output is closed", help=hint)


def say(text: str, end: str = "\n") -> None:
    """A result, to standard output. Raises NexortError where it cannot be written."""
    _write(text + end)


def say_bytes(data: bytes) -> None:
    """A result that is no text."""
    _write(data)


def note(text: str) -> None:
    """What is no result, to standard error; lost where that cannot be written."""
    with suppress(OSError, ValueError):
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def _write(content: str | bytes) -> None:
    try:
        if isinstance(content, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write(content)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        drop_output()
        raise fail("cannot-write", f"cannot write to standard output: {reason}") from None


def drop_output() -> None:
    """Let nothing more be written: what is left in buffers has no place to go."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
