"""Derived formulas are right: their values against samples of the limit, which share no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from derivation_cases import CASES
from derivation_values import evaluate

from nexort.data.arrays import from_array
from nexort.data.given import Given
from nexort.driver import compile_source, read, unroll
from nexort.driver import derive as driven
from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.derive import derive
from nexort.limit.evaluate import evaluate as sampled
from nexort.limit.settings import Settings
from nexort.program.numbers import resolve
from nexort.program.program import Program
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import Report, Source

PROGRAMS = Path(__file__).parents[2] / "programs"
RNG = np.random.default_rng(7)
INPUTS = RNG.standard_normal((5, 3))
SEQUENCES = RNG.standard_normal((3, 2, 2))

CLOSED: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "mlp": ({"L": 3}, {"xi": INPUTS}),
    "digits": ({"L": 4}, {"xi": INPUTS}),
    "perceptron": ({}, {"xi": INPUTS}),
    "residual": ({}, {"xi": INPUTS}),
    "shared_branch": ({}, {"xi": INPUTS}),
    "skip_activation": ({}, {"xi": INPUTS}),
    "layernorm": ({}, {}),
    "layernorm_ntk": ({}, {"xi": INPUTS}),
    "recurrent": ({}, {}),
    "recurrent_ntk": ({}, {"xi": SEQUENCES}),
    "autoencoder": ({}, {}),
    "correlated": ({}, {}),
    "wishart": ({}, {}),
    "semicircle": ({"K": 3}, {}),
    "free_product": ({"K": 3}, {}),
    "universality": ({}, {}),
}


def setting(
    program: Program, numbers: Mapping[str, int], data: Mapping[str, Any]
) -> tuple[Unrolled, dict[str, int | float]]:
    """The unrolled program to sample, and the numbers of all params."""
    given = Given(numbers, {k: from_array(k, v) for k, v in data.items()})
    params, _ = resolve(program, numbers, Report())
    return unroll(program, given), dict(params)


def values(
    derivation: Derivation, unrolled: Unrolled, params: Mapping[str, int | float]
) -> dict[str, Any]:
    return evaluate(derivation, params, unrolled.sizes, unrolled.data)


def agrees(program: Program, numbers: Mapping[str, int], data: Mapping[str, Any]) -> None:
    """Within five standard errors of the sampled limit, entry by entry."""
    derivation = derive(program)
    assert derivation.closed
    unrolled, params = setting(program, numbers, data)
    limit = sampled(unrolled, Settings(exact=False, threads=1))
    for name, value in values(derivation, unrolled, params).items():
        expected = np.asarray(limit[name].value)
        allowed = 5 * np.asarray(limit[name].error) + 1e-9 * (1 + np.abs(expected))
        assert value.shape == expected.shape
        assert (np.abs(value - expected) <= allowed).all(), name


@pytest.mark.parametrize("name", CLOSED)
def test_programs_agree_with_samples(name: str) -> None:
    numbers, data = CLOSED[name]
    agrees(compile_source(read(PROGRAMS / f"{name}.nxt")), numbers, data)


@pytest.mark.parametrize("name", CASES)
def test_cases_agree_with_samples(name: str) -> None:
    agrees(compile_source(Source(f"{name}.nxt", CASES[name])), {}, {})


@pytest.mark.parametrize("name", ["mlp", "recurrent", "wishart", "skip_activation"])
def test_the_unrolled_form_has_the_same_values(name: str) -> None:
    """Every index its own rule, no ranges and offsets: another way through the engine."""
    numbers, data = CLOSED[name]
    if name == "wishart":
        numbers = {"K": 4}
    program = compile_source(read(PROGRAMS / f"{name}.nxt"))
    unrolled, params = setting(program, numbers, data)
    folded = values(derive(program), unrolled, params)
    sizes = {k: v for k, v in unrolled.sizes.items() if k in program.dims}
    single = driven(program, Given({**numbers, **sizes}, {}), unroll=True)
    flat = values(single, unrolled, params)
    for name_, value in folded.items():
        parts = [v for k, v in flat.items() if k == name_ or k.startswith(f"{name_}[")]
        assert np.allclose(np.stack(parts).reshape(value.shape), value, rtol=1e-11, atol=1e-12)


def test_known_numbers() -> None:
    """Catalan numbers, and an accuracy that samples do not have."""
    program = compile_source(read(PROGRAMS / "wishart.nxt"))
    unrolled, params = setting(program, {}, {})
    found = values(derive(program), unrolled, params)["m"]
    assert found.tolist() == [1, 2, 5, 14, 42, 132, 429, 1430]


def test_a_wrong_dot_is_seen() -> None:
    """The comparison has teeth: without the dot the autoencoder is far off."""
    program = compile_source(read(PROGRAMS / "autoencoder.nxt"))
    derivation = derive(program)
    without = tuple(
        replace(e, right=e.right.factors[0]) if hasattr(e.right, "factors") else e
        for e in derivation.equations
    )
    broken = replace(derivation, equations=without)
    unrolled, params = setting(program, {}, {})
    right = values(derivation, unrolled, params)["<x|y>"]
    assert abs(values(broken, unrolled, params)["<x|y>"] - right) > 0.1
