"""What is classified: a program's network and training as layers, exponents and a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from nexort import driver
from nexort.classification.optimizers import Optimizer
from nexort.data import LoadedArray
from nexort.diagnostics import Report, Source, did_you_mean, fail
from nexort.driver import Given
from nexort.program.network import Exponents, Network
from nexort.program.nodes import Node, Op, walk
from nexort.program.numbers import resolve
from nexort.program.parametrization import NAMED, part, uniform
from nexort.program.parametrization import Table as Named
from nexort.program.program import Program
from nexort.program.types import Kind
from nexort.scaling.counting import Graph, Parameter, Slope
from nexort.scaling.layers import Table
from nexort.scaling.sizes import nonlinear
from nexort.syntax import tree as t
from nexort.syntax.parser import parse
from nexort.training.stability import table
from nexort.training.task import Key, Task, weight_name

UNKNOWN_SIZE = 2
"""The size of dims that are not given: sizes do not grow with n."""


@dataclass(frozen=True)
class Subject:
    """A network with a parametrization: its task (of two steps or more, on data of any values), the
    table of its weights' exponents, and whether its weights' text says how it is parametrized."""

    program: Program
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
        layers = zip(self.task.weights, self.table.layers, strict=True)
        return {key for key, layer in layers if layer.part == "readout"}

    @property
    def inner(self) -> set[Key]:
        """The weights that matrices or nonlinear functions see: an output does not read them
        linearly."""
        inside = [
            x
            for x in walk([self.task.out])
            if x.op is Op.MATMUL or (x.op is Op.CALL and nonlinear(str(x.attr)))
        ]
        below = walk([a for x in inside for a in x.args])
        return {x.attr for x in below if x.op is Op.INIT_VECTOR and x.attr in self.task.weights}

    @property
    def merged(self) -> bool:
        """Whether a_out is the same as a multiplier of the readouts: nothing else reads these."""
        return bool(self.heads) and not self.heads & self.inner

    def graph(self) -> Graph:
        """What sizes are counted in: vectors by name must have size 1, but for those which the
        output alone reads, weighted by a readout."""
        layers = dict(zip(self.task.weights, self.table.layers, strict=True))
        parameters = {
            key: Parameter(
                layers[key], mean=bool(w.mean), random=w.kind != "scalar" and w.scale > 0
            )
            for key, w in self.task.weights.items()
        }
        slopes = {
            key: Slope(g.pairs, g.ket, g.scalar)
            for key, g in self.task.gradients.items()
            if g.pairs or g.ket is not None or g.scalar is not None
        }
        heads = self.heads - self.inner
        features: dict[str, Node] = {}
        scalars: dict[str, Node] = {}
        kets: dict[str, Node] = {}
        for slot, (node, step) in self.task.moments.items():
            _, name, indices, _ = slot.attr
            if step > 0 or name in self.network.weights or name == self.network.name:
                continue
            text = weight_name((name, indices))
            if node.type.kind is not Kind.KET:
                scalars[text] = node
            elif any(x.op is Op.INIT_VECTOR and x.attr in heads for x in walk([node])):
                kets[text] = node
            else:
                features[text] = node
        return Graph(self.task.out, slopes, parameters, features, kets, scalars)

    def is_perceptron(self) -> bool:
        """Whether the theorem's conditions are those of this network: |u> @ xi, then matrices and
        one entrywise function by turns, and the readout (Eq 2.3), every weight once."""
        layers = list(self.table.layers)
        parts = [x.part for x in layers]
        if parts.count("vector") != 1 or parts.count("readout") != 1 or "scalar" in parts:
            return False
        if any(w.mean or not w.scale for w in self.task.weights.values()):
            return False
        x = _read_out(self.task.out)
        matrices = 0
        while x is not None and x.op is Op.CALL and len(x.args) == 1:
            x = x.args[0]
            if x.op is Op.MATMUL and x.attr[:2] in self.task.weights:
                x, matrices = x.args[0], matrices + 1
                continue
            vector = x.args[0] if x.op is Op.CONTRACT else None
            bare = vector is not None and vector.op is Op.INIT_VECTOR and x.args[1].op is Op.DATA
            return bare and matrices == parts.count("matrix") == len(_matrices(self.task.out))
        return False


def _read_out(out: Node) -> Node | None:
    """The vector that the readout weighs, None where there is more to the output."""
    if out.op is Op.INNER and out.args[0].op is Op.INIT_VECTOR:
        return out.args[1]
    if out.op is Op.AVERAGE and out.args[0].op is Op.CALL and out.args[0].attr == "mul":
        left, right = out.args[0].args
        if left.op is Op.INIT_VECTOR:
            return right
        return left if right.op is Op.INIT_VECTOR else None
    return None


def _matrices(out: Node) -> list[Node]:
    return [x for x in walk([out]) if x.op is Op.MATMUL]


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
    task = driver.training(program, _filled(program, given), judge=False)
    names = dict.fromkeys(w.update.name for w in task.weights.values())
    return Subject(
        program,
        task,
        table(training, task.weights),
        training.parametrization.name,
        ", ".join(names),
    )


def _filled(program: Program, given: Given) -> Given:
    """Ones for data that have no values."""
    report = Report()
    _, dims = resolve(program, given.numbers, report)
    report.stop()
    sizes = {name: size for name, size in dims.items() if size is not None}
    for name, data in program.data.items():
        known = given.arrays.get(name)
        values = known.array if known is not None else None
        if values is None and data.default is not None:
            values = np.asarray(data.default.attr, dtype=float)
        if values is not None and values.ndim == len(data.axes):
            for axis, size in zip(data.axes, values.shape, strict=True):
                sizes.setdefault(axis.name, size)
    arrays = dict(given.arrays)
    for name, data in program.data.items():
        if name not in arrays and data.default is None:
            shape = [a.size if a.size is not None else sizes.get(a.name) for a in data.axes]
            filled = np.ones([UNKNOWN_SIZE if s is None else s for s in shape])
            arrays[name] = LoadedArray(filled, f"ones for {name}")
    used = {a.name for d in program.data.values() for a in d.axes}
    loose = {name: UNKNOWN_SIZE for name in dims if name not in sizes and name not in used}
    return replace(given, arrays=arrays, numbers={**given.numbers, **loose})


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


def by_name(found: Subject) -> Mapping[str, Exponents]:
    """The exponents by the weights' names."""
    return {x.name: e for x, e in zip(found.table.layers, found.table.exponents, strict=True)}
