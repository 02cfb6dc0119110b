"""Kets near to parallel or antiparallel, beside mpmath on the stored floats: the truth is inside
the error bar, and the bar is small where no input is rounded before they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from nearly_parallel import FUNCTIONS, KERNELS, measure

import nexort

SMALL = 1e-13
JUMPS = ("step", "sign")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("depth", [1, 3])
def test_pairs(function: str, depth: int) -> None:
    error, _, ratio = measure(function, depth, 40, seed=depth)
    assert ratio <= 1
    assert error < 4e-15


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_many_pairs(function: str, depth: int) -> None:
    error, _, ratio = measure(function, depth, 300, seed=10 + depth)
    assert ratio <= 1
    assert error < 4e-15


@pytest.mark.parametrize("function", FUNCTIONS)
def test_kernels_of_opposite_inputs(function: str) -> None:
    """p.kernel, in blocks, as eval does; exactly and nearly opposite inputs among others."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6))
    x = np.hstack([x, -0.3 * x, -x[:, :2] + 1e-9 * rng.standard_normal((3, 2))])
    text = "dim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1/d)\nmatrix W ~ N(0, 1/n)\n"
    text += f"|x> = {function}(|u> @ xi)\n|y> = {function}(W |x>)\noutput <x|x>, <y|y>"
    tested = nexort.loads(text)
    found, expected = tested.kernel(x), tested.limit(xi=x)
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name].plain, rtol=1e-12, atol=1e-15)


def contracted(functions: Sequence[str], xi: np.ndarray, S: np.ndarray) -> tuple[Any, float]:
    """<x|x> of the last layer of f(S @ W f(S @ ... xi u)), and its error."""
    lines = [f"dim P = {len(xi)}", "data xi[P], S[P, P]", "vector u ~ N(0, 1)",
             "matrix W[1..3] ~ N(0, 1/n)", f"|x0> = {functions[0]}(S @ (|u> * xi))"]  # fmt: skip
    lines += [f"|x{k}> = {f}(S @ (W[{k}] |x{k - 1}>))" for k, f in enumerate(functions[1:], 1)]
    last = len(functions) - 1
    program = nexort.loads("\n".join([*lines, f"output <x{last}|x{last}>"]))
    [value] = program.limit(xi=xi, S=S).values()
    return value.plain, float(np.max(value.error))


def with_digits(functions: Sequence[str], xi: np.ndarray, S: np.ndarray) -> Any:
    sums, inputs = mp.matrix(S.tolist()), mp.matrix(xi.tolist())
    gram = inputs * inputs.T
    for f in functions:
        k = sums * gram * sums.T
        n = range(k.rows)
        gram = mp.matrix([[KERNELS[f](k[i, i], k[j, j], k[i, j]).real for j in n] for i in n])
    return np.array(gram.tolist(), dtype=float)


@pytest.mark.parametrize(
    ("functions", "sharp"),
    [
        (("relu", "step"), True), (("relu", "relu", "step"), True), (("step", "relu"), True),
        (("abs", "relu", "sign"), True), (("erf", "step"), False), (("abs", "sign", "step"), False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("apart", [0, 1e-12, 1e-6, 1e-2])
@pytest.mark.parametrize("signs", [False, True])
def test_sums_over_kets(functions: Sequence[str], sharp: bool, apart: float, signs: bool) -> None:
    """Convolutions of images that are almost constant, up to signs: what is not compared without
    loss says so."""
    rng = np.random.default_rng(3)
    xi = (1 + apart * rng.standard_normal(4)) * ([1, -1, 1, -1] if signs else 1)
    S = rng.standard_normal((4, 4)) if signs else rng.uniform(0.1, 1, (4, 4))
    found, bar = contracted(functions, xi, S)
    with mp.workdps(60):
        expected = with_digits(functions, xi, S)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error * np.abs(expected).max() <= bar
    if sharp:
        assert error < 1e-13


def test_opposite_inputs_stay_opposite() -> None:
    """sign is odd: residual branches of it keep x and -x exactly opposite at any depth, where a
    distance of 1e-38 would be one of 1e-3 after seven of them; the input and itself is known."""
    text = (
        "dim d = 2, M = 3\ndata xi[d, M] = [[1, -1, 3], [2, -2, 6]]\nvector u[d] ~ N(0, 1/d)\n"
        "matrix A[1..6], B[1..6] ~ N(0, 1/n)\n|x[0]> = |u> @ xi\n"
        "for l in 1..6 { |x[l]> = |x[l-1]> + 0.5 * (B[l] sign(A[l] |x[l-1]>)) }\n"
        "|y> = sign(|x[6]>)\noutput <y|y>"
    )
    [value] = nexort.loads(text).limit().values()
    assert value[0, 1] == -1
    assert value[0, 0] == 1
    assert np.diagonal(value.error).max() < 1e-14
    assert value.error[0, 1] > value.error[0, 2]
