"""What is asked for where a limit is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

Progress = Callable[[int, int], None]
"""Called with (finished, total) replicates."""

EXACT_RTOL = 1e-8
DEFAULT_REPLICATES = 16
DEFAULT_MAX_SAMPLES = 2**17


@dataclass(frozen=True)
class Settings:
    """How to sample. ``samples`` None picks a number that suits the program; with ``rtol`` the
    samples are doubled until every output's error is below rtol times its largest entry, or
    ``max_samples`` is reached; ``rtol`` is also what quadrature aims at (1e-8 where None).
    ``memory`` bounds the arrays of all threads together, in bytes. ``exact`` False samples all
    expectations."""

    samples: int | None = None
    replicates: int = DEFAULT_REPLICATES
    seed: int = 0
    rtol: float | None = None
    max_samples: int = DEFAULT_MAX_SAMPLES
    threads: int | None = field(default=None, compare=False)
    memory: int = 2 * 2**30
    exact: bool = True

    @property
    def identity(self) -> tuple[object, ...]:
        """All that a result depends on."""
        return tuple(getattr(self, f.name) for f in fields(self) if f.compare)
