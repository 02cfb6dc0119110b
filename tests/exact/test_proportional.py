"""Inputs that are multiples of each other: correlation 1 at unequal norms."""

from pathlib import Path

import numpy as np

import nexort

PROGRAMS = Path(__file__).parents[2] / "programs"


def test_relu_kernels_are_homogeneous() -> None:
    """Without biases NNGP and NTK of (x, c y) are c times those of (x, y)."""
    x = np.random.default_rng(4).standard_normal((7, 1))
    scales = np.array([1.0, 0.3, 3.0, 1e-3])
    program = nexort.load(PROGRAMS / "mlp.nxt", L=10)
    for found in (program.limit(xi=x * scales), program.kernel(x * scales)):
        for name in ("nngp", "ntk"):
            array = np.asarray(found[name])
            expected = array[0, 0] * np.outer(scales, scales)
            np.testing.assert_allclose(array, expected, rtol=1e-13)


def test_jumps_of_proportional_kets() -> None:
    text = """
    data a[3] = [0.5, 1, 2]
    vector (u, v) ~ N(0, [[1, 0.5], [0.5, 1]])
    |s> = step(|u> * a)
    output <s|s>
    """
    [found] = nexort.loads(text).limit().values()
    np.testing.assert_allclose(found, np.full((3, 3), 0.5), rtol=1e-15)
