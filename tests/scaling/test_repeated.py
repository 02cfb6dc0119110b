"""Deep networks: their sizes are those of a few rounds of their loops."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nexort.data.given import Given
from nexort.driver import compile_source
from nexort.parametrization import repeated
from nexort.parametrization.classification import classify_subject
from nexort.parametrization.subject import Subject, subject
from nexort.support.diagnostics import Source

CASES = Path(__file__).parents[1] / "cases"
BLOCKS = """\
param L = DEPTH
dim d, M
data xi[d, M]
network f(xi) {
  weight u : vector[d]
  weight U[1..L] : matrix
  weight D[1..L] : matrix ~ N(0, 0)
  weight g[1..L] : vector ~ N(1, 0)
  weight v : vector
  |x[0]> = |u> @ xi
  for l in 1..L {
    |z[l]> = |x[l-1]> / sqrt(diag(<x[l-1]|x[l-1]>) + 0.01) * |g[l]>
    |x[l]> = |x[l-1]> + D[l] tanh(U[l] |z[l]>)
  }
  return <v|x[L]>
}
train f { parametrization TABLE; optimizer adam(lr=0.1, eps=0.01); error f; steps 2 }
"""
MUP = (
    "{ u: a=0, b=0, c=0, d=1; U: a=0, b=1/2, c=RATE, d=1; D: a=0, b=1/2, c=1, d=1; "
    "g: a=0, b=0, c=0, d=1; v: a=0, b=0, c=0, d=1; out: a=1 }"
)


def blocks(depth: int, table: str = "mup") -> Subject:
    """Residual blocks that start at 0."""
    text = BLOCKS.replace("DEPTH", str(depth)).replace("TABLE", table)
    return subject(compile_source(Source("<blocks>", text)), Given({}, {}))


@pytest.mark.parametrize("rate", ["1", "3/2"])
def test_few_rounds_say_what_all_do(rate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(8, MUP.replace("RATE", rate))
    whole = classify_subject(found)
    monkeypatch.setattr(repeated, "LARGE", 1)
    few = classify_subject(found)
    assert few.verdict == whole.verdict
    assert few.table == whole.table
    assert any("sizes are those of L = 3" in note for note in few.notes)
    assert not any("sizes are those" in note for note in whole.notes)


def test_members_that_differ_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "LARGE", 1)
    one = MUP.replace("RATE", "1").replace("D:", "U[7]: a=0, b=1/2, c=0, d=1; D:")
    found = classify_subject(blocks(8, one))
    assert found.verdict == "unstable"
    assert found.changes is not None
    assert [(x.layer, x.exponent, x.new) for x in found.changes] == [("U[7]", "c", 1)]


@pytest.mark.slow
def test_a_transformers_cost_is_that_of_a_few_blocks() -> None:
    """Of the counting; the rows of the table take linear time."""
    text = (CASES / "cost-gpt2-scaling.nxt").read_text("utf-8")
    times = []
    for depth in (3, 24):
        program = compile_source(
            Source("<gpt2>", text.replace("param L = 3", f"param L = {depth}"))
        )
        found = subject(program, Given({}, {}))
        start = time.process_time()
        assert classify_subject(found).verdict == "feature learning"
        times.append(time.process_time() - start)
    assert times[0] < 5
    assert times[1] < 5 * times[0] + 1
