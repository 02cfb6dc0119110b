"""What is known of an expectation's existence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Known(Enum):
    """Proven to exist, proven not to, or neither."""

    EXISTS = auto()
    DIVERGES = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Existence:
    """``reason`` says why an expectation does not exist, after "because"; ``finite`` that the
    integrand is real and finite almost everywhere."""

    known: Known
    reason: str = ""
    finite: bool = True


EXISTS, UNKNOWN = Existence(Known.EXISTS), Existence(Known.UNKNOWN)


def diverges(reason: str) -> Existence:
    """An expectation that does not exist."""
    return Existence(Known.DIVERGES, reason)


def undefined_expectation(what: str, *, always: bool = False) -> Existence:
    """An expectation of what is not real or not finite, with positive probability or ``always``."""
    where = "" if always else "with positive probability "
    return Existence(Known.DIVERGES, f"{where}it is {what}", finite=False)
