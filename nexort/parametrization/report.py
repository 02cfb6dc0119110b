"""A classification: every condition's two sides and the verdict, and the same as text, Markdown,
LaTeX and plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from nexort.parametrization.forms import Form, power_text, sentence, table_text, table_title
from nexort.parametrization.layers import Table
from nexort.parametrization.repair import GOOD, Change
from nexort.parametrization.theorem import Group, Verdict
from nexort.report.schema import with_schema

EQUATIONS: dict[Group, str] = {
    "stable at initialization": "2.25",
    "faithful at initialization": "2.26",
    "stable in training": "2.27",
    "faithful in training": "2.27",
    "nontrivial": "2.28, one of",
}
COUNTED = (
    "sizes are counted step by step until they stay: a condition's left side is the power of 1/n "
    "that a size has"
)

SIGNS = {">=": r"$\ge$", "<=": r"$\le$", "=": "$=$"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One condition: ``left relation right`` and whether it holds."""

    group: Group
    layer: str
    formula: str
    left: Fraction
    relation: str
    right: Fraction
    holds: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """The size of one quantity of a program's network as powers of n, None where it is exactly 0:
    at steps 0, 1, ..., of a change from step 1 on, until nothing changes any more."""

    quantity: str
    name: str
    powers: tuple[Fraction | None, ...]


@dataclass(frozen=True)
class Classification:
    """The verdict on a parametrization.

    ``method`` is 'theorem' for perceptrons (2.8), where sizes were counted too and agree, else
    'counted'. ``r`` has every weight's r, ``least`` the smallest but for the readout's; ``learned``
    the vectors, of a table the layers, that move by 1 (where a condition fails they may move by
    more); ``changes`` is the smallest repair of a bad parametrization, or, with a regime in
    ``nearest``, what leads there, None where none is known; ``notes`` say what was ignored;
    ``sizes`` has every counted size, of a program.
    """

    name: str
    table: Table
    parametrization: str
    optimizer: str
    method: str
    verdict: Verdict
    conditions: tuple[Checked, ...]
    r: Mapping[str, Fraction]
    least: Fraction | None
    learned: tuple[str, ...]
    changes: tuple[Change, ...] | None
    nearest: str
    notes: tuple[str, ...]
    sizes: tuple[Counted, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it is a parametrization to train in."""
        return self.verdict in GOOD

    def __str__(self) -> str:
        return classification(self, "text")

    def as_json(self) -> dict[str, object]:
        """Plain data: exponents and sides as texts of rationals."""
        return classification_json(self)


def classification(x: Classification, form: Form, *, sizes: bool = False) -> str:
    """The weights, every condition, r, what is learned, the verdict, and the smallest repair; with
    ``sizes`` also those that were counted."""
    if form == "json":
        import json

        return json.dumps(with_schema(classification_json(x)), indent=2)
    parts = [_title(x, form), table_text(*_weights(x), form)]
    if x.notes:
        parts.append("\n".join(sentence(note, form) for note in x.notes))
    if x.method == "counted":
        parts.append(sentence(COUNTED, form))
    rows = [_condition(c, x.method, form) for c in x.conditions]
    parts.append(
        table_text(("condition", "of", "formula", "left", "", "right", "holds"), rows, form)
    )
    if sizes:
        parts.append(table_text(*_sizes(x, form), form))
    parts.append("\n".join(sentence(line, form) for line in _summary(x)))
    return "\n\n".join(parts)


def _title(x: Classification, form: Form) -> str:
    text = f"{x.name}: parametrization {x.parametrization}, optimizer {x.optimizer}"
    return table_title(text, form)


def _weights(x: Classification) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    header = ("weight", "part", "a", "b", "c", "d", "r")
    rows: list[tuple[str, ...]] = [
        (layer.name, layer.part, str(e.a), str(e.b), str(e.c),
         "(ignored)" if layer.homogeneous == 0 else str(e.d), str(x.r[layer.name]))
        for layer, e in zip(x.table.layers, x.table.exponents, strict=True)
    ]  # fmt: skip
    if x.table.out:
        rows.append(("a_out", "", str(x.table.out), "", "", "", ""))
    return header, rows


def _condition(c: Checked, method: str, form: Form) -> tuple[str, ...]:
    name = f"{c.group} ({EQUATIONS[c.group]})" if method == "theorem" else c.group
    sign = SIGNS[c.relation] if form == "latex" else c.relation
    return (name, c.layer, c.formula, str(c.left), sign, str(c.right), "yes" if c.holds else "NO")


def _sizes(x: Classification, form: Form) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = [
        (c.quantity, c.name, *[""] * (c.quantity == "change"), *(_size(p, form) for p in c.powers))
        for c in x.sizes
    ]
    most = max(map(len, rows), default=2)
    header = ("counted", "of", *(f"step {t}" for t in range(most - 2)))
    return header, [(*row, *[""] * (most - len(row))) for row in rows]


def _size(p: Fraction | None, form: Form) -> str:
    return "0" if p is None else power_text(p, form)


def _summary(x: Classification) -> list[str]:
    lines = []
    if x.least is not None:
        lines.append(f"r = {x.least}, the smallest but for the readout")
    moves = ", ".join(x.learned) or "none"
    lines.append(f"vectors that move by 1: {moves}")
    failed = [c for c in x.conditions if not c.holds and c.group != "nontrivial"]
    reason = f" ({failed[0].group} fails)" if failed else ""
    lines.append(f"verdict: {x.verdict}{reason}")
    if x.changes:
        name = f"repair, to {x.nearest}" if x.nearest else "smallest repair"
        lines.append(f"{name}: {'; '.join(map(change, x.changes))}")
    elif x.changes is None:
        lines.append("smallest repair: none is known")
    return lines


def change(x: Change) -> str:
    """``c of W[2] from 0 to 1 (+1)``."""
    sign = "+" if x.by > 0 else ""
    whose = f"{x.exponent} of {x.layer}" if x.layer else x.exponent
    return f"{whose} from {x.old} to {x.new} ({sign}{x.by})"


def classification_json(x: Classification) -> dict[str, object]:
    """Plain data."""
    return {
        "program": x.name,
        "parametrization": x.parametrization,
        "optimizer": x.optimizer,
        "method": x.method,
        "weights": [
            {
                "name": layer.name, "part": layer.part, "degree": layer.homogeneous,
                "normalization": layer.normalization, "a": str(e.a), "b": str(e.b),
                "c": str(e.c), "d": str(e.d), "r": str(x.r[layer.name]),
            }
            for layer, e in zip(x.table.layers, x.table.exponents, strict=True)
        ],
        "out": str(x.table.out),
        "conditions": [
            {
                "group": c.group, "of": c.layer, "formula": c.formula, "left": str(c.left),
                "relation": c.relation, "right": str(c.right), "holds": c.holds,
            }
            for c in x.conditions
        ],
        "r": None if x.least is None else str(x.least),
        "learned": list(x.learned),
        "verdict": x.verdict,
        "repair": None if x.changes is None else [
            {"weight": c.layer or None, "exponent": c.exponent, "from": str(c.old),
             "to": str(c.new)}
            for c in x.changes
        ],
        "repair_to": x.nearest or None,
        "notes": list(x.notes),
        "sizes": [
            {"quantity": c.quantity, "of": c.name,
             "powers": [None if p is None else str(p) for p in c.powers]}
            for c in x.sizes
        ],
    }  # fmt: skip
