"""Derivations as Unicode text, lines of a width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from nexort.limit.derive.printing.boxes import Box
from nexort.limit.derive.printing.lines import fill_lines
from nexort.limit.derive.printing.statements import Page, Paragraph, Section, Statement, Words
from nexort.limit.derive.printing.text_boxes import terminal_columns, text_inline, text_pieces

WIDTH = 100
INDENT = 2
DEEP = 6
"""Where statements stand that have no label: under the sentence before them."""

STEP = 4


def page_text(page: Page, width: int = WIDTH) -> str:
    """The page as text; no line is wider than ``width`` where it can be broken."""
    lines = [page.title, "=" * terminal_columns(page.title), ""]
    for paragraph in page.opening:
        lines += [*_sentence(paragraph.words, width, 0), ""]
    for section in page.sections:
        lines += [section.heading, "-" * terminal_columns(section.heading)]
        lines += [*_section(section, width), ""]
    return "\n".join(lines[:-1]) + "\n"


def text_statements(items: Sequence[Statement], width: int = WIDTH) -> str:
    """Statements as text, without a page around them."""
    return "\n".join(_aligned(items, width, 0))


def _section(section: Section, width: int) -> Iterator[str]:
    for is_statement, group in groupby(section.items, lambda x: isinstance(x, Statement)):
        items = list(group)
        if is_statement:
            some = [x for x in items if isinstance(x, Statement)]
            yield from _aligned(some, width, INDENT if some[0].label else DEEP)
        else:
            for item in items:
                if isinstance(item, Paragraph):
                    yield from _sentence(item.words, width, INDENT)


def _sentence(words: Sequence[Words], width: int, indent: int) -> list[str]:
    text = "".join(w if isinstance(w, str) else text_inline(w) for w in words)
    space = " " * indent
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _aligned(items: Sequence[Statement], width: int, indent: int) -> Iterator[str]:
    """Statements with their relations under each other, as far as left sides are short."""
    limit = width // 3
    sizes = [0 if x.left is None else terminal_columns(text_inline(x.left)) for x in items]
    at = indent + max((s for s in sizes if s <= limit), default=0)
    for item, size in zip(items, sizes, strict=True):
        if item.left is None:
            head = " " * at
        elif size <= limit:
            head = " " * indent + text_inline(item.left) + " " * (at - indent - size)
        else:
            for line in fill_lines(text_pieces(item.left), width - indent, STEP):
                yield " " * (indent + int(line.indent)) + line.string()
            head = " " * at
        if not item.rights:
            yield head.rstrip()
        yield from _sides(item, head, at, width)
        if item.note:
            yield from _sentence(item.note, width, at + 3)


def _sides(item: Statement, head: str, at: int, width: int) -> Iterator[str]:
    for k, right in enumerate(item.rights):
        tail = _tail(item) if k == len(item.rights) - 1 else ""
        start = at + terminal_columns(" = ")
        lines = fill_lines(text_pieces(right), width - start, STEP)
        for n, line in enumerate(lines):
            first = n == 0
            opening = (head if k == 0 else " " * at) + " = " if first else " " * start
            text = opening + " " * int(line.indent) + line.string()
            if n == len(lines) - 1 and tail:
                if terminal_columns(text) + terminal_columns(tail) + 3 <= width:
                    text += "   " + tail
                else:
                    yield text
                    text = " " * (start + STEP) + tail
            yield text


def _tail(item: Statement) -> str:
    return "" if item.tail is None else f"({text_inline(item.tail)})"


def text_formula(box: Box, width: int = WIDTH) -> str:
    """A formula alone, broken at ``width``."""
    lines = fill_lines(text_pieces(box), width, STEP)
    return "\n".join(" " * int(line.indent) + line.string() for line in lines)
