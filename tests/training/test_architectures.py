"""The maximal update limit of many architectures against networks of finite width: dots through
tied and transposed weights, averages, batches, scalar parameters, several outputs."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import ARCHITECTURES

import nexort

HEAD = """
dim d, M
data xi[d, M], y[M], train[M]
"""

TRAIN = """
train f {
  parametrization mup
  optimizer OPTIMIZER
  error ERROR
  steps 4
}
output f
"""

NETWORKS = {
    "biases": ARCHITECTURES["biases"],
    "residual": ARCHITECTURES["residual"],
    "tied": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      |x3> = tanh(W |x2>)
      return <v|x3>""",
    "transposed": ARCHITECTURES["transposed"],
    "layer norm": ARCHITECTURES["layer norm"],
    "scalar": ARCHITECTURES["scalar"],
    "two heads": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector[2]
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      return <v|x2>""",
    "shallow": """
      weight u : vector[d]
      weight v : vector
      |x1> = relu(|u> @ xi)
      return <v|x1>""",
    "batch mean": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      |z> = |x2> - |x2> @ [0.25, 0.25, 0.25, 0.25]
      return <v|z>""",
    "deep": """
      weight u : vector[d]
      weight W[2..4] : matrix
      weight v : vector
      |x[1]> = relu(|u> @ xi)
      for l in 2..4 { |x[l]> = relu(W[l] |x[l-1]>) }
      return <v|x[4]>""",
}
OPTIMIZERS = ("adam(lr=0.1, eps=1e-2)", "sgd(lr=0.2)")
DATA = {
    "xi": np.array(
        [[0.034, 1.36, 1.225, -0.51], [-0.298, -0.527, 0.57, -0.056], [0.747, -1.847, 1.567, -0.1]]
    ),
    "y": np.array([0.68, -0.137, -0.379, 0.463]),
    "train": np.array([1.0, 1, 1, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_widths_converge_to_the_maximal_update_limit(name: str, optimizer: str) -> None:
    if name == "residual" and optimizer.startswith("sgd"):
        optimizer = "sgd(lr=0.05)"  # beyond it the run diverges
    error = "(f - [y, 2 * y]) * train" if name == "two heads" else "(f - y) * train"
    text = f"{HEAD}network f(xi) {{{NETWORKS[name]}\n}}{TRAIN}"
    program = nexort.loads(text.replace("OPTIMIZER", optimizer).replace("ERROR", error))
    found = program.verify((64, 256, 1024), seeds=24, data=DATA)
    assert found.holds, found
