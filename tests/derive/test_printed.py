"""What is printed is what is computed: pages read back by an independent reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import generate
import numpy as np
import pytest
import single_outputs
from reader import latex, page
from reader.compare import disagreements

import nexort
from nexort.support.diagnostics import NexortError

ROOT = Path(__file__).parents[2]
NAMES = sorted(x.stem for x in (ROOT / "programs").glob("*.nxt"))
QUICK = ("correlated", "layernorm", "mlp", "perceptron")
SLOW = ("adafactor", "outer_order1", "outer_order2", "outer_order3", "recurrent_ntk", "semicircle")
GOOD = sorted((ROOT / "tests" / "cases" / "good").glob("*.nxt"))
SIZES = {"d": 2, "M": 2, "T": 3}


def data_of(program: nexort.TensorProgram) -> dict[str, Any]:
    """Normal numbers for data without values."""
    rng = np.random.default_rng(1)
    return {
        name: rng.standard_normal([SIZES.get(a.name, a.size or 2) for a in data.axes])
        for name, data in program.program.data.items()
        if data.default is None
    }


def checked(program: nexort.TensorProgram, data: dict[str, Any] | None = None) -> None:
    """Nothing printed differs from the limit."""
    limit = program.limit(samples=512, data=data or {})
    assert disagreements(program, data, limit=limit) == []


@pytest.mark.parametrize("name", QUICK)
def test_programs(name: str) -> None:
    program = nexort.load(ROOT / "programs" / f"{name}.nxt")
    checked(program, data_of(program))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n not in (*QUICK, *SLOW)])
def test_all_programs(name: str) -> None:
    program = nexort.load(ROOT / "programs" / f"{name}.nxt")
    if program.program.training is None:
        checked(program, data_of(program))


@pytest.mark.parametrize("seed", range(2))
def test_single_outputs(seed: int) -> None:
    checked(nexort.loads(single_outputs.program(seed)))


def test_closed_forms_where_a_variance_is_zero() -> None:
    """c / sqrt(p q) is 0 where p q is, and the page says so."""
    lines = "data x[1, 2] = [[0, 1]]\nvector u[1] ~ N(0, 1)\n|h> = |u> @ x\n"
    lines += "|r> = relu(|h>)\n|m> = abs(|h>)\n|s> = sign(|h>)\n|g> = step(|h>)\n"
    program = nexort.loads(lines + "output <r|r>, <m|m>, <s|s>, <g|g>, <r|g>")
    assert "where 0/0 is 0:" in program.derive().text()
    checked(program)
    text = nexort.loads("vector v ~ N(0, 1)\n|y> = exp(|v>)\noutput <y|y>").derive().text()
    assert "0/0" not in text


def test_parts_of_a_family_with_sums_in_some_of_its_rules() -> None:
    """W[l]^T |x[l]> under a sum has an index more than W[l+1]^T |x[l+1]>."""
    text = """
    param L = 3
    matrix W[1..L] ~ N(0, 1/n)
    vector a ~ N(0, 1)
    |x[L]> = |a>
    for l in L-1..1 { |x[l]> = erf(W[l+1]^T |x[l+1]>) }
    |x[0]> = erf(sum(l in 1..L) W[l]^T |x[l]>)
    output <x[0]|x[0]>, <x[0]|x[1]>
    """
    checked(nexort.loads(text))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 14))
def test_more_single_outputs(seed: int) -> None:
    checked(nexort.loads(single_outputs.program(seed)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_random_programs(seed: int) -> None:
    program = nexort.loads(generate.program(seed).text)
    try:
        program.derive()
    except NexortError as problem:
        assert "not-derivable" in str(problem)  # noqa: PT017
        return
    checked(program)


@pytest.mark.parametrize("name", NAMES)
def test_trainings_and_all_pages_are_readable_and_define_their_symbols(name: str) -> None:
    limits = nexort.load(ROOT / "programs" / f"{name}.nxt").derive()
    if not limits.derivation.regime:
        text = page.read(limits.text())
        assert set(text.sections) == set(latex.read(limits.latex(), text.axes).sections)
    else:
        latex.translate_all(limits.latex())  # braces match, no script is double
        assert limits.derivation.undefined == ()


@pytest.mark.slow
@pytest.mark.parametrize("path", GOOD, ids=lambda x: x.stem)
def test_real_architectures_are_readable(path: Path) -> None:
    try:
        limits = nexort.load(path).derive()
    except NexortError:
        return  # refused, with the reason
    if limits.derivation.regime:
        latex.translate_all(limits.latex())
        assert limits.derivation.undefined == ()
    else:
        text = page.read(limits.text())
        assert set(text.sections) == set(latex.read(limits.latex(), text.axes).sections)


# ---- the reader finds what is wrong --------------------------------------------------------------

BROKEN = [
    ("last = ⟨x^L|x^L⟩", "last = ⟨x^0|x^L⟩"),
    ("c^i       = ⟨x^i|x^i⟩", "c^i       = ⟨x^i|x^i⟩²"),
    ("⟨x^0|x^0⟩ = 1", "⟨x^0|x^0⟩ = 2"),
    ("Cov(|v⟩, |v⟩) = 1", "Cov(|v⟩, |v⟩) = 2"),
    ("|x^l⟩ = tanh(|z^l⟩)", "|x^l⟩ = tanh(|z^{l−1}⟩)"),
]
TEXT = """
param L = 3
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
|x[0]> = |v>
for l in 1..L { |x[l]> = tanh(W |x[l-1]>) }
c[i] = <x[i]|x[i]> for i in 0..L
last = c[L]
r[i] = c[i] / c[i-1] for i in 1..L
output last, r
"""


@pytest.mark.parametrize(("before", "after"), BROKEN)
def test_a_wrong_page_is_noticed(before: str, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = nexort.loads(TEXT)
    right = program.derive().text()
    assert before in right
    real = page.read
    monkeypatch.setattr(page, "read", lambda text: real(text.replace(before, after)))
    try:
        found = disagreements(program, forms=("text",))
    except Exception:
        return
    assert found
