"""What a page consists of: sections of statements and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.limit.derive.printing.boxes import Box

Words = str | Box


@dataclass(frozen=True, slots=True)
class Statement:
    """``left = rights[0] = rights[1] = ...`` for the values in ``tail``. ``label`` names it in
    LaTeX; ``note`` is a sentence that follows. ``left`` may be None where the line before goes on.
    """

    left: Box | None
    rights: tuple[Box, ...]
    tail: Box | None = None
    label: str | None = None
    note: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence with formulas inside."""

    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    items: tuple[Statement | Paragraph, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole derivation."""

    title: str
    opening: tuple[Paragraph, ...]
    sections: tuple[Section, ...]
