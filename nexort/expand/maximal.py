"""The core program of a training in the maximal update limit (Thm 2.9.25, 2.9.30): the training
loop with every object replaced by its ket or operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.expand.analysis import Analysis
from nexort.expand.folding import forward
from nexort.expand.moving import Moving
from nexort.expand.rules import leaf
from nexort.expand.start import initial_lines, member_loops
from nexort.expand.statements import Let, written
from nexort.expand.text import PRODUCT, Writer
from nexort.expand.tidy import tidy
from nexort.expand.weights import exponents_of
from nexort.program.index import Affine, Loop
from nexort.program.network import OUTPUT, STEP_VARIABLE, WeightFamily
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.parametrization import readouts

Section = tuple[str, list[str]]
"""A comment and its lines."""


@dataclass
class Maximal:
    """Writes the core program of an analysed training."""

    analysis: Analysis
    last: str
    """The number of steps, as text."""
    raw: str = ""
    loops: dict[str, tuple[Loop, ...]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    """Names that do not move."""

    @property
    def squares(self) -> Mapping[str, str]:
        """Names of update functions whose values are squared."""
        return self.steps.squares

    def __post_init__(self) -> None:
        a = self.analysis
        self.network = a.training.network
        self.loops = member_loops(a)
        plain = a.training.start == "plain"
        self.raw = self.network.name if plain else a.names.fresh("out", "raw")
        cotangents = frozenset(a.names.cotangents.values())
        outputs = (a.chi, self.network.name, self.raw)
        self.moving = frozenset((*a.rules.types, *cotangents, *a.shared, *outputs))
        self.moving |= frozenset(self.network.weights)
        self.moving |= {a.names.cotangent(n) for n in self.network.weights}
        self.steps = Moving(a, self.loops, self.write)
        self.moving |= self.steps.moving

    def lines(self) -> list[str]:
        """The program between the declarations and the outputs."""
        a = self.analysis
        found = self.initial()
        now = Affine.variable(a.step)
        whole = f"for {a.step} in 0..{self.last} {{"
        if not steps_read_data(a):
            parts = [self.forward(now), self.error(now), self.backward(now), self.updates(now)]
            return [*found, "", whole, *joined(parts), "}"]
        zero, then = Affine(0), now + Affine(1)
        found += ["", *joined([self.forward(zero)]), ""]
        parts = [self.error(now), self.backward(now), self.updates(now), self.forward(then)]
        return [*found, f"for {a.step} in 0..{self.last}-1 {{", *joined(parts), "}"]

    # ---- sections ------------------------------------------------------------------------------

    def write(self, step: Affine) -> Writer:
        """Writes graphs at a step."""
        return self.analysis.writer(step, self.moving)

    def initial(self) -> list[str]:
        """Weights at initialization."""
        a = self.analysis
        found = ["# weights at initialization"]
        starts: list[str] = []
        for weight in self.network.weights.values():
            lines, first = initial_lines(a, weight, self.loops[weight.name], self.write(Affine(0)),
                                         vanishes=self.vanishes(weight))  # fmt: skip
            found += lines
            starts += first
        return [*found, *starts, *self.steps.starts()]

    def vanishes(self, weight: WeightFamily) -> bool:
        """Whether a readout's initial value is of a smaller size than its updates."""
        if weight.name not in readouts(self.network):
            return False
        training = self.analysis.training
        values = {
            exponents_of(training, key, self.analysis.base)
            for key in self.analysis.active if key[0] == weight.name
        }  # fmt: skip
        return any(training.parametrization.out + e.a + e.b > 1 for e in values)

    def forward(self, step: Affine) -> Section:
        """The forward pass and the output."""
        a = self.analysis
        write = self.write(step)
        lines = written(forward(a.rules.items), write)
        output = a.rules.output
        lines += Let(self.raw, (), tidy(output.value)).lines(write)
        name = self.network.name
        if self.raw != name:
            zero = self.write(Affine(0)).name(self.raw, ())
            value = f"{write.name(self.raw, ())} - {zero}"
            if isinstance(a.training.start, Node):
                value += f" + {write.at(a.training.start, PRODUCT)}"
            lines.append(f"{write.name(name, ())} = {value}")
        return "forward pass", lines

    def error(self, step: Affine) -> Section:
        """The error signal."""
        return "error signal", error_lines(self.analysis, self.write(step))

    def backward(self, step: Affine) -> Section:
        """Cotangents, and the gradients by vectors and scalars."""
        found = [*self.analysis.backward, *self.steps.gradients()]
        lines = written(found, self.write(step))
        return "backward pass (Def 2.9.14)", lines

    def updates(self, step: Affine) -> Section:
        """Every weight's step."""
        return "updates", written(self.steps.updates(), self.write(step))


def steps_read_data(a: Analysis) -> bool:
    """Whether the error signal or a schedule reads an entry of data by the step: there is none for
    the last step."""
    t = a.training
    roots = [t.error, *(u.rate for u in t.optimizers), *(d.rate for d in t.decays)]
    roots += [u.weight_decay for u in t.optimizers if u.weight_decay is not None]
    roots += [n.threshold for n in t.normalizations if n.threshold is not None]
    picks = [p for x in walk(roots) if x.op is Op.TAKE for p in x.attr]
    return any(isinstance(p, Affine) and STEP_VARIABLE in p.names for p in picks)


def error_lines(a: Analysis, write: Writer) -> list[str]:
    """chi_t over f_t."""
    name = a.training.network.name

    def place(x: Node) -> Node:
        return leaf(name, (), x.type) if x.op is Op.SLOT and x.attr == OUTPUT else x

    value = rewrite([a.training.error], place)[a.training.error]
    return Let(a.chi, (), value).lines(write)


def joined(parts: list[Section]) -> list[str]:
    """Sections under their comments."""
    found: list[str] = []
    for comment, lines in parts:
        if lines:
            found += ([""] if found else []) + [f"# {comment}", *lines]
    return found
