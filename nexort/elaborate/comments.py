"""The comments of a file, for the statements that they stand above or beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.program.declarations import NO_NOTE, Note
from nexort.program.program import OUTPUTS, RETURN, TRAIN
from nexort.support.diagnostics import Span
from nexort.syntax import tree as t


@dataclass
class Comments:
    """The comments that no statement has yet, in the order of the text, by the file's name."""

    waiting: dict[str, list[t.Comment]] = field(default_factory=dict)

    def add(self, module: t.Module) -> None:
        """The comments of a file."""
        found = sorted(module.comments, key=lambda x: -x.span.start)
        self.waiting[module.span.source.name] = found

    def above(self, span: Span) -> tuple[str, ...]:
        """The comments before a statement, with empty lines where the text has them."""
        waiting = self.waiting.get(span.source.name, [])
        lines: list[str] = []
        while waiting and waiting[-1].span.start < span.start:
            comment = waiting.pop()
            lines.append(comment.text)
            following = waiting[-1].span.start if waiting else span.start
            between = span.source.text[comment.span.end : min(following, span.start)]
            if between.count("\n") > 1:
                lines.append("")
        return tuple(lines)

    def beside(self, span: Span) -> str:
        """The comment at the end of a statement's last line."""
        waiting = self.waiting.get(span.source.name, [])
        if waiting and not waiting[-1].alone and waiting[-1].span.start >= span.end:
            between = span.source.text[span.end : waiting[-1].span.start]
            if not between.strip(" \t;}"):
                return waiting.pop().text
        return ""

    def inside(self, span: Span) -> None:
        """Leave out the comments inside a statement."""
        waiting = self.waiting.get(span.source.name, [])
        while waiting and waiting[-1].span.start < span.end:
            waiting.pop()

    def note(self, above: tuple[str, ...], span: Span) -> Note:
        """The comments of a statement that is read."""
        self.inside(span)
        return Note(above, self.beside(span))


def notes_of(statement: t.Statement, note: Note, known: Mapping[str, Note]) -> dict[str, Note]:
    """The notes of what a statement declares: the first name has what is above, the last one what
    is beside."""
    match statement:
        case t.Declaration(_, names) | t.Random(_, names) | t.Weight(names):
            first, last = names[0].name, names[-1].name
        case t.Update(name) | t.Optimizer(name) | t.Function(name) | t.Network(name):
            first = last = name
        case t.Output():
            first = last = OUTPUTS
        case t.Returned():
            first = last = RETURN
        case t.Train():
            first = last = TRAIN
        case _:
            return {}
    if note == NO_NOTE:
        return {}
    above = known.get(first, NO_NOTE).above + note.above
    if first == last:
        return {first: Note(above, note.beside)}
    found = {first: Note(above), last: Note((), note.beside)}
    return {name: x for name, x in found.items() if x != NO_NOTE}
