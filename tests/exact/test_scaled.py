"""Covariances that are multiples of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.limit.exact.values import What

PROGRAMS = Path(__file__).parents[2] / "programs"
X = np.random.default_rng(8).standard_normal((5, 12))
X[:, 3] = X[:, 2]
X[:, 4] = 0

NETWORK = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1 / d)
vector v ~ N(0, 1)
matrix W ~ N(0, 1.3 / n)
|h> = |u> @ xi
|x> = {f}(|h>)
|g> = W |x>
|y> = {f}(|g>)
|dg> = |v> * {f}'(|g>)
|dh> = {f}'(|h>) * (W^T |dg>)
|s> = {f}(0.3 * |h>)
|t> = {f}(-2 * |g>)
a = <y|y>
b = <dh|dh>
c = <s|s>
e = <t|t>
output a, b, c, e
"""


@pytest.mark.parametrize("f", ["gelu", "erf", "relu", "tanh", "sin", "gauss"])
def test_kernels_are_limits(f: str) -> None:
    tested = nexort.loads(NETWORK.format(f=f))
    found, whole = tested.kernel(X), tested.limit(xi=X)
    for name, kernel in found.items():
        exact = whole[name].plain
        bound = 3e-8 if f == "tanh" else 1e-13
        np.testing.assert_allclose(kernel, exact, rtol=bound, atol=bound * np.abs(exact).max())


def test_a_layer_has_one_covariance() -> None:
    text = (PROGRAMS / "perceptron.nxt").read_text().replace("= erf(z)", "= gelu(z)")
    tested = nexort.loads(text, L=4)
    tested.kernel(X)
    [compiled] = tested._kernels.values()
    kinds = [s.value.what for s in compiled.plan.steps]
    assert kinds.count(What.COV) == 4
    assert kinds.count(What.PAIR) == 8
