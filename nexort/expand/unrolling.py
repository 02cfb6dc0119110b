"""Numbers for a network: generic ones, at which its loops are looked at, or those that are given,
at which they run."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.data.given import Given, defaults
from nexort.parametrization.verdict import Verdict, by_theorem
from nexort.program.declarations import Block, Rule
from nexort.program.index import Affine, Interval
from nexort.program.missing import Missing
from nexort.program.network import Network
from nexort.program.nodes import LOOPS, MEMBERS, Node, Op, rewrite, walk
from nexort.program.numbers import own_sizes, resolve
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError
from nexort.program.types import Kind
from nexort.program.unroll import Unroller
from nexort.support.diagnostics import Report
from nexort.training.prepare import alone
from nexort.training.weights import TrainingNumbers, weight_member

MORE, SIZE = 5, 8
"""How far generic numbers lie above the given ones; the size of dims that have none."""


def generic(program: Program, given: Given) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers at which no two ends of the network's loops meet by chance, and the sizes of dims."""
    training = program.training
    assert training is not None
    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    names = _names(training.network)
    above = {name: v + MORE for name, v in params.items() if name in names and isinstance(v, int)}
    free = {p: v for p, v in above.items() if not _is_derived(program, p)}
    params, sizes = resolve(program, {**given.numbers, **free}, report)
    report.stop()
    base = {name: v for name, v in params.items() if isinstance(v, int)}
    known = {name: size for name, size in sizes.items() if size is not None}
    loose = {name: SIZE + k for k, name in enumerate(sizes) if sizes[name] is None}
    return {**base, **known, **loose}, known


def _is_derived(program: Program, name: str) -> bool:
    """Whether a param's default depends on another."""
    default = program.params[name].default
    return default is not None and any(x.op is Op.PARAM for x in walk([default]))


def _names(network: Network) -> set[str]:
    """The names in index expressions of a network."""
    found: set[str] = set()

    def note(index: object) -> None:
        if isinstance(index, Affine | Interval):
            found.update(index.names)

    def items(body: tuple[Rule | Block, ...]) -> None:
        for x in body:
            if isinstance(x, Block):
                note(x.loop.interval)
                items(x.body)
                continue
            for i in x.indices:
                note(i)
            graph(x.value)

    def graph(root: Node) -> None:
        for y in walk([root]):
            if y.op in MEMBERS:
                for i in y.attr[1]:
                    note(i)
            if y.op in LOOPS:
                note(y.attr.interval)

    items(network.body)
    graph(network.output)
    for w in network.weights.values():
        for r in w.ranges:
            note(r)
    return found


def verdict_of(program: Program, base: Mapping[str, int], most: int) -> Verdict:
    """Which limit the training has, over the weights that there are at some numbers. Raises
    NexortError."""
    training = program.training
    assert training is not None
    report = Report()
    known = {name: v for name, v in base.items() if name in program.params or name in program.dims}
    params, sizes = resolve(program, known, report)
    report.stop()
    unroller = Unroller(program, params, sizes, report, most)
    numbers = TrainingNumbers(unroller, {}, 0)
    found = {}
    for name, declared in training.network.weights.items():
        keys: list[tuple[int, ...]] = [()]
        for r in declared.ranges:
            keys = [(*k, v) for k in keys for v in r.values(unroller.base)]
        for key in keys:
            found[name, key] = weight_member((name, key), (), training, numbers)
    return by_theorem(training, found)


def unroll_network(
    program: Program, given: Given
) -> tuple[dict[str, int], dict[str, int], tuple[Rule | Block, ...], Node]:
    """The network with its loops run: numbers, sizes, a rule for every member, the output. Raises
    NotSymbolicError where sizes are not known."""
    from nexort.data.binding import bind

    training = program.training
    assert training is not None
    network = training.network
    report = Report()
    params, dims = resolve(program, given.numbers, report)
    report.stop()
    arrays = {**defaults(program, given), **given.arrays}
    declared = {name: (d.axes, d.span) for name, d in program.data.items() if name in arrays}
    told = {axis.name for axes, _ in declared.values() for axis in axes}
    asked = {n: s for n, s in dims.items() if s or n in told}
    _, sizes = bind(declared, arrays, asked, own_sizes(program, given.numbers))
    known = {**{n: s for n, s in dims.items() if s is not None}, **sizes}
    inside = alone(program, network)
    unroller = _Alone(inside, params, known, report, given.max_instructions)
    try:
        unroller.items(network.body, dict(unroller.base))
        output = _with_keys(unroller.instance(network.output, unroller.base))
    except Missing:
        report.stop()
        raise NotSymbolicError from None
    return dict(unroller.base), known, tuple(unroller.rules), output


class _Alone(Unroller):
    """Runs a network's loops, its members by name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rules: list[Rule | Block] = []

    def items(self, items: tuple[Rule | Block, ...], env: dict[str, int]) -> None:
        """Every rule in every round."""
        for item in items:
            if isinstance(item, Rule):
                self.one(item, env)
                continue
            values = self._values(item.loop, env, item.span)
            if values is None:
                raise NotSymbolicError
            for value in values:
                self.items(item.body, {**env, item.loop.var: value})

    def one(self, rule: Rule, env: dict[str, int]) -> None:
        """A rule in one round; operators are put in where they are read."""
        self.rule = rule
        numbers = self.integers(rule.indices, env, rule.span)
        key = tuple(Affine(k) for k in numbers)
        node = _with_keys(self.instance(rule.value, env))
        if node.type.kind is Kind.OPERATOR:
            self.members[rule.name, numbers] = node
            return
        self.members[rule.name, numbers] = Node(Op.REF, (), (rule.name, key), node.type)
        self.rules.append(Rule(rule.name, key, node, rule.span, ()))


def _with_keys(root: Node) -> Node:
    """A graph with index expressions for numbers, as in rules."""

    def place(x: Node) -> Node:
        if x.op in MEMBERS and any(isinstance(k, int) for k in x.attr[1]):
            name, key = x.attr
            return Node(x.op, (), (name, tuple(Affine(k) for k in key)), x.type)
        return x

    return rewrite([root], place)[root]
