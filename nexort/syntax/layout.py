"""Line breaking: a document is text, a row of documents, or a list that may be broken.

Lines are broken only where the lexer continues a statement: before an operator, after a comma, and
inside ``( )`` and ``[ ]``. Whatever fits into a line stays in one; a list that does not is filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH = 100
INDENT = 2


@dataclass(frozen=True, slots=True)
class Sequenced:
    """Parts after one another, unbreakable between them."""

    parts: tuple[Doc, ...]
    flat: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Items with the text between them, ``joints[k]`` after item k.

    At a break a joint that is a comma ends the line, any other starts the next one. ``bracketed``
    allows a break before the first item.
    """

    items: tuple[Doc, ...]
    joints: tuple[str, ...]
    bracketed: bool
    flat: str


Doc = str | Sequenced | Fill


def flat_text(doc: Doc) -> str:
    """The document on one line."""
    return doc if isinstance(doc, str) else doc.flat


def sequence(*parts: Doc) -> Doc:
    """Parts after one another; text if all of them are."""
    joined: list[Doc] = []
    for texts, group in groupby(parts, lambda part: isinstance(part, str)):
        run = list(group)
        joined += ["".join(map(flat_text, run))] if texts else run
    return (
        joined[0] if len(joined) == 1 else Sequenced(tuple(joined), "".join(map(flat_text, parts)))
    )


def fill_doc(items: Sequence[Doc], joints: Sequence[str], bracketed: bool = False) -> Doc:
    """Items with ``joints[k]`` after item k."""
    pieces = [flat_text(items[0])]
    for joint, item in zip(joints, items[1:], strict=True):
        pieces += (joint, flat_text(item))
    return Fill(tuple(items), tuple(joints), bracketed, "".join(pieces))


def commas(items: Iterable[Doc]) -> Doc:
    """Items separated by commas; '' if there are none."""
    listed = tuple(items)
    return fill_doc(listed, (", ",) * (len(listed) - 1)) if listed else ""


def bracketed_doc(opening: str, items: Iterable[Doc], closing: str) -> Doc:
    """Items separated by commas inside brackets."""
    listed = tuple(items)
    if not listed:
        return opening + closing
    return sequence(opening, fill_doc(listed, (", ",) * (len(listed) - 1), bracketed=True), closing)


def render(doc: Doc, indent: int) -> str:
    """The document as lines, the first one and its continuations indented."""
    page = _Page(indent)
    page.lay(doc, indent, 0)
    return "\n".join([*page.lines, page.line])


class _Page:
    """The finished lines and the one being written."""

    def __init__(self, indent: int) -> None:
        self.lines: list[str] = []
        self.line = " " * indent

    def lay(self, doc: Doc, indent: int, after: int) -> None:
        """Write a document that ``after`` further characters follow on its last line."""
        if isinstance(doc, str) or len(self.line) + len(doc.flat) + after <= WIDTH:
            self.line += flat_text(doc)
        elif isinstance(doc, Sequenced):
            for k, part in enumerate(doc.parts):
                self.lay(part, indent, _head(doc.parts[k + 1 :], after))
        else:
            self._fill(doc, indent, after)

    def _fill(self, doc: Fill, indent: int, after: int) -> None:
        inner = indent + INDENT
        broken = False
        for k, item in enumerate(doc.items):
            joint = doc.joints[k - 1] if k else ""
            last = k == len(doc.joints)
            tail = after if last else doc.joints[k].count(",")
            size = len(flat_text(item)) + tail
            if len(self.line) + len(joint) + size <= WIDTH:
                self.line += joint + flat_text(item)
                continue
            fresh = inner + len(joint.lstrip()) + size <= WIDTH
            begins = len(self.line) + len(joint) + _head((item,), tail) <= WIDTH
            if (k or doc.bracketed) and len(self.line) > inner and (fresh or not begins):
                self._break_at(joint, inner)
                broken = True
            else:
                self.line += joint
            self.lay(item, indent if last and not broken else inner, tail)

    def _break_at(self, joint: str, indent: int) -> None:
        comma = joint.startswith(",")
        self.lines.append((self.line + "," if comma else self.line).rstrip())
        self.line = " " * indent + ("" if comma else joint.lstrip())


def _head(parts: Sequence[Doc], after: int) -> int:
    """How many characters of ``parts`` come before their first possible break."""
    count = 0
    for part in parts:
        if isinstance(part, Fill):
            return count if part.bracketed else count + _head(part.items[:1], 0)
        count += len(flat_text(part)) if isinstance(part, str) else _head(part.parts, 0)
        if not _solid(part):
            return count
    return count + after


def _solid(doc: Doc) -> bool:
    """Whether a document has no break at all."""
    if isinstance(doc, Sequenced):
        return all(_solid(part) for part in doc.parts)
    return isinstance(doc, str)
