"""Names in scope, and what a name stands for."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from nexort.program.declarations import Data, Dim, Family, Initial, Param, UpdateRule
from nexort.program.network import Network
from nexort.program.nodes import Node
from nexort.support.diagnostics import Span
from nexort.syntax import tree as t


@dataclass(frozen=True, slots=True)
class LoopVariable:
    """A variable of a loop, sum or comprehension, under the name that graphs have for it."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class InlinedFunction:
    """A ``fn``, kept as a tree and inlined where it is called."""

    tree: t.Function

    @property
    def span(self) -> Span:
        """Where it is defined."""
        return self.tree.span


@dataclass(frozen=True, slots=True)
class BoundArgument:
    """A formal argument bound to a node, while a function body is elaborated."""

    node: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A name whose definition had an error: its uses are not reported again."""

    span: Span


Entry = (
    LoopVariable
    | InlinedFunction
    | BoundArgument
    | Poisoned
    | Param
    | Dim
    | Data
    | Initial
    | Family
    | UpdateRule
    | Network
)


class Scope:
    """A chain of name tables; the innermost wins. A ``frame`` is where declarations go: the file's
    scope, or a network's."""

    def __init__(self, outer: Scope | None = None, *, frame: bool = False) -> None:
        self.outer = outer
        self.frame = frame or outer is None
        self.entries: dict[str, Entry] = {}

    def find(self, name: str) -> Entry | None:
        """What a name stands for here, or None."""
        scope: Scope | None = self
        while scope is not None:
            entry = scope.entries.get(name)
            if entry is not None:
                return entry
            scope = scope.outer
        return None

    def names(self) -> Iterator[str]:
        """Every visible name."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.entries
            scope = scope.outer

    def declarations(self) -> Scope:
        """The file's own scope, or the network's."""
        scope = self
        while not scope.frame and scope.outer is not None:
            scope = scope.outer
        return scope


def defined_names(statements: Iterable[t.Statement]) -> dict[str, Span]:
    """Every name that statements define, with the place of its first definition."""
    names: dict[str, Span] = {}
    for statement in statements:
        match statement:
            case t.Declaration() | t.Random():
                for item in statement.names:
                    names.setdefault(item.name, item.span)
            case t.Function() | t.Update() | t.Optimizer():
                names.setdefault(statement.name, statement.span)
            case t.Binding():
                names.setdefault(statement.target.name, statement.target.span)
            case t.Weight():
                for item in statement.names:
                    names.setdefault(item.name, item.span)
            case t.Network():
                names.setdefault(statement.name, statement.span)
            case t.For():
                for name, span in defined_names(statement.body).items():
                    names.setdefault(name, span)
            case t.Noted(inner):
                for name, span in defined_names([inner]).items():
                    names.setdefault(name, span)
            case _:
                pass
    return names


Why = tuple[str, tuple[tuple[str, Span | None], ...], str]
"""A message, notes and help."""


def not_outside(name: str, matrices: Mapping[str, Span], run: Container[str]) -> Why | None:
    """Why a name stands for nothing outside of a trained network, if it does inside; ``run`` are
    the names of its values."""
    if name in matrices:
        return (
            f"'{name}' is a matrix of the network: outputs read its kets and scalars",
            (("it is declared here", matrices[name]),),
            f"name what it makes in the network: |g> = {name} |x>; then |g> can be read here",
        )
    if name[:1] == "d" and name[1:] in run:
        return (
            f"gradients such as '{name}' have no names in a training",
            (),
            "nexort expand writes it as a program in which they have",
        )
    return None
