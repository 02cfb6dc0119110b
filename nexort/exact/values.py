"""The scalars of a limit as a graph of array operations with labelled axes.

A value has one axis for each of its *labels*; values that meet in an operation are aligned by
label, so that a Gram matrix over (a, b), the vector of its diagonal over a and a number combine
without any reshaping rules, and a block of rows and columns is evaluated by the same operations as
the whole. A label is (place, axis name); an index that is a number is a fixed entry.

======  ==========================  ================================================================
what    args                        attr
======  ==========================  ================================================================
NUMBER                              a float
ARRAY                               (data name or nested tuple, an index an axis)
CALL    values                      entrywise function's name, or ratio: a / b, 0 where b = 0, or
                                    complement: 1 - a
SUM     factors                     labels that their product is summed over
EYE                                 two indices: 1 where they are equal
STACK   values                      the label that counts them
ROOT    matrix                      (two labels of the matrix, two indices of the result): its
                                    symmetric positive semidefinite root
COV     variance, variance, cross   a :class:`nexort.gaussian.covariance.Covariance`; a fourth
                                    argument is the gap; with the attr "gap" the third is the gap,
                                    which is over all pairs, and no cross-covariance is kept;
                                    with ("after", f) a COV, of which the gap is taken after f
GAP     variance, variance, cross,  labels summed over in each pair of columns: 1 - correlation
        columns two by two
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

Label = tuple[int, str]
Index = Label | int

BOUND = 1000
"""Places of labels that a SUM has bound start here; those of labels still to be bound at FRESH."""
FRESH = 10


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
    AFTER = auto()
    PAIR = auto()
    CORRELATION = auto()
    ONE = auto()
    STEIN = auto()

    __hash__ = object.__hash__


class Value:
    """One interned value; ``labels`` are sorted, ``serial`` grows in order of creation."""

    __slots__ = ("args", "attr", "labels", "serial", "what")

    def __init__(
        self, what: What, args: tuple[Value, ...], attr: Any, labels: tuple[Label, ...], serial: int
    ) -> None:
        self.what, self.args, self.attr, self.labels = what, args, attr, labels
        self.serial = serial

    @property
    def number(self) -> float | None:
        """The number that this is, or None."""
        return float(self.attr) if self.what is What.NUMBER else None

    def __repr__(self) -> str:
        return f"{self.what.name}({self.attr!r}{''.join(f', {a!r}' for a in self.args)})"


class Values:
    """Makes values; equal ones are identical."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Value] = {}
        self._serial = count()
        self._places = count(FRESH)
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def make(
        self, what: What, args: tuple[Value, ...], attr: Hashable, labels: Iterable[Label] = ()
    ) -> Value:
        """The value with these parts; its labels are those of the arguments and ``labels``."""
        key = (what, tuple([a.serial for a in args]), attr)
        found = self._known.get(key)
        if found is None:
            own = set(labels)
            for a in args:
                own.update(a.labels)
            if what is What.SUM:
                own.difference_update(attr)  # type: ignore[arg-type]
            if what is What.GAP:
                own.difference_update(*attr)  # type: ignore[misc]
            found = Value(what, args, attr, tuple(sorted(own)), next(self._serial))
            self._known[key] = found
        return found

    def fresh(self, axis: str) -> Label:
        """A label that nothing has yet, to be summed over."""
        return (next(self._places), axis)

    # ---- arithmetic, simplified ------------------------------------------------------------------

    def number(self, value: float) -> Value:
        """A number."""
        return self.make(What.NUMBER, (), float(value))

    def array(self, source: Hashable, indices: Sequence[Index]) -> Value:
        """Entries of data or of a literal."""
        labels = [i for i in indices if not isinstance(i, int)]
        return self.make(What.ARRAY, (), (source, tuple(indices)), labels)

    def mul(self, *factors: Value) -> Value:
        """A product; numbers are collected in front, and factors put in order."""
        number, others = 1.0, []
        for f in factors:
            for part in f.args if f.what is What.CALL and f.attr == "mul" else (f,):
                if part.number is not None:
                    number *= part.number
                else:
                    others.append(part)
        if number == 0:
            return self.zero
        others.sort(key=lambda v: v.serial)
        if number != 1 or not others:
            others.insert(0, self.number(number))
        return others[0] if len(others) == 1 else self.make(What.CALL, tuple(others), "mul")

    def add(self, *terms: Value) -> Value:
        """A sum."""
        number, others = 0.0, []
        for f in terms:
            for part in f.args if f.what is What.CALL and f.attr == "add" else (f,):
                if part.number is not None:
                    number += part.number
                else:
                    others.append(part)
        others.sort(key=lambda v: v.serial)
        if number != 0 or not others:
            others.insert(0, self.number(number))
        return others[0] if len(others) == 1 else self.make(What.CALL, tuple(others), "add")

    def div(self, a: Value, b: Value) -> Value:
        """A quotient."""
        if b.number is not None and b.number != 0:
            return (
                self.mul(self.number(1 / b.number), a)
                if a.number is None
                else self.number(a.number / b.number)
            )
        return self.zero if a is self.zero else self.make(What.CALL, (a, b), "div")

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
        if args and name != "ratio" and all(a.number is not None for a in args):
            import numpy as np

            from nexort import functions

            with np.errstate(all="ignore"):
                plain = [np.asarray(a.number) for a in args]
                return self.number(float(functions.registry()[name].evaluate(*plain)))
        return self.make(What.CALL, args, name)

    def sum(self, product: Value, over: Iterable[Label]) -> Value:
        """The sum of a product over labels."""
        if product is self.zero:
            return product
        bound = [label for label in over if label in product.labels]
        missing = [label for label in over if label not in product.labels]
        if missing:  # a factor that does not depend on the label: times its size
            ones = [self.array(("ones", name), ((place, name),)) for place, name in missing]
            return self.sum(self.mul(product, *ones), over)
        if not bound:
            return product
        factors = (
            product.args if product.what is What.CALL and product.attr == "mul" else (product,)
        )
        inside = tuple(f for f in factors if set(f.labels) & set(bound))
        outside = tuple(f for f in factors if f not in inside)
        renamed, names = self._canonical(inside, bound)
        return self.mul(*outside, self.make(What.SUM, renamed, names))

    def _canonical(
        self, factors: tuple[Value, ...], bound: Sequence[Label]
    ) -> tuple[tuple[Value, ...], tuple[Label, ...]]:
        """Bound labels renamed in order of appearance, so that equal sums become identical."""
        order: list[Label] = []
        shape = {label: (-1, label[1]) for label in bound}
        key = {f: repr(self._skeleton(f, shape)) for f in factors}
        for f in sorted(factors, key=lambda f: key[f]):
            order += [x for x in f.labels if x in shape and x not in order]
        depth = max((self._depth(f) for f in factors), default=0)
        names = {x: (BOUND + depth + k, x[1]) for k, x in enumerate(order)}
        renamed = [self.relabel(f, names) for f in factors]
        renamed.sort(key=lambda v: v.serial)
        return tuple(renamed), tuple(names.values())

    def _skeleton(self, value: Value, shape: Mapping[Label, Index]) -> Hashable:
        if value.what is What.ARRAY:
            source, indices = value.attr
            return (
                source,
                tuple(shape.get(i, i) if not isinstance(i, int) else i for i in indices),
            )
        return (value.what.name, value.serial if not set(value.labels) & set(shape) else 0)

    def _depth(self, value: Value, memo: dict[Value, int] | None = None) -> int:
        """One more than the number of places that sums inside have bound."""
        memo = {} if memo is None else memo
        if value not in memo:
            own = 0
            if value.what is What.SUM:
                own = max(place for place, _ in value.attr) - BOUND + 1
            memo[value] = max([own, *(self._depth(a, memo) for a in value.args)])
        return memo[value]

    def eye(self, a: Index, b: Index) -> Value:
        """1 where two indices are equal."""
        if a == b:
            return self.one
        if isinstance(a, int) and isinstance(b, int):
            return self.zero
        pair = tuple(sorted((a, b), key=repr))
        return self.make(What.EYE, (), pair, [i for i in pair if not isinstance(i, int)])

    def stack(self, values: Sequence[Value], label: Label) -> Value:
        """Values counted by a label."""
        if all(v is values[0] for v in values):
            return values[0]
        return self.make(What.STACK, tuple(values), label, [label])

    def relabel(self, value: Value, names: Mapping[Label, Index]) -> Value:
        """The same value with other labels, or fixed entries, in place of some."""
        memo: dict[Value, Value] = {}

        def index(i: Index) -> Index:
            return i if isinstance(i, int) else names.get(i, i)

        def rebuilt(v: Value) -> Value:
            if not any(label in names for label in v.labels):
                return v
            if v not in memo:
                memo[v] = self._with(v, tuple(rebuilt(a) for a in v.args), index)
            return memo[v]

        return rebuilt(value)

    def rebuilt(self, v: Value, args: tuple[Value, ...]) -> Value:
        """The same operation on equal arguments."""
        if v.what is What.ROOT:
            return self.root(args[0], *v.attr)
        return self.make(v.what, args, v.attr, v.labels if not args or v.what is What.STACK else ())

    def _with(self, v: Value, args: tuple[Value, ...], index: Any) -> Value:
        match v.what:
            case What.ARRAY:
                source, indices = v.attr
                return self.array(source, [index(i) for i in indices])
            case What.EYE:
                return self.eye(*(index(i) for i in v.attr))
            case What.STACK:
                at = index(v.attr)
                return args[at] if isinstance(at, int) else self.stack(args, at)
            case What.ROOT:
                own, indices = v.attr
                found = tuple(index(i) for i in indices)
                return self.root(args[0], own, found)
            case What.CALL:
                return self.call(v.attr, *args)
            case What.SUM:
                return self.make(What.SUM, args, v.attr)
            case _:
                return self.make(v.what, args, v.attr)

    def root(self, matrix: Value, own: tuple[Label, Label], at: tuple[Index, ...]) -> Value:
        """Entries of the root of a matrix with labels ``own``, which are bound."""
        value = self.make(What.ROOT, (matrix,), (own, at), ())
        value.labels = tuple(sorted({i for i in at if not isinstance(i, int)}))
        return value
