"""How a step moves the weights of a training in the maximal update limit: update functions over the
history, decay, and the norms by which updates are divided (Eq 2.54, Def 2.10.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nexort.expand.analysis import Analysis
from nexort.expand.placing import Placing, axes_sum, difference_of, multiple_of
from nexort.expand.rules import leaf
from nexort.expand.start import deviation, update_call
from nexort.expand.statements import Item, Let, Make, Statement, place_statements
from nexort.expand.weights import (
    Found,
    gradient,
    member_type,
    moves_of,
    norm_of,
    over_members,
)
from nexort.program import build
from nexort.program.declarations import Rule
from nexort.program.index import Affine, Loop
from nexort.program.network import Normalization, OptimizerUse, WeightFamily
from nexort.program.nodes import Node
from nexort.program.shifting import placed_all, shift_graph, within
from nexort.program.types import Type, ket, scalar


@dataclass(frozen=True)
class MovingMember:
    """A member of a family of weights, told by loop variables, and how it moves: the history of its
    gradients (None where the limit sees none of its updates), what decay takes, the divisor."""

    weight: WeightFamily
    key: tuple[Affine, ...]
    gradient: Node | None
    pairs: tuple[tuple[Node, Node, tuple[Loop, ...]], ...]
    keep: tuple[Node, ...]

    @property
    def moves(self) -> bool:
        """Whether it has updates."""
        return self.gradient is not None or bool(self.pairs)

    def placed(self, mapped: Mapping[str, Affine]) -> MovingMember:
        """The member with index expressions for loop variables."""
        value = None if self.gradient is None else shift_graph(self.gradient, mapped)
        pairs = tuple(
            (shift_graph(a, mapped), shift_graph(b, mapped),
             tuple(Loop(x.var, within(x.interval, mapped)) for x in sums))
            for a, b, sums in self.pairs
        )  # fmt: skip
        return MovingMember(self.weight, placed_all(self.key, mapped), value, pairs, self.keep)


@dataclass
class Moving:
    """The steps of weights; ``at`` places graphs at a step."""

    analysis: Analysis
    loops: Mapping[str, tuple[Loop, ...]]
    at: Callable[[Affine], Placing]
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """Names of updates (Q), of their norms (n) and of what decay has left (k), by weight."""
    squares: dict[str, str] = field(default_factory=dict)
    """Names of update functions whose values are squared."""
    every: str = ""
    """The ket that is 1."""
    divides: bool = False
    """Whether updates are divided by what may be 0."""
    free: bool = False
    """Whether the rules are equations, in which 1 / 0 may stand."""

    def __post_init__(self) -> None:
        a = self.analysis
        for name, weight in a.training.network.weights.items():
            found = {norm_of(a.training, member, a.base) for member in a.active
                     if member[0] == name} - {None}  # fmt: skip
            kinds = {n.kind for n in found if n is not None}
            if not kinds:
                continue
            self.divides |= bool(kinds - {"clip"})
            self.names["n", name] = a.names.fresh(f"nu_{name}", f"n_{name}")
            if weight.kind == "matrix":
                if "weights" in kinds:
                    self.names["k", name] = a.names.fresh(f"norm_{name}", f"k_{name}")
                if kinds - {"weights"} and not self.every:
                    self.every = a.names.fresh("all", "every")
            else:
                self.names["Q", name] = a.names.fresh(f"Q{name}", f"Q_{name}")

    @property
    def moving(self) -> frozenset[str]:
        """The names that have a step."""
        return frozenset(self.names.values())

    # ---- members -------------------------------------------------------------------------------

    def _over(
        self, make: Callable[[MovingMember, OptimizerUse, Normalization | None], list[Statement]]
    ) -> list[Statement]:
        """Statements for every member of every weight."""
        a = self.analysis
        found: list[Statement] = []
        for weight in a.training.network.weights.values():
            loops = self.loops[weight.name]
            key = tuple(Affine.variable(x.var) for x in loops)

            def of(
                env: dict[str, int],
                weight: WeightFamily = weight,
                key: tuple[Affine, ...] = key,
            ) -> list[Statement]:
                member = weight.name, tuple(i.value(env) for i in key)
                moves = moves_of(a.training, member, a.base)
                seen = self._found(weight, key, env)
                value = None if seen is None else seen.value
                pairs = () if seen is None else seen.pairs
                told = MovingMember(weight, key, value, pairs, moves.keep)
                return make(told, moves.use, norm_of(a.training, member, a.base))

            found += over_members(loops, a.base, of)
        return found

    def _found(
        self, weight: WeightFamily, key: tuple[Affine, ...], env: dict[str, int]
    ) -> Found | None:
        """The gradient of a member whose updates the limit sees."""
        a = self.analysis
        member = weight.name, tuple(i.value(env) for i in key)
        if not a.active.get(member, True):
            return None
        return gradient(a.rounds, weight, key, env, a.values)

    def gradients(self) -> list[Statement]:
        """The gradients by vectors and scalars, which have names."""

        def make(m: MovingMember, *_: object) -> list[Statement]:
            if m.gradient is None:
                return []
            return [Let(self.analysis.names.cotangent(m.weight.name), m.key, m.gradient)]

        return self._over(make)

    def starts(self) -> list[Item]:
        """What norms need at step 0."""

        def make(m: MovingMember, _: object, norm: Normalization | None) -> list[Statement]:
            if m.weight.kind != "matrix" or norm is None or norm.kind != "weights":
                return []
            size = deviation(m.weight)
            return [Let(self.names["k", m.weight.name], m.key, size)]

        return [*self.helpers(), *place_statements(self._over(make), self.at(Affine(0)))]

    def helpers(self) -> list[Item]:
        """What norms are written with."""
        if not self.every:
            return []
        one = build.spread(build.constant(1), ket())
        return [Let(self.every, (), one).item(self.at(Affine(0)))]

    # ---- updates -------------------------------------------------------------------------------

    def updates(self) -> list[Statement]:
        """Every weight's step."""
        return self._over(self._step)

    def _step(
        self, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> list[Statement]:
        if not m.moves:
            norm = None
        return [*self.norms(m, use, norm), Make((m, use, norm), self._update)]

    def norms(
        self, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> list[Statement]:
        """What a member's updates are divided by, and what that reads."""
        if norm is None:
            return []
        name = self.names["n", m.weight.name]
        if m.weight.kind == "matrix":
            if norm.kind == "weights":
                return [self.kept(m)]
            if use.rule.name not in self.squares and not self.free:
                fresh = self.analysis.names.fresh(f"{use.rule.name}_squared")
                self.squares[use.rule.name] = fresh
            return [Make((m, use, norm), self._norm)]
        found: list[Statement] = []
        if norm.kind != "weights":
            found.append(Make((m, use), self._named))
        measured = m.weight.name if norm.kind == "weights" else self.names["Q", m.weight.name]
        size = _size(leaf(measured, m.key, member_type(m.weight)))
        return [*found, Let(name, m.key, _bounded(size, norm, norm.threshold))]

    def kept(self, m: MovingMember) -> Statement:
        """The norm of W, which is that of its initial value: updates have a part that vanishes in
        it."""
        return Make((m, self.names["k", m.weight.name], scalar()), self._decayed)

    def _decayed(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        """x[t+1] = keep x[t], of what belongs to a member."""
        m, name, type_ = parts
        assert isinstance(m, MovingMember)
        assert isinstance(name, str)
        assert isinstance(type_, Type)
        after = self.at(at.step + Affine(1))
        return after.rule(name, m.key, decay_member(at, m, at.member(name, m.key, type_)))

    def update(
        self, at: Placing, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> Node:
        """An update, divided by what it is divided by, without its rate."""
        name = m.weight.name
        if norm is not None and norm.kind != "weights" and ("Q", name) in self.names:
            return at.member(self.names["Q", name], m.key, member_type(m.weight))
        return self._call(at, m, use)

    def divisor(self, at: Placing, m: MovingMember, norm: Normalization) -> Node:
        """What a member's updates are divided by."""
        kept = m.weight.kind == "matrix" and norm.kind == "weights"
        return at.member(self.names["k" if kept else "n", m.weight.name], m.key, scalar())

    def _call(
        self, at: Placing, m: MovingMember, use: OptimizerUse, name: str | None = None
    ) -> Node:
        return update_call(self.analysis, (self.history(m), m.pairs), use, at, name)

    def history(self, m: MovingMember) -> Node | None:
        """The gradient by a vector or a scalar, by its name."""
        if m.gradient is None:
            return None
        return leaf(self.analysis.names.cotangent(m.weight.name), m.key, m.gradient.type)

    def _named(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        """Q_t(g_0, ..., g_t)"""
        m, use = parts
        assert isinstance(m, MovingMember)
        assert isinstance(use, OptimizerUse)
        return at.rule(self.names["Q", m.weight.name], m.key, self._call(at, m, use))

    def _norm(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        """|Q_t|^2 = E Q_t^2 over both indices."""
        m, use, norm = parts
        assert isinstance(m, MovingMember)
        assert isinstance(use, OptimizerUse)
        assert isinstance(norm, Normalization)
        every = at.member(self.every, (), ket())
        if self.free:
            [fold] = self._call(at, m, use).args
            call = build.entrywise(build.call("pow", fold, build.constant(2)))
        else:
            call = self._call(at, m, use, self.squares[use.rule.name])
        size = build.call("sqrt", build.inner(every, build.apply(call, every)))
        threshold = None if norm.threshold is None else at(norm.threshold)
        return at.rule(self.names["n", m.weight.name], m.key, _bounded(size, norm, threshold))

    def _update(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        """w[t+1] = keep w[t] - rate Q_t(g_0, ..., g_t)"""
        m, use, norm = parts
        assert isinstance(m, MovingMember)
        assert isinstance(use, OptimizerUse)
        assert norm is None or isinstance(norm, Normalization)
        name = m.weight.name
        value = decay_member(at, m, at.member(name, m.key, member_type(m.weight)))
        if m.moves:
            value = difference_of(value, self.rated(at, m, use, norm))
        return self.at(at.step + Affine(1)).rule(name, m.key, value)

    def rated(
        self, at: Placing, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> Node:
        """An update times its rate, divided by its norm."""
        call = self.update(at, m, use, norm)
        rate = at(use.rate)
        if norm is not None:
            size = self.divisor(at, m, norm)
            rate = build.call("div", rate, size) if norm.kind == "clip" else (
                build.call("mul", rate, self.inverse(size)))  # fmt: skip
        return multiple_of(rate, call)

    def inverse(self, size: Node) -> Node:
        """1 / size; in a program 0 at 0."""
        return build.call("div", build.constant(1), size) if self.free else inverse_or_zero(size)

    @property
    def inside(self) -> frozenset[str]:
        """Names of what equations have no need to name: updates that have norms, and 1."""
        named = (x for (kind, _), x in self.names.items() if kind == "Q")
        return frozenset((*named, *filter(None, (self.every,))))


def decay_member(at: Placing, m: MovingMember, x: Node) -> Node:
    """What decay leaves of a member in a step."""
    factor: Node | None = None
    for rate in m.keep:
        kept = build.call("sub", build.constant(1), at(rate))
        factor = kept if factor is None else build.call("mul", kept, factor)
    return multiple_of(factor, x)


def inverse_or_zero(z: Node) -> Node:
    """1 / z, 0 at 0: updates of 0 stay 0 when they are divided by their norm."""
    sign = build.call("sign", z)
    one = build.constant(1)
    return build.call("div", sign, build.call("add", z, build.call("sub", one, sign)))


def _bounded(size: Node, norm: Normalization, threshold: Node | None) -> Node:
    """What updates of a size are divided by."""
    if threshold is None:
        return size
    if norm.kind == "clip":
        return build.call("max", build.constant(1), build.call("div", size, threshold))
    return build.call("min", size, threshold)


def _size(x: Node) -> Node:
    """The root of the sum over axes of E x^2."""
    square = build.call("pow", x, build.constant(2))
    total = square if not x.type.copies else build.average(square)
    return build.call("sqrt", axes_sum(total))
