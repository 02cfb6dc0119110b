"""Targets of a classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.support.diagnostics import fail


def one_hot(labels: Any, classes: int | None = None, *, centred: bool = True) -> Array:
    """Targets of a classification by regression, shape (n, classes): 1 at the label and 0
    elsewhere, less 1/classes with ``centred`` so that every row sums to 0.

    ``labels`` are n integers from 0. Raises NexortError for others.
    """
    found = np.asarray(labels)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise fail(
            "bad-labels",
            f"labels are one axis of integers, found shape {found.shape} of {found.dtype}",
        )
    count = classes if classes is not None else int(found.max(initial=-1)) + 1
    if found.size and not 0 <= found.min() <= found.max() < count:
        raise fail(
            "bad-labels",
            f"labels lie in 0..{count - 1}, found {found.min()}..{found.max()}",
        )
    targets: Array = np.eye(count)[found] - (1 / count if centred and count else 0.0)
    return targets
