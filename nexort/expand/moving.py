"""How a step moves the weights of a training in the maximal update limit: update functions over the
history, decay, and the norms by which updates are divided (Eq 2.54, Def 2.10.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nexort.expand.analysis import Analysis
from nexort.expand.rules import leaf
from nexort.expand.start import update_call
from nexort.expand.statements import Let, Line, Statement
from nexort.expand.text import PRODUCT, UNARY, Writer
from nexort.expand.weights import (
    Found,
    gradient,
    member_type,
    moves_of,
    norm_of,
    over_members,
)
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.network import Normalization, OptimizerUse, WeightFamily
from nexort.program.nodes import Node
from nexort.program.shifting import placed_all, shifted, within
from nexort.program.types import scalar


@dataclass(frozen=True)
class Member:
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

    def placed(self, mapped: Mapping[str, Affine]) -> Member:
        """The member with index expressions for loop variables."""
        value = None if self.gradient is None else shifted(self.gradient, mapped)
        pairs = tuple(
            (shifted(a, mapped), shifted(b, mapped),
             tuple(Loop(x.var, within(x.interval, mapped)) for x in sums))
            for a, b, sums in self.pairs
        )  # fmt: skip
        return Member(self.weight, placed_all(self.key, mapped), value, pairs, self.keep)


@dataclass
class Moving:
    """Writes the steps of weights; ``write`` gives the writer at a step."""

    analysis: Analysis
    loops: Mapping[str, tuple[Loop, ...]]
    write: Callable[[Affine], Writer]
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """Names of updates (Q), of their norms (n) and of what decay has left (k), by weight."""
    squares: dict[str, str] = field(default_factory=dict)
    """Names of update functions whose values are squared."""
    every: str = ""
    """The ket that is 1."""
    inverse: str = ""
    """The function 1 / z, 0 at 0: updates of 0 stay 0 when they are divided by their norm."""

    def __post_init__(self) -> None:
        a = self.analysis
        for name, weight in a.training.network.weights.items():
            found = {norm_of(a.training, member, a.base) for member in a.active
                     if member[0] == name} - {None}  # fmt: skip
            kinds = {n.kind for n in found if n is not None}
            if not kinds:
                continue
            self.names["n", name] = a.names.fresh(f"n{name}", f"n_{name}")
            if kinds - {"clip"} and not self.inverse:
                self.inverse = a.names.fresh("inverse", "inverted")
            if weight.kind == "matrix":
                if "weights" in kinds:
                    self.names["k", name] = a.names.fresh(f"k{name}", f"k_{name}")
                if kinds - {"weights"} and not self.every:
                    self.every = a.names.fresh("all", "every")
            else:
                self.names["Q", name] = a.names.fresh(f"Q{name}", f"Q_{name}")

    @property
    def moving(self) -> frozenset[str]:
        """The names that have a step."""
        return frozenset(self.names.values())

    # ---- members -------------------------------------------------------------------------------

    def _over(self, make: Callable[[Member, OptimizerUse, Normalization | None], list[Statement]]
              ) -> list[Statement]:  # fmt: skip
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
                told = Member(weight, key, value, pairs, moves.keep)
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

        def make(m: Member, *_: object) -> list[Statement]:
            if m.gradient is None:
                return []
            return [Let(self.analysis.names.cotangent(m.weight.name), m.key, m.gradient)]

        return self._over(make)

    def starts(self) -> list[str]:
        """What norms need at step 0."""

        def make(m: Member, _: object, norm: Normalization | None) -> list[Statement]:
            if m.weight.kind != "matrix" or norm is None or norm.kind != "weights":
                return []
            size = deviation(m.weight)
            return [Let(self.names["k", m.weight.name], m.key, size)]

        write = self.write(Affine(0))
        return self.helpers() + [line for x in self._over(make) for line in x.lines(write)]

    def helpers(self) -> list[str]:
        """What norms are written with."""
        found = []
        if self.inverse:
            found.append(f"fn {self.inverse}(z) = sign(z) / (z + (1 - sign(z)))  # 0 at 0")
        if self.every:
            found.append(f"|{self.every}> = 1")
        return found

    # ---- updates -------------------------------------------------------------------------------

    def updates(self) -> list[Statement]:
        """Every weight's step."""
        return self._over(self._step)

    def _step(self, m: Member, use: OptimizerUse, norm: Normalization | None) -> list[Statement]:
        if not m.moves:
            norm = None
        return [*self.norms(m, use, norm), Line((m, use, norm), self._update)]

    def norms(self, m: Member, use: OptimizerUse, norm: Normalization | None) -> list[Statement]:
        """What a member's updates are divided by, and what that reads."""
        if norm is None:
            return []
        name = self.names["n", m.weight.name]
        if m.weight.kind == "matrix":
            if norm.kind == "weights":
                return [self.kept(m)]
            if use.rule.name not in self.squares:
                fresh = self.analysis.names.fresh(f"{use.rule.name}_squared")
                self.squares[use.rule.name] = fresh
            return [Line((name, m, use, norm), self._norm)]
        found: list[Statement] = []
        if norm.kind != "weights":
            found.append(Line((m, use), self._named))
        measured = m.weight.name if norm.kind == "weights" else self.names["Q", m.weight.name]
        size = _size(leaf(measured, m.key, member_type(m.weight)))
        if norm.threshold is not None and norm.kind == "clip":
            size = build.call("max", build.constant(1), build.call("div", size, norm.threshold))
        elif norm.threshold is not None:
            size = build.call("min", size, norm.threshold)
        return [*found, Let(name, m.key, size)]

    def kept(self, m: Member) -> Statement:
        """The norm of W, which is that of its initial value."""
        return Line((m,), self._kept)

    def update(
        self, write: Writer, m: Member, use: OptimizerUse, norm: Normalization | None
    ) -> str:
        """An update, divided by what it is divided by, without its rate; a factor."""
        name = m.weight.name
        if norm is not None and norm.kind != "weights" and ("Q", name) in self.names:
            return barred(m.weight, write.name(self.names["Q", name], m.key))
        return self._call(write, m, use)

    def divisor(self, m: Member, norm: Normalization) -> str:
        """The name of what a member's updates are divided by."""
        kept = m.weight.kind == "matrix" and norm.kind == "weights"
        return self.names["k" if kept else "n", m.weight.name]

    def _call(self, write: Writer, m: Member, use: OptimizerUse, name: str | None = None) -> str:
        found = self.history(m), m.pairs
        return update_call(self.analysis, found, use, write, write.moving, name)

    def history(self, m: Member) -> Node | None:
        """The gradient by a vector or a scalar, by its name."""
        if m.gradient is None:
            return None
        return leaf(self.analysis.names.cotangent(m.weight.name), m.key, m.gradient.type)

    def _named(self, write: Writer, parts: tuple[object, ...]) -> str:
        """Q_t(g_0, ..., g_t)"""
        m, use = parts
        assert isinstance(m, Member)
        assert isinstance(use, OptimizerUse)
        name = barred(m.weight, write.name(self.names["Q", m.weight.name], m.key))
        return f"{name} = {self._call(write, m, use)}"

    def _norm(self, write: Writer, parts: tuple[object, ...]) -> str:
        """|Q_t|^2 = E Q_t^2 over both indices."""
        name, m, use, norm = parts
        assert isinstance(m, Member)
        assert isinstance(use, OptimizerUse)
        assert isinstance(norm, Normalization)
        call = self._call(write, m, use, self.squares[use.rule.name])
        size = f"sqrt(<{self.every}|{call}|{self.every}>)"
        if norm.threshold is not None:
            size = (
                f"max(1, {size} / {write.at(norm.threshold, UNARY)})"
                if norm.kind == "clip"
                else f"min({size}, {write(norm.threshold)})"
            )
        return f"{write.name(str(name), m.key)} = {size}"

    def _kept(self, write: Writer, parts: tuple[object, ...]) -> str:
        """The norm of W: updates have a part that vanishes in it."""
        [m] = parts
        assert isinstance(m, Member)
        name = self.names["k", m.weight.name]
        after = self.write(write.step + Affine(1)).name(name, m.key)
        return f"{after} = {decayed(write, m, write.name(name, m.key))}"

    def _update(self, write: Writer, parts: tuple[object, ...]) -> str:
        """w[t+1] = keep w[t] - rate Q_t(g_0, ..., g_t)"""
        m, use, norm = parts
        assert isinstance(m, Member)
        assert isinstance(use, OptimizerUse)
        assert norm is None or isinstance(norm, Normalization)
        after = self.write(write.step + Affine(1)).name(m.weight.name, m.key)
        text = decayed(write, m, barred(m.weight, write.name(m.weight.name, m.key)))
        if m.moves:
            text += f" - {self.rated(write, m, use, norm)}"
        return f"{barred(m.weight, after)} = {text}"

    def rated(self, write: Writer, m: Member, use: OptimizerUse, norm: Normalization | None) -> str:
        """An update times its rate, divided by its norm."""
        call = self.update(write, m, use, norm)
        if norm is not None:
            size = write.name(self.divisor(m, norm), m.key)
            rate = write.at(use.rate, PRODUCT)
            if norm.kind == "clip":
                return f"{rate} / {size} * {call}"
            return f"{rate} * {self.inverse}({size}) * {call}"
        return call if build.is_number(use.rate, 1) else f"{write.at(use.rate, UNARY)} * {call}"


def deviation(weight: WeightFamily) -> Node:
    """The root of a weight's variance."""
    one = build.is_number(weight.variance, 1)
    return weight.variance if one else build.call("sqrt", weight.variance)


def barred(weight: WeightFamily, name: str) -> str:
    """A name between bars where it is a ket's."""
    return f"|{name}>" if weight.kind == "vector" else name


def decayed(write: Writer, m: Member, text: str) -> str:
    """What decay leaves of a member in a step."""
    for rate in m.keep:
        text = f"(1 - {write.at(rate, PRODUCT)}) * {text}"
    return text


def _size(x: Node) -> Node:
    """The root of the sum over axes of E x^2."""
    square = build.call("pow", x, build.constant(2))
    total = square if not x.type.copies else build.average(square)
    for axis in x.type.axes:
        ones = build.spread(build.constant(1), scalar((axis,)))
        total = build.contract(ones, total)
    return build.call("sqrt", total)
