"""Kernels against those of neural-tangents, stored by tests/benchmarks/reference_kernels.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nexort

STORED = json.loads((Path(__file__).parent / "neural_tangents.json").read_text())
INPUTS = np.array(STORED["inputs"]).T
PROGRAMS = Path(__file__).parents[2] / "programs"


def program(name: str) -> nexort.api.TensorProgram:
    """The program of a stored network."""
    if name == "residual":
        return nexort.load(PROGRAMS / "residual.nxt")
    activation, biases = name.split(", sigma_b=")
    text = (PROGRAMS / "perceptron.nxt").read_text()
    assert text.count("phi(z) = erf(z)") == 1
    text = text.replace("phi(z) = erf(z)", f"phi(z) = {activation}(z)")
    return nexort.loads(text, sigma_b=float(biases))


@pytest.mark.parametrize("name", sorted(STORED["kernels"]))
def test_kernels_are_those_of_neural_tangents(name: str) -> None:
    found = program(name).kernel(INPUTS)
    for output, stored in STORED["kernels"][name].items():
        np.testing.assert_allclose(found[output], stored, rtol=1e-12, atol=1e-13)
