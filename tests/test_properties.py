"""Properties of random texts and random programs.

Damaged texts never raise anything but NexortError, in bounded time. Random well-typed programs
check, also when formatted; their limits agree with finite widths; simplification changes nothing.
"""

from __future__ import annotations

import random
import time
from functools import cache
from pathlib import Path

import generate
import numpy as np
import pytest
from agreement import SUSPECT, deviations, disagreements
from mutate import mutated

from nexort import driver
from nexort.api import TensorProgram, loads
from nexort.data.given import Given
from nexort.finite import simulate
from nexort.limit.dots import sources_of_dots
from nexort.limit.estimate import LimitValue
from nexort.limit.evaluate import evaluate
from nexort.limit.sample import plan
from nexort.limit.settings import Settings
from nexort.program.nodes import Node
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import NexortError, Source
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

HERE = Path(__file__).parent
NOTHING = Given({}, {}, max_instructions=20_000)
SECONDS = 30
"""Of processor time, for a text of a few lines."""

# ---- damaged texts -------------------------------------------------------------------------------


@cache
def originals() -> list[str]:
    """The programs, and the golden files that are wrong already."""
    programs = sorted((HERE.parent / "programs").glob("*.nxt"))
    golden = sorted((HERE / "golden" / "errors").glob("*.nxt"))
    return [path.read_text("utf-8") for path in [*programs * 4, *golden]]


def survives(text: str) -> None:
    """Checked and unrolled, or refused with diagnostics; never anything else."""
    start = time.process_time()
    found = None
    try:
        program = driver.compile_source(Source("damaged.nxt", text))
        driver.check(program, NOTHING)
        driver.unroll(program, NOTHING)
    except NexortError as error:
        found = error
    assert found is None or (found.diagnostics and str(found))
    assert time.process_time() - start < SECONDS


def mutation(seed: int) -> str:
    rng = random.Random(seed)
    return mutated(rng, rng.choice(originals()))


@pytest.mark.parametrize("block", range(4))
def test_damaged_texts_are_refused_or_checked(block: int) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        survives(mutation(seed))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_damaged_texts_are_refused_or_checked(block: int) -> None:
    for seed in range(1000 + 300 * block, 1000 + 300 * (block + 1)):
        survives(mutation(seed))


@pytest.mark.parametrize("block", range(2))
def test_damaged_random_programs(block: int) -> None:
    """Small edits of well-typed programs reach the later stages more often."""
    for seed in range(40 * block, 40 * (block + 1)):
        rng = random.Random(seed)
        survives(mutated(rng, generate.program(seed).text))


# ---- random programs -----------------------------------------------------------------------------

SECOND_ORDER = 25
"""One program in so many has an outer nonlinearity of order two."""


def generated(seed: int) -> generate.Generated:
    return generate.program(seed, second_order=seed % SECOND_ORDER == 0)


def formatted(text: str) -> str:
    return format_module(parse(Source("generated.nxt", text)))


def test_the_generator_reaches_every_feature() -> None:
    found = [generated(seed) for seed in range(200)]
    features = set().union(*(g.features for g in found))
    assert features == {
        "axes", "copies", "dot", "down", "feedback", "loop", "matmul", "operator", "outer",
        "second order",
    }  # fmt: skip
    assert {g.order for g in found} == {0, 1, 2}


@pytest.mark.parametrize("block", range(4))
def test_random_programs_check_and_format(block: int) -> None:
    for seed in range(25 * block, 25 * (block + 1)):
        text = generated(seed).text
        once = formatted(text)
        assert formatted(once) == once
        assert loads(once).table() == loads(text).table()


def agrees(seed: int) -> None:
    """Both routes: exact where it can be, and sampled throughout."""
    found = generated(seed)
    exact = bool(seed % 2)
    assert disagreements(loads(found.text), found.order, exact=exact) == [], found.text


@pytest.mark.parametrize("seed", range(8))
def test_limits_agree_with_finite_widths(seed: int) -> None:
    agrees(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(12))
def test_many_limits_agree_with_finite_widths(block: int) -> None:
    for seed in range(1000 + 10 * block, 1000 + 10 * (block + 1)):
        agrees(seed)


# ---- sharpness -----------------------------------------------------------------------------------

TIED = """
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
|x> = tanh(W |v>)
|y> = W^T |x>
|z> = tanh(|y> + 0.5 * |v>)
output <v|z>, <z|z>, <1|z>
"""


@pytest.fixture
def no_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "sources_of_dots", _no_sources)


def _no_sources(roots: list[Node]) -> dict[Node, tuple[Node, ...]]:
    return dict.fromkeys(sources_of_dots(roots), ())


def test_with_dots_the_tied_program_agrees() -> None:
    assert disagreements(loads(TIED), 0, exact=False) == []


@pytest.mark.usefixtures("no_dots")
def test_a_dropped_dot_is_found() -> None:
    assert {d.output for d in disagreements(loads(TIED), 0, exact=False)} >= {"<v|z>", "<z|z>"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_dots")
def test_dropped_dots_are_found_in_random_programs() -> None:
    """Wherever they matter: most of the programs with tied matrices."""
    tied = [found for found in map(generated, range(30)) if "dot" in found.features]
    missed = [
        found
        for found in tied
        if max(d.errors for d in deviations(loads(found.text), found.order, exact=False)) <= SUSPECT
    ]
    assert len(missed) < len(tied) / 2


# ---- simplification ------------------------------------------------------------------------------


def plain(program: TensorProgram, monkeypatch: pytest.MonkeyPatch) -> Unrolled:
    """The unrolled program without simplification."""
    with monkeypatch.context() as patch:
        patch.setattr("nexort.transform.straight.simplify", lambda same: same)
        return program.unrolled()


def limits(program: Unrolled, order: int) -> dict[str, LimitValue]:
    return evaluate(program, Settings(samples=1024 if order < 2 else 256))


def simplifies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same simulation to roundoff, the same limit within errors.

    The limits share their sample points, so that 6 standard errors of both, plus what an order of
    sums changes, are never exceeded by chance.
    """
    found = generated(seed)
    program = loads(found.text)
    both = plain(program, monkeypatch), program.unrolled()
    runs = [simulate(p, 48, 3) for p in both]
    values = [limits(p, found.order) for p in both]
    for name, expected in runs[0].items():
        np.testing.assert_allclose(runs[1][name], expected, rtol=1e-7, atol=1e-9)
        a, b = values[0][name], values[1][name]
        apart = np.abs(a.value - b.value)
        assert (apart <= 6 * np.hypot(a.error, b.error) + 1e-7 * (1 + np.abs(a.value))).all()


@pytest.mark.parametrize("seed", [0, 3, 5, 8])
def test_simplification_keeps_values(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    simplifies(seed, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(6))
def test_simplification_keeps_many_values(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2000 + 10 * block, 2000 + 10 * (block + 1)):
        simplifies(seed, monkeypatch)


COPIES = """
vector x, y, z ~ N(0, 1)
|a> = E{1,2}[sin(|x> + |y>{1}) * |y>{1} * exp(-|z>{2}^2)]
|b> = E{1,2,3}[tanh(|x>{1} * |y>{1}) * |y>{2}^2 * cos(|x>{3} + |z>{3}) * |x>]
c = E{1,2}[|x>{1}^2 * 3 * |y>{2}^2]
|unused> = |a> + c
output <a|x>, <b|x>, c
"""


def test_independent_copies_factor_without_change(monkeypatch: pytest.MonkeyPatch) -> None:
    program = loads(COPIES)
    both = plain(program, monkeypatch), program.unrolled()
    runs = [simulate(p, 16, 3) for p in both]
    for name, expected in runs[0].items():
        np.testing.assert_allclose(runs[1][name], expected, rtol=1e-10)
    values = [evaluate(p, Settings(samples=512)) for p in both]
    for name, a in values[0].items():
        b = values[1][name]
        assert np.abs(a.value - b.value) <= 6 * np.hypot(a.error, b.error)
    for found in values:
        assert abs(found["c"].value - 3) <= 4 * found["c"].error
        assert found["c"].error < 0.1
