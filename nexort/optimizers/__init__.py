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
class Range:
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


RATE = Range(0, 1)
"""Of running means."""

SIZE = Range(0, float("inf"))
_COMMON = {
    "beta": RATE, "beta1": RATE, "beta2": RATE, "alpha": RATE, "rho": RATE, "eps": SIZE,
    "momentum_decay": SIZE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """An optimizer: its ``source``, one line on it, and where it comes from.

    ``ranges`` are those of its hyperparameters. ``weight_decay`` is the default of its decoupled
    weight decay, where it has one: weights are multiplied by 1 - lr * weight_decay at every step.
    """

    name: str
    citation: str
    weight_decay: float | None = None
    ranges: Mapping[str, Range] = field(default_factory=lambda: _COMMON)

    @property
    def source(self) -> str:
        """The update function."""
        return (resources.files(__name__) / f"{self.name}.nxt").read_text("utf-8")

    @property
    def summary(self) -> str:
        """The comment above it, on one line."""
        lines = self.source.split("update ", 1)[0].splitlines()
        return " ".join(line.lstrip("# ") for line in lines)


ENTRIES = (
    Entry("sgd", "Robbins & Monro, A stochastic approximation method, 1951"),
    Entry("momentum", "Polyak, Some methods of speeding up the convergence of iterations, 1964"),
    Entry("nesterov", "Sutskever et al., On the importance of initialization and momentum, 2013"),
    Entry("sign_sgd", "Bernstein et al., arXiv 1802.04434"),
    Entry("adam", "Kingma & Ba, arXiv 1412.6980"),
    Entry("adam_outside", "Kingma & Ba, arXiv 1412.6980"),
    Entry("adamw", "Loshchilov & Hutter, arXiv 1711.05101", weight_decay=0.01),
    Entry("rmsprop", "Tieleman & Hinton, Coursera lecture 6.5, 2012"),
    Entry("adagrad", "Duchi et al., JMLR 12, 2011"),
    Entry("adadelta", "Zeiler, arXiv 1212.5701"),
    Entry("nadam", "Dozat, Incorporating Nesterov momentum into Adam, 2016"),
    Entry("adamax", "Kingma & Ba, arXiv 1412.6980, section 7"),
    Entry("amsgrad", "Reddi et al., arXiv 1904.09237"),
    Entry("lion", "Chen et al., arXiv 2302.06675"),
)


@cache
def registry() -> dict[str, Entry]:
    """Every entry by name."""
    return {entry.name: entry for entry in ENTRIES}
