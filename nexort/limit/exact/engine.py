"""Exact limits: every scalar of an unrolled program as a graph of array operations.

Three mutually recursive meanings, each found once: a scalar node at indices is a
:class:`~nexort.limit.exact.values.Value`, a ket node at indices a
:class:`~nexort.limit.exact.forms.Form` (Def 2.6.5: hats and dots), and the expectation of a product
of kets a value again (``nexort.limit.exact.moments``). Where one has no exact route, NotExact says
why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nexort.limit.dots import sources_of_dots
from nexort.limit.exact import kets, moments, scalars
from nexort.limit.exact.budget import Budget, NotExact
from nexort.limit.exact.forms import Atom, Form, Gaussian, Item, relabelled
from nexort.limit.exact.kets import NeedsPin
from nexort.limit.exact.labels import At, Label, canonical, renamed, sortable, top
from nexort.limit.exact.numeric import Numbers
from nexort.limit.exact.values import Value, Values
from nexort.limit.symmetry import is_odd, parities
from nexort.program.nodes import Node, Op, walk
from nexort.program.roundings import Known
from nexort.program.unrolled import Unrolled

Labelled = tuple[Node, At]
K = TypeVar("K")
T = TypeVar("T")

MAX_WORK = 300_000
"""Pairs of atoms whose covariances are formed, in all."""

NOT_SHOWN, NO_VARIANCE = "existence not shown", "finite variance not shown"
"""What is said of means of samples that may have no limit, or no error bar."""
DEEP = 100_000
"""Nested calls that long programs may take."""


class Engine:
    """The exact limits of one program; ``unknown`` are expectations that are not shown to exist
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
        self.values = Values(Budget(len(self.nodes)))
        self.parity = parities(roots)
        self.dots = sources_of_dots(roots)
        self.work = 0
        self._at: list[Node] = []
        self.moments: dict[Hashable, Value] = {}
        """Of groups of correlated factors (``nexort.limit.exact.moments``)."""
        self.gaps: dict[tuple[Gaussian, Gaussian], Value | None] = {}
        """What ``nexort.limit.exact.gaps`` has found."""
        self._scalars: dict[Labelled, Value | NotExact] = {}
        self._forms: dict[Labelled, Form | NotExact | NeedsPin] = {}
        self._forms_at: dict[Labelled, Form] = {}
        self.views: dict[Labelled, kets.View | None] = {}
        self._expected: dict[tuple[Labelled, ...], Value | NotExact] = {}
        self._numbers = Numbers(self._of_atoms)
        self._covariances: dict[tuple[Gaussian, Gaussian], Value] = {}

    # ---- the three meanings ----------------------------------------------------------------------

    @property
    def origin(self) -> dict[Value, Node]:
        """Of an expectation of functions, the ket that was first found to need it."""
        return self.values.origin

    def scalar(self, node: Node, at: At) -> Value:
        """A scalar's entries. Raises NotExact."""
        own, names = canonical(at)
        found = _once(self._scalars, (node, own), lambda: scalars.lower(self, node, own))
        return self.values.relabel(found, names)

    def form(self, node: Node, at: At) -> Form:
        """A ket's entries. Raises NotExact, NeedsPin."""
        own, names = canonical(at)
        try:
            found = _once(self._forms, (node, own), lambda: kets.form_of(self, node, own))
        except NeedsPin as need:
            label = names.get(need.label, need.label)
            assert isinstance(label, Label)
            raise NeedsPin(label) from None
        if not names:
            return found
        if (node, at) not in self._forms_at:
            self._forms_at[node, at] = relabelled(self.values, found, names)
        return self._forms_at[node, at]

    def expect(self, *factors: Labelled) -> Value:
        """The expectation of a product of kets. Raises NotExact."""
        ordered = sorted(factors, key=lambda x: (x[0].serial, sortable(x[1])))
        whole, names = canonical(tuple(i for _, at in ordered for i in at))
        rest = iter(whole)
        own = tuple((x, tuple(next(rest) for _ in at)) for x, at in ordered)
        found = _once(self._expected, own, lambda: self._expect(own))
        return self.values.relabel(found, names)

    def _expect(self, factors: tuple[Labelled, ...]) -> Value:
        if is_odd(*(self.parity[x] for x, _ in factors)):
            return self.values.zero
        self._at.append(factors[0][0])
        try:
            return moments.expectation(self, [self.form(x, at) for x, at in factors])
        except NeedsPin as need:
            label = need.label
        finally:
            self._at.pop()
        parts = []
        for k in range(self.size(label)):
            pinned = [(x, renamed(at, {label: k})) for x, at in factors]
            parts.append(self.expect(*pinned))
        return self.values.stack(parts, label)

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
                    moments.pair_of_items(self, x, y)
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

    def _of_atoms(self, a: Atom, b: Atom) -> Known | None:
        """Cov of two atoms, where it is a number."""
        one = self.values.one
        found = moments.pair_of_items(self, Item(one, a), Item(one, b))
        return None if found.number is None else (found.number, found.error)

    def atoms(self, a: Atom, b: Atom) -> Value:
        """Cov(hat(Wx)_a, hat(Wy)_b) = <x_a|y_b> for two hats of one family. Raises NotExact."""
        for x in (a.node, b.node):
            self.shown(x)
        return self.expect((a.node.args[0], a.at), (b.node.args[0], b.at))

    # ---- sizes -----------------------------------------------------------------------------------

    def size(self, label: Label) -> int:
        """How many entries a label runs over."""
        return int(label.axis) if label.axis.isdigit() else self.program.sizes[label.axis]

    def warm(self) -> None:
        """Find the covariances of hats in the program's order, so that no recursion is deep."""
        for node in self.nodes:
            if node.op is Op.MATMUL:
                axes = [a.name for a in node.type.axes]
                both = top([*axes, *axes])
                left, right = both[: len(axes)], both[len(axes) :]
                try:
                    self.form(node, left)
                    self.expect((node.args[0], left), (node.args[0], right))
                except (NotExact, NeedsPin):
                    continue


def _once(known: dict[K, Any], key: K, find: Callable[[], T]) -> T:
    """The remembered result, or exception, of ``find``."""
    if key not in known:
        try:
            known[key] = find()
        except (NotExact, NeedsPin) as problem:
            known[key] = problem
    found = known[key]
    if isinstance(found, NotExact | NeedsPin):
        raise found
    result: T = found
    return result


@contextmanager
def deep() -> Iterator[None]:
    """Long programs recurse deeply; calls between Python functions take no space on the stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
