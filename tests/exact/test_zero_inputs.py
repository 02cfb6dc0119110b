"""Inputs of 0, after which functions with f(0) != 0 leave constants."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

X = np.array([[1, 0, 0.5, 0, 2], [0.3, 0, -1, 0, 0.6]])
# f, and E f(z)^2 at z = 0 in the layers 1, 2, 3: f(0)^2 = a^2, and then a^2 + b^2 of a + b sign
FUNCTIONS = {
    "step(z)": (0.25, 0.5, 0.5),
    "1 + sign(z)": (1, 2, 2),
    "step(z) + 0.5 * sign(z)": (0.25, 1.25, 1.25),
    "sign(z)": (0, 0, 0),
    "abs(z) - relu(z)": (0, 0, 0),
    "cos(z)": (1, (1 + np.exp(-2)) / 2, None),
    "relu(z) + step(z)": (0.25, None, None),
}


@pytest.mark.parametrize("f", FUNCTIONS)
def test_layers_after_inputs_of_0(f: str) -> None:
    program = nexort.loads(
        f"dim d = 2, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\nmatrix W[1..2] ~ N(0, 1/n)\n"
        f"fn f(z) = {f}\n|x1> = f(|u> @ xi)\n|x2> = f(W[1] |x1>)\n|x3> = f(W[2] |x2>)\n"
        "output <x1|x1> as one, <x2|x2> as two, <x3|x3> as three, diag(<x3|x3>) as own"
    )
    exact, sampled = program.limit(xi=X), program.limit(xi=X, exact=False, samples=1024)
    for name in exact:
        off = np.abs(np.asarray(exact[name]) - np.asarray(sampled[name]))
        assert (off <= 6 * np.hypot(exact[name].error, sampled[name].error) + 1e-13).all()
    kernels = program.kernel(X, outputs=["one", "two", "three"])
    across = program.kernel(X, X, outputs=["one", "two", "three"])
    for name, wanted in zip(("one", "two", "three"), FUNCTIONS[f], strict=True):
        table = np.asarray(exact[name])
        np.testing.assert_allclose(np.asarray(kernels[name]), table, atol=1e-9)
        np.testing.assert_allclose(np.asarray(across[name]), table, atol=1e-7)
        if wanted is not None:  # of either, and of both
            np.testing.assert_allclose(table[np.ix_([1, 3], [1, 3])], wanted, atol=1e-15)
    np.testing.assert_allclose(np.asarray(exact["own"]), np.diag(np.asarray(exact["three"])))


def test_one_entry() -> None:
    text = "dim M = 3\nvector u ~ N(0, 1)\ndata a[M] = [1.0, 0.1, 0.0]\n|x> = step(|u> * a)\n"
    assert float(nexort.loads(f"{text}K = <x|x>\noutput K[2, 2]").limit()["K[2, 2]"]) == 0.25
