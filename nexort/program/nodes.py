"""Nodes of the program graph: interned, immutable, typed.

Equal nodes are identical, so common subexpressions are shared by construction. A node's ``op`` says
what its ``args`` and ``attr`` mean:

====================  ==============================  ==========================================
op                    args                            attr
====================  ==============================  ==========================================
CONST                                                 number, or nested tuples of numbers
PARAM, SIZE, INDEX                                    name; name of a dim; :class:`Affine`
DATA                                                  name
INIT_SCALAR/VECTOR                                    (name, indices)
REF                                                   (name, indices): a member of a family
CALL                  arguments                       entrywise function's name (``add``, ``relu``)
CONTRACT              left, right                     how many axes are joined: the last of left
                                                      with the first of right, in order
TAKE                  value                           one item an axis: Affine, or None to keep it
TRANSPOSE, DIAGONAL   value                           axes reversed; diagonal of two equal axes
FACTOR                matrix                          R with R^T R = matrix (positive semidefinite)
STACK                 values                          a new first axis (list literals)
SPREAD                value                           repeated to the node's type: over axes, or a
                                                      scalar as a constant ket
SUM                   body                            :class:`Loop`
INNER                 ket, ket                        <x|y>: axes of x, then axes of y
AVERAGE               ket                             <1|x>
COPY                  ket                             k: the k-th iid copy
MEAN                  body                            copies averaged: E{1,2}[body]
APPLY                 operator, ket
INIT_MATRIX                                           (name, indices)
ADJOINT               operator
COMPOSE               operator, operator              the right one acts first
OP_ADD                operators (two or more)
OP_SCALE              scalar, operator
OP_SUM                operator                        Loop
OUTER                 ket, chi, ket                   |x> chi <y|; axes of x and y joined
ENTRYWISE             body (a ket on copies {0, 1})   the operator whose entry (a, b) is the body,
                                                      copy 0 at a, copy 1 at b
ENTRY                 operator                        entry (a, b) of a linear outer product
FOLD                  history (LIST), parameters      update function's name: its state is carried
                                                      through the history, the result is the last
LIST, GENERATE        values; body                    -; Loop (a comprehension in a LIST)
SLOT                                                  (name,): a formal argument of a function
MATMUL                ket                             (name, indices, transposed); unrolled only
====================  ==============================  ==========================================

An *unrolled* graph has numbers for indices, and of operators MATMUL alone (``Op.unrolled``).

Evaluators dispatch over roles where a role is treated alike. A function of entries is no new
instruction but an entry of ``nexort.activations``. A new selection has a row in :class:`Op`, a line
in :func:`source`, a constructor in ``build`` (its name in programs in ``NAMED``), its array at
width n in ``finite/arrays.py`` and its transpose in ``training/backprop.py``; all else follows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import count
from typing import Any, TypeVar
from weakref import ref

from nexort.program.types import Type
from nexort.support.diagnostics import InternalError


class Role(Enum):
    """What an instruction does with the entries of kets."""

    LEAF = auto()
    """It has no arguments."""
    LOCAL = auto()
    """An entry of the result depends on the same entry of the arguments alone."""
    SELECTION = auto()
    """The same, and along the axes it is an entry of the only argument (:func:`source`)."""
    AVERAGE = auto()
    """Entries are averaged."""
    OPERATOR = auto()
    """A matrix, what is made of matrices, and what they do to kets."""
    COPY = auto()
    """An independent copy of a ket."""

    # members are singletons: the default hash of an Enum would hash the name every time
    __hash__ = object.__hash__


class Op(Enum):
    """What a node does; see the module's table.

    With every instruction stand its role, its arity (None: any number of arguments) and whether it
    is in unrolled programs.
    """

    CONST = Role.LEAF, 0
    PARAM = Role.LEAF, 0, False
    SIZE = Role.LEAF, 0
    INDEX = Role.LEAF, 0, False
    DATA = Role.LEAF, 0
    INIT_SCALAR = Role.LEAF, 0
    INIT_VECTOR = Role.LEAF, 0
    REF = Role.LEAF, 0, False
    CALL = Role.LOCAL, None
    CONTRACT = Role.LOCAL, 2
    TAKE = Role.SELECTION, 1
    TRANSPOSE = Role.SELECTION, 1
    DIAGONAL = Role.SELECTION, 1
    FACTOR = Role.LOCAL, 1
    STACK = Role.LOCAL, None
    SPREAD = Role.SELECTION, 1
    SUM = Role.LOCAL, 1, False
    INNER = Role.AVERAGE, 2
    AVERAGE = Role.AVERAGE, 1
    COPY = Role.COPY, 1
    MEAN = Role.AVERAGE, 1
    APPLY = Role.OPERATOR, 2, False
    INIT_MATRIX = Role.OPERATOR, 0, False
    ADJOINT = Role.OPERATOR, 1, False
    COMPOSE = Role.OPERATOR, 2, False
    OP_ADD = Role.OPERATOR, None, False
    OP_SCALE = Role.OPERATOR, 2, False
    OP_SUM = Role.OPERATOR, 1, False
    OUTER = Role.OPERATOR, 3, False
    ENTRYWISE = Role.OPERATOR, 1, False
    ENTRY = Role.OPERATOR, 1, False
    FOLD = Role.LOCAL, None, False
    LIST = Role.LOCAL, None, False
    GENERATE = Role.LOCAL, 1, False
    SLOT = Role.LEAF, 0, False
    MATMUL = Role.OPERATOR, 1

    role: Role
    arity: int | None
    unrolled: bool
    local: bool

    def __init__(self, role: Role, arity: int | None, unrolled: bool = True) -> None:
        self.role, self.arity, self.unrolled = role, arity, unrolled
        self.local = role in (Role.LOCAL, Role.SELECTION)

    def __new__(cls, *_: object) -> Op:
        """Instructions of one role and arity are different all the same."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        return member

    # members are singletons: the default hash of an Enum would hash the name every time
    __hash__ = object.__hash__


STANDARD = frozenset((Op.INIT_SCALAR, Op.INIT_VECTOR, Op.INIT_MATRIX))
"""The standard objects, of which all initial ones are functions."""

MEMBERS = STANDARD | {Op.REF}
"""What has a name and indices."""

DRAWN = frozenset((Op.INIT_SCALAR, Op.INIT_VECTOR, Op.MATMUL))
"""What reads an initial object, in an unrolled graph."""

LOOPS = frozenset((Op.SUM, Op.OP_SUM, Op.GENERATE))
"""What runs over a loop of its own."""


class _Interned(ref):  # type: ignore[type-arg]
    """A weak reference that knows its key, so that a dead node leaves the table."""

    __slots__ = ("key",)
    key: Hashable


_interned: dict[Hashable, _Interned] = {}
_serial = count()


def _forget(dead: ref[Node], ending: Callable[[], bool] = sys.is_finalizing) -> None:
    if ending():  # keys may no longer compare
        return
    assert isinstance(dead, _Interned)
    if _interned.get(dead.key) is dead:
        del _interned[dead.key]


class Node:
    """One interned node. ``serial`` grows in order of creation, so arguments come first;
    ``sound`` marks that the verifier has seen it."""

    __slots__ = ("__weakref__", "args", "attr", "op", "serial", "sound", "type")

    op: Op
    args: tuple[Node, ...]
    attr: Any
    type: Type
    serial: int
    sound: bool

    def __new__(cls, op: Op, args: tuple[Node, ...], attr: Hashable, type: Type) -> Node:
        # repr keeps apart the equal hashes of 1, 1.0 and True
        tag = (repr(attr), attr) if op is Op.CONST else attr
        key = (op, tuple([a.serial for a in args]), tag, type)
        known = _interned.get(key)
        found = known() if known is not None else None
        if found is None:
            found = super().__new__(cls)
            found.op, found.args, found.attr, found.type = op, args, attr, type
            found.serial = next(_serial)
            found.sound = False
            entry = _Interned(found, _forget)
            entry.key = key
            _interned[key] = entry
        return found

    def __repr__(self) -> str:
        attr = "" if self.attr is None else f"{self.attr!r}, "
        return f"{self.op.name}({attr}{', '.join(map(repr, self.args))})"

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def with_args(self, args: tuple[Node, ...]) -> Node:
        """The same node over other arguments of the same types."""
        return self if args == self.args else Node(self.op, args, self.attr, self.type)


Index = TypeVar("Index")
Pick = TypeVar("Pick")


def source(
    node: Node, at: Sequence[Index], pick: Callable[[Any], Pick]
) -> tuple[Index | Pick, ...]:
    """Where in its argument the entry of a selection at some indices is; ``pick`` makes an index of
    one that TAKE has."""
    match node.op:
        case Op.TAKE:
            rest = iter(at)
            return tuple([next(rest) if p is None else pick(p) for p in node.attr])
        case Op.TRANSPOSE:
            return tuple(at[::-1])
        case Op.DIAGONAL:
            return (*at, at[-1])
        case Op.SPREAD:
            return tuple(at[len(at) - len(node.args[0].type.axes) :])
        case _:
            raise InternalError(f"{node.op.name} is no selection")


def walk(roots: Iterable[Node]) -> list[Node]:
    """Every node reachable from the roots, arguments before users, in order of creation."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return sorted(seen, key=lambda node: node.serial)


def walk_where(root: Node, enters: Callable[[Node], bool]) -> list[Node]:
    """A root and what is under it, as :func:`walk`; only what ``enters`` says is gone into."""
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if enters(node):
                stack.extend(node.args)
    return sorted(seen, key=lambda node: node.serial)


def rewrite(roots: Iterable[Node], rule: Callable[[Node], Node]) -> dict[Node, Node]:
    """Apply ``rule`` bottom-up, once to every reachable node; returns old node -> new node.

    The rule gets a node whose arguments are already rewritten, and may change its type.
    """
    done: dict[Node, Node] = {}
    for node in walk(roots):
        done[node] = rule(node.with_args(tuple(done[a] for a in node.args)))
    return done


def children(node: Node) -> Iterator[Node]:
    """The arguments of a node."""
    return iter(node.args)
