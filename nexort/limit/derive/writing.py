"""The last stage: names for readers (a, b for axes, i, j for sums, s, t for indices), and which
equations are closed."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import fields, replace
from typing import Any

from nexort.limit.derive.algebra import index_at, index_names, rebuilt, reindex
from nexort.limit.derive.defined import first_undefined
from nexort.limit.derive.derivation import (
    AxisLabel,
    Derivation,
    IndexRange,
    OutputFormula,
    UpdateFunction,
)
from nexort.limit.derive.formula import AxisSum, Expectation, Fold, Formula, LoopSum, Response
from nexort.limit.derive.walking import names_in, walk_formula
from nexort.program.index import Affine
from nexort.program.program import Program

LABELS = ("a", "b", "c", "d", "e", "f", "g", "h")
BOUND = ("i", "j", "k", "m", "p", "q", "r", "s", "t")
ALTERNATIVES = {"t": ("s", "r", "q"), "k": ("j", "i", "m"), "l": ("m", "k", "r"), "s": ("r", "q")}


class LineWriter:
    """Readable names for one line of a derivation."""

    def __init__(self, taken: frozenset[str]) -> None:
        self.taken = set(taken)
        self.names: dict[str, Affine] = {}

    def name(self, own: str) -> str:
        """The readable name of a variable or label."""
        if own not in self.names:
            self.names[own] = Affine.variable(self._choice(own))
        return self.names[own].terms[0][0]

    def _choice(self, own: str) -> str:
        hint = own.rpartition(":")[2] if own.startswith("%") else own
        if own.startswith("$"):
            options: tuple[str, ...] = LABELS
        elif hint:
            options = (hint, *ALTERNATIVES.get(hint, ("s", "r", "q")))
        else:
            options = BOUND
        for option in options:
            if option not in self.taken:
                self.taken.add(option)
                return option
        number = 1
        while (name := f"{options[0]}{number}") in self.taken:
            number += 1
        self.taken.add(name)
        return name

    def formula(self, formula: Formula) -> Formula:
        """A formula with readable names; bound ones are not used twice."""
        return reindex(self._bound(formula), self.names)

    def _bound(self, formula: Formula) -> Formula:
        match formula:
            case LoopSum(var, first, last, body):
                new = self.name(var)
                inner = reindex(body, {var: Affine.variable(new)})
                result: Formula = LoopSum(new, first, last, self._bound(inner))
                self._release(var, new)
                return result
            case Fold(_, var, _, body):
                new = self.name(var)
                inner = reindex(body, {var: Affine.variable(new)})
                result = replace(formula, var=new, body=self._bound(inner))
                self._release(var, new)
                return result
            case AxisSum(label, axis, body):
                new = self.name(label)
                inner = reindex(body, {label: Affine.variable(new)})
                result = AxisSum(new, axis, self._bound(inner))
                self._release(label, new)
                return result
            case _:
                return rebuilt(formula, self._bound)

    def _release(self, own: str, new: str) -> None:
        self.names.pop(own, None)
        self.taken.discard(new)

    def ranges(self, ranges: tuple[IndexRange, ...]) -> tuple[IndexRange, ...]:
        for r in ranges:
            self.name(r.var)
        return tuple(
            IndexRange(self.name(r.var), self._at(r.first), self._at(r.last)) for r in ranges
        )

    def labels(self, labels: tuple[AxisLabel, ...]) -> tuple[AxisLabel, ...]:
        return tuple(AxisLabel(self.name(x.label), x.axis) for x in labels)

    def _at(self, index: Affine) -> Affine:
        return index_at(index, self.names)


def with_readable_names(
    derivation: Derivation, program: Program, unknown: Set[tuple[str, str]]
) -> Derivation:
    """A derivation with readable names; ``closed`` filled in. ``unknown`` are the responses, by
    family and hat, that have no equation for every member."""
    fixed = frozenset((*program.params, *program.dims))
    taken = fixed | names_in(derivation) | frozenset(program.data)

    def line(item: Any) -> Any:
        writer = LineWriter(taken)
        changed: dict[str, Any] = {
            "ranges": writer.ranges(item.ranges),
            "labels": writer.labels(item.labels),
        }
        for field in fields(item):
            value = getattr(item, field.name)
            if field.name in changed or not hasattr(value, "__dataclass_fields__"):
                continue
            if field.name == "matrix":
                indices = tuple(writer._at(i) for i in value.indices)
                changed["matrix"] = replace(value, indices=indices)
            else:
                changed[field.name] = writer.formula(value)
        if isinstance(item, OutputFormula):
            changed["indices"] = tuple(writer._at(i) for i in item.indices)
            changed["axes"] = tuple(writer._at(i) for i in item.axes)
        return replace(item, **changed)

    equations = tuple(
        replace(line(e), closed=_is_closed(e.right, unknown)) for e in derivation.equations
    )
    outputs = tuple(line(o) for o in derivation.outputs)
    closed = all(e.closed for e in equations) and all(_is_closed(o.value, unknown) for o in outputs)
    found = replace(
        derivation,
        outputs=outputs,
        equations=equations,
        kets=tuple(line(k) for k in derivation.kets),
        gaussians=tuple(line(g) for g in derivation.gaussians),
        weights=tuple(line(w) for w in derivation.weights),
        updates=tuple(_update(u, taken) for u in derivation.updates),
        steps=tuple(dict.fromkeys(_step(s, taken, fixed) for s in derivation.steps)),
    )
    missing = first_undefined(found)
    return replace(found, closed=closed and missing == (), undefined=missing or ())


def _update(function: UpdateFunction, taken: frozenset[str]) -> UpdateFunction:
    def formula(value: Formula) -> Formula:
        return LineWriter(taken | {"t"}).formula(value)

    states = tuple(
        replace(s, value=formula(s.value), start=s.start and formula(s.start))
        for s in function.states
    )
    return replace(function, states=states, result=formula(function.result))


def _step(step: Any, taken: frozenset[str], fixed: frozenset[str]) -> Any:
    """A step with readable names; ``fixed`` ones are indices that are no variables."""
    writer = LineWriter(taken)
    changed = {}
    for side in ("before", "after"):
        value = getattr(step, side)
        if value is not None:
            for name in _free(value):
                if name not in fixed:
                    writer.name(name)
            changed[side] = writer.formula(value)
    return replace(step, **changed)


def _free(formula: Formula) -> Iterator[str]:
    yield from sorted(index_names(formula), key=lambda n: (n.startswith(("$", "%")), n))


def _is_closed(formula: Formula, unknown: Set[tuple[str, str]]) -> bool:
    for item in walk_formula(formula):
        if isinstance(item, Expectation):
            return False
        if isinstance(item, Response) and (item.ket.name, item.by.name) in unknown:
            return False
    return True
