"""Every route to a training, compared: its limit, its expansion's limit, runs at width n, the
verdict on its parametrization, its table, the coordinate check; and the same network written
otherwise."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from program_routes import (
    SUSPECT,
    WRONG,
    Disagreement,
    code,
    judged,
    outcome,
    ratio,
    worst,
)
from structured_trainings import Training

import nexort
from nexort.api import TensorProgram, loads
from nexort.cli.main import main as program

GOOD = ("feature learning", "operator regime")
SECONDS = 240
UNKNOWN = ("no-limit", "not-expanded")
"""Refusals that are no verdict: a network whose sizes stay bounded but whose limit is neither of
the two; what the core language has no words for."""

NAMED = ("mup", "ntp", "sp", "ups(1/4)")
COORDCHECK = ("--width", "64,128,256,512", "--seeds", "6")


def verdict(p: TensorProgram) -> str:
    found = nexort.classify(p)
    return str(found.verdict)


def command(text: str, *arguments: str) -> tuple[int, str]:
    """The exit code and standard output of a command on a program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.nxt"
        path.write_text(text)
        found = CliRunner().invoke(program, [arguments[0], str(path), *arguments[1:]])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout


# ---- values --------------------------------------------------------------------------------------


def apart(a: Any, b: Any, bound: float) -> str | None:
    """Where two limits differ by more than ``bound`` of their errors."""
    for name in a:
        x, y = np.asarray(a[name]), np.asarray(b[name])
        if x.shape != y.shape:
            return f"{name}: shapes {x.shape}, {y.shape}"
        error = np.hypot(a[name].error, b[name].error)
        by, at = worst(ratio(x - y, error, np.maximum(np.abs(x), np.abs(y))))
        if by > bound:
            first, second = a[name].error[at], b[name].error[at]
            return f"{name}{list(at)}: {x[at]!r} ± {first:.2g}, {y[at]!r} ± {second:.2g}"
    return None


def same_limit(kind: str, p: TensorProgram, other: TensorProgram) -> Disagreement | None:
    """Two programs have the same limit, or both have none."""
    for samples, bound in ((512, SUSPECT), (4096, WRONG)):
        a, first = outcome(lambda n=samples: p.limit(samples=n, seed=1))  # type: ignore[misc]
        b, second = outcome(lambda n=samples: other.limit(samples=n, seed=2))  # type: ignore[misc]
        if (first is None) != (second is None):
            return Disagreement(kind, f"one refuses: {first or second}")
        if first is not None:
            return None
        found = apart(a, b, bound)
        if found is None:
            return None
    return Disagreement(kind, str(found))


def expanded(p: TensorProgram) -> Disagreement | None:
    core, refused = outcome(p.expand)
    if refused is not None:
        return None
    return same_limit("limit, expansion", p, core)


def limit_and_widths(p: TensorProgram) -> Disagreement | None:
    """As for programs, with the limit's own error bars; sizes of n^(-1/2) leave a bias of their
    own, so that three widths judge: what is left must not be a limit that stands apart."""
    looks = (((128, 512), 24, 512, SUSPECT), ((512, 2048), 48, 4096, WRONG))
    found = None
    for widths, runs, samples, bound in looks:
        limit = p.limit(samples=samples, seed=3)
        small, large = (p.runs(n, runs, seed=5, dtype="float64") for n in widths)
        found = None
        for name in limit:
            a, b = small[name], large[name]
            value, error = np.asarray(limit[name]), limit[name].error
            change = np.abs(a.mean(axis=0) - b.mean(axis=0))
            spread = b.std(axis=0, ddof=1) / np.sqrt(len(b))
            noise = a.std(axis=0, ddof=1) / np.sqrt(len(a))
            # what is left at the larger width: a deviation of order n^(-1/2) halves at four times
            # the width, so it is as large as the change
            allowed = 1.5 * change + 1.5 * (spread + noise)
            off = np.maximum(np.abs(b.mean(axis=0) - value) - allowed, 0)
            by, at = worst(ratio(off, np.hypot(spread, error), np.sqrt(np.mean(b**2, axis=0))))
            if by > bound:
                found = Disagreement(
                    "training, width",
                    f"{name}{list(at)}: {value[at]!r} ± {error[at]:.2g}, width {widths[1]} "
                    f"{b.mean(axis=0)[at]!r} ± {spread[at]:.2g}, change {change[at]:.2g}",
                )
        if found is None:
            return None
    return found


# ---- verdicts ------------------------------------------------------------------------------------


def verdict_and_limit(p: TensorProgram, said: str) -> Disagreement | None:
    """A good verdict has a limit, a bad one none; a trivial one may have that of no change."""
    limit, refused = outcome(lambda: p.limit(samples=128))
    still = said == "trivial" and refused is None and np.ptp(limit["f"], axis=0).max() == 0
    if refused is None and said not in GOOD and not still:
        return Disagreement("verdict, limit", f"{said}, and a limit is printed")
    if refused is not None and said in GOOD and code(refused) not in UNKNOWN:
        return Disagreement("verdict, limit", f"{said}, and the limit is refused: {refused}")
    return None


def table(text: str, regime: str) -> tuple[int, dict[str, Any]]:
    exit_code, printed = command(text, "scaling", "--regime", regime, "--format", "json")
    return exit_code, json.loads(printed) if printed.lstrip().startswith("{") else {}


def tables(given: Training) -> Disagreement | None:
    """The table of the regime, whose verdict is that of the program in this regime; the same table
    however the network is written."""
    regime = given.kind if given.kind in NAMED[:2] else "mup"
    one, first = table(given.text, regime)
    two, second = table(given.inlined, regime)
    if one != two:
        return Disagreement("tables", f"exit codes {one}, {two}")
    said = str(nexort.classify(loads(given.text), parametrization=regime).verdict)
    if (one == 0) != (said in GOOD):
        return Disagreement("table, verdict", f"exit code {one}, classified as {said}")
    rows = [{k: v for k, v in r.items() if k != "tensor"} for r in first.get("tensors", [])]
    others = [{k: v for k, v in r.items() if k != "tensor"} for r in second.get("tensors", [])]
    if rows != others:
        return Disagreement("tables", f"{rows} {others}")
    return None


def coordinates(text: str, said: str) -> Disagreement | None:
    """Sizes at widths are as predicted; the check passes where they are and the verdict is good."""
    looks = (
        COORDCHECK,
        ("--width", "128,256,512,1024,2048", "--seeds", "12", "--tolerance", "0.3", "--seed", "1"),
    )
    found = None
    for options in looks:
        exit_code, printed = command(text, "coordcheck", *options, "--json")
        wanted = 0 if said in GOOD else 1
        if exit_code == wanted:
            return None
        first = json.loads(printed).get("first") if printed.lstrip().startswith("{") else printed
        found = Disagreement("coordcheck, verdict", f"exit code {exit_code}, {said}: {first}")
    return found


def disagreement(given: Training, *, coordcheck: bool = True) -> Disagreement | None:
    """The first disagreement between routes."""
    return judged(lambda: _disagreement(given, coordcheck), SECONDS)


def _disagreement(given: Training, coordcheck: bool) -> Disagreement | None:
    p, refused = outcome(lambda: loads(given.text))
    if refused is not None:
        return Disagreement("does not load", str(refused))
    other, refused = outcome(lambda: loads(given.inlined))
    if refused is not None:
        return Disagreement("does not load", str(refused))
    said, again = verdict(p), verdict(other)
    if said != again:
        return Disagreement("verdicts", f"named {said}, inlined {again}")
    _, none = outcome(lambda: p.limit(samples=64))
    routes: list[Callable[[], Disagreement | None]] = [
        lambda: verdict_and_limit(p, said),
        lambda: tables(given),
    ]
    if none is None:
        routes += [
            lambda: same_limit("named, inlined", p, other),
            lambda: expanded(p),
            lambda: limit_and_widths(p),
        ]
    if coordcheck:
        routes.append(lambda: coordinates(given.text, said))
    return next((found for route in routes if (found := route()) is not None), None)
