"""A training's network, differentiated: what both limits are written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nexort.expand.names import ExpansionNames
from nexort.expand.placing import Ones, Placing
from nexort.expand.planning import Backward
from nexort.expand.reverse import Use, separates, uses_of
from nexort.expand.rounds import Env, Rounds
from nexort.expand.rules import NetworkRule, Rules, leaf, network_rules
from nexort.expand.statements import Item, Section, Statement, join_sections
from nexort.program import build
from nexort.program.declarations import Block, Initial
from nexort.program.declarations import Rule as Written
from nexort.program.index import Affine, Interval, Loop
from nexort.program.network import STEP_VARIABLE, Network, Training
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError
from nexort.program.types import Axes, Type, scalar
from nexort.training.backprop import product_node


@dataclass(frozen=True)
class OneOutput:
    """One output: ``seed`` is the name of its indicator, a scalar over the outputs' ``axes`` that
    has no rule, and ``variables`` are its indices, which are free in cotangents. In sums over
    outputs cotangents have them as their first indices."""

    seed: str
    variables: tuple[str, ...]
    axes: Axes
    names: ExpansionNames

    @property
    def indicator(self) -> Node:
        """1 at this output, 0 at others."""
        return leaf(self.seed, self._at, scalar(self.axes))

    @property
    def _at(self) -> tuple[Affine, ...]:
        return tuple(map(Affine.variable, self.variables))

    def entry(self, signal: Node) -> Node:
        """The error signal at this output."""
        return build.take(signal, self._at)

    def weighted(self, value: Node, signal: Node) -> Node:
        """The sum over outputs of a scalar or ket times the error signal."""
        return self.total(build.call("mul", self.entry(signal), self.each(value)))

    def each(self, value: Node) -> Node:
        """A graph over the network in which cotangents are those of the output of a sum."""
        cotangents = {*self.names.cotangents.values()}

        def place(x: Node) -> Node:
            if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and x.attr[0] in cotangents:
                name, key = x.attr
                return leaf(name, (*self._at, *key), x.type)
            return x

        return rewrite([value], place)[value]

    def total(self, value: Node) -> Node:
        """The sum over outputs."""
        for name, axis in zip(reversed(self.variables), reversed(self.axes), strict=True):
            last = Affine.variable(axis.name) - Affine(1)
            value = build.total(Loop(name, Interval(Affine(0), last)), value)
        return value


@dataclass(frozen=True)
class Analysis:
    """A training with its network's rules, their contributions to cotangents, and names.

    ``apart``: the outputs separate, cotangents are those of f without the error signal chi. Else
    chi is the seed, or (``single``) cotangents are those of one output, told by variables.
    ``values`` has the contributions to weights with chi in them.
    """

    program: Program
    training: Training
    names: ExpansionNames
    ones: Ones
    rules: Rules
    uses: Mapping[NetworkRule, Sequence[Use]]
    values: Mapping[Use, Node]
    rounds: Rounds
    backward: tuple[Statement, ...]
    shared: frozenset[str]
    """Names of what cotangents read several times."""
    apart: bool
    single: OneOutput | None
    chi: str
    signal: Node
    """chi, as a leaf."""
    step: str
    past: str
    active: Mapping[tuple[str, tuple[int, ...]], bool]
    """Whether the limit sees the updates of a weight."""
    objects: dict[str, Initial]
    """Initial objects: those of the program, and of weights."""
    initial: dict[str, str] = field(default_factory=dict)
    """The initial objects of weights, by weight."""
    types: dict[str, Type] = field(default_factory=dict)
    """The types of the core program's families."""

    @property
    def steady(self) -> bool:
        """Whether cotangents are without the error signal."""
        return self.apart or self.single is not None

    @property
    def base(self) -> Env:
        """The numbers at which loops were looked at."""
        return self.rounds.base

    def placing(self, step: Affine, moving: frozenset[str]) -> Placing:
        """Places graphs at a step."""
        mapped = {STEP_VARIABLE: step}
        where = self.training.network.span
        return Placing(moving, step, self.objects, self.types, self.ones, where, mapped)

    def over_steps(self, sections: Iterable[Section], last: Affine) -> Item:
        """Sections in a loop over steps."""
        loop = Loop(self.step, Interval(Affine(0), last))
        return Block(loop, tuple(join_sections(sections)), self.training.network.span)


def analyse(
    program: Program,
    body: Sequence[Written | Block],
    output: Node,
    base: Env,
    sizes: Mapping[str, int],
    names: ExpansionNames,
    active: Mapping[tuple[str, tuple[int, ...]], bool],
    one_by_one: bool = False,
) -> Analysis:
    """Differentiate the rules ``body`` of the program's network, whose loops are looked at in the
    numbers ``base``; outputs that do not separate ``one_by_one``, or all at once. Raises
    NotSymbolicError."""
    training = program.training
    assert training is not None
    step = names.free("t") if "t" not in _loop_names(body) else names.fresh("step")
    past = names.fresh("s", "r", "q", "s")
    chi = names.fresh("chi")
    rules = network_rules(training.network, body, output, program, names.fresh)
    apart = separates(rules)
    axes = rules.output.value.type.axes
    signal = leaf(chi, (), scalar(axes))
    single = None
    if one_by_one and not apart:
        variables = tuple(names.fresh(f"out{k}") for k in range(len(axes)))
        single = OneOutput(names.fresh("indicator"), variables, axes, names)
    uses: dict[NetworkRule, list[Use]] = {}
    values: dict[Use, Node] = {}
    for rule in rules.flat():
        if rule is rules.output:
            seed = build.spread(build.constant(1), scalar(axes)) if apart else signal
            seed = seed if single is None else single.indicator
            weighted = signal
        else:
            seed = leaf(names.cotangent(rule.name), rule.key, rule.value.type)
            weighted = product_node(seed, signal) if apart else seed
        try:
            uses[rule] = uses_of(rule, rules, seed, sizes)
            again = uses_of(rule, rules, weighted, sizes) if apart or single else []
        except KeyError:  # the size of an axis
            raise NotSymbolicError from None
        if apart:
            for use, other in zip(uses[rule], again, strict=True):
                if other.value is not None:
                    values[use] = other.value
        if single is not None:
            for use, other in zip(uses[rule], again, strict=True):
                if other.value is not None:
                    last = rule is rules.output
                    values[use] = other.value if last else single.weighted(other.value, signal)
    rounds = Rounds(rules, uses, base, names.fresh)
    backward = Backward(rules, uses, rounds, names.cotangent, names.fresh)
    statements = tuple(backward.statements())
    ones = Ones(names.fresh)
    return Analysis(
        program, training, names, ones, rules, uses, values, rounds, statements,
        frozenset(backward.shared.values()), apart, single, chi, signal, step, past, active,
        {**program.initial, **_untrained(training.network)},
    )  # fmt: skip


def _untrained(network: Network) -> dict[str, Initial]:
    """Initial objects inside a network that are not trained."""
    return {n: x for n, x in network.initial.items() if n not in network.weights}


def _loop_names(body: Sequence[Written | Block]) -> set[str]:
    found: set[str] = set()
    for item in body:
        if isinstance(item, Block):
            found |= {item.loop.var, *_loop_names(item.body)}
    return found
