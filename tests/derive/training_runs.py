"""Trainings at a width, written once more: loops, gradients by complex steps, optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from reading import Reading
from training_networks import HEAD, MEANS, Case, Weights

from nexort.data.given import Given
from nexort.driver import compile_source, derive
from nexort.limit.derive.derivation import Derivation
from nexort.support.diagnostics import Source

WIDTH = 7
STEPS = 3
SIZES = {"d": 2, "M": 3, "e": 2, "T": 3}


def derived(text: str, **numbers: float) -> Derivation:
    return derive(compile_source(Source("test.nxt", text)), Given(numbers, {}))


# ---- optimizers, written once more ---------------------------------------------------------------


def adam(history: list[Any], beta1: float = 0.9, beta2: float = 0.999, eps: float = 0.1) -> Any:
    m: Any = 0
    v: Any = 0
    for g in history:
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
    t = len(history)
    return m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps**2)


def momentum(history: list[Any]) -> Any:
    return sum(0.9 ** (len(history) - 1 - s) * g for s, g in enumerate(history))


def sgd(history: list[Any]) -> Any:
    return history[-1]


def sign_sgd(history: list[Any]) -> Any:
    return history[-1] / np.sqrt(history[-1] ** 2 + 0.1**2)


OPTIMIZERS = {
    "adam": ("optimizer adam(lr=0.3, eps=0.1)", adam),
    "momentum": ("optimizer momentum(lr=0.3, beta=0.9)", momentum),
    "sgd": ("optimizer sgd(lr=0.3)", sgd),
    "sign_sgd": ("optimizer sign_sgd(lr=0.3, eps=0.1)", sign_sgd),
}


def program(case: Case, optimizer: str, parametrization: str, more: str = "") -> str:
    line = OPTIMIZERS[optimizer][0]
    return f"""{HEAD}{case.network}
train f {{
  parametrization {parametrization}
  {line}
  error {case.error}
  steps {STEPS}
  {more}
}}
output f
"""


def draw(case: Case) -> tuple[Weights, Weights]:
    """The initial weights, and the standard Gaussians of vectors that have a mean."""
    rng = np.random.default_rng(11)
    weights: Weights = {}
    noise: Weights = {}
    for (name, key), (kind, shape) in case.weights.items():
        deviation = case.deviations.get(name, 1.0)
        if kind == "matrix":
            weights[name, key] = deviation * rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
        elif kind == "vector":
            z = rng.standard_normal((WIDTH, *shape))
            weights[name, key] = MEANS.get(name, 0.0) + deviation * z
            if name in MEANS:
                noise["z" + name, key] = z
        else:
            weights[name, key] = np.float64(shape)
    return weights, noise


def slopes(case: Case, weights: Weights) -> dict[tuple[str, tuple[int, ...]], Any]:
    """d(sum of entries)/dw of every output, axes of the output last: by complex steps."""
    found: dict[tuple[str, tuple[int, ...]], Any] = {}
    for key, w in weights.items():
        w = np.asarray(w)  # noqa: PLW2901
        rows = []
        for at in np.ndindex(*w.shape):
            moved = w.astype(complex)
            moved[at] += 1e-30j
            rows.append(case.forward({**weights, key: moved}, WIDTH).sum(axis=0).imag / 1e-30)
        rows = np.array(rows)
        found[key] = rows.reshape(*w.shape, *rows.shape[1:])
    return found


def loop(
    case: Case,
    how: Callable[[list[Any]], Any],
    keep: Callable[[int], float] = lambda t: 1.0,
    rate: Callable[[int], float] = lambda t: 0.3,
    centre: bool = False,
    own: Mapping[Any, tuple[Callable[[list[Any]], Any], float]] | None = None,
    divided: Callable[[Any, Any, list[Any]], Any] | None = None,
) -> list[Any]:
    """f_t of a training in muP at a width: f = (1/n) sum; matrices move by 1/n, and update
    functions see n times the gradients of matrices and vectors. ``own``: update functions and what
    decay keeps of single weights; ``divided``: an update from the weight and the history."""
    weights, _ = draw(case)
    history: dict[Any, list[Any]] = {key: [] for key in weights}
    outputs: list[Any] = []
    first: Any = 0.0
    for t in range(STEPS + 1):
        f = case.forward(weights, WIDTH).mean(axis=0)
        if t == 0 and centre:
            first = f
        f = f - first
        outputs.append(f)
        chi = case.signal(f, t)
        for key, slope in slopes(case, weights).items():
            kind = case.weights[key][0]
            if key[0] in case.fixed:
                continue
            g = np.tensordot(slope, chi, axes=chi.ndim)
            history[key].append(g if kind != "scalar" else g / WIDTH)
            c = WIDTH if kind == "matrix" else 1
            function, left = (own or {}).get(key, (how, keep(t)))
            moved = function(history[key])
            if divided is not None:
                moved = divided(key, weights[key], history[key])
            weights[key] = left * weights[key] - rate(t) / c * moved
    return outputs


def read(derivation: Derivation, case: Case, given: Any = None, whole: bool = False) -> Reading:
    weights, noise = draw(case)
    matrices = {k: v for k, v in weights.items() if case.weights[k][0] == "matrix"}
    vectors = {k: v for k, v in weights.items() if case.weights[k][0] == "vector"}
    numbers = {"L": 2, **case.numbers}
    kets = {**{k: v for k, v in vectors.items() if k[0] not in MEANS}, **noise}
    return Reading(derivation, WIDTH, numbers, SIZES, case.data, matrices, kets, given, whole)
