"""What the rules of exact limits read: the three meanings, and covariances of linear forms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from nexort.limit.dots import sources_of_dots
from nexort.limit.exact.budget import NotExact, PlanningBudget
from nexort.limit.exact.forms import Form, Gaussian, GaussianEntry, Item, relabelled_item
from nexort.limit.exact.labels import ITEM, At, Label
from nexort.limit.exact.numeric import AtomNumbers
from nexort.limit.exact.values import Value, Values
from nexort.limit.symmetry import parities
from nexort.program.nodes import Node, Op, walk
from nexort.program.roundings import Known
from nexort.program.unrolled import Unrolled

Labelled = tuple[Node, At]
View = tuple[Node, Gaussian | None]
"""f(|z>): f a graph over SLOT, and |z>, None for a number."""

MAX_WORK = 300_000
"""Pairs of atoms whose covariances are formed, in all."""

NOT_SHOWN, NO_VARIANCE = "existence not shown", "finite variance not shown"
"""What is said of means of samples that may have no limit, or no error bar."""


class Meanings(ABC):
    """The meanings of one program's nodes; ``unknown`` are expectations that are not shown to exist
    (``nexort.limit.exact.existing``), ``lost`` those that floats do not find: none has an exact
    route."""

    def __init__(
        self,
        program: Unrolled,
        unknown: frozenset[Node] = frozenset(),
        lost: frozenset[Node] = frozenset(),
    ) -> None:
        self.program = program
        self.unknown, self.lost = unknown, lost
        roots = [m for output in program.outputs for m in output.members]
        self.nodes = walk(roots)
        self.values = Values(PlanningBudget(len(self.nodes)))
        self.parity = parities(roots)
        self.dots = sources_of_dots(roots)
        self.work = 0
        self._at: list[Node] = []
        self.moments: dict[Hashable, Value] = {}
        """Of groups of correlated factors (``nexort.limit.exact.moments``)."""
        self.gaps: dict[tuple[Gaussian, Gaussian], Value | None] = {}
        """What ``nexort.limit.exact.gaps`` has found."""
        self.views: dict[Labelled, View | None] = {}
        self._numbers = AtomNumbers(self._of_atoms)
        self._covariances: dict[tuple[Gaussian, Gaussian], Value] = {}

    # ---- the three meanings ----------------------------------------------------------------------

    @abstractmethod
    def scalar(self, node: Node, at: At) -> Value:
        """A scalar's entries. Raises NotExact."""

    @abstractmethod
    def form(self, node: Node, at: At) -> Form:
        """A ket's entries. Raises NotExact, NeedsPin."""

    @abstractmethod
    def expect(self, *factors: Labelled) -> Value:
        """The expectation of a product of kets. Raises NotExact."""

    @property
    def origin(self) -> dict[Value, Node]:
        """Of an expectation of functions, the ket that was first found to need it."""
        return self.values.origin

    def needed(self, value: Value) -> Value:
        """An expectation of functions, by the ket that is looked at."""
        if self._at:
            self.origin.setdefault(value, self._at[-1])
        return value

    # ---- covariances -----------------------------------------------------------------------------

    def covariance(self, a: Gaussian, b: Gaussian) -> Value:
        """Cov of two linear forms: the sum over pairs of atoms. Raises NotExact."""
        pair = (a, b) if a.key <= b.key else (b, a)
        if pair not in self._covariances:
            a, b = pair
            number = self._numbers.covariance(a, b)
            if not a.families & b.families:
                self._covariances[pair] = self.values.zero
            elif number is not None:
                self._covariances[pair] = self.values.number(*number)
            else:
                terms = [
                    pair_of_items(self, x, y)
                    for x in a.items
                    for y in b.items
                    if x.atom.family == y.atom.family
                ]
                self.work += len(terms)
                if self.work > MAX_WORK:
                    raise NotExact("too many covariances")
                self._covariances[pair] = self.values.add(*terms)
        return self._covariances[pair]

    def shown(self, node: Node) -> None:
        """Raises NotExact for an expectation that is not shown to exist."""
        if node in self.unknown:
            raise NotExact(NOT_SHOWN, node)
        if node in self.lost:
            raise NotExact("floats make it infinite next to a singular point", node)

    def _of_atoms(self, a: GaussianEntry, b: GaussianEntry) -> Known | None:
        """Cov of two atoms, where it is a number."""
        one = self.values.one
        found = pair_of_items(self, Item(one, a), Item(one, b))
        return None if found.number is None else (found.number, found.error)

    def atoms(self, a: GaussianEntry, b: GaussianEntry) -> Value:
        """Cov(hat(Wx)_a, hat(Wy)_b) = <x_a|y_b> for two hats of one family. Raises NotExact."""
        for x in (a.node, b.node):
            self.shown(x)
        return self.expect((a.node.args[0], a.at), (b.node.args[0], b.at))

    # ---- sizes -----------------------------------------------------------------------------------

    def size(self, label: Label) -> int:
        """How many entries a label runs over."""
        return int(label.axis) if label.axis.isdigit() else self.program.sizes[label.axis]


def pair_of_items(engine: Meanings, a: Item, b: Item) -> Value:
    """Cov of two items: coefficients times the covariance of the atoms, summed."""
    values = engine.values
    first = len(a.atom.at)
    names = {x: Label(ITEM, first + x.place, x.axis) for x in b.bound}
    b = relabelled_item(values, b, names)
    bound = [*a.bound, *b.bound]
    weight = values.mul(a.coefficient, b.coefficient)
    if a.atom.node.op is not Op.INIT_VECTOR:
        return values.sum(values.mul(weight, engine.atoms(a.atom, b.atom)), bound)
    left_at, right_at = list(a.atom.at), list(b.atom.at)
    for k in range(len(left_at)):
        i, j = left_at[k], right_at[k]
        if i == j:
            continue
        label = next((x for x in (j, i) if x in bound), None)
        if label is None:
            weight = values.mul(weight, values.eye(i, j))
            continue
        assert isinstance(label, Label)
        other = i if label == j else j
        weight = values.relabel(weight, {label: other})
        bound.remove(label)
        left_at = [other if x == label else x for x in left_at]
        right_at = [other if x == label else x for x in right_at]
    return values.sum(weight, bound)
