"""A task's network as what sizes are counted in (nexort.scaling.counting), and whether it is a
perceptron, of which the theorem's conditions speak."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nexort.program.network import Network
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.scaling.graph import Graph, Parameter, Slope
from nexort.scaling.layers import Layer
from nexort.scaling.orders import Symbol
from nexort.scaling.sizes import nonlinear
from nexort.training.task import Key, Task, Weight, weight_name


def parameter(layer: Layer, weight: Weight) -> Parameter:
    """A weight as it starts."""
    random = weight.kind != "scalar" and weight.scale > 0
    return Parameter(layer, mean=bool(weight.mean), random=random)


def slopes(task: Task) -> dict[Key, Slope]:
    """The gradients of the weights that the output depends on."""
    return {
        key: Slope(g.pairs, g.ket, g.scalar) for key, g in task.gradients.items() if not g.is_zero
    }


def exponent_numbers(task: Task) -> dict[Symbol, Fraction]:
    """The numbers of the symbols that orders are made of."""
    found: dict[Symbol, Fraction] = {("out", "a"): task.output_exponent}
    for key, weight in task.weights.items():
        for name in "abcd":
            found[weight_name(key), name] = getattr(weight.exponents, name)
    return found


def inner(task: Task) -> set[Key]:
    """The weights that matrices or nonlinear functions see: an output does not read them
    linearly."""
    inside = [
        x
        for x in walk([task.out])
        if x.op is Op.MATMUL or (x.op is Op.CALL and nonlinear(str(x.attr)))
    ]
    below = walk([a for x in inside for a in x.args])
    return {x.attr for x in below if x.op is Op.INIT_VECTOR and x.attr in task.weights}


def graph(task: Task, network: Network, layers: Mapping[Key, Layer]) -> Graph:
    """What sizes are counted in: vectors by name must have size 1, but for those which the output
    alone reads, weighted by a readout. The task has its moments of step 0."""
    parameters = {key: parameter(layers[key], w) for key, w in task.weights.items()}
    heads = {key for key, layer in layers.items() if layer.part == "readout"} - inner(task)
    features: dict[str, Node] = {}
    scalars: dict[str, Node] = {}
    kets: dict[str, Node] = {}
    for slot, (node, step) in task.moments.items():
        _, name, indices, _ = slot.attr
        if step > 0 or name in network.weights or name == network.name:
            continue
        text = weight_name((name, indices))
        if node.type.kind is not Kind.KET:
            scalars[text] = node
        elif any(x.op is Op.INIT_VECTOR and x.attr in heads for x in walk([node])):
            kets[text] = node
        else:
            features[text] = node
    return Graph(task.out, slopes(task), parameters, features, kets, scalars)


def is_perceptron(task: Task, layers: Mapping[Key, Layer]) -> bool:
    """Whether the theorem's conditions are those of this network: |u> @ xi, then matrices and one
    entrywise function by turns, and the readout (Eq 2.3), every weight once."""
    parts = [x.part for x in layers.values()]
    if parts.count("vector") != 1 or parts.count("readout") != 1 or "scalar" in parts:
        return False
    if any(w.mean or not w.scale for w in task.weights.values()):
        return False
    x = _read_out(task.out)
    matrices = 0
    while x is not None and x.op is Op.CALL and len(x.args) == 1:
        x = x.args[0]
        if x.op is Op.MATMUL and x.attr[:2] in task.weights:
            x, matrices = x.args[0], matrices + 1
            continue
        vector = x.args[0] if x.op is Op.CONTRACT else None
        bare = vector is not None and vector.op is Op.INIT_VECTOR and x.args[1].op is Op.DATA
        products = sum(y.op is Op.MATMUL for y in walk([task.out]))
        return bare and matrices == parts.count("matrix") == products
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
