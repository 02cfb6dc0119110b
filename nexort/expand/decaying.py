"""The core program of a training whose weights decay, in the neural tangent limit (Thm 2.10.3).

Kets at step t are those of the weights that decay has left, and the output sees the decayed sum of
all updates, D_{t+1} = (1 - lambda) D_t + eta Q_t, by f_t = f_0 - Diag <dh_t|D_t|x_t>. This is no
random number where f_0 vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexort.expand.folding import rules_in_order
from nexort.expand.maximal import BACKWARD, error_signal, steps_read_data
from nexort.expand.moving import MovingMember, decay_member
from nexort.expand.placing import Placing, difference_of, multiple_of, negative_of, sum_of
from nexort.expand.start import first_value
from nexort.expand.statements import Item, Make, Section, Statement, join_sections, place_statements
from nexort.expand.tangent import TangentExpansion, Updates
from nexort.expand.tidy import tidy
from nexort.expand.weights import member_type
from nexort.program import build
from nexort.program.declarations import Rule
from nexort.program.index import Affine
from nexort.program.network import Normalization, OptimizerUse, Training
from nexort.program.nodes import Node


@dataclass
class DecayingUpdates(Updates):
    """The updates of weights, their decayed sums, and the weights themselves."""

    sums: dict[str, str] = field(default_factory=dict)
    """The names of the sums."""

    def _step(
        self, m: MovingMember, use: OptimizerUse, norm: Normalization | None
    ) -> list[Statement]:
        found = super()._step(m, use, norm)
        if found:
            found.append(Make((m,), self._sum))
        return [*found, Make((m, m.weight.name, member_type(m.weight)), self._decayed)]

    def kept(self, m: MovingMember) -> Statement:
        return super(Updates, self).kept(m)

    def _sum(self, at: Placing, parts: tuple[object, ...]) -> Rule:
        """S[t+1] = keep S[t] + Q[t]"""
        [m] = parts
        assert isinstance(m, MovingMember)
        type_ = member_type(m.weight)
        name, update = self.sums[m.weight.name], self.targets[m.weight.name]
        now = decay_member(at, m, at.member(name, m.key, type_))
        value = sum_of(now, at.member(update, m.key, type_))
        return self.at(at.step + Affine(1)).rule(name, m.key, value)


@dataclass
class Decaying(TangentExpansion):
    """The core program of an analysed training."""

    start_comment: str = "weights at initialization, and sums of updates"
    random: str = ""
    """The name of the process."""

    def __post_init__(self) -> None:
        training = self.analysis.training
        if not (self.vanishes or self.free):
            decays = training.decays
            where = decays[0].span if decays else training.optimizers[0].span
            raise self.problem("decayed weights leave a random part in the output", where)
        super().__post_init__()
        if not self.vanishes:
            self.random = self.analysis.names.fresh("p", "P", "process", "start")
            self.moving |= {self.random}

    def sums(self) -> dict[str, str]:
        fresh = self.analysis.names.fresh
        return {n: fresh(f"S{n}", f"S_{n}") for n in self.network.weights}

    def stepping(self) -> DecayingUpdates:
        return DecayingUpdates(
            self.analysis,
            self.loops,
            self.at,
            free=self.free,
            targets=self.updates,
            rated_each=True,
            sums=self.seen,
        )

    def standing(self, every: frozenset[str]) -> frozenset[str]:
        return frozenset()

    def items(self) -> list[Item]:
        a = self.analysis
        now, zero = Affine.variable(a.step), Affine(0)
        found = self.starts()
        if not steps_read_data(a):
            parts = [*self.kets(now), *self.moved(now)]
            return [*found, a.over_steps(parts, self.last)]
        first = join_sections(self.kets(zero))
        parts = [*self.moved(now), *self.kets(now + Affine(1))]
        return [*found, *first, a.over_steps(parts, self.last - Affine(1))]

    def equations(self) -> list[Item]:
        now = Affine.variable(self.analysis.step)
        over = self.analysis.over_steps
        kets = over(self.kets(now), self.last)
        return [*self.starts(), kets, over(self.moved(now), self.last - Affine(1))]

    def starts(self) -> list[Item]:
        """Weights and the sums of their updates at step 0."""
        found: list[Item] = []
        at = self.at(Affine(0))
        for weight in self.network.weights.values():
            loops = self.loops[weight.name]
            found.append(first_value(self.analysis, weight, loops, at))
            if weight.kind == "scalar":
                continue
            key = tuple(Affine.variable(x.var) for x in loops)
            value = at.member(weight.name, key, member_type(weight))
            nothing = multiple_of(build.constant(0), value)
            found.append(at.over(loops, at.rule(self.seen[weight.name], key, nothing)))
        return [*found, *self.steps.starts()]

    def kets(self, step: Affine) -> list[Section]:
        """Forward pass, backward pass and output."""
        a = self.analysis
        at = self.at(step)
        forwards = "forward pass", place_statements(rules_in_order(a.rules.items), at)
        backward = BACKWARD, place_statements(a.backward, at)
        comment, items = self.kernel_of(step)
        at = self.at(step)
        kernel = at.member(self.kernel, (), a.rules.output.value.type)
        start = self.start_at(at)
        value = negative_of(kernel) if start is None else difference_of(start, kernel)
        comment = comment.replace("operator K_Q (Thm 2.9.23)", "output (Thm 2.10.3)")
        found = [forwards, (comment, [*items, at.rule(self.network.name, (), value)])]
        return [found[0], backward, found[1]] if a.steady else found

    def start_at(self, at: Placing) -> Node | None:
        """What the output is without updates: given, or what decayed weights give, which may be
        centred."""
        a = self.analysis
        start = a.training.start
        given = at(start) if isinstance(start, Node) else None
        if not self.random:
            return given
        output = a.rules.output.value
        self.process = at(tidy(output))
        now, first = (x.member(self.random, (), output.type) for x in (at, self.at(Affine(0))))
        moved = now if start == "plain" else difference_of(now, first)
        return moved if given is None else sum_of(given, moved)

    def moved(self, step: Affine) -> list[Section]:
        """Error signal, and the updates."""
        a = self.analysis
        at = self.at(step)
        backward: Section = BACKWARD, place_statements(a.backward, at)
        updates: Section = "updates", place_statements(self.steps.updates(), at)
        error = error_signal(a, at)
        return [error, updates] if a.steady else [error, backward, updates]


def any_decays(training: Training) -> bool:
    """Whether any weight decays."""
    rates = [d.rate for d in training.decays]
    rates += [u.weight_decay for u in training.optimizers if u.weight_decay is not None]
    return any(not build.is_number(r, 0) for r in rates)
