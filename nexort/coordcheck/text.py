"""A coordinate check as text for a terminal, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nexort.coordcheck.outcome import Check
from nexort.coordcheck.rows import QuantityRow
from nexort.coordcheck.tensors import OWN, Tensor, What

WIDTH = 100
COLUMNS = 4
"""Steps that a table shows."""

TITLES: dict[What, str] = {
    "size": "sizes",
    "change": "changes since the start",
    "effect": "what updates so far add to products: (W[t] - W[0]) z[t]",
    "gradient": "gradients of sum_i chi_i f_i by entries",
    "seen": "gradients that update functions see, n^d g",
    "update": "updates: W[t+1] - W[t]",
}
MARKS = {"holds": " ", "off": "!", "unsure": "?", "open": " "}


def check_text(check: Check) -> str:
    """Tables of fitted and predicted exponents, and what follows."""
    widths = ", ".join(map(str, check.widths))
    source = f" by {check.expected}" if check.expected else ""
    source = source or (" by its own exponents" if check.trains else "")
    lines = [
        *textwrap.wrap(f"n = {widths}, {check.seeds} runs each", WIDTH),
        f"s in size ~ n^s: fitted ± error [predicted{source}], ! off, ? too noisy to tell",
    ]
    for what, title in TITLES.items():
        lines += _table(check, what, title)
    lines.append("")
    for note in check.notes:
        lines += textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")
    return "\n".join([*lines, *summary(check)])


def steps_shown(steps: Sequence[int]) -> list[int]:
    """The steps that fit: the first ones and the last."""
    if len(steps) <= COLUMNS:
        return list(steps)
    return [*steps[: COLUMNS - 1], steps[-1]]


def _table(check: Check, what: What, title: str) -> list[str]:
    rows: dict[Tensor, dict[int, QuantityRow]] = {}
    for row in check.judged:
        if row.quantity.what == what:
            rows.setdefault(row.quantity.tensor, {})[row.quantity.step] = row
    if not rows:
        return []
    steps = steps_shown(sorted({t for found in rows.values() for t in found}))
    tensors = sorted(rows, key=lambda x: x.place)
    table = [["", *(f"step {t}" for t in steps)]] if check.trains else []
    table += [[x.label, *(_cell(rows[x].get(t)) for t in steps)] for x in tensors]
    columns = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    lines = ["", title]
    for number, line in enumerate(table):
        cells = [line[0].ljust(columns[0])]
        cells += [
            c.center(w) if number == 0 and check.trains else c.ljust(w)
            for c, w in zip(line[1:], columns[1:], strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _cell(row: QuantityRow | None) -> str:
    """``-0.49 ± 0.02 [-1/2]``."""
    if row is None:
        return ""
    predicted = "-" if row.predicted is None else str(row.predicted)
    if predicted == "zero":
        predicted = "0 exactly"
    if row.several:
        predicted = f"{row.low} to {predicted}"
    if row.fit.zero:
        fitted = "0 exactly"
    elif np.isnan(row.fit.exponent):
        fitted = "-"
    else:
        fitted = f"{exponent_text(row.fit.exponent):>5} ± {row.fit.error:.2f}"
    return f"{fitted} [{predicted}]{MARKS[row.status]}"


def exponent_text(value: float) -> str:
    """With two decimals, no minus before 0."""
    return f"{round(value, 2) + 0.0:.2f}"


# ---- what follows --------------------------------------------------------------------------------


def summary(check: Check) -> list[str]:
    """The verdict: what is off and why, and what the training does as n grows."""
    lines: list[str] = []
    for text in (*_agreement(check), *_conduct(check)):
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return lines


def _agreement(check: Check) -> list[str]:
    judged = [r for r in check.judged if r.status in ("holds", "off", "unsure")]
    off = [r for r in judged if r.status == "off"]
    unsure = sum(r.status == "unsure" for r in judged)
    texts = []
    if not off:
        whole = f"{len(judged) - unsure} of {len(judged)} exponents are within "
        whole += f"{check.tolerance:g} of the prediction{_noisy(unsure)}."
        if check.holds:
            return [f"No size is off: {whole}"]
        texts.append(f"NOT GOOD: {_fault(check)}.")
        texts.append(f"Sizes are as {check.expected or 'the exponents'} predict: {whole}")
        return texts
    first = check.first
    assert first is not None
    texts.append(f"OFF: {len(off)} of {len(judged)} exponents{_noisy(unsure)}.")
    predicted = "exactly 0" if first.predicted == "zero" else f"n^({first.predicted})"
    fitted = f"n^({exponent_text(first.fit.exponent)} ± {first.fit.error:.2f})"
    texts.append(
        f"First, as a run meets them: {first.quantity.label} at step {first.quantity.step} is "
        f"{fitted}, expected {predicted}."
    )
    blame = check.blame
    if blame is None:
        texts.append(
            "Why: no weight's own exponents differ from what is expected, so that the prediction "
            "does not hold at these widths, for this learning rate."
        )
        return texts
    texts.append(f"Why: {blame.text}.")
    texts += [f"Also: {other.text}." for other in check.blames if other is not blame]
    return texts


def _fault(check: Check) -> str:
    """What is wrong though sizes are as predicted."""
    if not check.good:
        return f"the parametrization is {check.verdict}" + (f", {check.why}" if check.why else "")
    return "nothing is learned, f does not change at any width"


def _noisy(unsure: int) -> str:
    return f", {unsure} {'is' if unsure == 1 else 'are'} too noisy to tell" if unsure else ""


def _conduct(check: Check) -> list[str]:
    found = check.behaviour
    texts = []
    if found.grows is not None:
        q, fit = found.grows.quantity, found.grows.fit
        grows = f"{q.label} at step {q.step} grows like n^{exponent_text(fit.exponent)}"
        if not check.holds:
            return [f"Unstable: {grows}, first of all vectors and scalars."]
        texts.append(f"As predicted, {grows}; nothing that reads it grows.")
    if check.steps == 0:
        return texts
    if found.moves is False:
        texts.append("f does not change by an amount of size 1.")
    if found.learned:
        texts.append(f"Vectors that change by a part of their size: {', '.join(found.learned)}.")
    elif found.lazy:
        texts.append("No vector changes by a part of its size that does not vanish as n grows.")
    return texts


# ---- JSON ----------------------------------------------------------------------------------------


def check_json(check: Check) -> dict[str, Any]:
    """All numbers."""
    first, blame, found = check.first, check.blame, check.behaviour
    return {
        "widths": list(check.widths),
        "seeds": check.seeds,
        "steps": check.steps,
        "expected": check.expected or None,
        "tolerance": check.tolerance,
        "holds": check.holds,
        "verdict": check.verdict or None,
        "why": check.why or None,
        "first": None if first is None else _key(first),
        "blame": None if blame is None else _blame(blame.tensor.label, blame.exponents),
        "own": [_blame(b.tensor.label, b.exponents) for b in check.blames],
        "grows": None if found.grows is None else _key(found.grows),
        "changing": list(found.learned),
        "output_changes": found.moves,
        "notes": list(check.notes),
        "sizes": [_row(r) for r in check.rows if r.quantity.what not in OWN],
    }


def _key(row: QuantityRow) -> dict[str, Any]:
    q = row.quantity
    return {"what": q.what, "tensor": q.tensor.label, "step": q.step}


def _row(row: QuantityRow) -> dict[str, Any]:
    fit = row.fit
    return {
        **_key(row),
        "exponent": _number(fit.exponent),
        "error": _number(fit.error),
        "predicted": None if row.predicted is None else str(row.predicted),
        "predicted_from": str(row.low) if row.several else None,
        "status": row.status,
        "exactly_zero": fit.zero,
        "sizes": [_number(v) for v in fit.sizes],
        "errors": [_number(v) for v in fit.errors],
    }


def _blame(label: str, exponents: Sequence[tuple[str, Fraction | float]]) -> dict[str, Any]:
    return {"tensor": label, "exponents": {e: str(by) for e, by in exponents}}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
