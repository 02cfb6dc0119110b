"""The statements of an expansion, before they stand at a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from nexort.expand.placing import Placing, constant_ket
from nexort.program.declarations import Block, Note, Rule
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node

Item = Rule | Block


@dataclass(frozen=True)
class Let:
    """``name[key] = value``."""

    name: str
    key: tuple[Affine, ...]
    value: Node

    def item(self, at: Placing) -> Item:
        """The rule."""
        return at.rule(self.name, self.key, constant_ket(at(self.value), self.value.type))


@dataclass(frozen=True)
class Each:
    """A loop."""

    var: str
    interval: Interval
    body: tuple[Statement, ...]

    def item(self, at: Placing) -> Item:
        """The loop's rules."""
        return at.block(Loop(self.var, self.interval), place_statements(self.body, at))


@dataclass(frozen=True)
class Make:
    """A rule that reads several steps; equal where its ``parts`` are."""

    parts: tuple[object, ...]
    rule: Callable[[Placing, tuple[object, ...]], Rule]

    def item(self, at: Placing) -> Item:
        """The rule."""
        return self.rule(at, self.parts)


Statement = Let | Each | Make


def place_statements(statements: Iterable[Statement], at: Placing) -> list[Item]:
    """Statements at a step."""
    return [x.item(at) for x in statements]


Section = tuple[str, list[Item]]
"""A comment and its rules."""


def join_sections(sections: Iterable[Section]) -> list[Item]:
    """Sections under their comments."""
    found: list[Item] = []
    for comment, items in sections:
        if items:
            found += [replace(items[0], note=Note((f"# {comment}",))), *items[1:]]
    return found
