"""A task's network as what sizes are counted in (nexort.parametrization.counting), and whether it
is a perceptron, of which the theorem's conditions speak."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from nexort.parametrization.graph import NetworkGraph, Parameter, Slope
from nexort.parametrization.layers import Layer
from nexort.parametrization.orders import OUT, Exponents
from nexort.parametrization.sizes import nonlinear
from nexort.program import build
from nexort.program.linearity import Linearity, linearity
from nexort.program.network import Network
from nexort.program.nodes import DRAWN, Node, Op, walk, walk_where
from nexort.program.types import Kind
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


def symbol_values(task: Task) -> Exponents:
    """The numbers of the symbols that orders are made of."""
    found = {OUT: np.array([float(task.output_exponent)])}
    for key, weight in task.weights.items():
        for name in "abcd":
            found[weight_name(key), name] = np.array([float(getattr(weight.exponents, name))])
    return found


def inner_weights(task: Task) -> set[Key]:
    """The weights that matrices or nonlinear functions see: an output does not read them
    linearly."""
    inside = [
        x
        for x in walk([task.out])
        if x.op is Op.MATMUL or (x.op is Op.CALL and nonlinear(str(x.attr)))
    ]
    below = walk([a for x in inside for a in x.args])
    return {x.attr for x in below if x.op is Op.INIT_VECTOR and x.attr in task.weights}


def is_output_linear(task: Task, weights: Collection[Key]) -> bool:
    """Whether the output is of degree 1 in some vectors, f(s v) = s f(v): each term of the sum of
    products that it is has one of them as one factor, whatever functions read none of them."""
    degree: dict[Node, int | None] = {}
    for x in walk([task.out]):
        parts = [degree[a] for a in x.args]
        match x.op, linearity(x):
            case Op.INIT_VECTOR, _:
                degree[x] = int(x.attr in weights)
            case _, Linearity.PRODUCT:
                degree[x] = None if None in parts else sum(p for p in parts if p)
            case _, Linearity.QUOTIENT:
                degree[x] = parts[0] if parts[1] == 0 else None
            case Op.CALL, None:
                degree[x] = 0 if all(p == 0 for p in parts) else None
            case _:
                degree[x] = parts[0] if len(set(parts)) == 1 else None if parts else 0
    return degree[task.out] == 1


def network_graph(task: Task, network: Network, layers: Mapping[Key, Layer]) -> NetworkGraph:
    """What sizes are counted in. Features are the vectors that matrices, nonlinear functions and
    the output read, its readouts left out; bounded must be what matrices give, and scalars that
    nonlinear functions read. Names do not matter. The task has its moments of step 0."""
    parameters = {key: parameter(layers[key], w) for key, w in task.weights.items()}
    heads = {key for key, layer in layers.items() if layer.part == "readout"} - inner_weights(task)
    order = walk([task.out])
    moving = _above(order, lambda x: x.op in DRAWN)
    weighed = _above(order, lambda x: x.op is Op.INIT_VECTOR and x.attr in heads)
    named: dict[str, Node] = {}
    for slot, (node, step) in task.moments.items():
        _, name, indices, _ = slot.attr
        if step == 0 and name not in network.weights and name != network.name:
            named[weight_name((name, indices))] = node
    names: dict[Node, str] = {}
    for text, node in named.items():
        names.setdefault(node, text)
    features: dict[Node, str] = {}
    bounded: dict[Node, str] = {}
    for x in order:
        seen = x.op is Op.CALL and nonlinear(str(x.attr))
        for a in x.args:
            if a not in moving or a in weighed:
                continue
            if a.type.kind is Kind.KET and (seen or x.op is Op.MATMUL):
                features[a] = label_of(a, names)
            elif seen:
                bounded[a] = label_of(a, names)
        if x.op is Op.MATMUL:
            bounded[x] = label_of(x, names)
    for a in _read_by_output(task.out, weighed):
        if a.type.kind is Kind.KET:
            features[a] = label_of(a, names)
    kept = {x: text for x, text in bounded.items() if x not in features}
    moving = _above(walk([task.out, *named.values()]), lambda x: x.op in DRAWN)
    inside = {text: x for text, x in named.items() if x in moving}
    return NetworkGraph(task.out, slopes(task), parameters, features, kept, inside)


def _above(order: Sequence[Node], leaf: Callable[[Node], bool]) -> set[Node]:
    """The nodes that such leaves are under, and these."""
    found: set[Node] = set()
    for x in order:
        if leaf(x) or any(a in found for a in x.args):
            found.add(x)
    return found


def _read_by_output(out: Node, weighed: set[Node]) -> Iterator[Node]:
    """What the averages of the output read, less the readouts in it."""
    for x in walk_where(out, lambda x: x.type.kind is Kind.SCALAR):
        if x.op in (Op.INNER, Op.AVERAGE) and (x in weighed or not weighed):
            for a in x.args:
                yield from (p for p in _products(a, weighed) if p is not None)


def _products(x: Node, weighed: set[Node]) -> list[Node | None]:
    """The terms of a sum of products, their readouts left out; None where nothing is left."""
    if x not in weighed:
        return [x]
    if x.op is Op.INIT_VECTOR:
        return [None]
    if x.op is Op.CALL and x.attr == "mul":
        left, right = (_products(a, weighed) for a in x.args)
        return [_times(p, q) for p in left for q in right]
    args = x.args[:1] if x.op is Op.CALL and x.attr == "div" else x.args
    return [p for a in args if a in weighed or x.op is Op.CALL for p in _products(a, weighed)]


def _times(x: Node | None, y: Node | None) -> Node | None:
    return y if x is None else x if y is None else build.call("mul", x, y)


def label_of(x: Node, names: Mapping[Node, str]) -> str:
    """What a value is called: by its name, or by what it is made of."""
    found = names.get(x)
    if found is not None:
        return found
    match x.op:
        case Op.MATMUL:
            return (
                f"{weight_name(x.attr[:2])}{'^T' if x.attr[2] else ''} {_short(x.args[0], names)}"
            )
        case Op.CALL:
            signs = {"add": " + ", "sub": " - ", "mul": " * ", "div": " / "}
            parts = [_short(a, names) for a in x.args]
            sign = signs.get(str(x.attr))
            return sign.join(parts) if sign else f"{x.attr}({', '.join(parts)})"
        case Op.CONTRACT:
            return " @ ".join(_short(a, names) for a in x.args)
        case _:
            return f"{x.op.name.lower()}({', '.join(_short(a, names) for a in x.args)})"


def _short(x: Node, names: Mapping[Node, str]) -> str:
    """An argument."""
    if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
        return weight_name(x.attr)
    return str(x.attr) if x.op is Op.DATA else names.get(x, "...")


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
