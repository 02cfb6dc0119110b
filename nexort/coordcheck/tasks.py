"""The training that a coordinate check runs, and one whose exponents are expected in its place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from nexort.data.given import Given
from nexort.program.index import Affine
from nexort.program.network import Parametrization
from nexort.program.parametrization import NAMED, Table, part, readouts, uniform
from nexort.program.program import Program
from nexort.support.diagnostics import did_you_mean, fail
from nexort.training.prepare import prepare
from nexort.training.task import Task

STEPS = 3
"""At most so many steps where none are asked for."""


def shorten_training(program: Program, given: Given, steps: int | None) -> Task:
    """The training for a few steps, whatever its exponents; its outputs are not needed."""
    training = program.training
    assert training is not None
    # rules beside the network, which it does not read, may want steps that are not run
    bare = replace(program, outputs=(), body=())
    if steps is None:
        task = prepare(bare, given)
        if task.steps <= STEPS:
            return task
        steps = STEPS
    few = replace(training, steps=Affine(steps))
    return prepare(replace(bare, training=few), given)


def expecting(program: Program, name: str) -> Program:
    """The program with a parametrization by name: mup, ntp, sp or ups(s). Raises NexortError."""
    training = program.training
    assert training is not None
    parts, out = table_named(name)
    own, network = training.parametrization, training.network
    weights = {w: parts[part(network, w)] for w in network.weights}
    if last := readouts(network):  # f has a_out + a of a readout: a_out may be as it is
        for w in last:
            weights[w] = replace(weights[w], a=weights[w].a + out - own.out)
        out = own.out
    named = Parametrization(name, weights, {}, out, own.span)
    return replace(program, training=replace(training, parametrization=named))


def table_named(name: str) -> Table:
    """Exponents by part, and a_out. Raises NexortError for an unknown name."""
    text = name.strip().lower()
    if text in NAMED:
        return NAMED[text]()
    if text.startswith("ups(") and text.endswith(")"):
        try:
            s = Fraction(text[4:-1])
        except (ValueError, ZeroDivisionError):
            s = Fraction(-1)
        if 0 <= s <= Fraction(1, 2):
            return uniform(s)
        raise fail("bad-option", f"'{name}': s lies between 0 and 1/2", help="--expect 'ups(1/4)'")
    message = f"there is no parametrization '{name}', expected mup, ntp, sp or ups(s)"
    raise fail("bad-option", message, help=did_you_mean(text, NAMED))
