"""The statements of an expansion, and their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nexort.expand.text import Writer
from nexort.program.index import Affine, Interval
from nexort.program.nodes import Node
from nexort.program.types import Kind


@dataclass(frozen=True)
class Let:
    """``name[key] = value``."""

    name: str
    key: tuple[Affine, ...]
    value: Node

    def lines(self, write: Writer) -> list[str]:
        """The statement as text."""
        target = write.name(self.name, self.key)
        shown = f"|{target}>" if self.value.type.kind is Kind.KET else target
        return [f"{shown} = {write(self.value)}"]


@dataclass(frozen=True)
class Each:
    """A loop."""

    var: str
    interval: Interval
    body: tuple[Statement, ...]

    def lines(self, write: Writer) -> list[str]:
        """The statement as text."""
        inner = [line for x in self.body for line in x.lines(write)]
        return [f"for {self.var} in {write.range(self.interval)} {{", *inner, "}"]


@dataclass(frozen=True)
class Line:
    """A statement that writes itself; equal where its ``parts`` are."""

    parts: tuple[object, ...]
    text: Callable[[Writer, tuple[object, ...]], str]

    def lines(self, write: Writer) -> list[str]:
        """The statement as text."""
        return [self.text(write, self.parts)]


Statement = Let | Each | Line


def written(statements: Iterable[Statement], write: Writer) -> list[str]:
    """The lines of statements."""
    return [line for x in statements for line in x.lines(write)]
