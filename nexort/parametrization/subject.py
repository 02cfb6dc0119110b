"""What is classified: a program's network and training as layers, exponents and a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from nexort.data.given import Given, placeholders
from nexort.parametrization.graph import NetworkGraph
from nexort.parametrization.layers import Layer, Normalization, Table
from nexort.parametrization.optimizers import Optimizer
from nexort.parametrization.task_graph import is_output_linear, is_perceptron, network_graph
from nexort.parametrization.verdict import exponents_table
from nexort.program.network import Exponents, Network
from nexort.program.parametrization import NAMED, part, uniform
from nexort.program.parametrization import Table as Named
from nexort.program.program import Program
from nexort.support.diagnostics import Source, did_you_mean, fail
from nexort.syntax import tree as t
from nexort.syntax.parser import parse
from nexort.training.prepare import prepare
from nexort.training.task import Key, Task


@dataclass(frozen=True)
class Subject:
    """A network with a parametrization: its task (of two steps or more, on data of any values), the
    table of its weights' exponents, and whether its weights' text says how it is parametrized."""

    program: Program
    given: Given
    task: Task
    table: Table
    parametrization: str
    optimizer: str

    @property
    def network(self) -> Network:
        """The network."""
        assert self.program.training is not None
        return self.program.training.network

    @property
    def heads(self) -> set[Key]:
        """The readouts."""
        return {key for key, layer in self.layers.items() if layer.part == "readout"}

    @property
    def layers(self) -> Mapping[Key, Layer]:
        """The weights as the conditions see them."""
        return dict(zip(self.task.weights, self.table.layers, strict=True))

    @property
    def merged(self) -> bool:
        """Whether a_out is the same as a multiplier of the readouts, f being linear in them."""
        return is_output_linear(self.task, self.heads)

    def graph(self) -> NetworkGraph:
        """What sizes are counted in."""
        return network_graph(self.task, self.network, self.layers)

    def is_perceptron(self) -> bool:
        """Whether the theorem's conditions are those of this network."""
        return is_perceptron(self.task, self.layers)


# ---- reading -------------------------------------------------------------------------------------


def with_training(source: Source) -> Source:
    """A program with a network, with a training where it has none: two steps of mup and sgd.

    Raises NexortError where there is no network.
    """
    statements = parse(source).statements
    networks = [x for x in statements if isinstance(x, t.Network)]
    if not networks:
        message = f"{source.name}: the program has no network"
        raise fail("no-network", message, help="network f(xi) { weight ...; return ... }")
    if any(isinstance(x, t.Train) for x in statements):
        return source
    name = networks[0].name
    text = f"train {name} {{ parametrization mup; optimizer sgd(lr=1); error {name}; steps 2 }}"
    return Source(source.name, f"{source.text.rstrip()}\n{text}\n")


def subject(program: Program, given: Given) -> Subject:
    """The program's network in its own parametrization. Data that are not given have any values,
    dims whose sizes are not known are small. Raises NexortError."""
    training = program.training
    if training is None:
        message = f"{program.source.name}: the program trains nothing"
        raise fail("no-network", message, help="network f(xi) { ... }, train f { ... }")
    task = prepare(program, placeholders(program, given))
    names = dict.fromkeys(w.update.name for w in task.weights.values())
    return Subject(
        program,
        given,
        task,
        exponents_table(training, task.weights),
        training.parametrization.name,
        ", ".join(names),
    )


# ---- other parametrizations and optimizers -------------------------------------------------------


def regime(text: str) -> tuple[str, Named]:
    """``mup``, ``ntp``, ``sp`` or ``ups(1/4)``: its name and table. Raises NexortError."""
    plain = text.replace(" ", "")
    if plain in NAMED:
        return plain, NAMED[plain]()
    if plain.startswith("ups(") and plain.endswith(")"):
        s = rational(plain[4:-1], "the s of ups(s)")
        if not 0 <= s <= Fraction(1, 2):
            raise fail("bad-option", f"the s of ups(s) lies between 0 and 1/2, found {s}")
        return f"ups({s})", uniform(s)
    hint = did_you_mean(plain, NAMED) or f"regimes: {', '.join([*NAMED, 'ups(1/4)'])}"
    raise fail("unknown-name", f"unknown regime '{text}'", help=hint)


def rational(value: object, what: str) -> Fraction:
    """An exact rational from a number or a text: 1/2, 0.5. Raises NexortError."""
    try:
        match value:
            case bool():
                pass
            case float() | np.floating():
                return Fraction(repr(float(value)))
            case int() | np.integer():
                return Fraction(int(value))
            case Fraction() | str():
                return Fraction(value)
            case _:
                pass
    except (ValueError, ZeroDivisionError):
        pass
    message = f"{what} is {value!r}, expected a rational number"
    raise fail("bad-exponents", message, help="1/2, 0.5, Fraction(1, 2)")


def in_regime(found: Subject, text: str) -> Subject:
    """The same network in another parametrization; its normalization's shifts put in."""
    name, (parts, out) = regime(text)
    exponents = []
    for key, layer in zip(found.task.weights, found.table.layers, strict=True):
        e = parts[part(found.network, key[0])]
        exponents.append(Exponents(e.a, e.b, e.c - layer.shift(e.b), e.d))
    changed = replace(found.table, exponents=tuple(exponents), out=out)
    return replace(found, table=changed, parametrization=name)


def under(found: Subject, by: Optimizer) -> Subject:
    """The same network under another optimizer, for all weights."""
    layers = tuple(
        replace(x, degree=by.degree, normalization=by.normalization) for x in found.table.layers
    )
    return replace(found, table=replace(found.table, layers=layers), optimizer=by.name)


def divide_updates(found: Subject, by: Normalization) -> Subject:
    """The same network with all updates divided by something else."""
    layers = tuple(replace(x, normalization=by) for x in found.table.layers)
    return replace(found, table=replace(found.table, layers=layers))


def by_name(found: Subject) -> Mapping[str, Exponents]:
    """The exponents by the weights' names."""
    return {x.name: e for x, e in zip(found.table.layers, found.table.exponents, strict=True)}
