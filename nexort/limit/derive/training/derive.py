"""A training to its derivation: that of its equations, with names and sentences on top."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.data.given import Given
from nexort.expand.module import equations
from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.training.kets import moving_kets
from nexort.limit.derive.training.lines import TrainingLines, are_apart, training_lines
from nexort.limit.derive.training.tangent import tangent
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.program import Program
from nexort.support.diagnostics import fail


def derive_training(program: Program, numbers: Mapping[str, int | float]) -> Derivation:
    """The limit of a training (Thm 2.4.9, 2.7.3, 2.9.23, 2.9.30, 2.10.3); ``numbers`` are those of
    params, as far as they are known.

    Raises NexortError for a parametrization without a limit, and where something has no symbolic
    form.
    """
    assert program.training is not None
    try:
        read = read_training(program, numbers)
        return tangent(read) if read.told.regime == "tangent" else moving_kets(read)
    except Unsupported as problem:
        raise fail(
            "not-derivable",
            f"the training cannot be derived symbolically: {problem}",
            program.training.span,
            help="nexort eval and nexort verify still evaluate it",
        ) from None


def read_training(program: Program, numbers: Mapping[str, int | float]) -> TrainingLines:
    """The lines of a training: of families where they stay apart at the numbers, else of members.
    Raises NexortError and Unsupported."""
    given = Given(dict(numbers), {})
    found = training_lines(program, equations(program, given))
    if are_apart(found.system, numbers):
        return found
    return training_lines(program, equations(program, given, symbolic=False))
