"""A program with a training to its derivation."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.formula import ONE
from nexort.limit.derive.training.common import read
from nexort.limit.derive.training.decayed import decayed
from nexort.limit.derive.training.maximal import maximal
from nexort.limit.derive.training.tangent import check_scalars, tangent
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.program import Program
from nexort.support.diagnostics import fail


def derive_training(program: Program, numbers: Mapping[str, int | float]) -> Derivation:
    """The limit of a training; ``numbers`` are those of params, as far as they are known.

    Raises NexortError for a parametrization without a limit, and where something has no symbolic
    form.
    """
    assert program.training is not None
    try:
        run = read(program, numbers)
        if run.regime.name == "maximal":
            return maximal(run)
        if any(m.keep != ONE for m in run.moves.values()):
            check_scalars(run)
            return decayed(run)
        return tangent(run)
    except Unsupported as problem:
        raise fail(
            "not-derivable",
            f"the training cannot be derived symbolically: {problem}",
            program.training.span,
            help="nexort eval and nexort verify still evaluate it",
        ) from None
