"""Checks of the arrays given to an inference: finite, of matching shapes, positive."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.support.diagnostics import count_text, fail

NEGATIVE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-8}
"""Eigenvalues down to minus this times the largest one count as zero: what rounding, and the
tolerance of kernels found by quadrature, leave of a singular kernel."""


def precision(kernel: Any) -> np.dtype[Any]:
    """float32 for what was computed in it, else float64."""
    dtype = np.asarray(kernel).dtype
    return dtype if dtype in NEGATIVE else np.dtype(np.float64)


def finite(what: str, value: Any) -> Array:
    """The values in float64, all real and finite."""
    if np.iscomplexobj(value):
        raise fail("bad-array", f"{what}: complex numbers")
    try:
        found: Array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise fail("bad-array", f"{what} are not real numbers: {error}") from None
    if not np.isfinite(found).all():
        count = int((~np.isfinite(found)).sum())
        raise fail("bad-array", f"{what}: {count_text(count, 'entry', 'entries')} not finite")
    return found


def expect(what: str, array: Array, shape: tuple[int, ...], source: str) -> None:
    """Raise where the shape is another one; ``source`` is what it must match."""
    if array.shape != shape:
        raise fail(
            "shape-mismatch",
            f"{what}: found shape {array.shape}, expected {shape} to match {source}",
        )


def gram_of(what: str, kernel: Any) -> Array:
    """A square symmetric matrix."""
    gram = finite(what, kernel)
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise fail(
            "shape-mismatch",
            f"{what}: found shape {gram.shape}, expected a square matrix",
            help="p.kernel(X) is square; p.kernel(X_test, X) is the cross kernel",
        )
    apart = float(np.abs(gram - gram.T).max(initial=0.0))
    if apart > NEGATIVE[precision(kernel)] * float(np.abs(gram).max(initial=0.0)):
        raise fail("not-symmetric", f"{what} differs from its transpose by up to {apart:.3g}")
    symmetric: Array = (gram + gram.T) / 2
    return symmetric


def training_pairs(kernel: Any, targets: Any) -> tuple[Array, Array]:
    """The Gram matrix of the training inputs, and their targets."""
    gram, values = gram_of("kernel", kernel), finite("targets", targets)
    if not len(gram):
        raise fail("shape-mismatch", "there are no training inputs")
    if values.ndim not in {1, 2} or len(values) != len(gram):
        raise fail(
            "shape-mismatch",
            f"targets: found shape {values.shape}, expected ({len(gram)},) or ({len(gram)}, "
            f"outputs), one row for each training input",
        )
    return gram, values


def between_of(cross: Any, count: int) -> Array:
    """A cross kernel, m x n."""
    between = finite("cross kernel", cross)
    if between.ndim != 2 or between.shape[1] != count:
        raise fail(
            "shape-mismatch",
            f"cross kernel: found shape {between.shape}, expected (m, {count}): test inputs by "
            f"training inputs",
            help="p.kernel(X_test, X) has the test inputs first"
            if between.ndim == 2 and between.shape[0] == count
            else None,
        )
    return between


def refuse_negative(kernel: Any, eigenvalues: Array) -> None:
    """Raise where an eigenvalue of a kernel is negative beyond rounding."""
    lowest, highest = float(eigenvalues.min()), float(eigenvalues.max())
    if lowest < -NEGATIVE[precision(kernel)] * max(abs(lowest), abs(highest)):
        count = len(eigenvalues)
        raise fail(
            "not-positive",
            f"the {count} x {count} kernel is not positive semidefinite: its eigenvalues reach "
            f"from {lowest:.3g} to {highest:.3g}",
            help="a kernel that was sampled, or found to a coarse rtol, can be so: evaluate it "
            "exactly, or add noise of that size to its diagonal",
        )


def variances(found: Array, prior: Array, kernel: Any) -> Array:
    """Variances that are negative by rounding are 0; others are of kernels that do not belong
    together, and raise."""
    bound = NEGATIVE[precision(kernel)] * 100 * np.abs(prior).max(initial=0.0)
    if found.size and float(found.min()) < -bound:
        worst = int(np.argmin(found))
        raise fail(
            "not-positive",
            f"the variance at test input {worst} came out as {found[worst]:.3g}, from "
            f"{prior[worst]:.3g} before the data: the kernels among and between training and test "
            f"inputs are not blocks of one positive semidefinite kernel",
            help="evaluate all of them with the same program, parameters and outputs",
        )
    return np.maximum(found, 0.0)
