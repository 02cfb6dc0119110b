"""The core program of a training whose weights decay, in the neural tangent limit (Thm 2.10.3).

Kets at step t are those of the weights that decay has left, and the output sees the decayed sum of
all updates, D_{t+1} = (1 - lambda) D_t + eta Q_t, by f_t = f_0 - Diag <dh_t|D_t|x_t>. This is no
random number where f_0 vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexort.expand.folding import forward
from nexort.expand.maximal import Section, error_lines, joined, steps_read_data
from nexort.expand.moving import Member, barred, decayed
from nexort.expand.start import initial_lines
from nexort.expand.statements import Line, Statement, written
from nexort.expand.tangent import Tangent, Updates
from nexort.expand.text import PRODUCT, Writer
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.network import Normalization, OptimizerUse, Training
from nexort.program.nodes import Node


@dataclass
class DecayingUpdates(Updates):
    """The updates of weights, their decayed sums, and the weights themselves."""

    sums: dict[str, str] = field(default_factory=dict)
    """The names of the sums."""

    def _step(self, m: Member, use: OptimizerUse, norm: Normalization | None) -> list[Statement]:
        found = super()._step(m, use, norm)
        if found:
            found.append(Line((m,), self._sum))
        return [*found, Line((m,), self._weight)]

    def kept(self, m: Member) -> Statement:
        return Line((m,), self._kept)

    def _sum(self, write: Writer, parts: tuple[object, ...]) -> str:
        [m] = parts
        assert isinstance(m, Member)
        name, update = self.sums[m.weight.name], self.targets[m.weight.name]
        after = barred(m.weight, self.write(write.step + Affine(1)).name(name, m.key))
        now = decayed(write, m, barred(m.weight, write.name(name, m.key)))
        return f"{after} = {now} + {barred(m.weight, write.name(update, m.key))}"

    def _weight(self, write: Writer, parts: tuple[object, ...]) -> str:
        [m] = parts
        assert isinstance(m, Member)
        name = m.weight.name
        after = barred(m.weight, self.write(write.step + Affine(1)).name(name, m.key))
        return f"{after} = {decayed(write, m, barred(m.weight, write.name(name, m.key)))}"


@dataclass
class Decaying(Tangent):
    """Writes the core program of an analysed training."""

    def __post_init__(self) -> None:
        training = self.analysis.training
        if not self.vanishes:
            decays = training.decays
            where = decays[0].span if decays else training.optimizers[0].span
            raise self.problem("decayed weights leave a random part in the output", where)
        super().__post_init__()

    def sums(self) -> dict[str, str]:
        fresh = self.analysis.names.fresh
        return {n: fresh(f"S{n}", f"S_{n}") for n in self.network.weights}

    def stepping(self) -> DecayingUpdates:
        return DecayingUpdates(
            self.analysis,
            self.loops,
            self.write,
            targets=self.updates,
            rated_each=True,
            sums=self.seen,
        )

    def standing(self, every: frozenset[str]) -> frozenset[str]:
        return frozenset()

    def lines(self) -> list[str]:
        a = self.analysis
        now, zero = Affine.variable(a.step), Affine(0)
        found = joined([("weights at initialization, and sums of updates", self.starts())])
        if not steps_read_data(a):
            parts = [*self.kets(now), *self.moved(now)]
            return [*found, "", f"for {a.step} in 0..{self.last} {{", *joined(parts), "}"]
        parts = [*self.moved(now), *self.kets(now + Affine(1))]
        loop = [f"for {a.step} in 0..{self.last}-1 {{", *joined(parts), "}"]
        return [*found, "", *joined(self.kets(zero)), "", *loop]

    def starts(self) -> list[str]:
        """Weights and the sums of their updates at step 0."""
        declared: list[str] = []
        first: list[str] = []
        write = self.write(Affine(0))
        for weight in self.network.weights.values():
            loops = self.loops[weight.name]
            lines, values = initial_lines(self.analysis, weight, loops, write)
            declared += lines
            first += values
            if weight.kind == "scalar":
                continue
            key = tuple(Affine.variable(x.var) for x in loops)
            clauses = "".join(f" for {x.var} in {write.range(x.interval)}" for x in loops)
            name = barred(weight, write.name(self.seen[weight.name], key))
            value = barred(weight, write.name(weight.name, key))
            first.append(f"{name} = 0 * {value}{clauses}")
        return [*declared, *first, *self.steps.starts()]

    def kets(self, step: Affine) -> list[Section]:
        """Forward pass, backward pass and output."""
        a = self.analysis
        forwards = "forward pass", written(forward(a.rules.items), self.write(step))
        backward = "backward pass (Def 2.9.14)", written(a.backward, self.write(step))
        comment, lines = self.kernel_of(step)
        write = self.write(step)
        start = a.training.start
        value = f"-{write.name(self.kernel, ())}"
        if isinstance(start, Node):
            value = f"{write.at(start, PRODUCT)} - {write.name(self.kernel, ())}"
        output = f"{write.name(self.network.name, ())} = {value}"
        comment = comment.replace("operator K_Q (Thm 2.9.23)", "output (Thm 2.10.3)")
        found = [forwards, (comment, [*lines, output])]
        return [found[0], backward, found[1]] if a.apart else found

    def moved(self, step: Affine) -> list[Section]:
        """Error signal, and the updates."""
        a = self.analysis
        write = self.write(step)
        error: Section = "error signal", error_lines(a, write)
        backward: Section = "backward pass (Def 2.9.14)", written(a.backward, write)
        updates: Section = "updates", written(self.steps.updates(), write)
        return [error, updates] if a.apart else [error, backward, updates]


def decays(training: Training) -> bool:
    """Whether any weight decays."""
    rates = [d.rate for d in training.decays]
    rates += [u.weight_decay for u in training.optimizers if u.weight_decay is not None]
    return any(not build.is_number(r, 0) for r in rates)
