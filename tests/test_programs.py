"""Every program in programs/: checked, formatted, its limit against a known answer, and against
finite width (exact, sampled and simulated: three routes that share no code)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from answers import ANSWERS, DATA

import nexort
from nexort.support.diagnostics import Source
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

PROGRAMS = Path(__file__).parents[1] / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.nxt"))
WIDTHS = {
    "outer_order2": (32, 64, 128),
    "outer_order3": (12, 16, 24, 32),
    # updates are nearly signs, of relu's gradients: means are off by n^(-1/2)
    "figure_5_1": (512, 1024, 2048),
    # at width 64 means are off by more than the next power of n^(-1/2) explains
    "figure_5_2": (256, 1024, 2048),
}


def test_every_program_has_an_answer() -> None:
    assert sorted(ANSWERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_header_and_format(name: str) -> None:
    text = (PROGRAMS / f"{name}.nxt").read_text()
    head = text.split("\n\n", 1)[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "Reference:" in head
    module = parse(Source(name, text))
    assert format_module(module) == text
    assert parse(Source(name, format_module(module))) == module


@pytest.mark.parametrize("name", NAMES)
def test_limit_is_the_known_answer(name: str) -> None:
    """Within 4.5 standard errors, entry by entry: a false alarm in 10^5 entries."""
    limit = nexort.load(PROGRAMS / f"{name}.nxt").limit(data=DATA.get(name))
    for output, answer in ANSWERS[name]().items():
        known, doubt = answer if isinstance(answer, tuple) else (answer, 0.0)
        known = np.asarray(known, dtype=float)
        value, error = np.asarray(limit[output]), np.hypot(limit[output].error, doubt)
        assert value.shape == known.shape
        told = np.isfinite(known)
        off = np.abs(value - known)[told]
        # 1e-9: what the answer itself is computed to
        assert (off <= 4.5 * error[told] + 1e-9 * np.abs(known[told]).max()).all(), (output, off)
        assert (error[told] <= 0.02 * np.abs(known[told]).max() + 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_finite_widths_converge_to_the_limit(name: str) -> None:
    program = nexort.load(PROGRAMS / f"{name}.nxt")
    trained = program.program.training is not None
    widths = WIDTHS.get(name, (64, 256, 1024) if trained else (128, 256, 512, 1024))
    # universality's second law has a tenth moment near 10^6: three moments of it need many runs
    seeds = 16 if name == "figure_5_1" else 48
    found = program.verify(widths, seeds=seeds, data=DATA.get(name))
    assert found.holds, found
