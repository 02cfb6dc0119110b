"""Dots of derived trainings: what they leave of W_0 x are hats with the covariances told."""

from __future__ import annotations

import numpy as np
import pytest
from reading import Reading
from training_runs import derived

from nexort.limit.derive.formula import LoopSum
from nexort.limit.derive.walking import walk_formula
from nexort.program.index import Affine

# ---- dots ----------------------------------------------------------------------------------------

DOTS = {
    "mlp": """
param L = 2
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..L {
    |h[l]> = W[l] |x[l-1]>
    |x[l]> = tanh(|h[l]>)
  }
  return <v|x[L]>
}
""",
    "skip": """
param L = 3
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W[1..L] : matrix
  weight v : vector
  |x[0]> = |u> @ xi
  for l in 1..L { |x[l]> = |x[l-1]> + tanh(W[l] |x[l-1]>) }
  return <v|x[L]>
}
""",
    "symmetric": """
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  A = W + W^T
  return |v> * tanh(A tanh(A tanh(|u> @ xi)))
}
""",
    "fixed": """
dim d, M
data xi[d, M], y[M]
matrix W ~ N(0, 1/n)
network f(xi) {
  weight u : vector[d]
  weight v : vector
  return |v> * (W^T tanh(W tanh(|u> @ xi)))
}
""",
    "tied": """
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |x[0]> = |u> @ xi
  for l in 1..2 { |x[l]> = tanh(W |x[l-1]>) }
  |r> = tanh(W^T |x[2]>)
  return <v|r>
}
""",
}


@pytest.mark.parametrize("name", DOTS)
def test_hats_have_the_covariances_of_the_derivation(name: str) -> None:
    """W_0 x less its dot is Gaussian with the covariance that is said; the dots are large."""
    text = (
        DOTS[name]
        + """
train f {
  parametrization mup
  optimizer sgd(lr=0.4)
  error f - y
  steps 3
}
output f
"""
    )
    derivation = derived(text)
    width = 2000
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((width, width)) / np.sqrt(width)
    kets = {("u", ()): rng.standard_normal((width, 1)), ("v", ()): rng.standard_normal(width)}
    sizes = {"d": 1, "M": 1}
    data = {"xi": [[1.0]], "y": [2.0]}
    matrices = {("W", ()): matrix}
    for layer in (1, 2, 3):
        drawn = np.random.default_rng(layer).standard_normal((width, width))
        matrices["W", (layer,)] = drawn / np.sqrt(width)
    layers = {"L": 3 if name == "skip" else 2}
    reading = Reading(derivation, width, layers, sizes, data, matrices, kets)
    found, plain = {}, {}
    for k in derivation.kets:
        if k.matrix is None:
            continue
        for env in reading.grid(k.ranges):
            at = {**env, **{x.label: 0 for x in k.labels}}
            key = k.ket.name, reading.indices(k.ket, env)
            found[key] = reading.hat(k, at)
            plain[key] = reading.applied(k, at)
    errors, without, lengths = [], [], []
    for family in derivation.gaussians:
        if family.reason != "hat":
            continue
        for env in reading.grid(family.ranges):
            at = {**env, **{x.label: 0 for x in family.labels}}
            keys = [(s.name, reading.indices(s, env)) for s in (family.left, family.right)]
            expected = float(reading.value(family.covariance, at))
            lengths.append(np.sqrt(np.prod([np.mean(found[k] ** 2) for k in keys])))
            errors.append(abs(np.mean(found[keys[0]] * found[keys[1]]) - expected))
            without.append(abs(np.mean(plain[keys[0]] * plain[keys[1]]) - expected))
    assert max(np.array(errors) / lengths) < 5 / np.sqrt(width)
    assert max(np.array(without) / lengths) > 5 / np.sqrt(width)
    assert sum(without) > 3 * sum(errors)


def test_dots_are_no_later_than_what_they_are_of() -> None:
    """A weight tied over layers, both ways: forward kets have a step more than backward ones."""
    derivation = derived("""
param L = 3
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight v : vector
  weight A : matrix
  |x[0]> = relu(|u> @ xi)
  for l in 1..L {
    |h[l]> = A^T |x[0]>
    |x[l]> = softplus(|h[l]> + 0.5 * A |x[l-1]>) + 0.4 * |x[l-1]>
  }
  return <v|x[L]>
}
train f {
  parametrization mup
  optimizer sgd(lr=0.1)
  error f - y
  steps 2
}
output f
""")
    sums = [
        x
        for k in derivation.kets
        if k.dot is not None
        for x in walk_formula(k.dot)
        if isinstance(x, LoopSum) and x.first == Affine()
    ]
    assert len(sums) > 10
    assert all(x.last.terms for x in sums), [str(x.last) for x in sums]
