"""Verdicts on random networks, many parts of which start at 0, against networks of finite width:
sizes grow with n where a rate is too large, and only there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from random_blocks import program

import nexort
from nexort.coordcheck.fit import fit
from nexort.coordcheck.measure import measure_training
from nexort.coordcheck.tasks import shorten_training
from nexort.data.given import Given
from nexort.driver import compile_source
from nexort.parametrization import Classification
from nexort.support.diagnostics import Source

WIDTHS = (32, 64, 128, 256)
OPTIMIZERS = ("sgd(lr=0.2)", "adam(lr=0.1, eps=1e-4)")
HALF = Fraction(1, 2)


def classified(text: str) -> Classification:
    """The verdict on a program."""
    found = nexort.classify(nexort.loads(text))
    assert isinstance(found, Classification)
    return found


def faster(text: str, weight: str, by: Fraction) -> str:
    """The program in muP, the learning rate of a weight n^by times larger."""
    known = classified(text).table
    rows = []
    for layer, e in zip(known.layers, known.exponents, strict=True):
        c = e.c - (by if layer.name == weight else 0)
        rows.append(f"{layer.name}: a={e.a}, b={e.b}, c={c}, d={e.d}")
    table = f"{{ {'; '.join(rows)}; out: a={known.out} }}"
    return text.replace("parametrization mup", f"parametrization {table}")


def growth(text: str) -> tuple[float, float]:
    """The largest power of n, less two standard errors, in vectors and f over five steps, and that
    in the change of f."""
    task = shorten_training(compile_source(Source("<random>", text)), Given({}, {}), 5)
    found = measure_training(task, WIDTHS, 4)
    most, moves = -np.inf, np.nan
    for q, squares in found.squares.items():
        if q.what not in ("size", "change") or q.tensor.role not in ("ket", "output"):
            continue
        power = fit(WIDTHS, squares)
        if np.isfinite(power.exponent):
            most = max(most, power.exponent - 2 * power.error)
        if q.what == "change" and q.tensor.role == "output":
            moves = power.exponent
    return most, moves


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 208))
def test_what_is_good_neither_grows_nor_stays(seed: int) -> None:
    text = program(seed, OPTIMIZERS[seed % 2])
    assert classified(text).verdict == "feature learning", text
    most, moves = growth(text)
    assert most < 0.15, text
    assert abs(moves) < 0.35, text


# two steps in which nothing of a rate is seen: what starts at 0 hides it
HIDDEN = {
    "down, then up": """
      weight up : matrix
      weight down : matrix ~ N(0, 0)
      weight head : vector ~ N(0, 0)
      |x> = |emb> @ xi
      |z> = |x> + down relu(up |x>)
      return <head|z>""",
    "a gate of 0": """
      weight up : matrix
      weight gate : scalar = 0
      weight head : vector ~ N(0, 0)
      |x> = |emb> @ xi
      |z> = |x> + gate * (up relu(|x>))
      return <head|z>""",
    "two that start at 0": """
      weight up : matrix
      weight down : matrix ~ N(0, 0)
      weight last : matrix ~ N(0, 0)
      weight head : vector
      |x> = |emb> @ xi
      |w> = |x> + down relu(up |x>)
      |z> = |w> + last relu(|w>)
      return <head|z>""",
}


@pytest.mark.parametrize(
    "name", [next(iter(HIDDEN)), *(pytest.param(x, marks=pytest.mark.slow) for x in [*HIDDEN][1:])]
)
def test_a_rate_that_is_hidden_at_first(name: str) -> None:
    head, _, rest = program(0).partition("network f(xi) {\n")
    train = rest[rest.index("train f") :].replace("lr=0.1", "lr=0.3")
    text = f"{head}network f(xi) {{ weight emb : vector[d]{HIDDEN[name]}\n}}\n{train}"
    assert classified(text).verdict == "feature learning"
    wrong = faster(text, "up", HALF)
    assert classified(wrong).verdict == "unstable"
    assert growth(text)[0] < 0.15
    assert growth(wrong)[0] > 0.15
