"""The weights of a training at given numbers: laws, exponents, update functions and rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nexort.diagnostics import Span, fail
from nexort.program.network import (
    STEP_VARIABLE,
    Decay,
    Exponents,
    Normalization,
    OptimizerUse,
    Training,
    WeightFamily,
    WeightSet,
)
from nexort.program.nodes import Node
from nexort.program.unroll import Unroller
from nexort.program.unrolled import Array
from nexort.training.hyperparameters import check_hyperparameters
from nexort.training.recorder import scalar_value
from nexort.training.rules import rule_at
from nexort.training.task import Key, Norm, Weight, weight_name
from nexort.training.update import Update

U = TypeVar("U", OptimizerUse, Decay, Normalization)


@dataclass(frozen=True)
class Numbers:
    """What numbers and data a training is prepared with."""

    unroller: Unroller
    data: Mapping[str, Array]
    steps: int

    def graph(self, root: Node, t: int | None = None) -> Node:
        """A graph with its numbers, at a step."""
        env = self.unroller.base if t is None else {**self.unroller.base, STEP_VARIABLE: t}
        return self.unroller.instance(root, env)

    def values(self, root: Node, *, where: Span) -> Array:
        """A scalar graph at every step, shape (steps,). Raises NexortError unless finite."""
        found = np.empty(self.steps)
        for t in range(self.steps):
            found[t] = scalar_value(self.graph(root, t), {}, self.data, lambda _: ())
        if not np.isfinite(found).all():
            t = int(np.argmin(np.isfinite(found)))
            raise fail("no-value", f"this is {found[t]} at step {t}", where)
        return found

    def number(self, root: Node, *, where: Span) -> float:
        """A scalar graph without a step."""
        value = float(scalar_value(self.graph(root), {}, self.data, lambda _: ()))
        if not np.isfinite(value):
            raise fail("no-value", f"this is {value}, expected a finite number", where)
        return value


def weight(key: Key, shape: tuple[int, ...], training: Training, numbers: Numbers) -> Weight:
    """A member of a family of weights, taken to be active. Raises NexortError for hyperparameters
    out of range."""
    declared = training.network.weights[key[0]]
    use = next(x for x in reversed(_ordered(training.optimizers, key, numbers.unroller)))
    hyperparameters = {
        p: numbers.number(node, where=use.spans.get(p, use.span))
        for p, node in use.arguments.items()
    }
    rates = numbers.values(use.rate, where=use.spans.get("lr", use.span))
    check_hyperparameters(use, hyperparameters, rates)
    keep = np.ones(numbers.steps)
    if use.weight_decay is not None:
        where = use.spans.get("weight_decay", use.span)
        keep *= 1 - rates * numbers.values(use.weight_decay, where=where)
    for x in _ordered(training.decays, key, numbers.unroller)[-1:]:
        values = numbers.values(x.rate, where=x.span)
        if (values < 0).any() or (values > 1).any():
            raise fail("bad-argument", "a decay lies between 0 and 1", x.span)
        keep *= 1 - values
    found = Weight(
        key,
        declared.kind,
        shape,
        numbers.number(declared.mean, where=declared.span),
        _deviation(declared, numbers),
        exponents_of(training, key, numbers.unroller),
        Update(rule_at(use.rule, numbers.graph, numbers.data), hyperparameters),
        rates,
        1 - keep,
        norm=_norm(key, training, numbers),
    )
    if found.norm is None or training.parametrization.name == "explicit":
        return found
    # a parametrization by name is meant for updates of size 1 (Def 2.10.4, 2.10.5)
    e = found.exponents
    return replace(found, exponents=replace(e, c=e.c - found.shift))


def _norm(key: Key, training: Training, numbers: Numbers) -> Norm | None:
    found = _ordered(training.normalizations, key, numbers.unroller)
    if not found:
        return None
    use = found[-1]
    if use.threshold is None:
        return Norm(use.kind)
    thresholds = numbers.values(use.threshold, where=use.span)
    if (thresholds <= 0).any():
        raise fail("bad-argument", "a threshold is above 0", use.span)
    return Norm(use.kind, thresholds)


def _deviation(declared: WeightFamily, numbers: Numbers) -> float:
    variance = numbers.number(declared.variance, where=declared.span)
    if variance < 0:
        raise fail("bad-law", f"the variance of '{declared.name}' is {variance}", declared.span)
    return float(np.sqrt(variance))


def exponents_of(training: Training, key: Key, unroller: Unroller) -> Exponents:
    """The exponents of a member."""
    table = training.parametrization
    for member, values in table.members.items():
        if (
            member.name == key[0]
            and unroller.integers(member.indices, unroller.base, table.span) == key[1]
        ):
            return values
    if key[0] not in table.weights:
        raise fail("bad-training", f"no exponents for '{weight_name(key)}'", table.span)
    return table.weights[key[0]]


def _ordered(uses: Iterable[U], key: Key, unroller: Unroller) -> list[U]:
    """The lines that speak of a weight, the most particular last."""

    def rank(use: U) -> int:
        weights: tuple[WeightSet, ...] | None = use.weights
        if weights is None:
            return 1
        found = 0
        for w in weights:
            if w.name == key[0]:
                if w.indices is None:
                    found = max(found, 2)
                elif unroller.integers(w.indices, unroller.base, w.span) == key[1]:
                    found = 3
        return found

    return sorted((u for u in uses if rank(u)), key=rank)
