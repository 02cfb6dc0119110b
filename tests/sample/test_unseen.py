"""What no sample point saw is in the error: jumps of kets that nearly coincide."""

from __future__ import annotations

import numpy as np

import nexort
from nexort.report.compare import verify

NEARLY = """
dim M = 2
vector u, v ~ N(0, 1)
data a[M] = [1, 1.0000257]
|x> = sign(|u> * a + 0.5 * |v>)
output <x|x> as f
"""


def test_signs_that_never_differ_in_a_sample() -> None:
    program = nexort.loads(NEARLY)
    truth = np.asarray(program.limit()["f"])
    found = program.limit(exact=False)["f"]
    assert truth[0, 1] < 1
    assert (np.abs(np.asarray(found) - truth) <= 2 * np.asarray(found.error)).all()
    assert (np.asarray(found.error) < 1e-3).all()


def test_signs_that_never_differ_at_finite_widths() -> None:
    program = nexort.loads(NEARLY)
    assert program.verify((64, 256), seeds=16).holds
    wrong = {"f": (np.asarray(program.limit()["f"]) - [[0, 0.02], [0.02, 0]], np.zeros((2, 2)))}
    runs = {n: program.runs(n, 16) for n in (64, 256)}
    assert not verify(wrong, runs, rare=program.jumping()).holds
