"""The same program written differently has the same verdict and the same table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from random_blocks import program
from rewriting import rewritten

from nexort.data.given import Given
from nexort.driver import compile_source
from nexort.parametrization.classification import classify_subject
from nexort.parametrization.practice import practice
from nexort.parametrization.subject import Subject, in_regime, subject
from nexort.support.diagnostics import Source

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "tests/cases/good").glob("model-*.nxt"))
PROGRAMS = [
    ROOT / f"programs/{name}.nxt"
    for name in ("mup_mlp_adam", "ntp_mlp_adam", "figure_5_1", "figure_5_2")
]
FEW = ("model-lora-finite", "model-lora-plus", "model-moe-top1", "model-mlp-outbias")


def read(text: str) -> Subject:
    """The network of a program."""
    return subject(compile_source(Source("<program>", text)), Given({}, {}))


def said(found: Subject) -> tuple[str, Counter[tuple[object, ...]], list[tuple[object, ...]]]:
    """The verdict, the table's rows without names, and the repair's numbers."""
    judged = classify_subject(found)
    rows = practice(found, None, "mup-package").rows
    changes = sorted((x.exponent, x.old, x.new) for x in judged.changes or ())
    table = Counter((r.part, r.std, r.multiplier, r.rate, r.epsilon, r.decay) for r in rows)
    return judged.verdict, table, changes


def agree(text: str, seed: int, regimes: tuple[str, ...]) -> None:
    """The program and the same rewritten."""
    other = rewritten(text, seed)
    one, two = read(text), read(other)
    assert said(one) == said(two), other
    for regime in regimes:
        assert said(in_regime(one, regime)) == said(in_regime(two, regime)), (regime, other)


@pytest.mark.parametrize("name", FEW)
def test_models(name: str) -> None:
    agree((ROOT / f"tests/cases/good/{name}.nxt").read_text("utf-8"), 1, ())


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed: int) -> None:
    agree(program(seed), seed, ())


@pytest.mark.slow
@pytest.mark.parametrize("path", [*MODELS, *PROGRAMS], ids=lambda p: p.stem)
def test_every_model(path: Path) -> None:
    agree(path.read_text("utf-8"), 3, ())


@pytest.mark.slow
def test_many_random_networks() -> None:
    for seed in range(100, 130):
        agree(program(seed), seed, ("ntp",) if seed % 5 else ("sp",))
