"""Laws of matrix entries."""

import pytest

import nexort
from nexort import NexortError

TEXT = """
fn f(z) = BODY
matrix W ~ law(f, 1/n)
vector v ~ N(0, 1)
|x> = W |v>
output <x|x> as s
"""


@pytest.mark.parametrize(
    "body", ["sign(z)", "(z^3 - 3 * z) / sqrt(6)", "(abs(z) - sqrt(2/pi)) / sqrt(1 - 2/pi)"]
)
def test_standardized_laws_pass(body: str) -> None:
    program = nexort.loads(TEXT.replace("BODY", body))
    assert float(program.limit()["s"]) == pytest.approx(1)
    assert float(program.simulate(512, 8)["s"]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("body", ["2 * z", "relu(z)", "1 / z"])
def test_other_laws_are_refused(body: str) -> None:
    with pytest.raises(NexortError, match="expected 0 and 1"):
        nexort.loads(TEXT.replace("BODY", body)).limit()
