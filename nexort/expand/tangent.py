"""The core program of a training in the neural tangent limit (Thm 2.4.9, 2.9.23): kets stay as they
are at initialization, and f_{t+1} = f_t - eta K_Q(chi_0, ..., chi_t).

Where the outputs are networks of their own, K_Q is written as in the theorem, Diag <dh|Q|x> summed
over weights. Else it is the derivative of the output along the updates, which is the same number by
<dh|Q x> = <Q^T dh|x>.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nexort.expand.along import along
from nexort.expand.analysis import Analysis
from nexort.expand.folding import fold_loop, rules_in_order
from nexort.expand.maximal import BACKWARD, error_signal
from nexort.expand.moving import Moving, MovingMember
from nexort.expand.placing import Placing, axes_sum, difference_of, multiple_of
from nexort.expand.rules import Item as Read
from nexort.expand.rules import Key, RuleNest, leaf
from nexort.expand.rules import NetworkRule as Reading
from nexort.expand.start import declare, deviation, first_value, member_loops
from nexort.expand.statements import (
    Each,
    Item,
    Let,
    Make,
    Section,
    Statement,
    join_sections,
    place_statements,
)
from nexort.expand.tidy import tidy
from nexort.expand.weights import member_type, moves_of
from nexort.program import build
from nexort.program.declarations import Rule
from nexort.program.index import Affine, Loop
from nexort.program.network import Normalization, OptimizerUse
from nexort.program.nodes import DRAWN, Node, Op, walk
from nexort.program.types import Kind, Type
from nexort.support.diagnostics import NexortError, Span, fail


class _WideError(Exception):
    """Kets with other axes than the output."""


@dataclass
class Updates(Moving):
    """The updates of weights, which stay where they are: Q_t(G_0, ..., G_t), with their rates where
    these differ or they are divided by norms."""

    targets: dict[str, str] = field(default_factory=dict)
    """The names of weights' updates."""
    rated_each: bool = False

    def _step(
        self, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> list[Statement]:
        if not m.moves or m.weight.kind == "scalar":
            return []
        return [*self.norms(m, use, norm), Make((m, use, norm), self._target)]

    def kept(self, m: MovingMember) -> Statement:
        return Let(self.names["k", m.weight.name], m.key, deviation(m.weight))

    def history(self, m: MovingMember) -> Node | None:
        return m.gradient

    def _target(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        m, use, norm = parts
        assert isinstance(m, MovingMember)
        assert isinstance(use, OptimizerUse)
        assert norm is None or isinstance(norm, Normalization)
        told = self.rated if self.rated_each else self.update
        return at.rule(self.targets[m.weight.name], m.key, told(at, m, use, norm))


@dataclass
class TangentExpansion:
    """The core program of an analysed training."""

    analysis: Analysis
    last: Affine
    """The number of steps."""
    vanishes: bool
    """Whether f_0 does."""
    loops: dict[str, tuple[Loop, ...]] = field(default_factory=dict)
    updates: dict[str, str] = field(default_factory=dict)
    """The names of weights' updates."""
    moves: dict[str, str] = field(default_factory=dict)
    """The names of what the updates do to members."""
    start_comment: str = "weights at initialization; kets do not move"
    process: Node | None = None
    """The network's output, where it starts as a Gaussian process and ``free``: the core language
    has no words for it, equations have."""
    free: bool = False

    def __post_init__(self) -> None:
        a = self.analysis
        self.network = a.training.network
        self.loops = member_loops(a)
        self.updates = {n: a.names.fresh(f"Q{n}", f"Q_{n}") for n in self.network.weights}
        self.seen = self.sums()
        self.kernel = a.names.fresh(*("K_Q", "K", "Theta") if self.free else "K")
        every = frozenset((*a.rules.types, *self.network.weights))
        self.fixed = self.standing(every)
        self.moving = frozenset((a.chi, self.network.name, self.kernel, *self.updates.values()))
        self.moving |= every - self.fixed
        if not (a.steady and self.fixed):
            cotangents = {*a.names.cotangents.values(), *map(a.names.cotangent, every)}
            self.moving |= {*cotangents, *a.shared}
        self.rates = self._rates()
        self.steps = self.stepping()
        self.moving |= {*self.steps.moving, *self.seen.values()}

    @property
    def squares(self) -> Mapping[str, str]:
        """Names of update functions whose values are squared."""
        return self.steps.squares

    def sums(self) -> dict[str, str]:
        """The names of what the output sees: the updates themselves, or sums of them."""
        return self.updates

    def stepping(self) -> Updates:
        """What writes the updates."""
        each = len(self.rates) != 1 or bool(self.analysis.training.normalizations)
        a, targets = self.analysis, self.updates
        return Updates(a, self.loops, self.at, free=self.free, targets=targets, rated_each=each)

    def standing(self, every: frozenset[str]) -> frozenset[str]:
        """The names that do not move."""
        return every

    def problem(self, what: str, span: Span) -> NexortError:
        """The error for what the core language has no words for."""
        message = f"this training cannot be written out: {what} in the neural tangent limit"
        return fail("not-expandable", message, span, help="nexort eval evaluates it")

    def _rates(self) -> set[Node]:
        """The learning rates of the weights that move."""
        a = self.analysis
        found = set()
        for (name, key), active in a.active.items():
            if not active:
                continue
            use = moves_of(a.training, (name, key), a.base).use
            if self.network.weights[name].kind == "scalar":
                raise self.problem(f"the scalar '{name}' moves", use.span)
            found.add(use.rate)
        return found

    def at(self, step: Affine) -> Placing:
        """Places graphs at a step."""
        return self.analysis.placing(step, self.moving)

    def items(self) -> list[Item]:
        """The rules between the declarations and the outputs."""
        a = self.analysis
        now = Affine.variable(a.step)
        at = self.at(now)
        first = self.initial(at)
        parts: list[Section] = [
            ("forward pass", place_statements(rules_in_order(a.rules.items), at))
        ]
        steps: list[Section] = [error_signal(a, at)]
        (parts if a.steady else steps).append((BACKWARD, place_statements(a.backward, at)))
        parts.append(("output at initialization", self.start()))
        steps.append(("update functions", place_statements(self.steps.updates(), at)))
        comment, items = self.kernel_of(now)
        steps.append((comment, [*items, self.output(now)]))
        return [*first, *join_sections(parts), a.over_steps(steps, self.last - Affine(1))]

    def equations(self) -> list[Item]:
        """The same rules as equations, whose order says nothing."""
        return self.items()

    @property
    def updated(self) -> frozenset[str]:
        """Names of updates."""
        return frozenset(self.updates.values()) | self.steps.inside

    def kernel_of(self, step: Affine) -> Section:
        """K_Q at a step, as in the theorem, or as the derivative along the updates."""
        try:
            if not self.analysis.steady:
                raise _WideError
            return "operator K_Q (Thm 2.9.23)", [self.kernel_rule().item(self.at(step))]
        except _WideError:
            found = self.derivatives()
            items = place_statements(found, self.at(step))
            return "operator K_Q (Thm 2.9.23): the derivative along the updates", items

    def initial(self, at: Placing) -> list[Item]:
        """The weights, whose initial values the kets keep."""
        found: list[Item] = []
        for weight in self.network.weights.values():
            shifted = self.free and not build.is_number(weight.mean, 0)
            if weight.kind == "scalar" or shifted:
                a, loops = self.analysis, self.loops[weight.name]
                found.append(first_value(a, weight, loops, at, name=f"z{weight.name}"))
            else:
                declare(self.analysis, weight, at, name=weight.name)
        return [*found, *self.steps.helpers()]

    def start(self) -> list[Item]:
        """f_0: given, or zero, or free."""
        training = self.analysis.training
        at = self.at(Affine(0))
        type_ = self.analysis.rules.output.value.type
        if isinstance(training.start, Node):
            return [at.rule(self.network.name, (), at(training.start))]
        if training.start == "centre" or self.vanishes:
            value = at(build.spread(build.constant(0), type_))
            return [at.rule(self.network.name, (), value)]
        if self.free:
            self.process = at(tidy(self.analysis.rules.output.value))
            return []
        message = "this training cannot be written out: its output starts as a Gaussian process"
        hint = "subtract it with centre, or give it with start f0"
        raise fail("not-expandable", message, training.span, help=hint)

    # ---- K_Q -----------------------------------------------------------------------------------

    def output(self, step: Affine) -> Item:
        """f_{t+1} = f_t - eta K_Q."""
        at = self.at(step)
        [rate] = [build.constant(1)] if self.steps.rated_each else self.rates
        kernel, now = (at.member(n, (), self._type()) for n in (self.kernel, self.network.name))
        value = difference_of(now, multiple_of(at(rate), kernel))
        return self.at(step + Affine(1)).rule(self.network.name, (), value)

    def kernel_rule(self) -> Let:
        """K_Q as the sum over weights of Diag <dh|Q|x>."""
        return Let(self.kernel, (), _sum(self._rounds(self._terms)))

    def _rounds(self, at: Callable[[Reading, dict[str, int]], list[Statement]]) -> list[Statement]:
        """The statements of every round of every rule that the output depends on, in order."""
        a = self.analysis

        def of(items: Sequence[Read], env: dict[str, int]) -> list[Statement]:
            found: list[Statement] = []
            for item in items:
                if isinstance(item, RuleNest):
                    values = item.loop.interval.values(env)
                    bodies = [(v, tuple(of(item.items, {**env, item.loop.var: v}))) for v in values]
                    found += fold_loop(item.loop, bodies, values)
                elif a.rounds.reaches(item, env):
                    found += at(item, env)
            return found

        base = dict(a.base)
        return [*of(a.rules.items, base), *at(a.rules.output, base)]

    def _terms(self, rule: Reading, env: dict[str, int]) -> list[Statement]:
        """What the updates of the weights that a rule reads do to the output."""
        a = self.analysis
        found: list[Statement] = []
        for use in a.uses[rule]:
            weight = self.network.weights.get(use.name)
            if weight is None or weight.kind == "scalar":
                continue
            inside = use.loops[len(rule.loops) :]
            if any(n in {x.var for x in inside} for i in use.key for n, _ in i.terms):
                raise _WideError
            if not a.active.get((use.name, tuple(i.value(env) for i in use.key)), True):
                continue
            name = self.seen[use.name]
            if weight.kind == "matrix":
                found += [self._matrix((name, use.key), pair, inside) for pair in use.pairs]
                continue
            towards = leaf(name, use.key, member_type(weight))
            change = along(rule.value, {(use.name, use.key): towards}, {})
            assert change is not None
            found.append(Let("", (), self._seen(rule, change)))
        return found

    def _seen(self, rule: Reading, change: Node) -> Node:
        """What the output sees of a change of a rule's target."""
        single = self.analysis.single
        if rule is self.analysis.rules.output:
            return (
                change if single is None else axes_sum(build.call("mul", single.indicator, change))
            )
        cotangent = leaf(self.analysis.names.cotangent(rule.name), rule.key, rule.value.type)
        if change.type.kind is Kind.SCALAR:
            seen = build.call("mul", cotangent, change)
            return seen if single is None else axes_sum(seen)
        if single is not None:
            return axes_sum(build.average(build.call("mul", cotangent, change)))
        self._one_axis(cotangent)
        inner = build.inner(cotangent, change)
        whole = change.type.axes == cotangent.type.axes and bool(inner.type.axes)
        return Node(Op.DIAGONAL, (inner,), None, self._type()) if whole else inner

    def _type(self) -> Type:
        return self.analysis.rules.output.value.type

    def _one_axis(self, ket: Node) -> None:
        if ket.type.axes != self._type().axes:
            raise _WideError

    def _matrix(self, acting: Key, pair: tuple[Node, Node], sums: Sequence[Loop]) -> Let:
        """Diag <dg| Q |y>."""
        left, right = pair
        acted = Node(Op.MATMUL, (right,), (*acting, False), right.type)
        if self.analysis.single is not None:
            value = axes_sum(build.average(build.call("mul", left, acted)))
        else:
            self._one_axis(left)
            value = build.inner(left, acted)
            if left.type.axes:
                value = build.diagonal(value)
        for loop in reversed(sums):
            value = build.total(loop, value)
        return Let("", (), value)

    # ---- the derivative along the updates ------------------------------------------------------

    def derivatives(self) -> list[Statement]:
        """What the updates do to every ket, and K_Q as what they do to the output."""
        a = self.analysis
        active = {name for (name, _), seen in a.active.items()
                  if seen and self.network.weights[name].kind != "scalar"}  # fmt: skip
        moved = set(active)
        rules = list(a.rules.flat())
        while True:
            more = {r.name for r in rules if any(
                x.op in DRAWN and x.attr[0] in moved
                for x in walk([r.value]))} - moved  # fmt: skip
            if not more:
                break
            moved |= more
        if not self.moves:
            self.moves = {n: a.names.fresh(f"D{n}", f"D_{n}") for n in a.rules.types if n in moved}
        self.moving |= frozenset(self.moves.values())
        return self._rounds(self._derivative)

    def _derivative(self, rule: Reading, env: dict[str, int]) -> list[Statement]:
        a = self.analysis
        last = rule is a.rules.output
        if not last and rule.name not in self.moves:
            return []
        leaves: dict[Key, Node] = {}
        operators: dict[Key, Key] = {}
        for x in walk([rule.value]):
            if x.op not in DRAWN:
                continue
            name, key = x.attr[:2]
            if name in self.moves:
                leaves[name, key] = leaf(self.moves[name], key, x.type)
            elif name in self.seen and self._seen_member(name, key, env):
                if x.op is Op.MATMUL:
                    operators[name, key] = self.seen[name], key
                else:
                    leaves[name, key] = leaf(self.seen[name], key, x.type)
        change = along(rule.value, leaves, operators)
        if change is None:
            change = build.constant(0)
        value = tidy(change)
        if value.type != rule.value.type:
            value = build.spread(value, rule.value.type)
        target = self.kernel if last else self.moves[rule.name]
        return [Let(target, rule.key, value)]

    def _seen_member(self, name: str, key: tuple[Affine, ...], env: dict[str, int]) -> bool:
        """Whether the limit sees a weight's updates; in a sum all members are alike."""
        if self.network.weights[name].kind == "scalar":
            return False
        try:
            member = name, tuple(i.value(env) for i in key)
        except KeyError:
            return all(v for (n, _), v in self.analysis.active.items() if n == name)
        return self.analysis.active.get(member, True)


def _sum(terms: Sequence[Statement]) -> Node:
    """The sum of terms, those in loops as sums."""
    total: Node | None = None
    for x in terms:
        if isinstance(x, Each):
            value = build.total(Loop(x.var, x.interval), _sum(x.body))
        else:
            assert isinstance(x, Let)
            value = x.value
        total = value if total is None else build.call("add", total, value)
    assert total is not None
    return total
