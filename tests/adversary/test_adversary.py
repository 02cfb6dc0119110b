"""The standing adversary, time-boxed, and that it finds what it is made to find.

The long run is ``python tests/adversary/hunt.py``.
"""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import numpy as np
import pytest
from printed import comes_back
from program_routes import SUSPECT, disagreement, singular_disagreement
from shrink import candidates, shrunk
from singular_programs import singular
from structured_programs import Structured, structured
from structured_trainings import training
from training_routes import apart
from training_routes import disagreement as training_disagreement

from nexort.api import TensorProgram, loads
from nexort.report.results import Estimate, Results


@pytest.mark.parametrize("seed", range(40))
def test_structured_programs_check_and_have_a_text(seed: int) -> None:
    comes_back(loads(structured(seed).text).program)


@pytest.mark.parametrize("seed", range(40))
def test_structured_trainings_check_and_have_a_text(seed: int) -> None:
    given = training(seed)
    comes_back(loads(given.text).program)
    comes_back(loads(given.inlined).program)
    for smaller in given.smaller():
        loads(smaller.text)


# ---- the hunt, for a while -----------------------------------------------------------------------

SECONDS = 150.0
"""Of either slow test."""

FIRST = 100_000
"""Seeds of their own."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 8))
def test_programs(seed: int) -> None:
    program = structured(seed)
    assert disagreement(program.text) is None, program.text


def test_singular_programs() -> None:
    for seed in range(FIRST, FIRST + 4):
        given = singular(seed)
        assert singular_disagreement(given.text, given.truth) is None, given.text


@pytest.mark.slow
def test_more_programs() -> None:
    seeds = count(FIRST + 8)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        program = structured(next(seeds))
        assert disagreement(program.text) is None, program.text


@pytest.mark.slow
def test_trainings() -> None:
    seeds = count(FIRST)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        given = training(next(seeds))
        assert training_disagreement(given) is None, f"{given.text}\n{given.inlined}"


# ---- sharpness -----------------------------------------------------------------------------------

PLANTED = Structured(
    (
        "dim M = 2",
        "data a[M] = [1.0, -0.734]",
        "vector u ~ N(0, 1)",
        "vector v ~ N(0, 1)",
        "matrix W ~ N(0, 1/n)",
        "|h> = W (tanh(|u> * a) + 0.5 * |v>)",
        "|x> = relu(|h>) - 0.5 * |v>",
        "|y> = sin(|x>)",
    ),
    ("<x|x> as o0", "<1|v> as o1", "<y|y> as o2"),
)
KEPT = TensorProgram.limit


def planted(self: TensorProgram, **options: Any) -> Any:
    """Exact values of an output that is named ``o0`` are 1 % too large."""
    found = KEPT(self, **options)
    if not options.get("exact", True) or "o0" not in found:
        return found
    a = found["o0"]
    wrong = Estimate(1.01 * np.asarray(a), a.error, a.method, a.name)
    return Results({**{name: found[name] for name in found}, "o0": wrong})


def test_a_planted_fault_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert disagreement(PLANTED.text, finite=False) is None
    monkeypatch.setattr(TensorProgram, "limit", planted)
    found = disagreement(PLANTED.text, finite=False)
    assert found is not None
    assert found.kind == "exact, sampled"

    def shows(candidate: Structured) -> bool:
        other = disagreement(candidate.text, finite=False)
        return other is not None and other.kind == "exact, sampled"

    small = shrunk(PLANTED, shows, candidates)
    assert small.outputs == ("<x|x> as o0",)
    assert len(small.lines) <= 7
    assert shows(small)


def test_a_training_that_is_written_otherwise_is_found() -> None:
    """A network of other functions under the names of the same ones."""
    given = training(4)
    assert given.inlined != given.text
    text = given.inlined.replace("tanh(", "relu(").replace("erf(", "relu(")
    limits = [loads(x).limit(samples=128) for x in (given.text, given.inlined, text)]
    assert apart(limits[0], limits[1], SUSPECT) is None
    assert apart(limits[0], limits[2], SUSPECT) is not None
