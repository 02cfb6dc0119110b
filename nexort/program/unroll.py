"""Program to straight-line graph: loops run, indices and params become numbers.

``unroll`` also checks what only numbers can tell: that every member is defined once, before its
use, and within its family's range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from nexort.program import build, numbers
from nexort.program.declarations import Block, Initial, OutputRule, Rule
from nexort.program.history import Slots, fold_history, items_of
from nexort.program.index import Affine, Loop
from nexort.program.missing import Missing
from nexort.program.nodes import LOOPS, STANDARD, Node, Op, rewrite, walk, walk_where
from nexort.program.program import Program
from nexort.program.types import Axis, Kind
from nexort.support.diagnostics import Report, Span, count_text

Key = tuple[str, tuple[int, ...]]
_LINEAR = frozenset((Op.OP_ADD, Op.OP_SCALE, Op.ADJOINT))


@dataclass
class Unroller:
    """State of one unrolling. ``sizes`` may miss dims (before data are given): what depends on
    them is then left out of the checks."""

    program: Program
    params: Mapping[str, numbers.Number]
    sizes: Mapping[str, int | None]
    report: Report
    limit: int
    members: dict[Key, Node | None] = field(default_factory=dict)
    places: dict[Key, Span] = field(default_factory=dict)
    spans: dict[Node, Span] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        known: dict[str, int] = {k: v for k, v in self.params.items() if isinstance(v, int)}
        known.update({k: v for k, v in self.sizes.items() if v is not None})
        self.base = known
        self.schedules: dict[Node, list[Node]] = {}
        self.shared: dict[Node, Node] = {}
        self.moving: dict[Node, bool] = {}
        self.rule: Rule | OutputRule | Initial | None = None
        self.blamed: set[tuple[str, Span | None]] = set()

    def error(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        notes: Iterable[tuple[str, Span | None]] = (),
        help: str | None = None,
    ) -> None:
        """Report the first error of its code at a place, not that of every round of a loop."""
        if (code, span) not in self.blamed:
            self.blamed.add((code, span))
            self.report.error(code, message, span, notes=notes, help=help)

    # ---- statements ----------------------------------------------------------------------------

    def run(self) -> None:
        """Run the program's body."""
        for initial in self.program.initial.values():
            reads = any(x.op is Op.REF for x in walk([initial.value]))
            if not initial.ranges and not reads:
                self.rule = initial
                with suppress(Missing):
                    self.spans.setdefault(self.instance(initial.value, self.base), initial.span)
        self._items(self.program.body, dict(self.base))

    def _items(self, items: tuple[Rule | Block, ...], env: dict[str, int]) -> None:
        for item in items:
            if isinstance(item, Rule):
                self._define(item, env)
                continue
            values = self._values(item.loop, env, item.span)
            if values is None:
                continue
            self._rounds(item.span, (values, *self._inside(item.body, env)))
            inner = dict(env)
            for value in values:
                inner[item.loop.var] = value
                self._items(item.body, inner)

    def _values(self, loop: Loop, env: Mapping[str, int], span: Span | None) -> range | None:
        """The loop's values; None where they depend on a size that is not known yet."""
        try:
            return loop.interval.values(env)
        except KeyError as error:
            name = str(error.args[0])
            if name in self.params:
                self._not_an_integer(name, span)
            return None

    def _not_an_integer(self, name: str, span: Span | None) -> None:
        message = f"'{name}' is used as an index, its value is {self.params[name]}"
        self.error("bad-index", message, span, help=f"an index is an integer: --set {name}=3")

    def _define(self, rule: Rule, env: dict[str, int]) -> None:
        self.rule = rule
        try:
            key = rule.name, self.integers(rule.indices, env, rule.span)
        except Missing:
            return
        if key in self.members:
            self._redefined(key, rule.span)
            return
        self.places[key] = rule.span
        try:
            node = self.instance(rule.value, env)
        except Missing:
            self.members[key] = None
            return
        self.members[key] = node
        self.spans.setdefault(node, rule.span)

    def _redefined(self, key: Key, span: Span) -> None:
        first = self.places[key]
        if first == span:
            message = f"'{_spell(*key)}' is defined again in another round of its loop"
            self.error("redefinition", message, span, help="index it by the loop's variable")
        else:
            notes = (("first defined here", first),)
            self.error("redefinition", f"'{_spell(*key)}' is defined twice", span, notes=notes)

    def count_in(self, span: Span | None, nodes: int) -> None:
        """Count instructions. Raises NexortError beyond the limit."""
        self.count += nodes
        if self.count > self.limit:
            message = f"the program unrolls to more than {self.limit} instructions"
            self.report.error(
                "too-long", message, span, help="shorten the loops, or raise --max-instructions"
            )
            self.report.stop()

    def _rounds(self, span: Span | None, loops: Iterable[range]) -> None:
        """Count the rounds of a loop; those of the loops directly inside are only looked at."""
        outer, *inner = (_length(values) for values in loops)
        total = math.prod((outer, *inner))
        self.count_in(span, max(outer, total))
        self.count -= max(outer, total) - outer

    def _inside(self, body: tuple[Rule | Block, ...], env: Mapping[str, int]) -> Iterator[range]:
        """The values of the loops directly inside, as far as they can be told from outside."""
        while len(body) == 1 and isinstance(body[0], Block):
            try:
                yield body[0].loop.interval.values(env)
            except KeyError:
                return
            body = body[0].body

    def _summed(self, node: Node, env: Mapping[str, int]) -> Iterator[range]:
        """The same for the sums directly inside a sum."""
        while node.op in LOOPS:
            try:
                yield node.attr.interval.values(env)
            except KeyError:
                return
            [node] = node.args

    def integers(
        self, indices: tuple[Affine, ...], env: Mapping[str, int], span: Span | None
    ) -> tuple[int, ...]:
        try:
            return tuple(i.value(env) for i in indices)
        except KeyError as error:
            name = str(error.args[0])
            if name in self.params:
                self._not_an_integer(name, span)
            raise Missing from None

    # ---- expressions ---------------------------------------------------------------------------

    def instance(self, root: Node, env: Mapping[str, int]) -> Node:
        """A graph with the loop variables of ``env`` in place. Raises Missing."""
        made: dict[Node, Node] = {}
        shared = self.shared
        schedule = self._schedule(root)
        self.count_in(self.rule.span if self.rule else None, len(schedule))
        for node in schedule:
            found = shared.get(node)
            if found is None:
                if node.op in LOOPS:
                    found = self._looped(node, env)
                else:
                    found = self._node(node, tuple(made[a] for a in node.args), env)
                if not self._moves(node):
                    shared[node] = found
            made[node] = found
        return made[root]

    def _schedule(self, root: Node) -> list[Node]:
        """Arguments before users, with the bodies of sums and comprehensions left out."""
        found = self.schedules.get(root)
        if found is None:
            found = walk_where(root, lambda x: x.op not in LOOPS)
            self.schedules[root] = found
        return found

    def _moves(self, node: Node) -> bool:
        """Whether a node's instance may depend on loop variables."""
        known = self.moving.get(node)
        if known is None:
            known = node.op in LOOPS or node.op in (Op.REF, Op.INDEX, Op.FOLD, Op.TAKE)
            known = known or node.op in STANDARD or any(self._moves(a) for a in node.args)
            self.moving[node] = known
        return known

    def _looped(self, node: Node, env: Mapping[str, int]) -> Node:
        """A sum as a chain of additions; a comprehension as a LIST."""
        loop = node.attr
        assert isinstance(loop, Loop)
        span = self.rule.span if self.rule else None
        values = self._values(loop, env, span)
        if values is None:
            raise Missing
        self._rounds(span, (values, *self._summed(node.args[0], env)))
        inner = dict(env)
        terms = []
        for value in values:
            inner[loop.var] = value
            terms.append(self.instance(node.args[0], inner))
        if node.op is Op.GENERATE:
            return Node(Op.LIST, tuple(terms), None, node.type)
        if node.op is Op.OP_SUM:
            return Node(Op.OP_ADD, tuple(terms), None, node.type)
        if not terms:
            return build.spread(build.constant(0), node.type)
        total = terms[0]
        for term in terms[1:]:
            total = build.call("add", total, term)
        return total

    def _node(self, node: Node, args: tuple[Node, ...], env: Mapping[str, int]) -> Node:
        match node.op:
            case Op.PARAM:
                value = self.params.get(str(node.attr))
                if value is None:
                    raise Missing
                return build.constant(value)
            case Op.SIZE:
                size = self.sizes.get(str(node.attr))
                return node if size is None else build.constant(size)
            case Op.INDEX:
                assert isinstance(node.attr, Affine)
                return build.constant(self.integers((node.attr,), env, None)[0])
            case Op.REF:
                return self._member(node, env)
            case op if op in STANDARD:
                return self._initial(node, env)
            case Op.TAKE:
                return self._take(node, args[0], env)
            case Op.FOLD:
                return self._folded(node, args, env)
            case Op.CALL:
                self._agree(node)
                return self.call(node, args)
            case Op.CONTRACT | Op.OUTER | Op.SPREAD:
                self._agree(node)
                return node.with_args(args)
            case Op.ENTRY:
                return self._entry(node, args)
            case _:
                return node.with_args(args)

    def call(self, node: Node, args: tuple[Node, ...]) -> Node:
        if all(a.op is Op.CONST and not a.type.axes for a in args):
            literals = tuple(a.attr for a in args if isinstance(a.attr, int | float))
            value = numbers.fold(str(node.attr), literals)
            if value is not None:
                return build.constant(value)
        return node.with_args(args)

    def _folded(self, node: Node, args: tuple[Node, ...], env: Mapping[str, int]) -> Node:
        """An update function over its history."""
        name, count = node.attr
        history = tuple(items_of(args[0]))
        span = self.span_of(node)
        if count is not None:
            [step] = self.integers((count,), env, span)
            if step + 1 != len(history):
                takes = count_text(step + 1, "argument")
                message = f"{name}[{step}] takes {takes}, found {len(history)}"
                help_text = "its arguments are the history up to its step, x[s] for s in 0..t"
                self.error("bad-argument", message, span, help=help_text)
                raise Missing
        if not history:
            self.error("bad-argument", f"the history of '{name}' is empty", span)
            raise Missing
        result = fold_history(self.program.updates[name], history, args[1:], self._filled)
        return result if node.type.open else build.spread(result, node.type)

    def _filled(self, node: Node, slots: Slots) -> Node:
        """A graph of an update function with its slots filled."""

        def place(x: Node) -> Node:
            if x.op is Op.SLOT:
                return slots[x.attr]
            if x.op is Op.CALL:
                return self.call(build.call(str(x.attr), *x.args), x.args)
            return x

        plain = self.instance(node, self.base)
        return rewrite([plain], place)[plain]

    def _member(self, node: Node, env: Mapping[str, int]) -> Node:
        name, indices = node.attr
        span = self.span_of(node)
        key = name, self.integers(indices, env, span)
        found = self.members.get(key)
        if found is not None:
            return found
        if key not in self.members and not self.waits(name):
            known = [k for n, k in self.members if n == name]
            message = f"'{_spell(*key)}' is not defined here"
            notes: list[tuple[str, Span | None]] = []
            family = self.program.families[name]
            if known:
                low, high = min(known), max(known)
                text = f"'{name}' is defined for {_spell_key(low)} to {_spell_key(high)} so far"
                notes.append((text, family.span))
            self.error("index-range", message, span, notes=notes)
        raise Missing

    def waits(self, name: str) -> bool:
        """Whether members of a family may be missing because a size is not known yet."""
        unknown = {k for k, v in self.sizes.items() if v is None}
        return bool(unknown) and any(
            rule.name == name and any(loop.interval.names & unknown for loop in loops)
            for loops, rule in self.program.rules()
        )

    def span_of(self, node: Node) -> Span | None:
        if self.rule is None or isinstance(self.rule, Initial):
            return None if self.rule is None else self.rule.span
        return next((s for ref, s in self.rule.refs if ref is node), self.rule.span)

    def _initial(self, node: Node, env: Mapping[str, int]) -> Node:
        name, indices = node.attr
        declared = self.program.initial.get(name)
        if not indices or declared is None:
            return node
        span = self.span_of(node)
        key = self.integers(indices, env, span)
        for value, interval in zip(key, declared.ranges, strict=True):
            try:
                allowed = interval.values(self.base)
            except KeyError as error:
                if str(error.args[0]) in self.params:
                    self._not_an_integer(str(error.args[0]), declared.span)
                raise Missing from None
            if value not in allowed:
                message = f"'{_spell(name, key)}' lies outside of the family's range {interval}"
                notes = ((f"'{name}' is declared here", declared.span),)
                self.error("index-range", message, span, notes=notes)
                raise Missing
        return Node(node.op, (), (name, key), node.type)

    def _take(self, node: Node, value: Node, env: Mapping[str, int]) -> Node:
        span = self.span_of(node)
        items: list[int | None] = []
        attr = node.attr
        assert isinstance(attr, tuple)
        for item, axis in zip(attr, value.type.axes, strict=True):
            if item is None:
                items.append(None)
                continue
            [index] = self.integers((item,), env, span)
            size = self._size(axis)
            if size is not None and not 0 <= index < size:
                which = f"axis {axis}" if axis.size is None else "an axis"
                message = f"index {index} lies outside of {which} of size {size}"
                help_text = f"indices of an axis run from 0 to {size - 1}"
                self.error("index-range", message, span, help=help_text)
                raise Missing
            items.append(index)
        return Node(Op.TAKE, (value,), tuple(items), node.type)

    def _size(self, axis: Axis) -> int | None:
        return axis.size if axis.size is not None else self.sizes.get(axis.name)

    def _agree(self, node: Node) -> None:
        """A literal size against a named axis, which types let pass: now the sizes are known."""
        for a, b in _aligned(node):
            if a is b or a == b:
                continue
            sizes = self._size(a), self._size(b)
            if None not in sizes and sizes[0] != sizes[1]:
                literal, named = (a, b) if a.size is not None else (b, a)
                message = f"an axis of size {literal} does not match axis {named} of size "
                message += str(self._size(named))
                self.error("axis-mismatch", message, self.rule.span if self.rule else None)
                raise Missing

    def _entry(self, node: Node, args: tuple[Node, ...]) -> Node:
        """What a nonlinearity acts on is a sum of linear outer products."""
        seen: set[Node] = set()
        stack = list(args)
        while stack:
            x = stack.pop()
            if x in seen or x.op is Op.OUTER:
                continue
            seen.add(x)
            if x.op not in _LINEAR:
                what = {Op.COMPOSE: "a product", Op.ENTRYWISE: "a nonlinear operator"}
                found = what.get(x.op, "an initial matrix")
                message = (
                    f"a nonlinearity of an operator takes linear outer products, found {found}"
                )
                hint = "Q(|x> chi <y|); sums of such operators, their multiples and transposes"
                self.error("wrong-kind", message, self.span_of(node), help=hint)
                raise Missing
            stack.extend(a for a in x.args if a.type.kind is Kind.OPERATOR)
        return node.with_args(args)


def _length(values: range) -> int:
    """How many, also beyond what len() can tell."""
    return max(0, -((values.start - values.stop) // values.step))


def _aligned(node: Node) -> Iterator[tuple[Axis, Axis]]:
    """The axes that an operation holds to be the same."""
    axes = [a.type.axes for a in node.args]
    if node.op is Op.CONTRACT:
        joined = node.attr
        assert isinstance(joined, int)
        yield from zip(axes[0][len(axes[0]) - joined :], axes[1][:joined], strict=True)
        return
    widest = node.type.axes if node.op is Op.SPREAD else max(axes, key=len)
    for other in axes:
        yield from zip(reversed(other), reversed(widest), strict=False)


def _spell_key(key: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, key))}]"


def _spell(name: str, key: tuple[int, ...]) -> str:
    return name + (_spell_key(key) if key else "")
