"""Kets as sums of products of functions of Gaussian kets.

A *Gaussian* is a linear form sum_k c_k |g_k> over atoms: initial vectors, and hats of initial
matrices (Def 2.6.5). A *form* is a sum of terms; a term is a coefficient times factors
f(|z>) z^k of Gaussians, summed over its bound labels. Everything is at labelled entries: the
|x_a> of a multi-ket at label a and at label b are two forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from nexort.exact.values import Index, Label, Value, Values
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import scalar

SLOT = Node(Op.SLOT, (), ("z",), scalar())
"""The variable of a univariate function's graph."""

MAX_TERMS = 400
"""Terms of one form, and of a product of forms whose expectation is taken."""

MAX_DEGREE = 12
"""Total degree of a polynomial in Gaussians."""


def monomial(power: int) -> Node:
    """z^k as a graph."""
    return SLOT if power == 1 else build.call("pow", SLOT, build.constant(power))


class NotExact(Exception):
    """An expectation that has no exact route; says why, and at which node."""

    def __init__(self, reason: str, node: Node | None = None) -> None:
        super().__init__(reason)
        self.reason, self.node = reason, node


@dataclass(frozen=True, slots=True)
class Atom:
    """An entry of an initial multi-vector (node INIT_VECTOR), or of a hat (node MATMUL)."""

    node: Node
    at: tuple[Index, ...]

    @property
    def family(self) -> object:
        """Atoms of different families are independent."""
        return self.node.attr if self.node.op is Op.MATMUL else self.node


@dataclass(frozen=True, slots=True)
class Item:
    """coefficient * atom, summed over the bound labels."""

    coefficient: Value
    atom: Atom
    bound: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Gaussian:
    """A linear form over atoms; equal forms are equal objects' values."""

    items: tuple[Item, ...]

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for equal linear forms, and sortable."""
        return tuple((i.atom.node.serial, repr(i.atom.at), i.coefficient.serial, repr(i.bound))
                     for i in self.items)  # fmt: skip

    @cached_property
    def families(self) -> frozenset[object]:
        """What it depends on."""
        return frozenset(i.atom.family for i in self.items)

    def __hash__(self) -> int:
        return hash(self.key)

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
            parts.insert(0, monomial(self.power))
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
        return tuple((f.z.key, f.power, tuple(x.serial for x in f.functions))
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


def gaussian(values: Values, items: Iterable[Item]) -> Gaussian:
    """A linear form: equal atoms collected, zeros left out, in order."""
    found: dict[tuple[Atom, tuple[Label, ...]], Value] = {}
    for item in items:
        place = (item.atom, item.bound)
        found[place] = values.add(found.get(place, values.zero), item.coefficient)
    kept = [Item(c, a, b) for (a, b), c in found.items() if c is not values.zero]
    return Gaussian(tuple(sorted(kept, key=lambda i: (i.atom.node.serial, repr(i.atom.at)))))


def form(values: Values, linear: Gaussian, terms: Iterable[Term]) -> Form:
    """A form: equal terms collected, zeros left out. Raises NotExact with too many."""
    found: dict[tuple[object, ...], Term] = {}
    items = list(linear.items)
    for number, term in enumerate(terms):
        match term.factors:
            case [Factor(z, 1, ())]:
                items += [Item(values.mul(term.coefficient, i.coefficient), i.atom,
                               (*term.bound, *i.bound)) for i in z.items]  # fmt: skip
                continue
        # sums over bound labels stay apart
        key = (*term.key, number) if term.bound else term.key
        if key in found:
            total = values.add(found[key].coefficient, term.coefficient)
            found[key] = replace(term, coefficient=total)
        else:
            found[key] = term
    kept = tuple(t for t in found.values() if t.coefficient is not values.zero)
    if len(kept) > MAX_TERMS:
        raise NotExact(f"a sum of more than {MAX_TERMS} terms")
    return Form(gaussian(values, items), kept)


def constant(values: Values, value: Value) -> Form:
    """A ket that is the same number at every entry."""
    return Form(NOTHING, () if value is values.zero else (Term(value),))


def scaled(values: Values, by: Value, x: Form) -> Form:
    """A multiple."""
    if by is values.one:
        return x
    items = [replace(i, coefficient=values.mul(by, i.coefficient)) for i in x.linear.items]
    terms = [replace(t, coefficient=values.mul(by, t.coefficient)) for t in x.terms]
    return form(values, gaussian(values, items), terms)


def added(values: Values, *forms: Form) -> Form:
    """A sum."""
    items = [i for x in forms for i in x.linear.items]
    return form(values, gaussian(values, items), [t for x in forms for t in x.terms])


def multiplied(values: Values, x: Form, y: Form) -> Form:
    """A product, expanded."""
    left, right = x.all_terms(values), y.all_terms(values)
    if len(left) * len(right) > MAX_TERMS:
        raise NotExact(f"a product of more than {MAX_TERMS} terms")
    return form(values, NOTHING, [product(values, a, b) for a in left for b in right])


def product(values: Values, a: Term, b: Term) -> Term:
    """The product of two terms: functions of the same Gaussian become one."""
    if set(a.bound) & set(b.bound):
        b = renamed(values, b)
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


def renamed(values: Values, term: Term) -> Term:
    """The term with fresh bound labels."""
    return substituted(values, term, {x: values.fresh(x[1]) for x in term.bound})


def substituted(values: Values, term: Term, names: Mapping[Label, Index]) -> Term:
    """The term with labels replaced."""

    def index(i: Index) -> Index:
        return i if isinstance(i, int) else names.get(i, i)

    def linear(z: Gaussian) -> Gaussian:
        return gaussian(
            values,
            [
                Item(
                    values.relabel(i.coefficient, names),
                    Atom(i.atom.node, tuple(index(k) for k in i.atom.at)),
                    i.bound,
                )
                for i in z.items
            ],
        )

    factors = tuple(replace(f, z=linear(f.z)) for f in term.factors)
    bound = tuple(j for j in (index(i) for i in term.bound) if not isinstance(j, int))
    return Term(values.relabel(term.coefficient, names), factors, bound)
