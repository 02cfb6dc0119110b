"""Pairs of kets near to parallel or antiparallel: each file's right value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort

CASES = Path(__file__).parent


def limit(name: str) -> dict[str, np.ndarray]:
    """The exact outputs of a file."""
    found = nexort.load(CASES / f"{name}.nxt").limit()
    for value in found.values():
        assert value.method == "exact: closed form"
    return {n: np.asarray(v.plain) for n, v in found.items()}


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("near-constant-image", 0.5),
        ("near-selected-inputs", 0.5),
        ("near-two-axes", 0.5),
        ("near-antiparallel", [[1, -1], [-1, 1]]),
        ("near-contraction-nan", 0.545 * np.outer([0.77, 3.17], [0.77, 3.17])),
    ],
)
def test_the_kernel_is_that_of_equal_or_opposite_kets(name: str, right: object) -> None:
    found = limit(name)["<x|x>"]
    np.testing.assert_allclose(found, np.broadcast_to(right, found.shape), rtol=4e-15)


def test_multiples_of_one_ket_from_a_contraction() -> None:
    found = limit("near-contraction")
    np.testing.assert_allclose(found["<g|g>"], [[9, 21], [21, 49]], rtol=4e-15)
    np.testing.assert_allclose(found["<x|x>"], np.full((2, 2), 0.5), rtol=4e-15)
    np.testing.assert_allclose(found["<y|y>"], [[4.5, 10.5], [10.5, 24.5]], rtol=4e-15)


def test_the_derivative_of_a_maximum() -> None:
    assert np.abs(limit("error-leaky-derivative")["a"]).max() < 1e-15
