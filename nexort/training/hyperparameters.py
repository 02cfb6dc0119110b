"""Ranges of hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping

from nexort import optimizers
from nexort.program.network import OptimizerUse
from nexort.program.unrolled import Array
from nexort.support.diagnostics import fail


def check_hyperparameters(use: OptimizerUse, values: Mapping[str, float], rates: Array) -> None:
    """Raises NexortError for a hyperparameter outside its range, or a negative learning rate."""
    if (rates < 0).any():
        where = use.spans.get("lr", use.span)
        raise fail("bad-argument", f"the learning rate is {rates.min()}, below 0", where)
    entry = optimizers.optimizer_registry().get(use.rule.name)
    if entry is None:
        return
    for name, allowed in entry.ranges.items():
        if name in values and not allowed.holds(values[name]):
            message = f"'{name}' of '{use.rule.name}' is {values[name]:g}, expected {allowed}"
            raise fail("bad-argument", message, use.spans.get(name, use.span))
