"""Trainings of which an expectation exists at initialization for no data."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.data.given import Given, placeholders
from nexort.limit.exact.divergence import SIZES
from nexort.limit.training.reading.outputs import read_outputs
from nexort.parametrization.verdict import in_limit
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError, Span


def weight_places(program: Program) -> Mapping[str, Span]:
    """Where the weights of a training are declared."""
    assert program.training is not None
    return {name: w.span for name, w in program.training.network.weights.items()}


def refuse_divergent_training(program: Program, given: Given) -> None:
    """Raise NexortError for a training of which an expectation exists at initialization for no
    data, as :func:`nexort.limit.exact.divergence.refuse_divergent`."""
    told = all(d.default is not None or n in given.arrays for n, d in program.data.items())
    for draw, size in enumerate(SIZES):
        try:
            task = in_limit(program, placeholders(program, given, size, draw))
        except NexortError:  # sizes that the program does not take
            return
        try:
            read_outputs(task, weight_places(program))
            return
        except NexortError as problem:
            found = problem
        if told:
            break
    raise found
