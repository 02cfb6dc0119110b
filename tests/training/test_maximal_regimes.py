"""Parametrizations between the named ones: some weights move in the limit, the others stay."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort import driver

TEXT = """
dim d, M
data xi[d, M], y[M], train[M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |h> = W tanh(|u> @ xi)
  |x> = tanh(|h>)
  return <v|x>
}
train f {
  parametrization { TABLE }
  optimizer OPTIMIZER
  error (f - y) * train
  steps 4
  START
}
output f, <x|x> as features
"""

DATA = {
    "xi": np.random.default_rng(5).standard_normal((2, 3)),
    "y": [1.0, -1.0, 0.5],
    "train": [1.0, 1.0, 0.0],
}

ADAM = "adam(lr=0.1, eps=1e-2)"

# what stays has c larger by 2: its updates vanish like n^-2, below what widths can tell
CASES = {
    "first layer": (
        "u: a=0, b=0, c=0, d=1; W: a=0, b=1/2, c=3, d=1; v: a=0, b=0, c=2, d=1; out: a=1",
        "", "maximal", "u",
    ),
    "hidden layer": (
        "u: a=0, b=0, c=2, d=1; W: a=0, b=1/2, c=1, d=1; v: a=0, b=0, c=2, d=1; out: a=1",
        "", "maximal", "W",
    ),
    "first layer stays": (
        "u: a=0, b=0, c=2, d=1; W: a=0, b=1/2, c=1, d=1; v: a=0, b=0, c=0, d=1; out: a=1",
        "", "maximal", "Wv",
    ),
    "last layer": (
        "u: a=0, b=0, c=2, d=1; W: a=0, b=1/2, c=3, d=1; v: a=0, b=0, c=0, d=1; out: a=1",
        "centre", "tangent", "v",
    ),
    "exponents moved to weights": (
        "u: a=1/2, b=-1/2, c=-1/2, d=3/2; W: a=1, b=-1/2, c=0, d=2; "
        "v: a=1/2, b=-1/2, c=-1/2, d=3/2; out: a=1",
        "", "maximal", "uWv",
    ),
    "exponents moved from the output": (
        "u: a=0, b=0, c=0, d=1; W: a=0, b=1/2, c=1, d=1; v: a=1/2, b=0, c=0, d=1; out: a=1/2",
        "", "maximal", "uWv",
    ),
}  # fmt: skip


def program(case: str, optimizer: str) -> nexort.TensorProgram:
    table, start, _, _ = CASES[case]
    text = TEXT.replace("TABLE", table).replace("START", start).replace("OPTIMIZER", optimizer)
    return nexort.loads(text)


@pytest.mark.parametrize("case", CASES)
def test_what_moves_in_the_limit(case: str) -> None:
    given = program(case, ADAM)
    task = driver.training(given.program, given._given(DATA))
    _, _, regime, moving = CASES[case]
    assert task.regime == regime
    assert {key[0] for key, w in task.weights.items() if w.active} == set(moving)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "optimizer", [ADAM, pytest.param("momentum(lr=0.2)", marks=pytest.mark.slow)]
)
def test_limits_against_widths(case: str, optimizer: str) -> None:
    given = program(case, optimizer)
    limit = given.limit(samples=1024, data=DATA)
    found = given.verify((64, 256, 1024), seeds=16, limit=limit, data=DATA)
    assert found.holds, found
    moved = np.asarray(found.outputs[0].limit)
    assert np.abs(moved[-1] - moved[0]).max() > 0.05


def test_what_moves_changes_the_limit() -> None:
    limits = {
        c: np.asarray(program(c, ADAM).limit(samples=256, replicates=4, data=DATA)["f"])[-1]
        for c in list(CASES)[:4]
    }
    names = list(limits)
    for k, first in enumerate(names):
        for second in names[:k]:
            assert np.abs(limits[first] - limits[second]).max() > 0.01


def test_redundant_exponents_have_one_limit() -> None:
    """(a, b, c, d) -> (a + h, b - h, c - h, d + h) changes nothing (Prop 2.2.3)."""
    moved = program("exponents moved to weights", ADAM).limit(samples=256, replicates=4, data=DATA)
    plain = nexort.loads(
        TEXT.replace("{ TABLE }", "mup").replace("START", "").replace("OPTIMIZER", ADAM)
    ).limit(samples=256, replicates=4, data=DATA)
    for name in ("f", "features"):
        np.testing.assert_allclose(np.asarray(moved[name]), np.asarray(plain[name]), atol=1e-6)
