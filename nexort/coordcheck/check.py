"""A coordinate check: run, fit, predict, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nexort.coordcheck import core
from nexort.coordcheck.findings import behaviour, blames
from nexort.coordcheck.fit import ExponentFit, fit
from nexort.coordcheck.measure import Measured, measure_training
from nexort.coordcheck.outcome import Check
from nexort.coordcheck.predict import Prediction, predict_training, response
from nexort.coordcheck.rows import judge_rows
from nexort.coordcheck.tasks import expecting, shorten_training
from nexort.coordcheck.tensors import OWN, Quantity
from nexort.data.given import Given
from nexort.parametrization.orders import exact_order
from nexort.parametrization.repair import GOOD
from nexort.parametrization.theorem import VERDICTS
from nexort.parametrization.verdict import exponents_table, failures, judge, update_degree
from nexort.program.program import Program
from nexort.program.view import outer_order
from nexort.support.diagnostics import fail
from nexort.training.task import Key, Task

WIDTHS = (64, 128, 256, 512, 1024, 2048)
OUTER_WIDTHS = {2: (16, 32, 64, 128), 3: (8, 12, 16, 24, 32)}
"""Widths by the highest order r >= 2 of an outer nonlinearity: a run takes n^(r+1)."""

TOLERANCE = 0.2
"""How far from its prediction an exponent may be: wrong ones are off by 1/2 or more."""


def check_coordinates(
    program: Program,
    given: Given,
    widths: Sequence[int] | None = None,
    seeds: int = 8,
    *,
    steps: int | None = None,
    expect: str | None = None,
    tolerance: float = TOLERANCE,
    dtype: str = "float64",
    watch: Callable[[int], Callable[[int], None] | None] | None = None,
    **options: Any,
) -> Check:
    """Run at a series of widths, and compare how sizes grow with how they should.

    Of a program without a training, the sizes of its named vectors and scalars. ``expect`` is a
    parametrization by name whose exponents are expected in place of the program's own. Any table of
    exponents is run, stable or not. ``options`` are those of ``finite.training.train`` and of
    ``finite.simulate``. Raises NexortError.
    """
    widths = tuple(sorted(set(widths or OUTER_WIDTHS.get(outer_order(program), WIDTHS))))
    if len(widths) < 2:
        raise fail("bad-option", "a single width has no exponent", help="--width 64,256,1024")
    if seeds < 2:
        raise fail("bad-option", "a single run has no error", help="--seeds 8")
    if program.training is None:
        for name, value in (("--steps", steps), ("--expect", expect)):
            if value is not None:
                message = f"{name} is for programs with a training, this one has none"
                raise fail("bad-option", message)
        return _core(program, given, widths, seeds, tolerance, dtype=dtype, watch=watch, **options)
    task = shorten_training(program, given, steps)
    other = program if expect is None else expecting(program, expect)
    wanted = task if expect is None else shorten_training(other, given, steps)
    measured = measure_training(task, widths, seeds, dtype=dtype, watch=watch, **options)
    fits = {q: fit(widths, s, pure=q.what in OWN) for q, s in measured.squares.items()}
    degrees, notes = _degrees(wanted, fits)
    prediction = predict_training(wanted, measured.tensors, degrees)
    notes += _notes(measured, prediction, task)
    rows = judge_rows(
        fits, prediction, tolerance, {k: update_degree(w.update) for k, w in task.weights.items()}
    )
    return Check(
        widths, seeds, task.steps, measured.tensors, rows, expect or "", tolerance, blames(rows),
        behaviour(rows, tolerance), tuple(notes), True, *_verdict(other, wanted),
    )  # fmt: skip


def _verdict(program: Program, task: Task) -> tuple[str, str]:
    """The verdict on a training's exponents, and which size is not as it should be."""
    assert program.training is not None
    whole = exponents_table(program.training, task.weights)
    judged = judge(program.training, task, whole).at(whole)
    verdict = VERDICTS[int(judged.code[0])]
    if verdict in GOOD:
        return verdict, ""
    first = failures(judged.asked())
    if not first:
        return verdict, "every gradient is exactly 0" if verdict == "trivial" else ""
    size = -exact_order(float(first[0].left[0]))
    return verdict, f"the {first[0].formula} is {'n' if size == 1 else f'n^({size})'}"


def _core(
    program: Program,
    given: Given,
    widths: Sequence[int],
    seeds: int,
    tolerance: float,
    **options: Any,
) -> Check:
    """A program without a training: the sizes of its vectors and scalars."""
    found = core.core(program, given)
    if not found.tensors:
        raise fail("no-output", "nothing in the program depends on the width")
    measured = core.measure_core(found, widths, seeds, **options)
    prediction = core.predict_core(found)
    fits = {q: fit(widths, s) for q, s in measured.squares.items()}
    rows = judge_rows(fits, prediction, tolerance, {})
    conduct = behaviour(rows, tolerance)
    return Check(
        tuple(widths), seeds, 0, found.tensors, rows, "", tolerance, (), conduct, (), False
    )


def _degrees(
    task: Task, fits: Mapping[Quantity, ExponentFit]
) -> tuple[dict[Key, int | None], list[str]]:
    """The degree of every update function at the sizes of gradients that it sees here, and what is
    to be said of it."""
    found: dict[Key, int | None] = {}
    felt: dict[str, list[str]] = {}
    for key, w in task.weights.items():
        known = update_degree(w.update)
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
    # of the forward pass, which every run takes as far as it gets
    sizes = [s for q, s in measured.squares.items() if q.what == "size"]
    lost = [
        n for k, n in enumerate(measured.widths) if not np.isfinite([s[k] for s in sizes]).all()
    ]
    if lost or reached < task.steps:
        where = f" at n = {', '.join(map(str, lost))}" if lost else ""
        text = "runs reach values that are not finite: fits are of those that do not, or not yet"
        notes.append(f"{text[:4]}{where}{text[4:]}")
    return notes
