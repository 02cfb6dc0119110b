"""Formulas that are printed: outputs that are single members and entries, powers, letters."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from reader.compare import disagreements

import nexort

CASES = Path(__file__).parent
DATA = {"xi": np.random.default_rng(0).standard_normal((3, 2))}

LINES = {
    "one-member": ("kap1 = ⟨p^1|v⟩", "kap2 = ⟨p^2|v⟩"),
    "last-member": (
        "last = ⟨x^L|x^L⟩", "r^i = c^i/c^{i−1} (i = 1..L)", "c^i = ⟨x^i|x^i⟩ (i = 0..L)",
    ),
    "entry": ("entry = ⟨f_0|g_1⟩",),
    "diagonal": ("own_a = ⟨f_a|g_a⟩",),
    "transpose": ("swapped_ab = ⟨f_b|g_a⟩",),
    "power": ("variance = q^2 − (q^1)²",),
    "index-letters": ("|a_c⟩ = Σ_j ξ_jc |u_j⟩", "|b_c⟩ = relu(|a_c⟩)", "⟨a_c|a_e⟩ = Σ_j ξ_jc ξ_je"),
    "correlated": ("⟨x|f⟩ = E[1 − tanh(|g⟩)²] ⟨g|x⟩", "⟨g|g⟩ = 4", "⟨g|x⟩ = 3/2"),
}  # fmt: skip


def case(name: str) -> nexort.TensorProgram:
    return nexort.load(CASES / f"derive-{name}.nxt")


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str) -> None:
    shown = [re.sub(r"\s+", " ", x.strip()) for x in case(name).derive().text().split("\n")]
    for line in LINES[name]:
        assert line in shown


@pytest.mark.parametrize("name", [*LINES, "constants", "closed-forms", "deep-linear", "circular"])
def test_read_back(name: str) -> None:
    program = case(name)
    data = DATA if program.program.data and name != "circular" else {}
    if name == "circular":
        data = {**DATA, "one": np.ones(2)}
    limits = program.derive()
    assert limits.closed
    assert limits.derivation.undefined == ()
    assert disagreements(program, data) == []


def test_nothing_undefined_calls_itself_closed() -> None:
    limits = case("onsager").derive()
    assert not limits.closed
    assert "Without an equation: E[∂|f^{t−1}⟩/∂|ẑ1^s⟩], E[∂|f^{t−1}⟩/∂|ẑ2^s⟩]." in limits.text()


def test_vectors_declared_together_have_names_of_their_own() -> None:
    shown = case("correlated").derive().text()
    assert "(x, y)" not in shown
    assert "δ" not in shown


def test_powers_have_one_superscript() -> None:
    assert "(q^{1})^{2}" in case("power").derive().latex()
