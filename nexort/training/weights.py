"""The weights of a training at given numbers: laws, exponents, update functions and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nexort.program.declarations import OutputRule
from nexort.program.missing import Missing
from nexort.program.network import (
    OUTPUT,
    STEP_VARIABLE,
    IsMember,
    Normalization,
    Training,
    WeightFamily,
    last_of,
)
from nexort.program.nodes import Node
from nexort.program.unroll import Unroller
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Span, fail
from nexort.training.hyperparameters import check_hyperparameters
from nexort.training.rules import rule_at
from nexort.training.scalars import scalar_value
from nexort.training.task import Key, Norm, Weight, weight_name
from nexort.training.update import Update


@dataclass(frozen=True)
class TrainingNumbers:
    """What numbers and data a training is prepared with."""

    unroller: Unroller
    data: Mapping[str, Array]
    steps: int

    def graph(
        self,
        root: Node,
        t: int | None = None,
        *,
        where: Span,
        refs: tuple[tuple[Node, Span], ...] = (),
    ) -> Node:
        """A graph with its numbers, at a step. Raises NexortError where it has none."""
        env = self.unroller.base if t is None else {**self.unroller.base, STEP_VARIABLE: t}
        self.unroller.rule = OutputRule(OUTPUT[0], root, None, root.type.axes, where, refs)
        try:
            return self.unroller.instance(root, env)
        except Missing:
            self.unroller.report.stop()
            raise

    def values(self, root: Node, *, where: Span) -> Array:
        """A scalar graph at every step, shape (steps,). Raises NexortError unless finite."""
        found = np.empty(self.steps)
        for t in range(self.steps):
            found[t] = scalar_value(self.graph(root, t, where=where), {}, self.data, lambda _: ())
        if not np.isfinite(found).all():
            t = int(np.argmin(np.isfinite(found)))
            raise fail("no-value", f"this is {found[t]} at step {t}", where)
        return found

    def number(self, root: Node, *, where: Span) -> float:
        """A scalar graph without a step."""
        value = float(scalar_value(self.graph(root, where=where), {}, self.data, lambda _: ()))
        if not np.isfinite(value):
            raise fail("no-value", f"this is {value}, expected a finite number", where)
        return value


def weight_member(
    key: Key, shape: tuple[int, ...], training: Training, numbers: TrainingNumbers
) -> Weight:
    """A member of a family of weights, taken to be active. Raises NexortError for hyperparameters
    out of range."""
    declared = training.network.weights[key[0]]
    name, is_member = key[0], _membership(key, numbers.unroller)
    use = last_of(training.optimizers, name, is_member)
    assert use is not None
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
    decay = last_of(training.decays, name, is_member)
    if decay is not None:
        values = numbers.values(decay.rate, where=decay.span)
        if (values < 0).any() or (values > 1).any():
            raise fail("bad-argument", "a decay lies between 0 and 1", decay.span)
        keep *= 1 - values
    mean = numbers.number(declared.mean, where=declared.span)
    deviation = _deviation(declared, numbers)
    table = training.parametrization
    exponents = table.of(name, is_member)
    if exponents is None:
        raise fail("bad-training", f"no exponents for '{weight_name(key)}'", table.span)

    def number(root: Node) -> Node:
        return numbers.graph(root, where=use.span)

    found = Weight(
        key,
        declared.kind,
        shape,
        mean,
        deviation,
        exponents,
        Update(rule_at(use.rule, number, numbers.data), hyperparameters),
        rates,
        1 - keep,
        norm=_norm(last_of(training.normalizations, name, is_member), numbers),
    )
    if found.norm is None or table.name == "explicit":
        return found
    # a parametrization by name is meant for updates of size 1 (Def 2.10.4, 2.10.5)
    return replace(found, exponents=replace(exponents, c=exponents.c - found.shift))


def _membership(key: Key, unroller: Unroller) -> IsMember:
    return lambda indices, span: unroller.integers(indices, unroller.base, span) == key[1]


def _norm(use: Normalization | None, numbers: TrainingNumbers) -> Norm | None:
    if use is None:
        return None
    if use.threshold is None:
        return Norm(use.kind)
    thresholds = numbers.values(use.threshold, where=use.span)
    if (thresholds <= 0).any():
        raise fail("bad-argument", "a threshold is above 0", use.span)
    return Norm(use.kind, thresholds)


def _deviation(declared: WeightFamily, numbers: TrainingNumbers) -> float:
    variance = numbers.number(declared.variance, where=declared.span)
    if variance < 0:
        raise fail("bad-law", f"the variance of '{declared.name}' is {variance}", declared.span)
    return float(np.sqrt(variance))
