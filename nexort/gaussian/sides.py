"""1 - rho and 1 + rho in one array, neither with cancellation.

A *gap* is 1 - rho; where 1 + rho is below OPPOSITE it is -(1 + rho) instead, so that negative gaps
are those of pairs near to opposite, and all others are as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.activations import Array

OPPOSITE = 0.02
"""1 + rho below which it is stored: 2 - gap is exact to a hundred roundings before."""

LEAST = 2.0**-125
"""What stands for 0 in 1 + rho, so that it has a sign; also a float32."""


def opposite(gap: Array) -> bool:
    """Whether some pair is near to opposite."""
    return bool(gap.size) and float(gap.min()) < 0


def one_minus(gap: Array) -> Array:
    """1 - rho."""
    return np.where(gap < 0, 2 + gap, gap) if opposite(gap) else gap


def one_plus(gap: Array) -> Array:
    """1 + rho."""
    if not opposite(gap):
        return np.asarray(2 - gap)
    return np.where(gap < 0, np.where(gap == -LEAST, 0, -gap), 2 - gap)


def correlation(gap: Array) -> Array:
    """rho."""
    return np.where(gap < 0, -1 - gap, 1 - gap) if opposite(gap) else np.asarray(1 - gap)


def gap_of_sides(less: Any, more: Any) -> Array:
    """The gap, from 1 - rho and 1 + rho."""
    less, more = np.asarray(less), np.asarray(more)
    return np.asarray(np.where(more < OPPOSITE, store_gap(more), less))


def store_gap(more: Array) -> Array:
    """A small 1 + rho as a gap."""
    least = 0 if more.dtype == np.float64 else LEAST
    return -np.where(more > least, more, more.dtype.type(LEAST))


def negate_gap(gap: Array) -> Array:
    """The gap of z_a and -z_b."""
    return gap_of_sides(one_plus(gap), one_minus(gap))
