"""Labels: the names of axes, and who binds them.

Everything in the exact engine stands at *indices*, one an axis: a label, or a number for a fixed
entry. Axes are aligned by label and never by position; that the language broadcasts from the right
is said once, in ``nexort.limit.exact.scalars.align_indices``. A label belongs to a scope:

=====  ===========================================================================================
scope  what a label of it is
=====  ===========================================================================================
FREE   an axis of the node that is looked at: 0, 1, ... in order of appearance. A node that joins
       axes, or opens a bound one, takes the places that follow, and binds them again before it
       returns
ITEM   bound by an item of a linear form; the place is that of the axis among the atom's
TERM   bound by a term of a form: 0, 1, ...
BOUND  bound by a value, with places above all those that its arguments bind
=====  ===========================================================================================

Names are a function of what they name, so that equal things are identical, and no two binders that
are nested share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

FREE, ITEM, TERM, BOUND = range(4)


class Label(NamedTuple):
    """The name of an axis; ``axis`` says how long it is."""

    scope: int
    place: int
    axis: str


Index = Label | int
At = tuple[Index, ...]
Names = Mapping[Label, Index]
F = TypeVar("F")


def top(axes: Iterable[str]) -> tuple[Label, ...]:
    """The labels of a whole node, one an axis."""
    return tuple(Label(FREE, k, axis) for k, axis in enumerate(axes))


def labels_of(at: Iterable[Index]) -> tuple[Label, ...]:
    """The labels among indices, each once, in order of appearance."""
    return tuple(dict.fromkeys(i for i in at if isinstance(i, Label)))


def canonical_indices(at: At) -> tuple[At, dict[Label, Index]]:
    """The indices with labels FREE 0, 1, ..., and the names that lead back."""
    found = labels_of(at)
    own = {x: Label(FREE, k, x.axis) for k, x in enumerate(found)}
    return rename_labels(at, own), {new: old for old, new in own.items() if new != old}


def following(at: At, axes: Sequence[str]) -> tuple[Label, ...]:
    """Labels for more axes beside canonical indices."""
    first = len(labels_of(at))
    return tuple(Label(FREE, first + k, axis) for k, axis in enumerate(axes))


def rename_labels(at: At, names: Names) -> At:
    """Indices with some labels replaced, all at once."""
    return tuple([names.get(i, i) if isinstance(i, Label) else i for i in at])


def sortable(at: Iterable[Index]) -> tuple[Label, ...]:
    """Indices as a key to sort by, numbers first."""
    return tuple([i if isinstance(i, Label) else Label(-1, i, "") for i in at])


class NeedsPin(Exception):
    """A label that has to be replaced by each of its entries in turn (a list of kets)."""

    def __init__(self, label: Label) -> None:
        super().__init__(label)
        self.label = label
