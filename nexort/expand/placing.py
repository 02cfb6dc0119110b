"""A network's graphs in a core program: over its families at a step, and its initial objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nexort.program import build
from nexort.program.declarations import Block, Initial, Rule
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import MEMBERS, Node, Op, Role
from nexort.program.partials import partial
from nexort.program.shifting import NotSymbolicError, placed_all, substitute_index, within
from nexort.program.types import Axes, Kind, Type, ket, operator, scalar
from nexort.support.diagnostics import NexortError, Span, fail

NAMED = (Op.REF, Op.INIT_VECTOR)


class Ones:
    """Scalars that are 1 along some axes; ``used`` are the names of those that a graph reads."""

    def __init__(self, fresh: Callable[[str], str]) -> None:
        self.fresh = fresh
        self.used: dict[Axes, str] = {}

    def along(self, axes: Axes) -> Node:
        """The ones along ``axes``."""
        if axes not in self.used:
            self.used[axes] = self.fresh("one")
        return ones(axes)


def ones(axes: Axes) -> Node:
    """1 along some axes."""
    return build.spread(build.constant(1), scalar(axes))


def axes_sum(value: Node) -> Node:
    """The sum over all axes of a scalar."""
    for axis in value.type.axes:
        value = build.contract(ones((axis,)), value)
    return value


def is_ones(node: Node) -> bool:
    """Whether a node is 1 along its axes."""
    return node.op is Op.SPREAD and build.is_number(node.args[0], 1)


@dataclass(frozen=True)
class Placing:
    """Places graphs at a step: names in ``moving`` have it as their last index; ``objects`` are
    initial ones, ``types`` those of the families so far, ``mapped`` are index expressions for
    variables of the graph."""

    moving: frozenset[str]
    step: Affine
    objects: Mapping[str, Initial]
    types: dict[str, Type]
    ones: Ones
    where: Span
    mapped: Mapping[str, Affine]
    known: dict[Node, Node] = field(default_factory=dict, compare=False)

    def __call__(self, node: Node) -> Node:
        """A graph in the core program."""
        if node not in self.known:
            self.known[node] = self._placed(node)
        return self.known[node]

    # ---- names and rules -----------------------------------------------------------------------

    def key(self, name: str, key: Iterable[Affine]) -> tuple[Affine, ...]:
        """The indices of a member, with the step where it moves."""
        found = placed_all(key, self.mapped)
        return (*found, self.step) if name in self.moving else found

    def member(self, name: str, key: Iterable[Affine], type: Type) -> Node:
        """A member of a family, or of an initial object."""
        full = self.key(name, key)
        if name in self.objects:
            return self.objects[name].at(full)
        return Node(Op.REF, (), (name, full), self.types.get(name, type))

    def acting(self, name: str, key: Iterable[Affine]) -> Node:
        """A matrix."""
        return self.member(name, key, operator())

    def rule(self, name: str, key: Iterable[Affine], value: Node) -> Rule:
        """``name[key] = value``, of a value in the core program. Raises NotSymbolicError where
        members have axes of several names."""
        if self.types.setdefault(name, value.type) != value.type:
            raise NotSymbolicError
        return Rule(name, self.key(name, key), value, self.where, ())

    def within(self, interval: Interval) -> Interval:
        """A range in the core program."""
        return within(interval, self.mapped)

    def block(self, loop: Loop, body: Iterable[Rule | Block]) -> Block:
        """Rules in a loop."""
        return Block(Loop(loop.var, self.within(loop.interval)), tuple(body), self.where)

    def over(self, loops: Iterable[Loop], rule: Rule) -> Rule | Block:
        """A rule in loops."""
        found: Rule | Block = rule
        for loop in reversed(tuple(loops)):
            found = self.block(loop, (found,))
        return found

    def problem(self, what: str) -> NexortError:
        """The error for what the core language has no words for."""
        message = f"this training cannot be written out: {what}"
        return fail("not-expandable", message, self.where, help="nexort eval evaluates it")

    # ---- graphs --------------------------------------------------------------------------------

    def _placed(self, x: Node) -> Node:
        match x.op:
            case Op.INDEX:
                return _number(substitute_index(x.attr, self.mapped))
            case Op.MATMUL:
                name, key, flipped = x.attr
                acting = self.acting(name, key)
                acting = build.adjoint(acting) if flipped else acting
                return build.apply(acting, self(x.args[0]))
            case Op.CALL:
                return self._call(x)
            case Op.CONTRACT:
                return self._contraction(x)
            case Op.SPREAD:
                return self._spread(x)
            case Op.INNER:
                return self._inner(*x.args)
            case _ if x.op in MEMBERS:
                return self.member(x.attr[0], x.attr[1], x.type)
            case Op.CONST if x.type.axes:
                return _literal(x.attr)
            case _ if not x.args:
                return x
            case _:
                return self._form(x, [self(a) for a in x.args])

    def _form(self, x: Node, args: list[Node]) -> Node:
        """What has the same form there."""
        match x.op:
            case Op.SUM:
                return build.total(Loop(x.attr.var, self.within(x.attr.interval)), args[0])
            case Op.TAKE:
                return build.take(args[0], [p if p is None else self._pick(p) for p in x.attr])
            case Op.TRANSPOSE:
                return build.transpose(args[0])
            case Op.STACK:
                return build.stack(args)
            case Op.AVERAGE:
                return build.average(args[0])
            case Op.COPY:
                return build.copy(args[0], x.attr)
            case Op.MEAN:
                return build.mean(x.attr, args[0])
            case op if op.role is Role.SELECTION:
                return build.local_over(x, (args[0],))
            case _:
                raise self.problem(f"{x.op.name.lower()} inside a network")

    def _pick(self, pick: Affine | int) -> Affine:
        return substitute_index(pick if isinstance(pick, Affine) else Affine(pick), self.mapped)

    def _call(self, x: Node) -> Node:
        if x.attr == "mul":
            for one, other in (x.args, x.args[::-1]):
                if is_ones(one) and other.type.axes == x.type.axes:
                    return self(other)
        name, args = str(x.attr), tuple(self(a) for a in x.args)
        return partial(name[:-1], 0, args) if name.endswith("'") else build.call(name, *args)

    def _contraction(self, x: Node) -> Node:
        left, right = x.args
        joined = int(x.attr)
        if joined == 1:
            return build.contract(self(left), self(right))
        if joined == 0:
            if len(left.type.axes) == len(right.type.axes) == 1:
                wide = build.call("mul", left, ones((*right.type.axes, *left.type.axes)))
                return self(build.call("mul", build.transpose(wide), right))
            raise self.problem("an outer product of axes")
        axes = [side.type.axes for side in (left, right)]
        if len(axes[0]) == joined:
            inside = right if is_ones(left) else build.call("mul", right, left)
            if inside.type.axes == axes[1] and (is_ones(left) or len(axes[1]) == joined):
                for axis in axes[0]:
                    inside = build.contract(ones((axis,)), inside)
                return self(inside)
        raise self.problem("a contraction of several axes")

    def _spread(self, x: Node) -> Node:
        [value] = x.args
        if x.type.axes == value.type.axes:
            return self(value)
        if is_ones(x):
            return self.ones.along(x.type.axes)
        return build.call("mul", self(value), self.ones.along(x.type.axes))

    def _inner(self, left: Node, right: Node) -> Node:
        """<x|y>; the ket with a name is the bra."""
        if _is_named(left) or not _is_named(right):
            return build.inner(self(left), self(right))
        turned = build.inner(self(right), self(left))
        if not left.type.axes or not right.type.axes:
            return turned
        if len(left.type.axes) == len(right.type.axes) == 1:
            return build.transpose(turned)
        return build.inner(self(left), self(right))


def _literal(value: object) -> Node:
    """A list of numbers: its axes are named by their sizes."""
    if isinstance(value, tuple):
        return build.stack([_literal(v) for v in value])
    assert isinstance(value, int | float)
    return build.constant(value)


def _is_named(x: Node) -> bool:
    return x.op in NAMED or (x.op is Op.TAKE and x.args[0].op in NAMED)


def _number(index: Affine) -> Node:
    """An index expression as a scalar."""
    found: Node | None = None
    for name, c in sorted(index.terms, key=lambda x: x[1] < 0):
        term = Node(Op.INDEX, (), Affine.variable(name), scalar())
        if abs(c) != 1:
            term = build.call("mul", build.constant(abs(c)), term)
        found = _signed(found, term, negative=c < 0)
    if index.constant or found is None:
        found = _signed(found, build.constant(abs(index.constant)), negative=index.constant < 0)
    return found


def _signed(total: Node | None, term: Node, *, negative: bool) -> Node:
    if total is None:
        return negative_of(term) if negative else term
    return build.call("sub" if negative else "add", total, term)


# ---- scalars, kets and operators alike -----------------------------------------------------------


def negative_of(x: Node) -> Node:
    """-x"""
    if x.type.kind is Kind.OPERATOR:
        return build.scale(build.constant(-1), x)
    if x.op is Op.CONST and not x.type.axes:
        return build.constant(-x.attr)
    return build.call("neg", x)


def sum_of(a: Node, b: Node) -> Node:
    """a + b"""
    if a.type.kind is Kind.OPERATOR:
        return build.add_operators(a, b)
    return build.call("add", a, b)


def difference_of(a: Node, b: Node) -> Node:
    """a - b"""
    if a.type.kind is Kind.OPERATOR:
        return build.add_operators(a, negative_of(b))
    return build.call("sub", a, b)


def multiple_of(factor: Node | None, x: Node) -> Node:
    """c x; None is 1."""
    if factor is None or build.is_number(factor, 1):
        return x
    if x.type.kind is Kind.OPERATOR:
        return build.scale(factor, x)
    return build.call("mul", factor, x)


def constant_ket(value: Node, wanted: Type) -> Node:
    """A scalar where a ket is wanted."""
    if wanted.kind is Kind.KET and value.type.kind is Kind.SCALAR:
        return build.spread(value, ket(value.type.axes))
    return value
