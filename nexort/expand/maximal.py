"""The core program of a training in the maximal update limit (Thm 2.9.25, 2.9.30): the training
loop with every object replaced by its ket or operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.expand.analysis import Analysis
from nexort.expand.folding import rules_in_order
from nexort.expand.moving import Moving
from nexort.expand.placing import Placing, difference_of, sum_of
from nexort.expand.rules import leaf
from nexort.expand.start import first_value, member_loops
from nexort.expand.statements import Item, Let, Section, join_sections, place_statements
from nexort.expand.tidy import tidy
from nexort.expand.weights import exponents_of
from nexort.program.index import Affine, Loop
from nexort.program.network import OUTPUT, STEP_VARIABLE, WeightFamily
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.parametrization import readouts


@dataclass
class MaximalExpansion:
    """The core program of an analysed training."""

    analysis: Analysis
    last: Affine
    """The number of steps."""
    raw: str = ""
    loops: dict[str, tuple[Loop, ...]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    """Names that do not move."""
    start_comment: str = "weights at initialization"
    kernel: str = ""
    free: bool = False
    """Whether the rules are equations."""
    process: Node | None = None
    """What of the output is a Gaussian process, if anything is; see :class:`TangentExpansion`."""

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
        self.steps = Moving(a, self.loops, self.at, free=self.free)
        self.moving |= self.steps.moving

    def items(self) -> list[Item]:
        """The rules between the declarations and the outputs."""
        a = self.analysis
        found = self.initial()
        now = Affine.variable(a.step)
        if not steps_read_data(a):
            parts = [self.forward(now), self.error(now), self.backward(now), self.updates(now)]
            return [*found, a.over_steps(parts, self.last)]
        found += join_sections([self.forward(Affine(0))])
        parts = [self.error(now), self.backward(now), self.updates(now)]
        parts.append(self.forward(now + Affine(1)))
        return [*found, a.over_steps(parts, self.last - Affine(1))]

    def equations(self) -> list[Item]:
        """The same rules as equations, whose order says nothing: each for the steps at which it
        matters."""
        now = Affine.variable(self.analysis.step)
        later = [self.error(now), self.backward(now), self.updates(now)]
        over = self.analysis.over_steps
        return [
            *self.initial(),
            over([self.forward(now)], self.last),
            over(later, self.last - Affine(1)),
        ]

    @property
    def updated(self) -> frozenset[str]:
        """Names of gradients by weights, and of what a centred output is before it is."""
        raw = {self.raw} - {self.network.name}
        gradients = map(self.analysis.names.cotangent, self.network.weights)
        return frozenset(gradients) | raw | self.steps.inside

    # ---- sections ------------------------------------------------------------------------------

    def at(self, step: Affine) -> Placing:
        """Places graphs at a step."""
        return self.analysis.placing(step, self.moving)

    def initial(self) -> list[Item]:
        """Weights at initialization."""
        start = self.at(Affine(0))
        found = [
            first_value(self.analysis, w, self.loops[w.name], start, vanishes=self.vanishes(w))
            for w in self.network.weights.values()
        ]
        return [*found, *self.steps.starts()]

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
        at = self.at(step)
        items = place_statements(rules_in_order(a.rules.items), at)
        output = a.rules.output
        items.append(Let(self.raw, (), tidy(output.value)).item(at))
        name = self.network.name
        if self.raw != name:
            type_ = output.value.type
            raw, first = (x.member(self.raw, (), type_) for x in (at, self.at(Affine(0))))
            value = difference_of(raw, first)
            if isinstance(a.training.start, Node):
                value = sum_of(value, at(a.training.start))
            items.append(at.rule(name, (), value))
        return "forward pass", items

    def error(self, step: Affine) -> Section:
        """The error signal."""
        return error_signal(self.analysis, self.at(step))

    def backward(self, step: Affine) -> Section:
        """Cotangents, and the gradients by vectors and scalars."""
        found = [*self.analysis.backward, *self.steps.gradients()]
        return BACKWARD, place_statements(found, self.at(step))

    def updates(self, step: Affine) -> Section:
        """Every weight's step."""
        return "updates", place_statements(self.steps.updates(), self.at(step))


BACKWARD = "backward pass (Def 2.9.14)"


def steps_read_data(a: Analysis) -> bool:
    """Whether the error signal or a schedule reads an entry of data by the step: there is none for
    the last step."""
    t = a.training
    roots = [t.error, *(u.rate for u in t.optimizers), *(d.rate for d in t.decays)]
    roots += [u.weight_decay for u in t.optimizers if u.weight_decay is not None]
    roots += [n.threshold for n in t.normalizations if n.threshold is not None]
    picks = [p for x in walk(roots) if x.op is Op.TAKE for p in x.attr]
    return any(isinstance(p, Affine) and STEP_VARIABLE in p.names for p in picks)


def error_signal(a: Analysis, at: Placing) -> Section:
    """chi_t over f_t."""
    name = a.training.network.name

    def place(x: Node) -> Node:
        return leaf(name, (), x.type) if x.op is Op.SLOT and x.attr == OUTPUT else x

    value = rewrite([a.training.error], place)[a.training.error]
    return "error signal", [Let(a.chi, (), value).item(at)]
