"""A coordinate check: run, fit, predict, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from nexort import driver
from nexort.coordcheck.findings import Behaviour, Blame, Row, behaviour, blames, status
from nexort.coordcheck.fit import Fit, fit
from nexort.coordcheck.measure import Measured, measure
from nexort.coordcheck.predict import Prediction, predict, response
from nexort.coordcheck.tensors import OWN, Quantity, Tensor, What
from nexort.diagnostics import did_you_mean, fail
from nexort.driver import Given
from nexort.program.index import Affine
from nexort.program.network import Parametrization
from nexort.program.parametrization import NAMED, Table, part, readouts, uniform
from nexort.program.program import Program
from nexort.training.stability import degree
from nexort.training.task import Key, Task

WIDTHS = (64, 128, 256, 512, 1024, 2048)
STEPS = 3
"""At most so many steps where none are asked for."""

TOLERANCE = 0.2
"""How far from its prediction an exponent may be: wrong ones are off by 1/2 or more."""


@dataclass(frozen=True)
class Check:
    """The outcome. ``rows`` are in the order in which a run meets the quantities, with the weights'
    own (``tensors.OWN``) among them. ``expected`` names what was expected ('' for the program's own
    table), ``notes`` say what was assumed."""

    widths: tuple[int, ...]
    seeds: int
    steps: int
    tensors: tuple[Tensor, ...]
    rows: tuple[Row, ...]
    expected: str
    tolerance: float
    blames: tuple[Blame, ...]
    behaviour: Behaviour
    notes: tuple[str, ...]

    @property
    def judged(self) -> tuple[Row, ...]:
        """The rows that are compared with predictions."""
        return tuple(r for r in self.rows if r.quantity.what not in OWN)

    @property
    def first(self) -> Row | None:
        """The first quantity that is off, as the run meets them."""
        return next((r for r in self.judged if r.status == "off"), None)

    @property
    def blame(self) -> Blame | None:
        """The weight whose own exponents explain the first quantity that is off."""
        first = self.first
        if first is None or not self.blames:
            return None
        cause = self.blames[0]
        return cause if cause.first <= first.quantity.order else None

    @property
    def holds(self) -> bool:
        """Whether no quantity is off."""
        return self.first is None


def check(
    program: Program,
    given: Given,
    widths: Sequence[int] = WIDTHS,
    seeds: int = 8,
    *,
    steps: int | None = None,
    expect: str | None = None,
    tolerance: float = TOLERANCE,
    dtype: str = "float64",
    watch: Callable[[int], Callable[[int], None] | None] | None = None,
    **options: Any,
) -> Check:
    """Train at a series of widths, and compare how sizes grow with how they should.

    ``expect`` is a parametrization by name whose exponents are expected in place of the program's
    own. Any table of exponents is run, stable or not. ``options`` are those of
    ``finite.training.train``. Raises NexortError.
    """
    widths = tuple(sorted(set(widths)))
    if len(widths) < 2:
        raise fail("bad-option", "a single width has no exponent", help="--width 64,256,1024")
    if seeds < 2:
        raise fail("bad-option", "a single run has no error", help="--seeds 8")
    task = _task(program, given, steps)
    wanted = task if expect is None else _task(expecting(program, expect), given, steps)
    measured = measure(task, widths, seeds, dtype=dtype, watch=watch, **options)
    fits = {q: fit(widths, s) for q, s in measured.squares.items()}
    degrees, notes = _degrees(wanted, fits)
    prediction = predict(wanted, measured.tensors, degrees)
    notes += _notes(measured, prediction, task)
    rows = _rows(
        fits, prediction, tolerance, {k: degree(w.update) for k, w in task.weights.items()}
    )
    return Check(
        widths, seeds, task.steps, measured.tensors, rows, expect or "", tolerance, blames(rows),
        behaviour(rows, tolerance), tuple(notes),
    )  # fmt: skip


def _task(program: Program, given: Given, steps: int | None) -> Task:
    """The training for a few steps, whatever its exponents; its outputs are not needed."""
    training = program.training
    assert training is not None
    bare = replace(program, outputs=())
    if steps is None:
        task = driver.training(bare, given, judge=False)
        if task.steps <= STEPS:
            return task
        steps = STEPS
    shortened = replace(training, steps=Affine(steps))
    return driver.training(replace(bare, training=shortened), given, judge=False)


def expecting(program: Program, name: str) -> Program:
    """The program with a parametrization by name: mup, ntp, sp or ups(s). Raises NexortError."""
    training = program.training
    assert training is not None
    parts, out = table(name)
    own, network = training.parametrization, training.network
    weights = {w: parts[part(network, w)] for w in network.weights}
    if last := readouts(network):  # f has a_out + a of a readout: a_out may be as it is
        for w in last:
            weights[w] = replace(weights[w], a=weights[w].a + out - own.out)
        out = own.out
    named = Parametrization(name, weights, {}, out, own.span)
    return replace(program, training=replace(training, parametrization=named))


def table(name: str) -> Table:
    """Exponents by part, and a_out. Raises NexortError for an unknown name."""
    text = name.strip().lower()
    if text in NAMED:
        return NAMED[text]()
    if text.startswith("ups(") and text.endswith(")"):
        try:
            s = Fraction(text[4:-1])
        except (ValueError, ZeroDivisionError):
            s = Fraction(-1)
        if 0 <= s <= Fraction(1, 2):
            return uniform(s)
        raise fail("bad-option", f"'{name}': s lies between 0 and 1/2", help="--expect 'ups(1/4)'")
    message = f"there is no parametrization '{name}', expected mup, ntp, sp or ups(s)"
    raise fail("bad-option", message, help=did_you_mean(text, NAMED))


def _degrees(task: Task, fits: Mapping[Quantity, Fit]) -> tuple[dict[Key, int | None], list[str]]:
    """The degree of every update function at the sizes of gradients that it sees here, and what is
    to be said of it."""
    found: dict[Key, int | None] = {}
    felt: dict[str, list[str]] = {}
    for key, w in task.weights.items():
        known = degree(w.update)
        sizes = [
            size
            for q, f in fits.items()
            if q.what == "seen" and q.tensor.key == key
            for size in f.sizes[np.isfinite(f.sizes)]
        ]
        if known is not None or not sizes:
            continue
        powers = [response(w.update, size) for size in (min(sizes), max(sizes))]
        for value in (0, 1):
            if all(abs(p - value) < 0.05 for p in powers):
                found[key] = value
        label = next(q.tensor.label for q in fits if q.tensor.key == key)
        if key not in found:
            felt.setdefault(w.update.name, []).append(label)
    notes = [
        f"{name} of {', '.join(labels)}: epsilon is felt at some of these widths and not at others"
        for name, labels in felt.items()
    ]
    return found, notes


def _notes(measured: Measured, prediction: Prediction, task: Task) -> list[str]:
    notes = []
    if prediction.until is not None:
        notes.append(
            f"from step {prediction.until} on, arguments of bounded functions grow with n: "
            "no power of n is predicted"
        )
    reached = max((q.step for q in measured.squares), default=0)
    lost = sorted(
        {
            n
            for n, squares in zip(
                measured.widths, zip(*measured.squares.values(), strict=True), strict=True
            )
            if not all(np.isfinite(s).all() for s in squares)
        }
    )
    if lost or reached < task.steps:
        where = f" at n = {', '.join(map(str, lost))}" if lost else ""
        notes.append(f"runs overflow{where}: fits are of those that do not")
    return notes


def _rows(
    fits: Mapping[Quantity, Fit],
    prediction: Prediction,
    tolerance: float,
    degrees: Mapping[Key, int | None],
) -> tuple[Row, ...]:
    found = {}
    for q in sorted(fits, key=lambda q: q.order):
        wanted = prediction.exponents.get(q)
        found[q] = Row(q, fits[q], wanted, status(fits[q], wanted, tolerance))
    for q, row in found.items():
        known = None if q.tensor.key is None else degrees[q.tensor.key]
        if row.status == "off" and known is not None and _redundant(q, known, found):
            found[q] = replace(row, status="open")
    for q, row in found.items():
        if row.status == "unsure" and _sure(q, found):
            found[q] = replace(row, status="off")
    return tuple(found.values())


def _sure(q: Quantity, rows: Mapping[Quantity, Row]) -> bool:
    """Whether a weight's own exponents, whose fits have no noise, are what a quantity is off by."""
    factors: dict[What, tuple[What, ...]] = {
        "size": ("initial",), "seen": ("pull",), "update": ("pull", "push"),
    }  # fmt: skip
    if q.tensor.role != "weight" or q.step > 0 or q.what not in factors:
        return False
    own = [rows.get(Quantity(what, q.tensor, 0)) for what in factors[q.what]]
    off = sum(r.difference for r in own if r is not None and r.status == "off")
    return abs(off) > 0.1 and off * rows[q].difference > 0


def _redundant(q: Quantity, known: int, rows: Mapping[Quantity, Row]) -> bool:
    """Whether a quantity is no fault if it is off: update functions of degree 0 ignore d, for those
    of degree 1 only c - d counts (2.1)."""
    if q.what == "seen":
        return True
    if q.what not in ("pull", "push"):
        return False
    if known == 0:
        return q.what == "pull"
    parts = [rows.get(Quantity(what, q.tensor, 0)) for what in ("pull", "push")]
    return abs(sum(r.difference for r in parts if r is not None)) < 0.1
