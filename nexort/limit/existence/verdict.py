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
class Verdict:
    """``reason`` says why an expectation does not exist, after "because"; ``finite`` that the
    integrand is real and finite almost everywhere."""

    known: Known
    reason: str = ""
    finite: bool = True


EXISTS, UNKNOWN = Verdict(Known.EXISTS), Verdict(Known.UNKNOWN)


def diverges(reason: str) -> Verdict:
    """An expectation that does not exist."""
    return Verdict(Known.DIVERGES, reason)


def undefined(what: str, *, always: bool = False) -> Verdict:
    """An expectation of what is not real or not finite, with positive probability or ``always``."""
    where = "" if always else "with positive probability "
    return Verdict(Known.DIVERGES, f"{where}it is {what}", finite=False)
