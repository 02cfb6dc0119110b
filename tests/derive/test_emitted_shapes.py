"""Emitted functions have the shape of all that they are given, whatever they read of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nexort
from nexort import NexortError

JUMPS = """
dim M = 3
data xi[M] = [1, -2, 0]
vector u[M] ~ N(0, 1)
|x> = %s(|u> * xi)
output <x|x> as o, <1|x> as m
"""
FUNCTIONS = ("hardtanh", "relu6", "elu", "selu", "hardswish", "step")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_also_where_a_variance_is_0(function: str) -> None:
    program = nexort.loads(JUMPS % f"{function}")
    space: dict[str, Any] = {}
    exec(program.emit(), space)
    found = space["limit"](xi=np.array([1.0, -2.0, 0.0]))
    for name, result in program.limit().items():
        assert np.shape(found[name]) == result.shape
        assert found[name] == pytest.approx(np.asarray(result), abs=1e-12)


def test_values_at_0_that_no_side_has_stay_open() -> None:
    """sign(u) sign(tanh(u)) is 1 but at 0, where it is 0."""
    program = nexort.loads(
        JUMPS % "sign" + "|y> = |x> * tanh(|x>)\n|z> = sign(|y>)\noutput <z|z>\n"
    )
    with pytest.raises(NexortError, match="not-closed"):
        program.emit()
