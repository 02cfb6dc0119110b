"""Optimizers as scaling sees them: how their updates answer to the size of gradients.

``adam``, ``adam(eps=0)``: an entry of the registry; or one of those that are no entrywise update
functions: ``lamb``, ``lars``, ``adafactor``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from nexort import optimizers
from nexort.elaborate.source import compile_source
from nexort.parametrization.layers import Normalization
from nexort.parametrization.verdict import update_degree
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Source, did_you_mean, fail
from nexort.training.update import Update


@dataclass(frozen=True, slots=True)
class Optimizer:
    """``degree``: 0, 1 or None in which the update is homogeneous in the gradients.

    ``epsilon`` is (k, m) with Q(s g; s^k eps) = s^m Q(g; eps), None where there is no such epsilon:
    n^d in front of gradients is then the same as eps n^-kd and a learning rate n^-(c - m d).
    """

    name: str
    degree: int | None
    epsilon: tuple[int, int] | None = None
    normalization: Normalization = "none"
    note: str = ""


SPECIAL: Mapping[str, tuple[str, Normalization, str]] = {
    "lamb": ("adam", "trust", "Adam's update times the weight's norm over its own (LAMB)"),
    "lars": ("momentum", "trust", "the momentum times the weight's norm over its own (LARS)"),
    "adafactor": (
        "rmsprop",
        "none",
        "the second moment factored in rows and columns: entries of the update have the size they "
        "have under RMSProp (2.10.3); without relative steps",
    ),
    "adafactor_relative": (
        "rmsprop",
        "trust",
        "Adafactor with relative steps: learning rates times the weight's root mean square",
    ),
}
"""The entrywise function, what it is divided by, and what is said of it."""


def optimizer_of(text: str, normalization: Normalization | None = None) -> Optimizer:
    """The optimizer of a text such as ``adam`` or ``adam(eps=0)``. Raises NexortError."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", text)
    if match is None:
        message = f"'{text}' is not an optimizer"
        raise fail("bad-option", message, help="--optimizer adam, or 'adam(eps=0)'")
    name = match[1]
    known = [*optimizers.optimizer_registry(), *SPECIAL]
    if name not in known:
        hint = did_you_mean(name, known) or f"optimizers: {', '.join(known)}"
        raise fail("unknown-name", f"unknown optimizer '{name}'", help=hint)
    base, norm, note = SPECIAL.get(name, (name, "none", ""))
    update = _update(base, _arguments(name, match[2]))
    return describe_optimizer(name, update, normalization or norm, note)


def describe_optimizer(
    name: str, update: Update, normalization: Normalization = "none", note: str = ""
) -> Optimizer:
    """An update function's answer to the size of gradients."""
    power = update_degree(update)
    epsilon = _epsilon(update) if power is None else None
    return Optimizer(name, power, epsilon, normalization, note)


def _arguments(name: str, text: str | None) -> dict[str, float]:
    found = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        try:
            found[key.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            message = f"'{part.strip()}' is not a hyperparameter of '{name}'"
            raise fail("bad-option", message, help="'adam(eps=0)'")
    return found


def _update(name: str, given: Mapping[str, float]) -> Update:
    source = Source(f"{name}.nxt", optimizers.optimizer_registry()[name].source)
    rule = compile_source(source).updates[name]
    values = {p: float(node.attr) for p, node in rule.parameters if node is not None}
    for key in given:
        if key not in values and key != "lr":
            message = f"'{key}' is not a hyperparameter of '{name}'"
            hint = did_you_mean(key, values) or ", ".join(values) or "it has none"
            raise fail("bad-option", message, help=hint)
    return Update(rule, values | {k: v for k, v in given.items() if k != "lr"})


def _epsilon(update: Update) -> tuple[int, int] | None:
    """(k, m) of the update's epsilon, found on random gradients."""
    if "eps" not in update.hyperparameters:
        return None
    draws = np.random.Generator(np.random.PCG64(0)).standard_normal((3, 8))
    size, factor = 0.1, 2.0**-10

    def run(scale: float, eps: float) -> Array:
        changed = Update(update.rule, {**update.hyperparameters, "eps": eps})
        states = changed.start(draws.shape[1:])
        return np.stack([np.array(changed.step(t, scale * g, states)) for t, g in enumerate(draws)])

    plain = run(1.0, size)
    for k, m in product((1, 2), (0, 1)):
        if np.allclose(run(factor, size * factor**k), plain * factor**m, rtol=1e-9, atol=0.0):
            return k, m
    return None
