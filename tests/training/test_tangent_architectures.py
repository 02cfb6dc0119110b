"""The neural tangent limit of many architectures, update functions and parametrizations against
networks of finite width."""

from __future__ import annotations

import pytest
from test_architectures import DATA, HEAD, NETWORKS, OPTIMIZERS

import nexort

TRAIN = """
train f {
  parametrization PARAMETRIZATION
  optimizer OPTIMIZER
  error ERROR
  steps 4
  centre
}
output f
"""
MLP = """
  weight u : vector[d]
  weight W[2..3] : matrix
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..3 { |x[l]> = tanh(W[l] |x[l-1]>) }
  return <v|x[3]>"""
CLIPPED = "update clipped(g, c=0.3) { state m = 0; m = 0.5 * m + g; return min(max(m, -c), c) }\n"


def holds(
    network: str,
    optimizer: str,
    *,
    parametrization: str = "ntp",
    error: str = "(f - y) * train",
    head: str = HEAD,
    widths: tuple[int, ...] = (64, 256, 1024),
) -> None:
    text = f"{head}network f(xi) {{{network}\n}}{TRAIN}".replace("OPTIMIZER", optimizer)
    text = text.replace("ERROR", error).replace("PARAMETRIZATION", parametrization)
    found = nexort.loads(text).verify(widths, seeds=24, data=DATA)
    assert found.holds, found


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "scalar"])
def test_architectures(name: str, optimizer: str) -> None:
    error = "(f - [y, 2 * y]) * train" if name == "two heads" else "(f - y) * train"
    holds(NETWORKS[name], optimizer, error=error)


UPDATES = {
    "layers apart": """sgd(lr=0.1)
  optimizer momentum(lr=0.1, beta=0.5) for W, u
  optimizer adam(lr=0.2, eps=0.1) for W[3]""",
    "schedule": "adam(lr=0.2 / (t + 1), eps=1e-2)",
    "late and never": """adam(lr=0.1, eps=1e-2)
  optimizer adam(lr=0.2 * t, eps=0.01) for W
  optimizer sgd(lr=0) for v""",
    "adagrad": "adagrad(lr=0.1, eps=1e-2)",
    "nesterov": "nesterov(lr=0.1, beta=0.9)",
    "lion": "lion(lr=0.02)",
    "of the program": "clipped(lr=0.3)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UPDATES)
def test_update_functions(name: str) -> None:
    holds(MLP, UPDATES[name], head=HEAD + CLIPPED, error="(f - y) * train * (1 + t / 2)")


def exponents(**rows: str) -> str:
    """A parametrization by the exponents a, b, c, d of each weight."""
    parts = [
        f"{name}: " + ", ".join(f"{k}={x}" for k, x in zip("abcd", row.split(), strict=False))
        for name, row in rows.items()
    ]
    return "{ " + "; ".join(parts) + " }"


PARAMETRIZATIONS = {
    "ups(1/4)": "ups(1/4)",
    "ups(2/5)": "ups(2/5)",
    "readout stays": exponents(u="0 0 1/2 1/2", W="1/2 0 1 1", v="0 0 1 1/2", out="1/2"),
    "readout alone": exponents(u="0 0 1 1/2", W="1/2 0 2 1", v="0 0 1/2 1/2", out="1/2"),
    "matrices alone": exponents(u="0 0 1 1/2", W="1/2 0 1 1", v="0 0 1 1/2", out="1/2"),
    "standard": exponents(u="0 0 1/2 1/2", W="0 1/2 3/2 1/2", v="0 1/2 1 0", out="0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_parametrizations_in_the_operator_regime(name: str) -> None:
    table = PARAMETRIZATIONS[name]
    holds(MLP, "adam(lr=0.1, eps=1e-2)", parametrization=table, widths=(256, 512, 1024))
