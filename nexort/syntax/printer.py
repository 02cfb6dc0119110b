"""The canonical printer, for ``nexort fmt``: modules, statements and expressions as text.

Parsing the text of a parsed module gives an equal tree. A tree made by a program may gain
:class:`~nexort.syntax.tree.Paren` nodes where precedence needs them (see ``documents.py`` for the
one kind of tree that is written in another way). Comments and single blank lines are kept.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nexort.support.diagnostics import Source, Span
from nexort.syntax import documents
from nexort.syntax import tree as t
from nexort.syntax.layout import INDENT, WIDTH, Doc, flat_text, render


def print_expr(expr: t.Expr) -> str:
    """An expression, on one line."""
    return flat_text(documents.expression_doc(expr))


def print_statement(statement: t.Statement) -> str:
    """A statement, a block with its body; without the last line break."""
    printer = _Printer(None, ())
    printer.statement(statement, 0)
    return printer.text()


def format_module(module: t.Module) -> str:
    """A module with its comments, in canonical form; '' if there is nothing in it."""
    printer = _Printer(module.span.source, module.comments)
    for statement in module.statements:
        printer.statement(statement, 0)
    printer.flush(None, 0)
    text = printer.text()
    return text + "\n" if text else ""


_BEFORE_BRACE = re.compile(r"(?:[^{#]|#[^\n]*)*")


@dataclass(slots=True)
class _Entry:
    """A printed statement, comment or bracket, with the comment at the end of its last line."""

    text: str
    blank: bool  # a blank line comes before it
    comment: str = ""
    opens: bool = False  # a block


class _Printer:
    """Prints statements in order and puts each comment where the source has it.

    ``source`` is the text that the offsets of spans refer to. Statements of another source, and all
    of them if it is None, are printed without blank lines.
    """

    def __init__(self, source: Source | None, comments: tuple[t.Comment, ...]) -> None:
        self.source = source
        self.comments = sorted(comments, key=lambda x: x.span.start)
        self.offsets = [x.span.start for x in self.comments]
        self.printed = 0  # how many comments
        text = source.text if source else ""
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.entries: list[_Entry] = []
        self.last: int | None = None  # the source line on which the last entry ends

    def text(self) -> str:
        """Everything printed, with the comments of each paragraph in one column."""
        lines: list[str] = []
        paragraph: list[_Entry] = []
        for entry in self.entries:
            if entry.blank and paragraph:
                lines += [*_aligned(paragraph), ""]
                paragraph = []
            paragraph.append(entry)
        return "\n".join(lines + _aligned(paragraph))

    # ---- statements

    def statement(self, node: t.Statement, depth: int) -> None:
        """A statement with the comments before and within it."""
        match node:
            case t.For():
                self._for(node, depth)
            case t.Update():
                self._update(node, depth)
            case t.Network():
                self._block(node, depth, lambda x: self.statement(x, depth + 1), node.body)
            case t.Train():
                self._block(node, depth, lambda x: self._setting(x, depth + 1), node.settings)
            case t.Optimizer():
                self._block(node, depth, lambda x: self._line_of(x, depth + 1), node.body)
            case t.Noted():
                self._noted(node, depth)
            case _:
                self._entry(documents.statement(node), depth, self._own(node.span))

    def _noted(self, node: t.Noted, depth: int) -> None:
        blank = node.apart and bool(self.entries) and not self.entries[-1].opens
        for line in node.above:
            if line:
                self.entries.append(_Entry(" " * (depth * INDENT) + line, blank))
            blank = not line
        head = len(self.entries)
        self.statement(node.statement, depth)
        self.entries[head].blank = blank
        self.entries[-1].comment = node.beside

    def _for(self, node: t.For, depth: int) -> None:
        span = self._own(node.span)
        header = self._header(span, node.loop.span.end)
        text = None if self._commented(header, span) else _one_line(node, depth)
        if text is not None:
            self._entry(text, depth, header)
        else:
            self._entry(documents.statement(node), depth, header, opens=True)
            for statement in node.body:
                self.statement(statement, depth + 1)
            self._close(span, depth)
        self.last = self._line(span.end) if span else None

    def _update(self, node: t.Update, depth: int) -> None:
        span = self._own(node.span)
        after = node.parameters[-1].span.end if node.parameters else node.span.start
        header = self._header(span, after)
        self._entry(documents.statement(node), depth, header, opens=True)
        for line in node.body:
            self._entry(documents.assignment(line), depth + 1, self._own(line.span))
        result = self._own(node.result.span)
        if result is not None:
            word = result.source.text.rfind("return", 0, result.start)
            result = Span(result.source, max(word, 0), result.end)
        self._entry(documents.result(node), depth + 1, result)
        self._close(span, depth)

    def _block(
        self,
        node: t.Network | t.Train | t.Optimizer,
        depth: int,
        line: Callable[[Any], None],
        body: Sequence[Any],
    ) -> None:
        """A block whose lines are printed by ``line``."""
        span = self._own(node.span)
        after = node.span.start
        if isinstance(node, t.Network | t.Optimizer) and node.parameters:
            after = node.parameters[-1].span.end
        self._entry(documents.statement(node), depth, self._header(span, after), opens=True)
        for item in body:
            line(item)
        self._close(span, depth)

    def _line_of(self, node: t.Assign | t.Updated, depth: int) -> None:
        self._entry(documents.step(node), depth, self._own(node.span))

    def _setting(self, node: t.Setting, depth: int) -> None:
        span = self._own(node.span)
        if not node.exponents:
            self._entry(documents.setting(node), depth, span)
            return
        header = self._header(span, node.span.start)
        self._entry(documents.setting(node), depth, header, opens=True)
        for line in node.exponents:
            self._entry(documents.exponents_doc(line), depth + 1, self._own(line.span))
        self._close(span, depth)

    def _header(self, span: Span | None, after: int) -> Span | None:
        """Of a block's span, what comes before the brace that opens it after offset ``after``."""
        if span is None:
            return None
        skipped = _BEFORE_BRACE.match(span.source.text, after)
        end = skipped.end() if skipped else after
        return Span(span.source, span.start, max(span.start, min(end, span.end)))

    # ---- entries and comments

    def _entry(self, doc: Doc, depth: int, span: Span | None, opens: bool = False) -> None:
        """A document that stands for the source under ``span``; comments inside go before it."""
        blank = False
        if span is not None:
            self.flush(span.start, depth)
            blank = self._gap(span.start)
            for comment in self._take(span.end):
                self.entries.append(_Entry(_comment(comment, depth), blank))
                blank = False
        self.entries.append(_Entry(render(doc, depth * INDENT), blank, opens=opens))
        self.last = self._line(span.end) if span else None

    def _close(self, span: Span | None, depth: int) -> None:
        if span is not None:
            self.flush(span.end, depth + 1)
        self.entries.append(_Entry(" " * (depth * INDENT) + "}", blank=False))
        self.last = self._line(span.end) if span else None

    def flush(self, until: int | None, depth: int) -> None:
        """Print the comments before offset ``until`` (None: all that are left)."""
        for comment in self._take(until):
            start = comment.span.start
            previous = self.entries[-1] if self.entries else None
            line = self._line(start)
            if not comment.alone and previous and line == self.last and not previous.comment:
                previous.comment = comment.text.rstrip()
            else:
                self.entries.append(_Entry(_comment(comment, depth), self._gap(start)))
            self.last = line

    def _take(self, until: int | None) -> list[t.Comment]:
        first = self.printed
        last = len(self.comments) if until is None else bisect_left(self.offsets, until)
        self.printed = max(first, last)
        return self.comments[first : self.printed]

    def _commented(self, header: Span | None, span: Span | None) -> bool:
        """Whether there is a comment in a block."""
        if header is None or span is None:
            return False
        return bisect_left(self.offsets, header.end) < bisect_left(self.offsets, span.end)

    # ---- places in the source

    def _own(self, span: Span) -> Span | None:
        return span if self.source is not None and span.source is self.source else None

    def _line(self, offset: int) -> int:
        return bisect_right(self.line_starts, offset)

    def _gap(self, offset: int) -> bool:
        """Whether a blank line comes between the last entry and this offset."""
        if not self.entries or self.entries[-1].opens or self.last is None:
            return False
        return self._line(offset) > self.last + 1


def _one_line(node: t.For, depth: int) -> str | None:
    """A loop over one simple statement on one line, if it fits."""
    if not node.body:
        return flat_text(documents.statement(node)) + "}"
    if len(node.body) > 1 or isinstance(
        node.body[0], t.For | t.Update | t.Network | t.Train | t.Optimizer | t.Noted
    ):
        return None
    body = flat_text(documents.statement(node.body[0]))
    text = f"{flat_text(documents.statement(node))} {body} }}"
    return text if depth * INDENT + len(text) <= WIDTH else None


def _comment(comment: t.Comment, depth: int) -> str:
    return " " * (depth * INDENT) + comment.text.rstrip()


def _aligned(paragraph: list[_Entry]) -> list[str]:
    """The lines of a paragraph; its trailing comments start in one column if they fit there."""
    widths = [len(entry.text) - entry.text.rfind("\n") - 1 for entry in paragraph]
    commented = [
        (width, len(entry.comment))
        for entry, width in zip(paragraph, widths, strict=True)
        if entry.comment
    ]
    column = max((width for width, _ in commented), default=0) + 2
    together = column + max((size for _, size in commented), default=0) <= WIDTH
    return [
        entry.text + " " * (column - width if together else 2) + entry.comment
        if entry.comment
        else entry.text
        for entry, width in zip(paragraph, widths, strict=True)
    ]
