"""Trainings of real architectures, written out: core programs, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort

CASES = Path(__file__).parents[1] / "cases"
TRAININGS = sorted(
    path for path in CASES.rglob("*.nxt") if "\ntrain " in path.read_text("utf-8", "replace")
)


@pytest.mark.parametrize("path", TRAININGS, ids=lambda p: p.stem)
def test_a_training_is_written_out_or_refused(path: Path) -> None:
    """Nothing else is raised: an expansion that is no program is an InternalError."""
    try:
        expanded = nexort.load(path).expand()
    except nexort.NexortError as error:
        refused: nexort.NexortError | None = error
    else:
        refused = None
        assert expanded.program.training is None
    assert refused is None or (
        refused.diagnostics and not isinstance(refused, nexort.support.diagnostics.InternalError)
    )


DIVISION = """
dim d = 2, M = 2, X = 2
data xi[d, M] = [[0.3, 1.36], [-0.3, -0.53]]
data a[X] = [1, 2]
network f(xi) {
  weight u : vector[d]
  weight R : vector[X]
  weight v : vector
  |x> = |u> @ xi
  g = exp(<R|x>) / (a @ exp(<R|x>))
  |r> = |x> / (1 + a @ g * exp(g[0]))
  return <v|r>
}
train f {
  parametrization mup
  optimizer sgd(lr=0.3)
  error f - 1
  steps 2
}
output f
"""


@pytest.mark.parametrize("text", [DIVISION, DIVISION.replace("+ a @", "- 0.1 * a @")])
def test_signs_bind_as_what_they_negate(text: str) -> None:
    """a / -(b c) is not a / -b c, nor a * -(b @ c) (a * -b) @ c, where their axes are alike."""
    program = nexort.loads(text)
    one, two = program.limit(samples=1024), program.expand().limit(samples=1024, seed=1)
    apart = np.abs(np.asarray(one["f"]) - np.asarray(two["f"]))
    assert (apart <= 5 * np.hypot(one["f"].error, two["f"].error) + 1e-12).all()
