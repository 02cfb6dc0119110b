"""Tail probabilities of Student's t and F, and their combination over dependent tests."""

from __future__ import annotations

import numpy as np

from nexort.program.unrolled import Array


def two_sided(t: Array, dof: Array) -> Array:
    """P(|T| >= |t|) of Student's t."""
    from scipy.special import stdtr

    return np.asarray(2 * stdtr(dof, -np.abs(t)))


def quantile(level: float, dof: float) -> float:
    """The t that T exceeds with probability ``level``."""
    from scipy.special import stdtrit

    return -float(stdtrit(dof, level))


def f_above(f: Array, above: float, below: float) -> Array:
    """P(F >= f) with ``above`` and ``below`` degrees of freedom."""
    from scipy.special import fdtrc

    return np.asarray(fdtrc(above, below, f))


def together(p: Array) -> float:
    """One p-value for many dependent tests: the Cauchy combination.

    Under the null, tan(pi (1/2 - p)) is Cauchy, and the tail of an average of Cauchy variables does
    not depend on their dependence (Liu and Xie, J. Am. Stat. Assoc. 115, 393, 2020). It is near the
    Bonferroni bound for one small p-value among many, but needs no correction where all entries
    deviate together.
    """
    bounded = np.clip(p, 1e-15, 0.99)
    mean = float(np.mean(1 / np.tan(np.pi * bounded)))
    return 0.5 - np.arctan(mean) / np.pi if mean < 1 else float(np.arctan(1 / mean) / np.pi)
