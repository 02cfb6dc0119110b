"""A network's rules, ready to be differentiated: every application of a weight has a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nexort.program.declarations import Block, Initial
from nexort.program.declarations import Rule as Written
from nexort.program.index import Affine, Loop
from nexort.program.network import Network
from nexort.program.nodes import DRAWN, LOOPS, STANDARD, Node, Op, rewrite, walk, walk_where
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError
from nexort.program.types import Kind, Type
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.transform.operators import expand_operators

MOST = 100_000
"""Applications that the operators of a rule may stand for."""

Key = tuple[str, tuple[Affine, ...]]
Fresh = Callable[..., str]


@dataclass(frozen=True, eq=False)
class NetworkRule:
    """``name[key] = value`` in ``loops``. In the value a weight is its initial object's leaf,
    another rule's member the leaf INIT_VECTOR or INIT_SCALAR of its kind, and operators are
    MATMULs."""

    name: str
    key: tuple[Affine, ...]
    value: Node
    loops: tuple[Loop, ...]


@dataclass(frozen=True, eq=False)
class RuleNest:
    """The rules of a loop."""

    loop: Loop
    items: tuple[NetworkRule | RuleNest, ...]


Item = NetworkRule | RuleNest


@dataclass(frozen=True)
class Rules:
    """A network: its rules in order, and its output, a rule of its own."""

    items: tuple[Item, ...]
    output: NetworkRule
    types: Mapping[str, Type]
    moving: frozenset[str]
    """The names that depend on weights: families, and the weights."""

    def flat(self) -> Iterator[NetworkRule]:
        """Every rule, in order."""
        yield from flat_rules(self.items)
        yield self.output

    def depends(self, x: Node) -> bool:
        """Whether a leaf depends on weights."""
        return x.op in DRAWN and x.attr[0] in self.moving


def flat_rules(items: Iterable[Item]) -> Iterator[NetworkRule]:
    """Every rule, in order."""
    for item in items:
        if isinstance(item, NetworkRule):
            yield item
        else:
            yield from flat_rules(item.items)


def network_rules(
    network: Network, body: Sequence[Written | Block], output: Node, program: Program, fresh: Fresh
) -> Rules:
    """The rules of ``body``, those of the network or of its unrolled form. Raises NotSymbolicError
    for operators that have names or stand in sums."""
    reader = _Reader(network, program, fresh)
    items = reader.items(body, ())
    root = reader.value(output)
    pulled, value = reader.pulled(root, (network.name, (), ()))
    last = NetworkRule(network.name, (), value, ())
    found = (*items, *pulled)
    moving = set(network.weights)
    rules = [*flat_rules(found), last]
    grown = True
    while grown:
        new = {r.name for r in rules if _reads(r.value, moving)} - moving
        grown = bool(new)
        moving |= new
    return Rules(found, last, reader.types, frozenset(moving - {network.name}))


def _reads(value: Node, moving: set[str]) -> bool:
    return any(x.op in DRAWN and x.attr[0] in moving for x in walk([value]))


AFFINE = ("add", "sub", "mul", "div", "neg", "pow")
"""Functions of which arguments keep standing inside."""

Place = tuple[str, tuple[Affine, ...], tuple[Loop, ...]]


@dataclass
class _Reader:
    network: Network
    program: Program
    fresh: Fresh
    types: dict[str, Type] = field(default_factory=dict)
    inner: dict[tuple[str, int], str] = field(default_factory=dict)
    """The names of what stands inside the rules of a family."""

    def items(self, body: Sequence[Written | Block], loops: tuple[Loop, ...]) -> tuple[Item, ...]:
        found: list[Item] = []
        for item in body:
            if isinstance(item, Block):
                found.append(RuleNest(item.loop, self.items(item.body, (*loops, item.loop))))
                continue
            if item.value.type.kind is Kind.OPERATOR:
                raise NotSymbolicError
            place = item.name, item.indices, loops
            pulled, value = self.pulled(self.value(item.value), place)
            found += [*pulled, NetworkRule(item.name, item.indices, value, loops)]
            self.types[item.name] = value.type
        return tuple(found)

    def value(self, root: Node) -> Node:
        """A right side over leaves, its operators expanded."""
        nodes = walk([root])
        for x in nodes:
            if x.op is Op.OP_SUM or (x.op is Op.REF and x.type.kind is Kind.OPERATOR):
                raise NotSymbolicError
        initial = {**self.program.initial, **self.network.initial}
        plain = rewrite([root], lambda x: _leaf(x, initial))[root]
        given = UnrolledOutput("value", (plain,), ((),), (), (), None)
        expanded = expand_operators(Unrolled((given,), {}, {}, {}, {}), MOST)
        found = expanded.outputs[0].members[0]
        return rewrite([found], _numbered)[found]

    # ---- names for what is inside --------------------------------------------------------------

    def pulled(self, root: Node, place: Place) -> tuple[list[Item], Node]:
        """Rules for the applications inside a right side, and the right side over their names."""
        rules: list[Item] = []
        value = self._pull(root, place, (), rules, [0], top=True)
        return rules, value

    def _pull(
        self,
        root: Node,
        place: Place,
        sums: tuple[Loop, ...],
        rules: list[Item],
        count: list[int],
        *,
        top: bool,
    ) -> Node:
        done: dict[Node, Node] = {}
        for x in walk_where(root, lambda x: x.op not in LOOPS):
            if x.op in LOOPS:
                body = self._pull(x.args[0], place, (*sums, x.attr), rules, count, top=False)
                done[x] = Node(x.op, (body,), x.attr, x.type)
                continue
            args = [done[a] for a in x.args]
            if x.op is Op.CALL and x.attr not in AFFINE:
                args = [
                    self._add(a, "g", place, sums, rules, count) if self._is_sum(a) else a
                    for a in args
                ]
            if self._acts(x) and not _is_leaf(args[0]):
                args[0] = self._add(args[0], "z", place, sums, rules, count)
            made = x.with_args(tuple(args))
            inside = not (top and x is root)
            if inside and (self._acts(x) or self._mixes(x)):
                made = self._add(made, "h", place, sums, rules, count)
            done[x] = made
        return done[root]

    def _acts(self, x: Node) -> bool:
        return x.op is Op.MATMUL and x.attr[0] in self.network.weights

    def _mixes(self, x: Node) -> bool:
        """|u> @ xi"""
        return (
            x.op is Op.CONTRACT
            and any(a.op is Op.INIT_VECTOR and a.attr[0] in self.network.weights for a in x.args)
            and not x.type.open
        )

    def _is_sum(self, x: Node) -> bool:
        """|h> + |b>"""
        return (
            x.op is Op.CALL
            and x.attr in ("add", "sub")
            and x.type.kind is Kind.KET
            and not x.type.open
            and any(y.op is Op.INIT_VECTOR for y in walk([x]))
        )

    def _add(
        self,
        value: Node,
        base: str,
        place: Place,
        sums: tuple[Loop, ...],
        rules: list[Item],
        count: list[int],
    ) -> Node:
        """A rule for something inside, and its leaf."""
        target, key, loops = place
        full = (*key, *(Affine.variable(s.var) for s in sums))
        slot = target, count[0]
        count[0] += 1
        name = self.inner.get(slot)
        if name is None or self.types[name] != value.type or sums:
            digits = target[len(target.rstrip("0123456789")) :]
            name = self.fresh(base + digits, base)
            self.inner[slot] = name
        self.types[name] = value.type
        rule: Item = NetworkRule(name, full, value, (*loops, *sums))
        for loop in reversed(sums):
            rule = RuleNest(loop, (rule,))
        rules.append(rule)
        return leaf(name, full, value.type)


def _numbered(x: Node) -> Node:
    """Selections by numbers as such: their transposes need them."""
    if x.op is Op.TAKE and any(isinstance(p, Affine) for p in x.attr):
        picks = tuple(p.constant if isinstance(p, Affine) and not p.terms else p for p in x.attr)
        return Node(x.op, x.args, picks, x.type)
    return x


def leaf(name: str, key: tuple[Affine, ...], type: Type) -> Node:
    """A member of a family as a leaf."""
    op = Op.INIT_VECTOR if type.kind is Kind.KET else Op.INIT_SCALAR
    return Node(op, (), (name, key), type)


def _is_leaf(x: Node) -> bool:
    return x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR)


def _leaf(x: Node, initial: Mapping[str, Initial]) -> Node:
    """A member, or a declared object with its law, as a leaf of that name."""
    if x.op is Op.REF:
        return leaf(x.attr[0], x.attr[1], x.type)
    for name, declared in initial.items():
        if declared.value.op in (Op.CONST, *STANDARD):
            continue
        if x.op is declared.value.op and x.type == declared.value.type:
            key = _key(x, name) if declared.ranges else ()
            if key is not None and x is declared.at(key):
                op = Op.INIT_MATRIX if declared.kind is Kind.OPERATOR else Op.INIT_VECTOR
                op = Op.INIT_SCALAR if declared.kind is Kind.SCALAR else op
                return Node(op, (), (name, key), x.type)
    return x


def _key(x: Node, name: str) -> tuple[Affine, ...] | None:
    """The indices of the object under a declared value."""
    for y in walk([x]):
        if y.op in STANDARD and y.attr[0] == name:
            key: tuple[Affine, ...] = y.attr[1]
            return key
    return None
