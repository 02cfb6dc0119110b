"""Functions in graphs: ``tanh'(z)``, and what the file defines, are written as such."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from nexort import activations
from nexort.program import build
from nexort.program.declarations import UserFunction
from nexort.program.differentiate import derivative, substitute
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import partial
from nexort.program.program import Program
from nexort.program.types import scalar

LONG = 3
"""Operations of a derivative that is told by its form alone."""

_Z = Node(Op.SLOT, (), ("formal", "z"), scalar())


@dataclass(frozen=True)
class FunctionPattern:
    """``graph`` over ``slots`` is the function ``name``, or its derivative; a short derivative only
    where the program also applies the function ``beside`` to the same."""

    name: str
    derived: bool
    graph: Node
    slots: tuple[Node, ...]
    size: int
    beside: str | None

    @property
    def negates(self) -> bool:
        """Whether an argument is negated."""
        negations = [x for x in walk([self.graph]) if x.op is Op.CALL and x.attr == "neg"]
        return any(x.args[0] in self.slots for x in negations)


@dataclass
class Patterns:
    """The functions of a program and of the registry, the largest first. ``calls`` are the
    functions that the program applies to a graph, or to the members of a family."""

    patterns: tuple[FunctionPattern, ...]
    calls: Mapping[Hashable, frozenset[str]]

    def found(self, node: Node) -> tuple[FunctionPattern, tuple[Node, ...]] | None:
        """The function that a graph is, with its arguments."""
        if node.op is not Op.CALL:
            return None
        for pattern in self.patterns:
            matched: dict[Node, Node] = {}
            if not _matches(pattern.graph, node, pattern.slots, matched):
                continue
            args = {slot: matched[slot] for slot in pattern.slots}
            told = tuple(args.values())
            short = pattern.beside is not None
            if short and pattern.beside not in self.calls.get(argument_pattern(told[0]), ()):
                continue
            # a number is negated where it is written
            number = any(x.op is Op.CONST for x in told) and pattern.negates
            if not number and substitute(pattern.graph, args) is node:
                return pattern, told
        return None


def patterns_of(program: Program, roots: Iterable[Node]) -> Patterns:
    """The functions that the graphs ``roots`` of a program may be."""
    own = [p for f in program.functions.values() for p in _of_function(f)]
    names = {*program.params, *program.dims, *program.data, *program.initial, *program.updates}
    names |= {*program.families, *program.functions}
    registry = [p for p in _of_registry() if p.name not in names]
    calls: dict[Hashable, frozenset[str]] = {}
    for x in walk(roots):
        if x.op is Op.CALL and len(x.args) == 1:
            z = argument_pattern(x.args[0])
            calls[z] = calls.get(z, frozenset()) | {str(x.attr)}
    return Patterns(tuple(sorted([*own, *registry], key=lambda p: -p.size)), calls)


def argument_pattern(z: Node) -> Hashable:
    """What functions are applied to: of a family, any of its members."""
    return z.attr[0] if z.op is Op.REF else z


def formals(function: UserFunction) -> tuple[Node, ...]:
    """The slots of a function's arguments."""
    return tuple(Node(Op.SLOT, (), ("formal", p), scalar()) for p, _ in function.parameters)


@cache
def _of_registry() -> tuple[FunctionPattern, ...]:
    one = [name for name, f in activations.registry().items() if f.arity == 1]
    return tuple(p for name in one for p in _derivative(name, build.call(name, _Z), (_Z,)))


def _of_function(function: UserFunction) -> Iterator[FunctionPattern]:
    slots = formals(function)
    yield FunctionPattern(function.name, False, function.body, slots, _size(function.body), None)
    yield from _derivative(function.name, function.body, slots)


def _derivative(name: str, body: Node, slots: tuple[Node, ...]) -> Iterator[FunctionPattern]:
    slope = derivative(body, slots[0], partial)
    if set(slots) <= set(walk([slope])) and slope.op is Op.CALL:
        size = _size(slope)
        if size >= LONG:
            yield FunctionPattern(name, True, slope, slots, size, None)
        elif body.args == slots:
            yield FunctionPattern(name, True, slope, slots, size, str(body.attr))


def _size(graph: Node) -> int:
    """How many operations a graph has."""
    return sum(1 for x in walk([graph]) if x.op is Op.CALL)


def _matches(pattern: Node, node: Node, slots: tuple[Node, ...], found: dict[Node, Node]) -> bool:
    """Whether a graph is the pattern with graphs in place of the slots; ``found`` are these, and
    those in place of everything in the pattern."""
    if pattern in found:
        return found[pattern] is node
    found[pattern] = node
    if pattern in slots:
        return True
    if not pattern.args:
        return pattern is node
    if pattern.op is not node.op or pattern.attr != node.attr:
        return False
    if len(pattern.args) != len(node.args):
        return False
    pairs = zip(pattern.args, node.args, strict=True)
    return all(_matches(p, x, slots, found) for p, x in pairs)
