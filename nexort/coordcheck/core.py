"""Coordinate checks of core programs: sizes of all named vectors and scalars.

The size of a vector is an output like any other, the average of its squares, so that the program
with these outputs says it at every width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nexort.coordcheck.measure import Measured
from nexort.coordcheck.predict import Exponent, Prediction, predicted_power
from nexort.coordcheck.tensors import Quantity, Role, Tensor
from nexort.data.given import Given, bind_given
from nexort.parametrization.counting import Counting
from nexort.parametrization.graph import NetworkGraph
from nexort.program import build
from nexort.program.missing import Missing
from nexort.program.nodes import DRAWN, Node, Op, walk
from nexort.program.outputs import unrolled_outputs
from nexort.program.program import Program
from nexort.program.types import ROOT, Kind
from nexort.program.unroll import Unroller
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.support.diagnostics import Report
from nexort.training.task import weight_name
from nexort.transform.operators import expand_operators


@dataclass(frozen=True)
class Core:
    """A core program over given numbers, and its named vectors and scalars."""

    program: Unrolled
    tensors: tuple[Tensor, ...]


def core(program: Program, given: Given) -> Core:
    """Unroll a program without a training. Raises NexortError for what its numbers and data do not
    define."""
    params, data, sizes = bind_given(program, given)
    report = Report()
    unroller = Unroller(program, params, sizes, report, given.max_instructions)
    unroller.run()
    names: dict[Node, str] = {}
    for key, node in unroller.members.items():
        if node is not None and node.type.kind is not Kind.OPERATOR and _is_core(node):
            names.setdefault(node, weight_name(key))
    for output in unrolled_outputs(unroller):
        for node, indices in zip(output.members, output.indices, strict=True):
            names.setdefault(node, weight_name((output.name, indices)))
    report.stop()
    laws = {}
    for initial in program.initial.values():
        try:
            if initial.law is not None:
                laws[initial.name] = unroller.instance(initial.law, unroller.base)
        except Missing:
            report.stop()
    graph = Unrolled((), data, sizes, laws, unroller.spans)
    return _expanded(graph, names, given.max_instructions)


def _is_core(x: Node) -> bool:
    return x.type.kind is Kind.SCALAR or x.type.copies == ROOT


def _expanded(graph: Unrolled, names: Mapping[Node, str], most: int) -> Core:
    """Without operators; the leaves have names of their own."""
    roots = tuple(names)
    several = UnrolledOutput("sizes", roots, tuple((k,) for k in range(len(roots))), (), (), None)
    expanded = expand_operators(replace(graph, outputs=(several,)), most)
    labels: dict[Node, str] = {}
    for old, new in zip(roots, expanded.outputs[0].members, strict=True):
        labels.setdefault(new, names[old])
    for x in walk(labels):
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
            labels.setdefault(x, weight_name((str(x.attr[0]), tuple(x.attr[1]))))
    tensors = []
    for x in sorted(labels, key=lambda x: x.serial):
        role: Role = "ket" if x.type.kind is Kind.KET else "scalar"
        if walk([x]) and any(y.op in DRAWN for y in walk([x])):
            tensors.append(Tensor(labels[x], role, x, None, float(x.serial)))
    outputs = []
    for place, t in enumerate(tensors):
        assert t.node is not None
        square = build.call("mul", t.node, t.node)
        square = build.average(square) if t.role == "ket" else square
        outputs.append(UnrolledOutput(str(place), (square,), ((),), (), square.type.axes, None))
    return Core(replace(expanded, outputs=tuple(outputs)), tuple(tensors))


def measure_core(
    found: Core,
    widths: Sequence[int],
    seeds: int,
    *,
    watch: Callable[[int], Callable[[int], None] | None] | None = None,
    **options: Any,
) -> Measured:
    """Sizes at a series of widths; ``options`` are those of ``finite.simulate``."""
    from nexort.finite import simulate

    quantities = [Quantity("size", x, 0) for x in found.tensors]
    squares = {q: np.full((len(widths), seeds), np.nan) for q in quantities}
    for place, width in reversed(list(enumerate(widths))):
        progress = None if watch is None else watch(width)
        runs = simulate(found.program, width, seeds, progress=progress, **options)
        for k, q in enumerate(quantities):
            squares[q][place] = runs[str(k)].reshape(seeds, -1).mean(axis=1)
    return Measured(tuple(widths), seeds, found.tensors, squares)


def predict_core(found: Core) -> Prediction:
    """The sizes that are counted."""
    nodes = {str(k): x.node for k, x in enumerate(found.tensors) if x.node is not None}
    [first, *_] = [output.members[0] for output in found.program.outputs]
    counting = Counting(NetworkGraph(first, {}, {}, named=nodes), {})
    exponents: dict[Quantity, Exponent] = {
        Quantity("size", x, 0): predicted_power(counting.first[node].total)
        for x, node in zip(found.tensors, nodes.values(), strict=True)
    }
    return Prediction(exponents, None)
