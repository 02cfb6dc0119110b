"""Networks twice: as programs, and as functions of weights and inputs, for derived trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Weights = dict[tuple[str, tuple[int, ...]], Any]
INPUTS = np.random.default_rng(3).standard_normal((2, 3))
TARGETS = np.array([0.5, -1.0, 0.3])
MASK = np.array([1.0, 1.0, 0.0])
DATA = {"xi": INPUTS, "y": TARGETS, "train": MASK}
SIZES = {"d": 2, "M": 3, "e": 2, "T": 3}


@dataclass(frozen=True)
class Case:
    """A network twice: as a program, and as a function of weights and inputs to the kets whose
    average is the output (axes behind the width)."""

    network: str
    forward: Callable[[Weights, Any], Any]
    weights: Mapping[tuple[str, tuple[int, ...]], tuple[str, Any]]
    """Key to kind and shape of the axes, or the start of a scalar."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    error: str = "(f - y) * train"
    signal: Callable[[Any, int], Any] = lambda f, t: (f - TARGETS) * MASK
    data: Mapping[str, Any] = field(default_factory=lambda: DATA)
    fixed: frozenset[str] = frozenset()
    """Initial objects that are not trained."""


def mlp(w: Weights, n: int, depth: int = 3) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    for layer in range(2, depth + 1):
        x = np.tanh(w["W", (layer,)] @ x)
    return w["v", ()][:, None] * x


def residual(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    for layer in range(1, 3):
        h = w["W", (layer,)] @ x + w["b", (layer,)][:, None]
        x = x + w["c", ()] * np.tanh(h)
    return w["v", ()][:, None] * x


def tied(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    for _ in range(2):
        x = np.tanh(w["W", ()] @ x)
    r = np.tanh(w["W", ()].T @ x)
    return w["v", ()][:, :, None] * r[:, None, :]


def normalized(w: Weights, n: int) -> Any:
    h = w["W", ()] @ np.tanh(w["u", ()] @ INPUTS)
    k = h - h.mean(axis=0)
    s = np.sqrt((k**2).mean(axis=0) + 0.01)
    return w["v", ()][:, None] * np.tanh(w["g", ()][:, None] * k / s)


def attention(w: Weights, n: int) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    q, k = w["Q", ()] @ x + x, w["P", ()] @ x + x
    scores = np.tanh(k.T @ q / len(x))
    return w["v", ()][:, None] * (x @ scores)


def outer(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    pair = np.tanh(x[:, None, :] * x[None, :, :] + w["p", ()][None, :, None])
    return w["v", ()][:, None] * (pair * x[None, :, :]).mean(axis=1)


def skip(w: Weights, n: int) -> Any:
    x = [np.tanh(w["u", ()] @ INPUTS)]
    x.append(np.tanh(x[0]))
    for layer in range(2, 6):
        x.append(x[layer - 2] + np.tanh(w["W", (layer,)] @ x[layer - 1]))
    return w["v", ()][:, None] * (x[5] + x[1])


def recurrent(w: Weights, n: int) -> Any:
    h = w["u", ()] @ SEQUENCE[0]
    for xi in SEQUENCE[1:]:
        h = np.tanh(w["W", ()] @ h + w["u", ()] @ xi)
    return w["v", ()][:, None] * h


def copies(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    p, q, r = x[:, None, None, :], x[None, :, None, :], x[None, None, :, :]
    return w["v", ()][:, None] * np.tanh(p * q + r).mean(axis=(1, 2))


def two_indices(w: Weights, n: int) -> Any:
    total: Any = 0
    for k in (1, 2):
        x = w["u", ()] @ INPUTS
        for layer in (1, 2):
            x = np.tanh(w["W", (k, layer)] @ x)
        total = total + x
    return w["v", ()][:, None] * total


def functions(w: Weights, n: int) -> Any:
    a, b = w["u", ()] @ INPUTS, w["w", ()] @ INPUTS
    x = a * np.sin(w["W", ()] @ b) + np.exp(-(b**2)) / (1 + a**2)
    return w["v", ()][:, None] * x


def partly(w: Weights, n: int) -> Any:
    x = np.tanh(w["B", ()] @ np.tanh(w["u", ()] @ INPUTS) + w["s", ()][:, None])
    return w["v", ()][:, None] * (w["B", ()].T @ x)


def symmetric(w: Weights, n: int) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    return w["v", ()][:, None] * np.tanh(w["W", ()] @ x + w["W", ()].T @ x)


SEQUENCE = np.random.default_rng(8).standard_normal((3, 2, 3))
HEAD = "param L = 2\ndim d, M, e\ndata xi[d, M], y[M], train[M]\n"
MLP = """
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix ~ N(0, 2)
  weight v : vector
  |h[1]> = |u> @ xi
  |x[1]> = tanh(|h[1]>)
  for l in 2..L {
    |h[l]> = W[l] |x[l-1]>
    |x[l]> = tanh(|h[l]>)
  }
  return <v|x[L]>
}
"""
VECTORS = {("u", ()): ("vector", (2,)), ("v", ()): ("vector", ())}
TARGETS_2 = np.array([[0.5, -1.0, 0.3], [0.1, 0.2, -0.7]])

CASES = {
    "mlp": Case(
        MLP, mlp, {**VECTORS, ("W", (2,)): ("matrix", ()), ("W", (3,)): ("matrix", ())},
        {"L": 3}, {"W": np.sqrt(2)},
    ),
    "residual": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W[1..L] : matrix
  weight b[1..L] : vector
  weight v : vector
  weight c : scalar = 0.7
  |x[0]> = |u> @ xi
  for l in 1..L {
    |h[l]> = W[l] |x[l-1]> + |b[l]>
    |x[l]> = |x[l-1]> + c * tanh(|h[l]>)
  }
  return |v> * |x[L]>
}
""",
        residual,
        {
            **VECTORS, ("W", (1,)): ("matrix", ()), ("W", (2,)): ("matrix", ()),
            ("b", (1,)): ("vector", ()), ("b", (2,)): ("vector", ()), ("c", ()): ("scalar", 0.7),
        },
    ),
    "tied": Case(
        """
data y2[e, M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector[e]
  |x[0]> = |u> @ xi
  for l in 1..L { |x[l]> = tanh(W |x[l-1]>) }
  |r> = tanh(W^T |x[L]>)
  return <v|r>
}
""",
        tied,
        {("u", ()): ("vector", (2,)), ("W", ()): ("matrix", ()), ("v", ()): ("vector", (2,))},
        error="f - y2 + 0.1 * t",
        signal=lambda f, t: f - TARGETS_2 + 0.1 * t,
        data={**DATA, "y2": TARGETS_2},
    ),
    "normalized": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight g : vector ~ N(1, 0.25)
  weight v : vector
  |h> = W tanh(|u> @ xi)
  m = <1|h>
  |k> = |h> - m
  |q> = |k>^2
  s = sqrt(<1|q> + 0.01)
  return |v> * tanh(|g> * |k> / s)
}
""",
        normalized,
        {**VECTORS, ("W", ()): ("matrix", ()), ("g", ()): ("vector", ())},
        deviations={"g": 0.5},
    ),
    "attention": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight Q, P : matrix
  weight v : vector
  |x> = tanh(|u> @ xi)
  |q> = Q |x> + |x>
  |k> = P |x> + |x>
  return |v> * (|x> @ tanh(<k|q>))
}
""",
        attention,
        {**VECTORS, ("Q", ()): ("matrix", ()), ("P", ()): ("matrix", ())},
    ),
    "outer": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight p, v : vector
  |x> = |u> @ xi
  return |v> * E{1}[tanh(|x> * |x>{1} + |p>{1}) * |x>{1}]
}
""",
        outer,
        {**VECTORS, ("p", ()): ("vector", ())},
    ),
    "skip": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[0]> = tanh(|u> @ xi)
  |x[1]> = tanh(|x[0]>)
  for l in 2..L { |x[l]> = |x[l-2]> + tanh(W[l] |x[l-1]>) }
  return <v|x[L]> + <v|x[1]>
}
""",
        skip,
        {**VECTORS, **{("W", (layer,)): ("matrix", ()) for layer in range(2, 6)}},
        {"L": 5},
    ),
    "recurrent": Case(
        """
dim T
data zeta[T, d, M]
network f(zeta) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |h[0]> = |u> @ zeta[0]
  for t in 1..T-1 { |h[t]> = tanh(W |h[t-1]> + |u> @ zeta[t]) }
  return <v|h[T-1]>
}
""",
        recurrent,
        {**VECTORS, ("W", ()): ("matrix", ())},
        data={**DATA, "zeta": SEQUENCE},
    ),
    "copies": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = |u> @ xi
  return |v> * E{1,2}[tanh(|x> * |x>{1} + |x>{2})]
}
""",
        copies,
        VECTORS,
    ),
    "two indices": Case(
        """
param K = 2
network f(xi) {
  weight u : vector[d]
  weight W[1..K, 1..L] : matrix
  weight v : vector
  for k in 1..K {
    |x[k,0]> = |u> @ xi
    for l in 1..L { |x[k,l]> = tanh(W[k,l] |x[k,l-1]>) }
  }
  return sum(k in 1..K) <v|x[k,L]>
}
""",
        two_indices,
        {**VECTORS, **{("W", (k, m)): ("matrix", ()) for k in (1, 2) for m in (1, 2)}},
        {"K": 2},
    ),
    "functions": Case(
        """
network f(xi) {
  weight u, w : vector[d]
  weight W : matrix
  weight v : vector
  |a> = |u> @ xi
  |b> = |w> @ xi
  return |v> * (|a> * sin(W |b>) + exp(-1 * |b>^2) / (1 + |a>^2))
}
""",
        functions,
        {**VECTORS, ("w", ()): ("vector", (2,)), ("W", ()): ("matrix", ())},
    ),
    "partly": Case(
        """
matrix B ~ N(0, 1/n)
vector s ~ N(0, 1)
network f(xi) {
  weight u : vector[d]
  weight v : vector
  return |v> * (B^T tanh(B tanh(|u> @ xi) + |s>))
}
""",
        partly,
        {**VECTORS, ("B", ()): ("matrix", ()), ("s", ()): ("vector", ())},
        fixed=frozenset("Bs"),
    ),
    "symmetric": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  A = W + W^T
  return |v> * tanh(A tanh(|u> @ xi))
}
""",
        symmetric,
        {**VECTORS, ("W", ()): ("matrix", ())},
    ),
}  # fmt: skip
MEANS = {"g": 1.0}
