"""Programs for tests of classification, and tables around the polyhedron of good ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from architectures import ARCHITECTURES

from nexort import driver
from nexort.data.given import Given
from nexort.parametrization.layers import Layer, Table
from nexort.parametrization.optimizers import optimizer_of as by_name
from nexort.parametrization.subject import Subject, in_regime, subject, under, with_training
from nexort.program.network import Exponents
from nexort.support.diagnostics import Source

Array = np.ndarray[Any, Any]
UNIT = 8

PERCEPTRON = """
      weight u : vector[d]
      weight W[2..L] : matrix
      weight v : vector
      |h[1]> = |u> @ xi
      |x[1]> = PHI(|h[1]>)
      for l in 2..L {
        |h[l]> = W[l] |x[l-1]>
        |x[l]> = PHI(|h[l]>)
      }
      return <v|x[L]>"""

NETWORKS = {
    "biases": ARCHITECTURES["biases"],
    "residual": ARCHITECTURES["residual"],
    "tied": ARCHITECTURES["transposed"],
    "tied embedding": """
      weight u : vector[d]
      weight W : matrix
      |x1> = |u> @ xi
      |x2> = |x1> + W tanh(|x1>)
      return <u|x2>""",
    "layer norm": ARCHITECTURES["layer norm"],
    "scalar": ARCHITECTURES["scalar"],
    "two heads": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector[2]
      weight w : vector[2]
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      return <v|x2> + <w|x1>""",
    "outer nonlinearity": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      |x1> = tanh(|u> @ xi)
      |z> = E{1}[ tanh(|x1> * |x1>{1}) * |x1>{1} ]
      |x2> = tanh(W |z>)
      return <v|x2>""",
    "readout with a mean": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector ~ N(1, 1)
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      return <v|x2>""",
    "mean of the last layer": """
      weight u : vector[d]
      weight W : matrix
      |x1> = relu(|u> @ xi)
      |x2> = relu(W |x1>)
      return |x2>""",
    "residual branches that start at 0": """
      weight u : vector[d]
      weight W[1..2] : matrix
      weight v : vector
      weight g[1..2] : scalar = 0
      |x[0]> = |u> @ xi
      for l in 1..2 { |x[l]> = |x[l-1]> + g[l] * W[l] tanh(|x[l-1]>) }
      return <v|x[2]>""",
}


def network(body: str, optimizer: str = "adam", regime: str = "mup", depth: int = 2) -> Subject:
    """A network in a regime under an optimizer."""
    text = f"param L = {depth}\ndim d, M\ndata xi[d, M]\nnetwork f(xi) {{{body}\n}}"
    program = driver.compile_source(with_training(Source("<network>", text)))
    found = subject(program, Given({}, {}))
    return in_regime(under(found, by_name(optimizer)), regime)


def mlp(depth: int, phi: str, optimizer: str) -> Subject:
    """A perceptron."""
    return network(PERCEPTRON.replace("PHI", phi), optimizer, depth=depth)


def around(depth: int, count: int, seed: int) -> Array:
    """Tables of perceptrons that meet most conditions, integers in units of 1/UNIT: a + b, d, r, S,
    A and A + c of the readout on and around the values where verdicts change, in any gauge."""
    rng = np.random.default_rng(seed)
    q, h, one = UNIT // 4, UNIT // 2, UNIT
    r = rng.choice([-h, 0, 0, 0, q, h, h, one], (count, depth))
    size = rng.choice([q, h, h, 3 * q, one, one, one + h], count)
    a = rng.choice([-h, 0, h, one, one + h], count)
    rate = rng.choice([h, one, one, one, one + h], count)
    off = rng.choice([0] * 12 + [-h, h], (count, depth))
    unfaithful = rng.choice([0] * 12 + [-h, h], (count, depth + 1))
    gauge = rng.integers(-6, 7, (count, depth)) * q
    tables = np.zeros((count, depth + 1, 4), int)
    for k in range(depth):
        wanted, own = (0, 0) if k == 0 else (h, one)
        tables[:, k, 0] = gauge[:, k]
        tables[:, k, 1] = wanted + off[:, k] - gauge[:, k]
        tables[:, k, 2] = r[:, k] + own - gauge[:, k]
        tables[:, k, 3] = gauge[:, k] + size + unfaithful[:, k]
    tables[:, depth] = np.stack([a, size - a, rate - a, a + unfaithful[:, depth]], axis=1)
    return tables


def grid(depth: int) -> Array:
    """Every table with r_l, S and A + c on a dense grid, stable and faithful at the start."""
    q, h, one = UNIT // 4, UNIT // 2, UNIT
    axes = [np.arange(-h, one + 1, q)] * depth
    axes += [np.arange(h, 2 * one, q), np.arange(h, 2 * one, q), np.arange(-h, 2 * one, q)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, depth + 3)
    tables = np.zeros((len(points), depth + 1, 4), int)
    size, rate, a = points[:, depth], points[:, depth + 1], points[:, depth + 2]
    for k in range(depth):
        wanted, own = (0, 0) if k == 0 else (h, one)
        tables[:, k, 1] = wanted
        tables[:, k, 2] = points[:, k] + own
        tables[:, k, 3] = size
    tables[:, depth] = np.stack([a, size - a, rate - a, a], axis=1)
    return tables


def table(layers: tuple[Layer, ...], numbers: Array) -> Table:
    """Integers in units of 1/UNIT as a table."""
    rows = tuple(Exponents(*(Fraction(int(x), UNIT) for x in row)) for row in numbers)
    return Table(layers, rows)
