"""What a comparison found, output by output, and as text for a terminal."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.results.collection import json_numbers
from nexort.report.results.numbers import Labels, align_texts, uncertain

WIDTH = 100
ALL = 5
"""Outputs with up to this many entries are shown whole."""
WORST = 3


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
        return verification_text(self)


def entry_label(shape: tuple[int, ...], labels: Labels, flat: int) -> str:
    """``[2, 0]``: an entry by its family indices and axis positions."""
    index = np.unravel_index(flat, shape)
    named = [labels[k][i] if k < len(labels) else int(i) for k, i in enumerate(index)]
    return f"[{', '.join(map(str, named))}]" if named else ""


def verification_text(verification: Verification) -> str:
    """A table of all outputs, of large ones the worst entries, and the verdict."""
    head = f"limit against runs at {_widths(verification)}"
    rows = [_rows(output) for output in verification.outputs]
    title = ["", "limit", f"mean at n = {verification.widths[-1]}", "n → ∞", "z"]
    if len(verification.widths) == 1:
        title = [*title[:3], "z"]
    columns = _padded([title, *(row for group in rows for row in group)])
    lines = [head, "", columns[0]]
    position = 1
    for output, group in zip(verification.outputs, rows, strict=True):
        lines += ["", *_heading(output)]
        lines += columns[position : position + len(group)]
        position += len(group)
        lines += _summary(output, len(group))
    return "\n".join([*lines, "", *_verdict(verification)])


def _widths(verification: Verification) -> str:
    widths = ", ".join(map(str, verification.widths))
    seeds = sorted(set(verification.seeds))
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"n = {widths}, {each} runs {'at each' if len(verification.widths) > 1 else 'of it'}"


def _heading(output: OutputCheck) -> list[str]:
    """Name, verdict, exponent; the reason on lines of its own."""
    shape = f" ({' x '.join(map(str, output.limit.shape))})" if output.limit.shape else ""
    verdict = "holds" if output.holds else "DOES NOT HOLD"
    parts = [f"{output.name}{shape}", verdict if output.finite else "NO FINITE LIMIT"]
    if output.exponent is not None:
        decay = uncertain(output.exponent, output.exponent_error or 0.0)
        parts.append(f"deviation ~ n^s, s = {decay}")
        if output.bent.any():
            parts.append("bias ~ n^(-1/2) allowed")
    elif output.random:
        parts.append("random in the limit: means compared")
    elif output.exact.all() and output.holds:
        parts.append("exact at every width")
    indent = "    "
    return [
        "   ".join(parts),
        *textwrap.wrap(output.reason, WIDTH - 4, initial_indent=indent, subsequent_indent=indent),
    ]


def _picked(output: OutputCheck) -> list[int]:
    """The entries to show: all of a few, else those with the smallest p-values."""
    if output.limit.size <= ALL:
        return list(range(output.limit.size))
    p = np.nan_to_num(output.p.ravel(), nan=0.0)
    order = np.lexsort((-np.abs(output.score.ravel()), p))
    return [int(k) for k in order[:WORST]]


def _rows(output: OutputCheck) -> list[list[str]]:
    """Label, limit, mean at the largest width, extrapolation and score of the entries shown."""
    picked = _picked(output)
    columns = [(output.limit, output.limit_error), (output.means[-1], output.errors[-1])]
    if len(output.means) > 1:
        columns.append((output.extrapolated, output.extrapolated_error))
    texts = [
        align_texts([uncertain(v.ravel()[k], e.ravel()[k]) for k in picked]) for v, e in columns
    ]
    labels = [entry_label(output.limit.shape, output.labels, k) for k in picked]
    scores = [_score(float(output.score.ravel()[k])) for k in picked]
    return [list(row) for row in zip(labels, *texts, scores, strict=True)]


def _score(score: float) -> str:
    if math.isnan(score):
        return "-"
    return f"{round(score, 1) + 0.0:+.1f}" if abs(score) < 1e4 else f"{score:+.0e}"


def _summary(output: OutputCheck, count: int) -> list[str]:
    """How the entries that are not shown fare, and all together."""
    if output.limit.size <= count:
        return []
    rest = output.limit.size - count
    scores = np.abs(output.score.ravel())
    if np.isnan(scores).all():
        return [f"  {rest} more entries"]
    largest = float(np.sort(scores)[::-1][count])
    line = f"  {rest} more entries, |z| up to {largest:.1f}"
    if not output.exact.all():
        size = float(np.sqrt(np.mean(output.score[~output.exact] ** 2)))
        line += f"; of all, z is {size:.2f} RMS, together p = {output.p_together:.2g}"
    return [line]


def _padded(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        for cell, width in zip(row[1:], widths[1:], strict=True):
            cells.append(cell.center(width) if number == 0 else cell.rjust(width))
        lines.append(("  " + "   ".join(cells)).rstrip())
    return lines


def _verdict(verification: Verification) -> list[str]:
    failed = [x.name for x in verification.outputs if x.finite and not x.holds]
    unknown = [x.name for x in verification.outputs if not x.finite]
    entries = sum(output.limit.size for output in verification.outputs)
    count = len(verification.outputs)
    tested = f"{count} {'output' if count == 1 else 'outputs'}, "
    tested += f"{entries} {'entry' if entries == 1 else 'entries'}"
    tested += f", confidence {verification.confidence:g}"
    sentences = []
    if failed:
        sentences.append(f"The limit does NOT hold for {', '.join(failed)} ({tested}).")
    if unknown:
        verb = "has" if len(unknown) == 1 else "have"
        sentences.append(f"{', '.join(unknown)} {verb} no finite limit to compare with.")
    sentences = sentences or [f"The limit holds ({tested})."]
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH)]
