"""Diagnostics: what is wrong, where, what was expected, and what to write instead.

Every stage reports through a :class:`Report`; a stage that cannot go on raises
:class:`NexortError`, which carries all diagnostics collected so far.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePath
from typing import NamedTuple


def printable(text: str) -> str:
    """A text whose control characters, which a terminal would obey, are replaced; lines stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


@dataclass(frozen=True, slots=True)
class Source:
    """A text with a name; ``name`` is the path as the user wrote it. A carriage return that ends a
    line by itself is a line break like the others."""

    name: str
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if "\r" in self.text:
            object.__setattr__(self, "text", re.sub("\r(?!\n)", "\n", self.text))

    @property
    def title(self) -> str:
        """The file's own name, as it is shown: on one line, without control characters."""
        return printable(PurePath(self.name).name.replace("\n", "\ufffd"))

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset."""
        offset = min(max(offset, 0), len(self.text))
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return line, column

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its line break; '' outside the text."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 1 <= number <= len(lines) else ""


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of ``other``."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    @property
    def text(self) -> str:
        """The source text under the span."""
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem.

    ``code`` is a stable short name (``axis-mismatch``), ``message`` one sentence with what was
    found and expected, ``notes`` point at further places, ``help`` says what to write instead.
    """

    code: str
    message: str
    span: Span | None = None
    notes: tuple[tuple[str, Span | None], ...] = ()
    help: str | None = None
    severity: str = "error"

    def render(self, *, python: bool = False) -> str:
        """The diagnostic as text, with the source line, two lines of context and carets. Control
        characters, which a terminal would obey, are replaced. ``python``: options are spelled as
        keyword arguments."""
        parts = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.span is not None:
            parts += _excerpt(self.span, "^", context=2)
        for message, span in self.notes:
            parts.append(f"note: {message}")
            if span is not None:
                parts += _excerpt(span, "-", context=0)
        if self.help:
            parts.append(f"help: {self.help}")
        if python:
            parts = [x if x.lstrip()[:1].isdigit() else in_python(x) for x in parts]
        return printable("\n".join(parts))

    def as_json(self) -> dict[str, object]:
        """The diagnostic as plain data, for ``--json``."""
        where: dict[str, object] = {}
        if self.span is not None:
            line, column = self.span.source.position(self.span.start)
            end_line, end_column = self.span.source.position(self.span.end)
            where = {
                "file": self.span.source.name,
                "line": line,
                "column": column,
                "end_line": end_line,
                "end_column": end_column,
            }
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "help": self.help,
            "notes": [message for message, _ in self.notes],
            **where,
        }


def _excerpt(span: Span, mark: str, context: int) -> list[str]:
    """``--> file:line:column`` and the marked source lines."""
    source = span.source
    line, column = source.position(span.start)
    end_line, end_column = source.position(max(span.start, span.end))
    text = source.line(line).expandtabs(1)
    width = (end_column if end_line == line else len(text) + 1) - column
    gutter = len(str(line))
    rows = [f"{' ' * gutter}--> {source.name}:{line}:{column}"]
    rows.append(f"{' ' * gutter} |")
    for number in range(max(1, line - context), line):
        rows.append(f"{number:>{gutter}} | {_clip(source.line(number).expandtabs(1), 1)[0]}")
    shown, shift = _clip(text, column)
    rows.append(f"{line:>{gutter}} | {shown}")
    carets = mark * max(1, min(width, len(shown) - (column - 1 - shift)))
    rows.append(f"{' ' * gutter} | {' ' * (column - 1 - shift)}{carets}")
    return rows


def _clip(text: str, column: int, width: int = 120) -> tuple[str, int]:
    """A window of a long line around ``column``, and how many characters it starts at."""
    if len(text) <= width:
        return text, 0
    start = max(0, min(column - 1 - width // 3, len(text) - width))
    return text[start : start + width], start


class NexortError(Exception):
    """A user error: one or more diagnostics. Never a defect of nexort itself."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.render(python=True) for d in self.diagnostics))

    def render(self) -> str:
        """The diagnostics as the command line tells them; as a string they speak Python."""
        return "\n".join(d.render() for d in self.diagnostics)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback: where nexort found it is no news."""
        return str(self).splitlines()

    def __reduce__(self) -> tuple[type[NexortError], tuple[tuple[Diagnostic, ...]]]:
        """By its diagnostics, not by its text: it may come from another process."""
        return NexortError, (self.diagnostics,)


class InternalError(Exception):
    """A broken invariant of nexort: a defect to report, never the user's fault."""

    def __str__(self) -> str:
        return f"internal error, please report: {super().__str__()}"


class Report:
    """Collects diagnostics of a stage, so that several errors are reported in one run."""

    def __init__(self, limit: int = 20) -> None:
        self.limit = limit
        self._items: list[Diagnostic] = []

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._items)

    @property
    def failed(self) -> bool:
        """Whether any error (not only warnings) was reported."""
        return any(d.severity == "error" for d in self._items)

    def error(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        notes: Iterable[tuple[str, Span | None]] = (),
        help: str | None = None,
    ) -> None:
        """Add an error; past ``limit`` errors the stage is ended."""
        self.add(Diagnostic(code, message, span, tuple(notes), help))

    def add(self, item: Diagnostic) -> None:
        """Add a finished diagnostic."""
        if item not in self._items:
            self._items.append(item)
        if len(self._items) >= self.limit:
            self.stop()

    def stop(self) -> None:
        """Raise what was collected if there is any error."""
        if self.failed:
            raise NexortError(self._items)


def fail(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    notes: Iterable[tuple[str, Span | None]] = (),
    help: str | None = None,
) -> NexortError:
    """A :class:`NexortError` with one diagnostic, to be raised by the caller."""
    return NexortError([Diagnostic(code, message, span, tuple(notes), help)])


_SPELLINGS = (
    (r"--set (\w+)=([^\s,)]+)", r"load(path, \1=\2)"),
    (r"--set (\w+)", r"\1"),
    (r"--data (?:(\w+)=|'(\w+)=)[^\s'\[]*?(\[[^\]]*\]|\.T)?'?(?=[\s,]|$)", r"\1\2=X\3"),
    (r"--data \S+", "the name of data as a keyword"),
    (r"--width (\d+(?:,\d+)+)", r"widths=[\1]"),
    (r"--(dtype|plot|expect|optimizer) '?([^\s',]+)'?", r'\1="\2"'),
    (r"--(\w+)-(\w+)", r"\1_\2"),
    (r"--(\w+) (\d\w*)", r"\1=\2"),
    (r"--unroll", "unroll=True"),
    (r"--(\w+)", r"\1"),
    (r"nexort eval", "limit()"),
    (r"nexort (derive|expand|verify|simulate|emit|graph)", r"\1()"),
)
"""What an option or a command is to the caller of a function, tried in this order."""


def in_python(text: str) -> str:
    """A message that names options of the command line, with keyword arguments in their place."""
    for pattern, spelled in _SPELLINGS:
        text = re.sub(pattern, spelled, text)
    return text


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """``1 index``, ``2 indices``."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A help text with the nearest known name, or None."""
    spelled = {_bare(x): x for x in reversed(list(known))}
    near = get_close_matches(_bare(name), list(spelled), n=5, cutoff=0.6)
    # letters in another order come first
    near.sort(key=lambda x: sorted(x) != sorted(_bare(name)))
    return f"did you mean '{spelled[near[0]]}'?" if near else None


def _bare(name: str) -> str:
    """A name without case, which is mistaken most easily."""
    return name.casefold()
