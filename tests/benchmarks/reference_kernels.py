"""Kernels by neural-tangents, stored for an ordinary test that does not need it:

    python tests/benchmarks/reference_kernels.py   # writes tests/exact/neural_tangents.json

Made with neural-tangents 0.6.5, jax and jaxlib 0.4.35, in float64. neural-tangents is no dependency
of nexort: install it in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

jax.random.KeyArray = jax.Array  # what neural-tangents 0.6.5 expects
jax.config.update("jax_enable_x64", True)

from neural_tangents import stax  # noqa: E402

STORED = Path(__file__).parents[1] / "exact" / "neural_tangents.json"
INPUTS = np.round(np.random.default_rng(5).standard_normal((6, 8)), 3)
ACTIVATIONS = {
    "relu": stax.Relu,
    "erf": stax.Erf,
    "gelu": lambda: stax.Gelu(approximate=False),
}


def perceptron(activation: str, biases: float) -> Any:
    """programs/perceptron.nxt at L = 3 and sigma_w = 1.5."""
    layers = [stax.Dense(1, 1.5, biases), ACTIVATIONS[activation]()] * 3
    return stax.serial(*layers, stax.Dense(1, 1.5, biases))


def residual() -> Any:
    """programs/residual.nxt."""
    branch = stax.serial(stax.Relu(), stax.Dense(1, 0.8))
    block = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum())
    return stax.serial(stax.Dense(1), block, block, block, stax.Relu(), stax.Dense(1))


def main() -> None:
    """Write the inputs (input by entry) and both kernels of every network."""
    networks = {
        f"{name}, sigma_b={biases}": perceptron(name, biases)
        for name in ACTIVATIONS
        for biases in (0.0, 0.3)
    } | {"residual": residual()}
    kernels = {}
    for name, (_, _, kernel) in networks.items():
        found = kernel(INPUTS, None, ("nngp", "ntk"))
        kernels[name] = {"nngp": np.asarray(found.nngp).tolist(),
                         "ntk": np.asarray(found.ntk).tolist()}  # fmt: skip
    stored = {"made by": "tests/benchmarks/reference_kernels.py", "inputs": INPUTS.tolist(),
              "kernels": kernels}  # fmt: skip
    STORED.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
