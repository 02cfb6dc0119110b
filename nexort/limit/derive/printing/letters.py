"""One kind of letter an axis, on the whole page: a, b for the first one, i, j for the next.

The derivation names labels line by line; here a label stands for the same axis everywhere, so that
the page has to say only once what it runs over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from nexort.limit.derive import algebra
from nexort.limit.derive.derivation import (
    AxisLabel,
    Derivation,
    Equation,
    GaussianFamily,
    KetDefinition,
    OutputFormula,
    WeightUpdate,
)
from nexort.limit.derive.formula import AxisSum, Fold, Formula, LoopSum
from nexort.limit.derive.printing.names import spare
from nexort.limit.derive.walking import names_in, walk_formula
from nexort.program.index import Affine

POOLS = ("abce", "ijmq", "uvw", "fgh", "rst")
OTHERS = "klnopxyzdstrfghuvw"
"""What an axis gets when its own letters are taken."""

Placed = OutputFormula | KetDefinition | Equation | GaussianFamily | WeightUpdate


def rename_axes(derivation: Derivation) -> tuple[Derivation, dict[str, list[str]]]:
    """The derivation with its labels renamed, and which labels each axis has. Steps keep theirs."""
    letters = _Letters(derivation)
    found = replace(
        derivation,
        outputs=tuple(letters.line(x) for x in derivation.outputs),
        kets=tuple(letters.line(x) for x in derivation.kets),
        gaussians=tuple(letters.line(x) for x in derivation.gaussians),
        equations=tuple(letters.line(x) for x in derivation.equations),
        weights=tuple(letters.line(x) for x in derivation.weights),
    )
    return found, {axis: sorted(used) for axis, used in letters.used.items()}


def letter_lines(derivation: Derivation) -> Iterator[Placed]:
    """Every line of a derivation."""
    yield from derivation.outputs
    yield from derivation.equations
    yield from derivation.kets
    yield from derivation.gaussians
    yield from derivation.weights


class _Letters:
    def __init__(self, derivation: Derivation) -> None:
        lines = list(letter_lines(derivation))
        names = names_in(derivation)
        self.taken = {r.var for line in lines for r in line.ranges} | names
        self.taken |= {part for x in names for part in x.split("_")[1:]}  # sigma_a has no axis a
        for formula in (f for line in lines for f in formulas_of(line)):
            self.taken |= {x.var for x in walk_formula(formula) if isinstance(x, LoopSum | Fold)}
        self.pools: dict[str, Sequence[str]] = {}
        self.used: dict[str, set[str]] = {}
        self.names = algebra.BoundNames()
        for axis in (x.axis for line in lines for x in line.labels):
            self._pool(axis)

    def _pool(self, axis: str) -> Sequence[str]:
        if axis not in self.pools:
            self.pools[axis] = POOLS[min(len(self.pools), len(POOLS) - 1)]
        return self.pools[axis]

    def _pick(self, axis: str, taken: set[str]) -> str:
        others = {x for other, used in self.used.items() if other != axis for x in used}
        letters = (*self._pool(axis), *OTHERS)
        own = next(spare(letters, taken | self.taken | others))
        self.used.setdefault(axis, set()).add(own)
        return own

    def line(self, line: Any) -> Any:
        """A line with other labels."""
        env: dict[str, Affine] = {}
        labels: list[AxisLabel] = []
        for x in line.labels:
            own = self._pick(x.axis, {y.label for y in labels})
            env[x.label] = Affine.variable(own)
            labels.append(AxisLabel(own, x.axis))
        # also those on which only the left side depends
        whole = {x.label for x in labels}
        changed: dict[str, Any] = {"labels": tuple(labels)}
        for field in fields(line):
            value = getattr(line, field.name)
            if field.name == "axes":
                changed["axes"] = tuple(algebra.index_at(i, env) for i in value)
            elif hasattr(value, "__dataclass_fields__") and field.name != "matrix":
                renamed = algebra.reindex(self._apart(value), env)
                taken = whole | algebra.index_names(renamed)
                changed[field.name] = self._bound(renamed, taken)
        return replace(line, **changed)

    def _apart(self, formula: Formula) -> Formula:
        """Bound labels under names of their own, so that nothing is captured."""
        if isinstance(formula, AxisSum):
            own = self.names.fresh()
            inner = algebra.reindex(formula.body, {formula.label: Affine.variable(own)})
            return AxisSum(own, formula.axis, self._apart(inner))
        return _within(formula, self._apart)

    def _bound(self, formula: Formula, taken: set[str]) -> Formula:
        if isinstance(formula, AxisSum):
            own = self._pick(formula.axis, taken)
            inner = algebra.reindex(formula.body, {formula.label: Affine.variable(own)})
            return AxisSum(own, formula.axis, self._bound(inner, taken | {own}))
        return _within(formula, lambda f: self._bound(f, taken))


def _within(formula: Formula, rule: Any) -> Formula:
    """``rule`` inside of a formula that has a sum over an axis in it."""
    if not any(isinstance(f, AxisSum) for f in walk_formula(formula)):
        return formula
    if isinstance(formula, LoopSum | Fold):
        return replace(formula, body=rule(formula.body))
    return algebra.rebuilt(formula, rule)


def formulas_of(line: Placed) -> Iterator[Formula]:
    """The formulas of a line."""
    for field in fields(line):
        value = getattr(line, field.name)
        if hasattr(value, "__dataclass_fields__") and field.name != "matrix":
            yield value
