"""An update function at given numbers, applied to arrays (Def 2.1: w_t - w_{t-1} = -eta Q_t)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexort.program.program import UpdateRule
from nexort.program.unrolled import Array


@dataclass(frozen=True)
class Update:
    """An update function with its hyperparameters."""

    rule: UpdateRule
    hyperparameters: Mapping[str, float]

    @property
    def name(self) -> str:
        """The optimizer's name."""
        return self.rule.name

    def start(self, shape: tuple[int, ...], dtype: str = "float64") -> list[Array]:
        """The states before the first step."""
        raise NotImplementedError

    def step(self, t: int, gradient: Array, states: list[Array]) -> Array:
        """Q_t(g_0, ..., g_t), entry by entry; the states are brought up to date in place.

        Works through large arrays in blocks that fit the cache; keeps the gradient's dtype. The
        result may be a buffer that the next call overwrites; ``gradient`` is left alone.
        """
        raise NotImplementedError

    def coefficients(self, steps: int) -> Array | None:
        """c, shape (steps, steps), with Q_t = sum_{s <= t} c[t, s] g_s where the update function is
        linear in the gradients (SGD, momentum, ...), else None."""
        raise NotImplementedError
