"""What a comparison found, output by output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.collection import json_numbers
from nexort.report.results.estimate import Labels


@dataclass(frozen=True)
class OutputCheck:
    """One output of shape S over K widths.

    ``limit``, ``limit_error``, ``extrapolated``, ``extrapolated_error``, ``score`` (the deviation
    of the extrapolation from the limit in standard errors of both), ``p`` (its p-value), ``bent``
    (the fit has a term in n^-1/2) and ``exact`` (the same number in all runs) have shape S;
    ``random`` says that the limit is random, and its expectation compared with means over runs;
    ``means``, ``errors`` and ``z`` (the plain deviation of a mean in standard errors) have shape
    (K, *S). ``rms`` and its relative standard error ``rms_error`` have shape (K,); the exponent is
    None where there is nothing to fit. ``p_together`` tests all entries at once.
    """

    name: str
    holds: bool
    reason: str
    labels: Labels
    limit: Array
    limit_error: Array
    means: Array
    errors: Array
    z: Array
    extrapolated: Array
    extrapolated_error: Array
    score: Array
    p: Array
    bent: Array
    exact: Array
    random: bool
    p_together: float
    rms: Array
    rms_error: Array
    exponent: float | None
    exponent_error: float | None

    @property
    def finite(self) -> bool:
        """Whether the limit and its error are, so that there is something to compare with."""
        return bool(np.isfinite(self.limit).all() and np.isfinite(self.limit_error).all())

    def as_json(self) -> dict[str, Any]:
        """Plain data; what is not finite is null."""
        return {
            "holds": self.holds,
            "reason": self.reason,
            "limit": json_numbers(self.limit),
            "limit_error": json_numbers(self.limit_error),
            "means": json_numbers(self.means),
            "errors": json_numbers(self.errors),
            "z": json_numbers(self.z),
            "extrapolated": json_numbers(self.extrapolated),
            "extrapolated_error": json_numbers(self.extrapolated_error),
            "score": json_numbers(self.score),
            "p": json_numbers(self.p),
            "exact": self.exact.tolist(),
            "random": self.random,
            "p_together": _number(self.p_together),
            "rms": json_numbers(self.rms),
            "rms_relative_error": json_numbers(self.rms_error),
            "exponent": _number(self.exponent),
            "exponent_error": _number(self.exponent_error),
        }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True, repr=False)
class Verification:
    """The comparison of all outputs. ``seeds`` are the numbers of runs, in the order of the widths;
    a true limit holds with probability of at least about ``confidence``."""

    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    confidence: float
    outputs: tuple[OutputCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether every output converges to its limit, as far as these runs can tell."""
        return all(output.holds for output in self.outputs)

    def as_json(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {
            "holds": self.holds,
            "confidence": self.confidence,
            "widths": list(self.widths),
            "seeds": list(self.seeds),
            "outputs": {output.name: output.as_json() for output in self.outputs},
        }

    def __repr__(self) -> str:
        from nexort.report.compare.text import render

        return render(self)
