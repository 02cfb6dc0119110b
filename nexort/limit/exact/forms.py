"""Kets as sums of products of functions of Gaussian kets.

A *Gaussian* is a linear form sum_k c_k |g_k> over atoms: initial vectors, and hats of initial
matrices (Def 2.6.5). A *form* is a sum of terms; a term is a coefficient times factors
f(|z>) z^k of Gaussians, summed over its bound labels. Everything is at labelled entries: the
|x_a> of a multi-ket at label a and at label b are two forms.

An item binds the ITEM labels of its atom, and a term the TERM labels of its Gaussians, no others:
what only coefficients depend on is summed there at once. Items of one atom are therefore one item,
and kets that are combinations of a few initial vectors stay as short as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.labels import (
    FREE,
    ITEM,
    TERM,
    At,
    Label,
    Names,
    labels_of,
    rename_labels,
    sortable,
)
from nexort.limit.exact.values import Value, Values
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import scalar

SLOT = Node(Op.SLOT, (), ("z",), scalar())
"""The variable of a univariate function's graph."""

MAX_TERMS = 2_500
"""Terms of one form, and of a product of forms whose expectation is taken."""

MAX_DEGREE = 12
"""Total degree of a polynomial in Gaussians."""

MAX_POWER = 100
"""Of a form with one term."""


def monomial_graph(power: int) -> Node:
    """z^k as a graph."""
    return SLOT if power == 1 else build.call("pow", SLOT, build.constant(power))


@dataclass(frozen=True, slots=True)
class GaussianEntry:
    """An entry of an initial multi-vector (node INIT_VECTOR), or of a hat (node MATMUL)."""

    node: Node
    at: At

    @property
    def family(self) -> object:
        """Atoms of different families are independent."""
        return self.node.attr if self.node.op is Op.MATMUL else self.node


@dataclass(frozen=True, slots=True)
class Item:
    """coefficient * atom, summed over the bound labels."""

    coefficient: Value
    atom: GaussianEntry

    @property
    def bound(self) -> tuple[Label, ...]:
        """The labels that are summed over."""
        return tuple(x for x in labels_of(self.atom.at) if x.scope == ITEM)


@dataclass(frozen=True)
class Gaussian:
    """A linear form over atoms; equal forms are equal objects' values."""

    items: tuple[Item, ...]

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for equal linear forms, and sortable."""
        return tuple((i.atom.node.serial, sortable(i.atom.at), i.coefficient.serial)
                     for i in self.items)  # fmt: skip

    @cached_property
    def families(self) -> frozenset[object]:
        """What it depends on."""
        return frozenset(i.atom.family for i in self.items)

    @cached_property
    def labels(self) -> frozenset[Label]:
        """The labels that occur, those that its items bind apart."""
        found = {x for i in self.items for x in (*i.coefficient.labels, *labels_of(i.atom.at))}
        return frozenset(x for x in found if x.scope != ITEM)

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gaussian) and self.key == other.key


@dataclass(frozen=True)
class Factor:
    """z^power times a product of functions of z (graphs over SLOT)."""

    z: Gaussian
    power: int
    functions: tuple[Node, ...] = ()

    def node(self) -> Node:
        """The function as one graph over SLOT."""
        parts = list(self.functions)
        if self.power:
            parts.insert(0, monomial_graph(self.power))
        found = parts[0]
        for part in parts[1:]:
            found = build.call("mul", found, part)
        return found


@dataclass(frozen=True)
class Term:
    """coefficient * product of factors (of different Gaussians), summed over the bound labels."""

    coefficient: Value
    factors: tuple[Factor, ...] = ()
    bound: tuple[Label, ...] = ()

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Terms with equal keys differ in the coefficient alone."""
        return self.bound, *((f.z.key, f.power, tuple(x.serial for x in f.functions))
                             for f in self.factors)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """A ket at labelled entries; ``linear`` is its linear part, ``terms`` the others."""

    linear: Gaussian
    terms: tuple[Term, ...] = ()

    @property
    def gaussian(self) -> Gaussian | None:
        """The linear form that this is, or None."""
        return self.linear if not self.terms else None

    @property
    def one_term(self) -> bool:
        """Whether powers of this have one term too."""
        return len(self.terms) == 1 and not (self.linear.items or self.terms[0].bound)

    def constant(self, values: Values) -> Value | None:
        """The coefficient, of a ket that does not depend on the entry."""
        if not self.linear.items and not self.terms:
            return values.zero
        if self.linear.items or len(self.terms) != 1 or self.terms[0].factors:
            return None
        return None if self.terms[0].bound else self.terms[0].coefficient

    def all_terms(self, values: Values) -> tuple[Term, ...]:
        """The terms, the linear part as one of them."""
        if not self.linear.items:
            return self.terms
        return (Term(values.one, (Factor(self.linear, 1),)), *self.terms)


NOTHING = Gaussian(())


def gaussian_form(values: Values, items: Iterable[Item]) -> Gaussian:
    """A linear form: equal atoms collected, zeros left out, in order."""
    found: dict[GaussianEntry, list[Value]] = {}
    for item in items:
        found.setdefault(item.atom, []).append(item.coefficient)
    total = {a: c[0] if len(c) == 1 else values.add(*c) for a, c in found.items()}
    kept = [Item(c, a) for a, c in total.items() if c is not values.zero]
    return Gaussian(tuple(sorted(kept, key=lambda i: (i.atom.node.serial, sortable(i.atom.at)))))


def form(values: Values, linear: Gaussian, terms: Iterable[Term]) -> Form:
    """A form: equal terms collected, zeros left out. Raises NotExact with too many."""
    found: dict[tuple[object, ...], Term] = {}
    items = list(linear.items)
    for term in terms:
        match term.factors:
            case [Factor(z, 1, ())]:
                own = [Item(values.mul(term.coefficient, i.coefficient), i.atom) for i in z.items]
                items += [_closed_item(values, i, term.bound) for i in own]
                continue
        if term.key in found:
            total = values.add(found[term.key].coefficient, term.coefficient)
            found[term.key] = replace(term, coefficient=total)
        else:
            found[term.key] = term
    kept = tuple(t for t in found.values() if t.coefficient is not values.zero)
    if len(kept) > MAX_TERMS:
        raise NotExact(f"a sum of more than {MAX_TERMS} terms")
    return Form(gaussian_form(values, items), kept)


def sum_over_labels(values: Values, x: Form, over: Sequence[Label]) -> Form:
    """The sum of a form over some of its labels."""
    items = [_closed_item(values, i, over) for i in x.linear.items]
    terms = [_closed_term(values, t, over) for t in x.terms]
    return form(values, gaussian_form(values, items), terms)


def _closed_item(values: Values, item: Item, over: Sequence[Label]) -> Item:
    """sum_a c_a u_a binds a; in sum_a c_ab u_b the coefficient is summed."""
    names: dict[Label, Label] = {}
    for place, i in enumerate(item.atom.at):
        if i in over:
            assert isinstance(i, Label)
            names.setdefault(i, Label(ITEM, place, i.axis))
    coefficient = values.sum(item.coefficient, [x for x in over if x not in names])
    atom = GaussianEntry(item.atom.node, rename_labels(item.atom.at, names))
    return Item(values.relabel(coefficient, names), atom)


def _closed_term(values: Values, term: Term, over: Sequence[Label]) -> Term:
    used = frozenset[Label]().union(*(f.z.labels for f in term.factors))
    coefficient = values.sum(term.coefficient, [x for x in over if x not in used])
    names = {
        x: Label(TERM, len(term.bound) + k, x.axis)
        for k, x in enumerate(x for x in over if x in used)
    }
    whole = Term(coefficient, term.factors, (*term.bound, *names))
    return relabelled_term(values, whole, names)


def constant_form(values: Values, value: Value) -> Form:
    """A ket that is the same number at every entry."""
    return Form(NOTHING, () if value is values.zero else (Term(value),))


def scale_form(values: Values, by: Value, x: Form) -> Form:
    """A multiple."""
    if by is values.one:
        return x
    items = [replace(i, coefficient=values.mul(by, i.coefficient)) for i in x.linear.items]
    terms = [replace(t, coefficient=values.mul(by, t.coefficient)) for t in x.terms]
    return form(values, gaussian_form(values, items), terms)


def add_forms(values: Values, *forms: Form) -> Form:
    """A sum."""
    items = [i for x in forms for i in x.linear.items]
    return form(values, gaussian_form(values, items), [t for x in forms for t in x.terms])


def multiply_forms(values: Values, x: Form, y: Form) -> Form:
    """A product, expanded."""
    left, right = x.all_terms(values), y.all_terms(values)
    if len(left) * len(right) > MAX_TERMS:
        raise NotExact(f"a product of more than {MAX_TERMS} terms")
    values.budget.spend(len(left) * len(right))
    return form(values, NOTHING, [term_product(values, a, b) for a in left for b in right])


def term_product(values: Values, a: Term, b: Term) -> Term:
    """The product of two terms: functions of the same Gaussian become one."""
    names = {x: Label(TERM, len(a.bound) + x.place, x.axis) for x in b.bound if a.bound}
    b = relabelled_term(values, b, names)
    merged: dict[tuple[object, ...], Factor] = {f.z.key: f for f in a.factors}
    for f in b.factors:
        if f.z.key in merged:
            g = merged[f.z.key]
            functions = tuple(sorted((*g.functions, *f.functions), key=lambda n: n.serial))
            merged[f.z.key] = Factor(f.z, f.power + g.power, functions)
        else:
            merged[f.z.key] = f
    factors = tuple(sorted(merged.values(), key=lambda f: f.z.key))
    return Term(values.mul(a.coefficient, b.coefficient), factors, (*a.bound, *b.bound))


def free_term(values: Values, term: Term) -> Term:
    """The term with FREE labels, beside those that it has, in place of its bound ones."""
    if not term.bound:
        return term
    first = _free_places(term)
    names = {x: Label(FREE, first + k, x.axis) for k, x in enumerate(term.bound)}
    return relabelled_term(values, term, names)


def opened_item(values: Values, term: Term, item: Item) -> tuple[Item, tuple[Label, ...]]:
    """An item of an opened term with FREE labels, beside all of the term's, in place of its bound
    ones; and the labels that both have opened."""
    first = _free_places(term)
    names = {x: Label(FREE, first + k, x.axis) for k, x in enumerate(item.bound)}
    return relabelled_item(values, item, names), (*term.bound, *names.values())


def _free_places(term: Term) -> int:
    """Above all places of FREE labels."""
    free = (term.bound, term.coefficient.labels, *(f.z.labels for f in term.factors))
    return max((x.place + 1 for group in free for x in group if x.scope == FREE), default=0)


# ---- other labels --------------------------------------------------------------------------------


def relabel_form(values: Values, x: Form, names: Names) -> Form:
    """The form with labels replaced, all at once."""
    if not names:
        return x
    terms = tuple(relabelled_term(values, t, names) for t in x.terms)
    return Form(_relabelled(values, x.linear, names), terms)


def relabelled_term(values: Values, term: Term, names: Names) -> Term:
    """The term with labels, its bound ones among them, replaced."""
    if not names:
        return term
    factors = tuple(replace(f, z=_relabelled(values, f.z, names)) for f in term.factors)
    bound = tuple(x for x in rename_labels(term.bound, names) if isinstance(x, Label))
    return Term(values.relabel(term.coefficient, names), factors, bound)


def _relabelled(values: Values, z: Gaussian, names: Names) -> Gaussian:
    return gaussian_form(values, [relabelled_item(values, i, names) for i in z.items])


def relabelled_item(values: Values, item: Item, names: Names) -> Item:
    """The item with labels replaced."""
    at = rename_labels(item.atom.at, names)
    return Item(values.relabel(item.coefficient, names), GaussianEntry(item.atom.node, at))
