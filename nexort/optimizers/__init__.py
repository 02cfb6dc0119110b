"""Optimizers: one ``.nxt`` file an entry, an update function in the language itself.

``optimizer adam(lr=0.1)`` in a training is this registry's ``adam``, unless the program defines
its own. The learning rate multiplies the update and is no hyperparameter of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class HyperparameterRange:
    """Where a hyperparameter may lie: from ``low`` (included) to ``high`` (excluded)."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in the range."""
        return self.low <= value < self.high

    def __str__(self) -> str:
        if self.high == float("inf"):
            return f"at least {self.low:g}"
        return f"at least {self.low:g} and below {self.high:g}"


RATE = HyperparameterRange(0, 1)
"""Of running means."""

SIZE = HyperparameterRange(0, float("inf"))
_COMMON = {
    "beta": RATE, "beta1": RATE, "beta2": RATE, "alpha": RATE, "rho": RATE, "eps": SIZE,
    "momentum_decay": SIZE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """An optimizer: its ``source``, one line on it, and where it comes from.

    ``ranges`` are those of its hyperparameters. ``weight_decay`` is the default of its decoupled
    weight decay, where it has one: weights are multiplied by 1 - lr * weight_decay at every step.
    """

    name: str
    source: str
    summary: str
    citation: str
    weight_decay: float | None = None
    ranges: Mapping[str, HyperparameterRange] = field(default_factory=lambda: _COMMON)


def _entry(name: str, source: str) -> OptimizerEntry:
    """An entry from its file: a comment of what it is, then '# source:' and where it has one
    '# weight decay:'."""
    lines = [line.lstrip("# ") for line in source.split("update ", 1)[0].splitlines()]
    marks = dict(line.split(": ", 1) for line in lines if line.startswith(_MARKS))
    summary = " ".join(line for line in lines if not line.startswith(_MARKS))
    decay = marks.get("weight decay")
    return OptimizerEntry(
        name, source, summary, marks["source"], None if decay is None else float(decay)
    )


_MARKS = ("source: ", "weight decay: ")


@cache
def optimizer_registry() -> dict[str, OptimizerEntry]:
    """Every entry by name: the ``.nxt`` files of this package."""
    files = (f for f in resources.files(__name__).iterdir() if f.name.endswith(".nxt"))
    found = {f.name.removesuffix(".nxt"): f.read_text("utf-8") for f in files}
    return {name: _entry(name, source) for name, source in sorted(found.items())}
