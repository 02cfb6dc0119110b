"""The programs of programs/ that must be exact: their method, and their known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from answers import ANSWERS, DATA

import nexort

PROGRAMS = Path(__file__).parents[2] / "programs"

EXACT = {
    "wishart": 1e-13, "semicircle": 1e-13, "free_product": 1e-13, "universality": 1e-13,

    "mlp": 1e-12, "digits": 1e-12,
    "layernorm": 1e-13, "correlated": 1e-13, "recurrent": 1e-13,
    # quadrature of the answers to 1e-12
    "autoencoder": 2e-9,
}  # fmt: skip
"""Relative tolerances."""

SAMPLED = ("outer_order1", "outer_order2", "symmetric_sign", "symmetric_tanh")


@pytest.mark.parametrize("name", EXACT)
def test_exact_answers(name: str) -> None:
    limit = nexort.load(PROGRAMS / f"{name}.nxt").limit(data=DATA.get(name))
    for output, answer in ANSWERS[name]().items():
        value, known = limit[output], np.asarray(answer, dtype=float)
        assert "sampled" not in value.method
        off = np.abs(value.plain - known).max()
        assert off <= EXACT[name] * np.abs(known).max(), output
        assert value.error.max() <= max(1e-7, EXACT[name]) * np.abs(known).max()


@pytest.mark.parametrize("name", ["mlp", "digits"])
def test_perceptrons_off_the_diagonal(name: str) -> None:
    """To 1e-12, where the known answer is that accurate."""
    limit = nexort.load(PROGRAMS / f"{name}.nxt").limit(data=DATA.get(name))
    for output, answer in ANSWERS[name]().items():
        off = np.abs(limit[output].plain - answer)
        np.fill_diagonal(off, 0)
        assert off.max() <= 1e-12 * np.abs(answer).max()
        assert limit[output].method == "exact: closed form"


@pytest.mark.parametrize("name", SAMPLED)
def test_what_is_not_exact_says_so(name: str) -> None:
    limit = nexort.load(PROGRAMS / f"{name}.nxt").limit(samples=64, data=DATA.get(name))
    assert all(v.method.startswith("sampled") for v in limit.values())


@pytest.mark.parametrize("name", EXACT)
def test_sampling_is_a_second_route(name: str) -> None:
    program = nexort.load(PROGRAMS / f"{name}.nxt")
    data = DATA.get(name)
    exact = program.limit(data=data)
    sampled = program.limit(exact=False, samples=1024, data=data)
    for output, value in exact.items():
        other = sampled[output]
        assert other.method.startswith("sampled")
        bound = 5 * other.error + value.error + 1e-12
        assert (np.abs(value.plain - other.plain) <= bound).all(), output


def test_long_chains_are_exact() -> None:
    """Forms over many atoms: the 60th Catalan number."""
    from math import comb

    moments = nexort.load(PROGRAMS / "wishart.nxt", K=60).limit()["m"]
    known = [comb(2 * k, k) // (k + 1) for k in range(1, 61)]
    np.testing.assert_allclose(moments, [float(k) for k in known], rtol=1e-13)


def test_compositions_of_thousands_of_lines_are_exact() -> None:
    lines = ["vector v ~ N(0, 1)", "|x0> = |v>"]
    lines += [f"|x{k + 1}> = 0.5 * |x{k}> + 1" for k in range(4000)]
    lines += ["|y0> = |v>"] + [f"|y{k + 1}> = tanh(|y{k}>)" for k in range(1000)]
    found = nexort.loads("\n".join([*lines, "output <x4000|x4000> as f, <y1000|y1000> as g"]))
    limit = found.limit()
    assert abs(float(limit["f"]) - 4) <= float(limit["f"].error) < 1e-12
    # y_k^2 tends to 3 / (2 k)
    assert 0 < 1 - float(limit["g"]) / (3 / 2000) < 0.05


def test_deep_networks_are_exact() -> None:
    data = DATA["mlp"]
    deep = nexort.load(PROGRAMS / "mlp.nxt", L=100).limit(data=data)
    from answers import perceptron

    known = perceptron(np.asarray(data["xi"]), depth=100)
    for name, value in deep.items():
        assert np.isfinite(value).all()
        np.testing.assert_allclose(np.diag(value), np.diag(known[name]), rtol=1e-12)
