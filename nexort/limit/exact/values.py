"""The scalars of a limit as a graph of array operations with labelled axes.

A value has one axis for each of its *labels*; values that meet in an operation are aligned by
label (``nexort.limit.exact.labels``), so that a Gram matrix over (a, b), the vector of its diagonal
over a and a number combine without any reshaping rules, and a block of rows and columns is
evaluated by the same operations as the whole.

======  ==========================  ================================================================
what    args                        attr
======  ==========================  ================================================================
NUMBER                              a float, and a bound on its error
ARRAY                               (data name or nested tuple, an index an axis)
CALL    values                      entrywise function's name, or ratio: a / b, 0 where b = 0, or,
                                    of gaps, complement: 1 - g; both: (a g + b h + c) / d of
                                    (a, g, b, h, c, d); signed: that of multiples, of (g, c, d)
SUM     factors                     labels that their product is summed over
EYE                                 two indices: 1 where they are equal
STACK   values                      the label that counts them
ROOT    matrix                      (two labels of the matrix, two indices of the result): its
                                    symmetric positive semidefinite root
COV     variance, variance, cross   a :class:`nexort.gaussian.covariance.Covariance`; a fourth
                                    argument is the gap; with the attr "gap" the third is the gap,
                                    which is over all pairs, and no cross-covariance is kept;
                                    with ("after", f) a COV, of which the gap is taken after f
GAP     variance, variance, cross,  labels summed over in each pair of columns: the gap, 1 - rho
        columns two by two          or -(1 + rho), see :mod:`nexort.gaussian.sides`
MIX     variance, variance, cross,  labels of the first weights, of the second, and those in place
        weights, weights, and gaps  of them in the first and the last gaps: the gap of two sums of
        of the first, of both, of   unit kets, see :mod:`nexort.limit.exact.mixtures`
        the second
AFTER   COV                         f: gap after the function
PAIR    COV                         (f, g): E f(z_a) g(z_b)
CORRELATION  COV                    f = u z + v |z|: E f(z_a) f(z_b) / (u^2 + v^2) s_a s_b, or
                                    f = u + v sign(z): E f(z_a) f(z_b) / (u^2 + v^2)
ONE     variance                    f: E f(z)
STEIN   variance                    f: E z f(z) / variance = E f'(z)
======  ==========================  ================================================================
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum, auto
from itertools import count
from typing import Any

import numpy as np

from nexort import activations
from nexort.limit.exact.budget import PlanningBudget
from nexort.limit.exact.intervals import error_of
from nexort.limit.exact.labels import BOUND, Index, Label, Names, labels_of, rename_labels
from nexort.program import roundings
from nexort.program.nodes import Node

UNFOLDED = frozenset(("ratio", "complement", "both", "signed"))
"""Functions of CALL that are no entrywise functions of the language."""

FLAT = 4096
"""Terms or factors that are written into a longer sum or product; more stay one of its own, as
those of longer chains would be copied at every link; common factors of sums are found across
what is flat (``nexort.limit.exact.factored``)."""


class What(Enum):
    """What a value is; see the module's table."""

    NUMBER = auto()
    ARRAY = auto()
    CALL = auto()
    SUM = auto()
    EYE = auto()
    STACK = auto()
    ROOT = auto()
    COV = auto()
    GAP = auto()
    MIX = auto()
    AFTER = auto()
    PAIR = auto()
    CORRELATION = auto()
    ONE = auto()
    STEIN = auto()

    __hash__ = object.__hash__


class Value:
    """One interned value; ``labels`` are sorted, ``serial`` grows in order of creation; ``depth``
    is one more than the places that it binds, ``error`` bounds that of a number."""

    __slots__ = ("args", "attr", "depth", "error", "labels", "serial", "what")

    def __init__(
        self,
        what: What,
        args: tuple[Value, ...],
        attr: Any,
        labels: tuple[Label, ...],
        depth: int,
        serial: int,
    ) -> None:
        self.what, self.args, self.attr, self.labels = what, args, attr, labels
        self.depth, self.serial = depth, serial
        self.error = 0.0

    @property
    def number(self) -> float | None:
        """The number that this is, or None."""
        return float(self.attr) if self.what is What.NUMBER else None

    def __repr__(self) -> str:
        return f"{self.what.name}({self.attr!r}{''.join(f', {a!r}' for a in self.args)})"


def binds(what: What, attr: Any) -> tuple[Label, ...]:
    """The labels that a value with these parts binds in its arguments."""
    match what:
        case What.SUM:
            return tuple(attr)
        case What.GAP | What.MIX:
            return tuple(label for part in attr for label in part)
        case What.ROOT:
            return tuple(attr[0])
        case _:
            return ()


class Values:
    """Makes values; equal ones are identical. ``origin`` has of an expectation of functions the ket
    that was first found to need it."""

    def __init__(self, budget: PlanningBudget | None = None) -> None:
        self.budget = budget or PlanningBudget()
        self.origin: dict[Value, Node] = {}
        self._known: dict[Hashable, Value] = {}
        self._renamed: dict[Hashable, Value] = {}
        self._serial = count()
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def make(
        self, what: What, args: tuple[Value, ...], attr: Hashable, labels: Iterable[Label] = ()
    ) -> Value:
        """The value with these parts; its labels are those of the arguments that it does not bind,
        and ``labels``."""
        key = (what, tuple([a.serial for a in args]), attr)
        found = self._known.get(key)
        if found is None:
            self.budget.spend(1 + len(args))
            own = {x for a in args for x in a.labels}
            bound = binds(what, attr)
            own.difference_update(bound)
            own.update(labels)
            depth = max([0, *(a.depth for a in args), *(x.place + 1 for x in bound)])
            found = Value(what, args, attr, tuple(sorted(own)), depth, next(self._serial))
            self._known[key] = found
        return found

    def close(
        self, args: Iterable[Value], bound: Sequence[Label]
    ) -> tuple[tuple[Value, ...], dict[Label, Label]]:
        """The arguments of a value that binds these labels, and the names that they have in it."""
        args = tuple(args)
        first = max((a.depth for a in args), default=0)
        names = {x: Label(BOUND, first + k, x.axis) for k, x in enumerate(bound)}
        return tuple([self.relabel(a, names) for a in args]), names

    # ---- arithmetic, simplified ------------------------------------------------------------------

    def number(self, value: float, error: float | None = None) -> Value:
        """A number; its error is that of the float next to a decimal fraction where not given."""
        value = float(value)
        error = roundings.rounding(value) if error is None else error
        key = (What.NUMBER, value, error)
        if key not in self._known:
            found = Value(What.NUMBER, (), value, (), 0, next(self._serial))
            found.error = error
            self._known[key] = found
        return self._known[key]

    def array(self, source: Hashable, indices: Sequence[Index]) -> Value:
        """Entries of data or of a literal."""
        labels = [i for i in indices if not isinstance(i, int)]
        return self.make(What.ARRAY, (), (source, tuple(indices)), labels)

    def mul(self, *factors: Value) -> Value:
        """A product; numbers are collected in front, and factors put in order."""
        number, others = roundings.ONE, []
        for f in factors:
            for part in _flat(f, "mul"):
                if part.number is not None:
                    number = roundings.known_product(number, (part.number, part.error))
                else:
                    others.append(part)
        if number == roundings.ZERO:
            return self.zero
        others.sort(key=lambda v: v.serial)
        if number != roundings.ONE or not others:
            others.insert(0, self.number(*number))
        return others[0] if len(others) == 1 else self.make(What.CALL, tuple(others), "mul")

    def add(self, *terms: Value) -> Value:
        """A sum; multiples of one value are collected."""
        number, others = roundings.ZERO, []
        for f in terms:
            for part in _flat(f, "add"):
                if part.number is not None:
                    number = roundings.known_sum(number, (part.number, part.error))
                else:
                    others.append(part)
        others = self._collected(others)
        others.sort(key=lambda v: v.serial)
        if number != roundings.ZERO or not others:
            others.insert(0, self.number(*number))
        return others[0] if len(others) == 1 else self.make(What.CALL, tuple(others), "add")

    def _collected(self, terms: list[Value]) -> list[Value]:
        """c x + d x as (c + d) x, with numbers c and d."""
        alike: dict[tuple[Value, ...], roundings.Known] = {}
        for v in terms:
            rest: tuple[Value, ...] = (v,)
            number = roundings.ONE
            if v.what is What.CALL and v.attr == "mul" and v.args[0].number is not None:
                rest, number = v.args[1:], (float(v.args[0].attr), v.args[0].error)
            alike[rest] = roundings.known_sum(alike.get(rest, roundings.ZERO), number)
        if len(alike) == len(terms):
            return terms
        found = [self.mul(self.number(*c), *rest) for rest, c in alike.items()]
        return [v for v in found if v is not self.zero]

    def div(self, a: Value, b: Value) -> Value:
        """A quotient."""
        if b.number is not None and b.number != 0:
            if a.number is not None:
                return self.number(
                    *roundings.known_quotient((a.number, a.error), (b.number, b.error))
                )
            return self.mul(
                self.number(*roundings.known_quotient(roundings.ONE, (b.number, b.error))), a
            )
        return self.make(What.CALL, (a, b), "div")  # 0 / b too: b may be 0

    def call(self, name: str, *args: Value) -> Value:
        """An entrywise function of numbers, folded where all are known."""
        match name:
            case "add" | "mul":
                return self.add(*args) if name == "add" else self.mul(*args)
            case "sub":
                return self.add(args[0], self.mul(self.number(-1), args[1]))
            case "neg":
                return self.mul(self.number(-1), args[0])
            case "div":
                return self.div(*args)
        if name == "ratio" and args[0] is self.zero:
            return self.zero
        if args and name not in UNFOLDED and all(a.number is not None for a in args):
            with np.errstate(all="ignore"):
                plain = [np.asarray(a.number) for a in args]
                found = float(activations.registry()[name].evaluate(*plain))
                return self.number(found, error_of(name, plain, [a.error for a in args], found))
        return self.make(What.CALL, args, name)

    def sum(self, product: Value, over: Iterable[Label]) -> Value:
        """The sum of a product over labels."""
        if product is self.zero:
            return product
        bound = [label for label in over if label in product.labels]
        missing = [label for label in over if label not in product.labels]
        if missing:  # a product that does not depend on the label: times its size
            ones = [self.array(("ones", label.axis), (label,)) for label in missing]
            return self.sum(self.mul(product, *ones), over)
        if not bound:
            return product
        factors = (
            product.args if product.what is What.CALL and product.attr == "mul" else (product,)
        )
        inside = [f for f in factors if not set(bound).isdisjoint(f.labels)]
        outside = [f for f in factors if set(bound).isdisjoint(f.labels)]
        renamed, names = self.close(inside, _in_order(inside, bound))
        ordered = tuple(sorted(renamed, key=lambda v: v.serial))
        return self.mul(*outside, self.make(What.SUM, ordered, tuple(names.values())))

    def eye(self, a: Index, b: Index) -> Value:
        """1 where two indices are equal."""
        if a == b:
            return self.one
        if isinstance(a, int) and isinstance(b, int):
            return self.zero
        pair = tuple(sorted((a, b), key=repr))
        return self.make(What.EYE, (), pair, labels_of(pair))

    def stack(self, values: Sequence[Value], label: Label) -> Value:
        """Values counted by a label."""
        values = [self.relabel(v, {label: k}) for k, v in enumerate(values)]
        if all(v is values[0] for v in values):
            return values[0]
        return self.make(What.STACK, tuple(values), label, [label])

    def root(self, matrix: Value, own: Sequence[Label], at: tuple[Index, ...]) -> Value:
        """Entries of the root of a matrix with labels ``own``, which are bound."""
        [closed], names = self.close([matrix], own)
        return self.make(What.ROOT, (closed,), (tuple(names.values()), at), labels_of(at))

    # ---- other labels ----------------------------------------------------------------------------

    def relabel(self, value: Value, names: Names) -> Value:
        """The same value with other labels, or fixed entries, in place of some. Labels that values
        bind are no others' names, so that none is captured."""
        if not names:
            return value
        at = rename_labels(value.labels, names)
        if at == value.labels:
            return value
        key = value.serial, at
        found = self._renamed.get(key)
        if found is None:
            args = tuple([self.relabel(a, names) for a in value.args])
            found = self._renamed[key] = self._at(value, args, names)
            if value in self.origin:
                self.origin.setdefault(found, self.origin[value])
        return found

    def _at(self, v: Value, args: tuple[Value, ...], names: Names) -> Value:
        match v.what:
            case What.ARRAY:
                source, indices = v.attr
                return self.array(source, rename_labels(indices, names))
            case What.EYE:
                return self.eye(*rename_labels(v.attr, names))
            case What.STACK:
                at = names.get(v.attr, v.attr)
                return args[at] if isinstance(at, int) else self.stack(args, at)
            case What.ROOT:
                own, indices = v.attr
                found = rename_labels(indices, names)
                return self.make(What.ROOT, args, (own, found), labels_of(found))
            case What.CALL:
                return self.call(v.attr, *args)
            case What.SUM:
                return self.sum(self.mul(*args), v.attr)
            case What.PAIR:
                return self.pair(args[0], *v.attr)
            case What.AFTER | What.CORRELATION:
                return self.make(v.what, (self._turned(args[0]) or args[0],), v.attr)
            case _:
                return self.make(v.what, args, v.attr)

    def pair(self, covariance: Value, f: Any, g: Any) -> Value:
        """E f(z_a) g(z_b), the Gaussian with the first labels in front."""
        turned = self._turned(covariance)
        if turned is None:
            return self.make(What.PAIR, (covariance,), (f, g))
        return self.make(What.PAIR, (turned,), (g, f))

    def after(self, covariance: Value, f: Any) -> Value:
        """The gap after a function, in the same order."""
        return self.make(What.AFTER, (self._turned(covariance) or covariance,), f)

    def _turned(self, covariance: Value) -> Value | None:
        """The Gaussians of a COV in the other order, where that is the order of their labels."""
        left, right, *rest = covariance.args
        if covariance.attr is not None or left.labels <= right.labels:
            return None
        return self.make(What.COV, (right, left, *rest), None)

    def rebuilt(self, v: Value, args: tuple[Value, ...]) -> Value:
        """The same operation on equal arguments."""
        own = v.labels if not args or v.what is What.STACK else ()
        own = labels_of(v.attr[1]) if v.what is What.ROOT else own
        return self.make(v.what, args, v.attr, own)


def _flat(value: Value, name: str) -> tuple[Value, ...]:
    """The terms of a sum, the factors of a product."""
    inside = value.what is What.CALL and value.attr == name and len(value.args) <= FLAT
    return value.args if inside else (value,)


def _in_order(factors: Iterable[Value], bound: Sequence[Label]) -> list[Label]:
    """Labels to be bound in an order that does not depend on their names."""
    shape: dict[Label, Index] = {label: Label(-1, 0, label.axis) for label in bound}
    order: dict[Label, None] = {}
    for f in sorted(factors, key=lambda f: repr(_skeleton(f, shape))):
        order.update((x, None) for x in f.labels if x in shape)
    return list(order)


def _skeleton(value: Value, shape: Mapping[Label, Index]) -> Hashable:
    if value.what is What.ARRAY:
        source, indices = value.attr
        return source, rename_labels(indices, shape)
    return value.what.name, value.serial if shape.keys().isdisjoint(value.labels) else 0
