"""User-chosen laws of matrix entries: mean 0 and variance 1, or the limit would be another's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nexort import activations
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Report

TOLERANCE = 2e-3


def check_laws(program: Program, laws: Mapping[str, Node], report: Report) -> None:
    """Report every law f(z) whose mean is not 0 or whose variance is not 1 (Setup 2.6.4)."""
    for name, law in laws.items():
        mean, variance = moments(law)
        if abs(mean) > TOLERANCE or not abs(variance - 1) <= TOLERANCE:
            message = f"the law of '{name}' has mean {mean:.4g} and variance {variance:.4g}, "
            message += "expected 0 and 1"
            hint = "standardize it: fn g(z) = (f(z) - mean) / sqrt(variance)"
            report.error("bad-law", message, program.initial[name].span, help=hint)


def moments(law: Node) -> tuple[float, float]:
    """Mean and variance of f(z), z standard normal; trapezoid rule, right to 1e-4 with jumps."""
    z = np.linspace(-14, 14, 280_001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for x in walk([law]):
            if x.op is Op.SLOT:
                values[x] = z
            elif x.op is Op.CALL:
                function = activations.registry()[str(x.attr)].evaluate
                values[x] = function(*(values[a] for a in x.args))
            else:
                values[x] = np.asarray(x.attr, dtype=float)
        f = values[law]
        mean = float(np.sum(weight * f))
        return mean, float(np.sum(weight * f**2)) - mean**2
