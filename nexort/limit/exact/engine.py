"""Exact limits: every scalar of an unrolled program as a graph of array operations.

Three mutually recursive meanings, each found once: a scalar node at indices is a
:class:`~nexort.limit.exact.values.Value`, a ket node at indices a
:class:`~nexort.limit.exact.forms.Form` (Def 2.6.5: hats and dots), and the expectation of a product
of kets a value again (``nexort.limit.exact.moments``). Where one has no exact route, NotExact says
why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nexort.limit.exact import kets, moments, scalars
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.forms import Form, relabel_form
from nexort.limit.exact.labels import (
    At,
    Label,
    NeedsPin,
    canonical_indices,
    rename_labels,
    sortable,
    top,
)
from nexort.limit.exact.meanings import Labelled, Meanings
from nexort.limit.exact.values import Value
from nexort.limit.symmetry import is_odd
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Unrolled

K = TypeVar("K")
T = TypeVar("T")

DEEP = 100_000
"""Nested calls that long programs may take."""


class ExactEngine(Meanings):
    """The exact limits of one program."""

    def __init__(
        self,
        program: Unrolled,
        unknown: frozenset[Node] = frozenset(),
        lost: frozenset[Node] = frozenset(),
    ) -> None:
        super().__init__(program, unknown, lost)
        self._scalars: dict[Labelled, Value | NotExact] = {}
        self._forms: dict[Labelled, Form | NotExact | NeedsPin] = {}
        self._forms_at: dict[Labelled, Form] = {}
        self._expected: dict[tuple[Labelled, ...], Value | NotExact] = {}

    # ---- the three meanings ----------------------------------------------------------------------

    def scalar(self, node: Node, at: At) -> Value:
        """A scalar's entries. Raises NotExact."""
        own, names = canonical_indices(at)
        found = _once(self._scalars, (node, own), lambda: scalars.lower(self, node, own))
        return self.values.relabel(found, names)

    def form(self, node: Node, at: At) -> Form:
        """A ket's entries. Raises NotExact, NeedsPin."""
        own, names = canonical_indices(at)
        try:
            found = _once(self._forms, (node, own), lambda: kets.form_of(self, node, own))
        except NeedsPin as need:
            label = names.get(need.label, need.label)
            assert isinstance(label, Label)
            raise NeedsPin(label) from None
        if not names:
            return found
        if (node, at) not in self._forms_at:
            self._forms_at[node, at] = relabel_form(self.values, found, names)
        return self._forms_at[node, at]

    def expect(self, *factors: Labelled) -> Value:
        """The expectation of a product of kets. Raises NotExact."""
        ordered = sorted(factors, key=lambda x: (x[0].serial, sortable(x[1])))
        whole, names = canonical_indices(tuple(i for _, at in ordered for i in at))
        rest = iter(whole)
        own = tuple((x, tuple(next(rest) for _ in at)) for x, at in ordered)
        found = _once(self._expected, own, lambda: self._expect(own))
        return self.values.relabel(found, names)

    def _expect(self, factors: tuple[Labelled, ...]) -> Value:
        if is_odd(*(self.parity[x] for x, _ in factors)):
            return self.values.zero
        self._at.append(factors[0][0])
        try:
            return moments.forms_expectation(self, [self.form(x, at) for x, at in factors])
        except NeedsPin as need:
            label = need.label
        finally:
            self._at.pop()
        parts = []
        for k in range(self.size(label)):
            pinned = [(x, rename_labels(at, {label: k})) for x, at in factors]
            parts.append(self.expect(*pinned))
        return self.values.stack(parts, label)

    # ---- sizes -----------------------------------------------------------------------------------

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
