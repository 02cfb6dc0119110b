"""What a program declares, and rules in which indexed families stay families.

``|h[l]> = W[l] |x[l-1]>`` in a loop over l is one :class:`Rule`, whatever the range; the graph of
its right side refers to other families by symbolic indices (REF nodes). Numbers for params, sizes
and indices enter only in :mod:`nexort.program.unroll`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import STANDARD, Node, rewrite
from nexort.program.types import Axes, Kind, Type
from nexort.support.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Note:
    """Comments: the lines ``above`` a statement (empty ones between paragraphs), and the one
    ``beside`` it."""

    above: tuple[str, ...] = ()
    beside: str = ""


NO_NOTE = Note()


@dataclass(frozen=True, slots=True)
class Param:
    """A compile-time number; ``default`` is a scalar graph over earlier params, or None."""

    name: str
    default: Node | None
    span: Span


@dataclass(frozen=True, slots=True)
class Dim:
    """A size that never grows with the width; ``size`` None where the data tell it."""

    name: str
    size: Node | None
    span: Span


@dataclass(frozen=True, slots=True)
class Data:
    """Numbers given at evaluation, or the literal ``default``."""

    name: str
    axes: Axes
    default: Node | None
    span: Span


@dataclass(frozen=True, slots=True)
class Initial:
    """An initial scalar, vector or matrix, or a family of them: ``ranges`` are its indices.

    ``value`` is its graph over the standard object (INIT_* nodes, with SLOT nodes ('index', i) for
    the family's indices). ``law`` is the function of a standard normal that gives a matrix's
    standardized entries, None for Gaussian ones.
    """

    name: str
    kind: Kind
    ranges: tuple[Interval, ...]
    axes: Axes
    value: Node
    law: Node | None
    text: str
    span: Span

    def at(self, key: tuple[Affine, ...]) -> Node:
        """The graph of a member of the family."""

        def place(x: Node) -> Node:
            return Node(x.op, (), (x.attr[0], key), x.type) if x.op in STANDARD else x

        return rewrite([self.value], place)[self.value] if key else self.value


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function of the file, which graphs have inlined: ``body`` is a graph of operations over
    params, data and SLOT ('formal', name) for its arguments. Its default is an argument's node."""

    name: str
    parameters: tuple[tuple[str, Node | None], ...]
    body: Node
    span: Span


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """An update function with memory: SLOT ('history',) is the current argument, SLOT ('step',) its
    number from 0, SLOT ('state', name) a state, SLOT ('parameter', name) a hyperparameter."""

    name: str
    parameters: tuple[tuple[str, Node | None], ...]
    states: tuple[tuple[str, Node], ...]
    assigns: tuple[tuple[str, Node], ...]
    result: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Rule:
    """``name[indices] = value`` for all values of the loops around it."""

    name: str
    indices: tuple[Affine, ...]
    value: Node
    span: Span
    refs: tuple[tuple[Node, Span], ...] = field(compare=False, repr=False)
    """Every REF written in the rule, with its place."""
    note: Note = field(default=NO_NOTE, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """The rules of a loop."""

    loop: Loop
    body: tuple[Rule | Block, ...]
    span: Span
    note: Note = field(default=NO_NOTE, compare=False)


@dataclass(frozen=True, slots=True)
class Family:
    """A name bound by rules: how many indices it takes and the type of each member."""

    name: str
    arity: int
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class OutputRule:
    """``output value as name``; ``family`` names a family that is put out as a whole."""

    name: str
    value: Node | None
    family: str | None
    axes: Axes
    span: Span
    refs: tuple[tuple[Node, Span], ...] = field(compare=False, repr=False)


def rules_of(
    items: tuple[Rule | Block, ...], loops: tuple[Loop, ...] = ()
) -> Iterator[tuple[tuple[Loop, ...], Rule]]:
    """Every rule with the loops around it, in order."""
    for item in items:
        if isinstance(item, Rule):
            yield loops, item
        else:
            yield from rules_of(item.body, (*loops, item.loop))
