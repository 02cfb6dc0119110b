"""Roots of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-10
"""A negative eigenvalue of this part of the largest, or of 1, is a rounding."""


class Indefinite(Exception):
    """A matrix that is not symmetric positive semidefinite: its smallest eigenvalue, and ``where``
    it stands, if that is known."""

    def __init__(self, eigenvalue: float, where: Any = None) -> None:
        super().__init__(f"an eigenvalue of {eigenvalue:.3g}")
        self.eigenvalue, self.where = eigenvalue, where


def symmetric_root(matrix: Array, where: Any = None) -> Array:
    """R = R^T with R R = matrix. Raises Indefinite."""
    with np.errstate(all="ignore"):
        sizes, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if sizes[0] < -TOLERANCE * max(1.0, sizes[-1]) or not np.allclose(matrix, matrix.T):
        raise Indefinite(float(sizes[0]), where)
    return np.asarray((vectors * np.sqrt(np.maximum(sizes, 0))) @ vectors.T)
