"""Limits that lie outside of the theorem say so; those inside do not."""

import pytest

from nexort.api import loads

NOISE = """
vector v ~ rademacher(1)
matrix W ~ N(0, 1/n)
|x> = E{1}[cos(|v> * |v>{1} - 1.12 * |v>{1}) * |v>{1}]
|y> = sign(W |x>)
output <y|y>, <x|x>
"""

SYMMETRIC = """
vector v ~ N(0, 1)
|y> = step(|v> * <1|v>)
output <y|y>, <v|v>
"""

ZERO_AT_EVERY_WIDTH = """
vector v ~ N(0, 1)
matrix W ~ N(0, 1/n)
data xi[2] = [0, 1]
|h> = W |v> * xi
|x> = sign(|h>) + relu'(|h>)
output <x|x>, <h|h>
"""


@pytest.mark.parametrize("text", [NOISE, SYMMETRIC])
def test_a_jump_of_what_vanishes_is_doubtful(text: str) -> None:
    jump, other = loads(text).limit(samples=512).values()
    assert "outside of the theorem: '|y>' applies" in jump.method
    assert "outside" not in other.method


def test_a_jump_of_zero_is_not() -> None:
    for value in loads(ZERO_AT_EVERY_WIDTH).limit(samples=512).values():
        assert "outside" not in value.method
