"""The standing adversary, time-boxed, and that it finds what it is made to find.

The long run is ``python tests/adversary/hunt.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from program_routes import disagreement
from shrink import candidates, shrunk
from structured_programs import Structured, structured
from structured_trainings import Training, training
from training_routes import disagreement as training_disagreement

from nexort.api import TensorProgram, loads
from nexort.results import Estimate, Results


@pytest.mark.parametrize("seed", range(40))
def test_structured_programs_check(seed: int) -> None:
    loads(structured(seed).text)


@pytest.mark.parametrize("seed", range(40))
def test_structured_trainings_check(seed: int) -> None:
    given = training(seed)
    loads(given.text)
    loads(given.inlined)
    for smaller in given.smaller():
        loads(smaller.text)


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
    """A network of another weight under the name of the same one."""
    given = training(4)
    assert given.inlined != given.text
    text = given.inlined.replace("tanh(", "relu(").replace("erf(", "relu(")

    class Other(Training):
        @property
        def inlined(self) -> str:
            return text

    other = Other(given.weights, given.rules, given.final, given.settings, given.names, given.kind)
    assert training_disagreement(other, coordcheck=False) is not None
