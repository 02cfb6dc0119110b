"""Perceptrons that coordinate checks are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from nexort.coordcheck.check import check_coordinates
from nexort.coordcheck.outcome import Check
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.driver import compile_source
from nexort.program.program import Program
from nexort.support.diagnostics import Source

TEXT = """\
param L = 2
dim d, M
data xi[d, M] = [[0.034, 1.36, 1.225, -0.51], [-0.298, -0.527, 0.57, -0.056],
  [0.747, -1.847, 1.567, -0.096]]
data y[M] = [0.68, -0.137, -0.379, 0.463]
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |h[1]> = |u> @ xi
  |x[1]> = PHI(|h[1]>)
  for l in 2..L {
    |h[l]> = W[l] |x[l-1]>
    |x[l]> = PHI(|h[l]>)
  }
  return <v|x[L]>
}
train f {
  parametrization TABLE
  optimizer OPTIMIZER
  error f - y
  steps 3
}
output f
"""

Table = Mapping[str, Mapping[str, Fraction | int]]

MUP: Table = {
    "u": {"a": 0, "b": 0, "c": 0, "d": 1},
    "W": {"a": 0, "b": Fraction(1, 2), "c": 1, "d": 1},
    "v": {"a": 0, "b": 0, "c": 0, "d": 1},
}


def text(
    table: str = "mup",
    optimizer: str = "adam(lr=0.1, eps=1e-4)",
    phi: str = "tanh",
) -> str:
    """The program."""
    found = TEXT.replace("TABLE", table).replace("OPTIMIZER", optimizer)
    return found.replace("PHI", phi)


def explicit(table: Table, out: Fraction | int = 1) -> str:
    """Exponents as a program writes them."""
    rows = (f"{w}: {', '.join(f'{e}={v}' for e, v in row.items())}" for w, row in table.items())
    return f"{{ {'; '.join(rows)}; out: a={out} }}"


def shifted(weight: str, exponent: str, by: Fraction) -> Table:
    """muP with one exponent off."""
    return {
        w: {e: v + (by if (w, e) == (weight, exponent) else 0) for e, v in row.items()}
        for w, row in MUP.items()
    }


def program(source: str) -> Program:
    """Compiled."""
    return compile_source(Source("<perceptron>", source))


def run(source: str, widths: tuple[int, ...], seeds: int, **options: Any) -> Check:
    """A check of a program; ``numbers`` and ``data`` are those of ``--set`` and ``--data``."""
    numbers = options.pop("numbers", {})
    data = {k: LoadedArray(np.asarray(v), k) for k, v in options.pop("data", {}).items()}
    return check_coordinates(program(source), Given(numbers, data), widths, seeds, **options)
