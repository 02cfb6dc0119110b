"""Training runs built by hand, for tests of evaluators: a core program whose output is f."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.program import build
from nexort.program.network import Exponents, WeightKind
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import scalar
from nexort.program.unrolled import UnrolledOutput
from nexort.support.diagnostics import Source
from nexort.training.backprop import gradients
from nexort.training.task import (
    Key,
    Task,
    Weight,
    moment,
    output_slot,
    seed_slot,
)
from nexort.training.update import Update

UPDATES = """
update sgd(g) { return g }
update momentum(g, beta=0.9) { state m = 0; m = beta * m + g; return m }
update sign_sgd(g, eps=1e-4) { return g / sqrt(g^2 + eps^2) }
update adam(g, beta1=0.9, beta2=0.999, eps=1e-4) {
  state m = 0
  state v = 0
  m = beta1 * m + (1 - beta1) * g
  v = beta2 * v + (1 - beta2) * g^2
  mhat = m / (1 - beta1^(t + 1))
  vhat = v / (1 - beta2^(t + 1))
  return mhat / sqrt(vhat + eps^2)
}
"""

MLP = """
param L = 2
dim d, M
data xi[d, M], y[M], train[M]
vector u[d] ~ N(0, 1)
matrix W[2..L] ~ N(0, 1/n)
vector v ~ N(0, 1)
|h[1]> = |u> @ xi
|x[1]> = PHI(|h[1]>)
for l in 2..L {
  |h[l]> = W[l] |x[l-1]>
  |x[l]> = PHI(|h[l]>)
}
f = <v|x[L]>
"""

PARAMETRIZATIONS: dict[str, dict[WeightKind, tuple[str, str, str, str]]] = {
    "mup": {"matrix": ("0", "1/2", "1", "1"), "vector": ("0", "0", "0", "1")},
    "ntp": {"matrix": ("1/2", "0", "1", "1"), "vector": ("0", "0", "1/2", "1/2")},
}

REFERENCE = Path(__file__).with_name("reference.json")


def update(name: str, **hyperparameters: float) -> Update:
    """An update function of ``UPDATES``; beta1, ... override its defaults."""
    rule = driver.compile_source(Source("<updates>", UPDATES)).updates[name]
    values = {p: float(default.attr) for p, default in rule.parameters if default is not None}
    return Update(rule, values | hyperparameters)


def run_of(
    text: str,
    arrays: Mapping[str, Any],
    how: Update,
    *,
    rate: float,
    steps: int,
    parametrization: str = "mup",
    numbers: Mapping[str, float] | None = None,
    error: Any = None,
    start: Any = None,
) -> Task:
    """The training run of a core program: every initial vector and matrix is a weight. ``error``
    is a function of the node f and the program's data nodes; squared loss on ``train`` if None.
    Its one output is f at all steps."""
    given = {k: LoadedArray(np.asarray(v, dtype=float), k) for k, v in arrays.items()}
    source = Source("<network>", text + "\noutput f\n")
    step = driver.unroll(driver.compile_source(source), Given(dict(numbers or {}), given))
    [output] = step.outputs
    [out] = output.members
    axes = out.type.axes
    slot, seed = output_slot(axes), seed_slot(axes)

    def data(name: str) -> Node:
        return Node(Op.DATA, (), name, scalar(axes))

    if error is None:
        chi = build.call("mul", build.call("sub", slot, data("y")), data("train"))
    else:
        chi = error(slot)
    given_data = {k: np.asarray(v, dtype=float) for k, v in arrays.items()}
    keys: dict[Key, WeightKind] = {}
    shapes: dict[Key, tuple[int, ...]] = {}
    for x in walk([out]):
        if x.op is Op.INIT_VECTOR:
            keys[x.attr], shapes[x.attr] = "vector", step.shape(x.type.axes)
        if x.op is Op.MATMUL:
            keys[x.attr[:2]], shapes[x.attr[:2]] = "matrix", ()
    table = PARAMETRIZATIONS[parametrization]
    weights = {
        key: Weight(
            key, kind, shapes[key], 0.0, 1.0, Exponents(*map(Fraction, table[kind])), how,
            np.full(steps, rate), np.zeros(steps),
        )
        for key, kind in keys.items()
    }  # fmt: skip
    slots = [moment("f", (), t, out) for t in range(steps + 1)]
    return Task(
        step=type(step)(step.outputs, {**step.data, **given_data}, step.sizes, {}, step.spans),
        out=out,
        errors=(chi,) * steps,
        gradients=gradients(out, seed, list(weights), step.sizes),
        weights=weights,
        steps=steps,
        output_exponent=Fraction(1) if parametrization == "mup" else Fraction(1, 2),
        start=start or ("plain" if parametrization == "mup" else "centre"),
        outputs=(
            UnrolledOutput(
                "f", tuple(slots), tuple((t,) for t in range(steps + 1)), (steps + 1,), axes, None
            ),
        ),
        moments={s: (out, t) for t, s in enumerate(slots)},
        regime="maximal" if parametrization == "mup" else "tangent",
    )


def reference(name: str) -> tuple[Task, dict[str, Any]]:
    """A case of the reference file, and its numbers."""
    case = json.loads(REFERENCE.read_text())[name]
    cfg = case["cfg"]
    arrays = {"xi": case["X"], "y": case["y"], "train": case["mask"]}
    how = update(cfg["opt"], **({"eps": cfg["eps"]} if "eps" in cfg else {}))
    task = run_of(
        MLP.replace("PHI", cfg["phi"]), arrays, how,
        rate=cfg["eta"], steps=cfg["T"], parametrization=cfg["param"], numbers={"L": cfg["L"]},
    )  # fmt: skip
    return task, case


__all__ = ["MLP", "reference", "run_of", "update"]
