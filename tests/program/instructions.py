"""A small graph of every instruction, and all that evaluates instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

import numpy as np

from nexort.elaborate.source import compile_source
from nexort.expand.along import along
from nexort.expand.placing import Ones, Placing
from nexort.finite import arrays as finite
from nexort.finite.simulate import simulate
from nexort.finite.training.operations import backward, forward_value
from nexort.limit.derive.algebra import BoundNames
from nexort.limit.derive.formula import Formula, Ket
from nexort.limit.derive.indexing import Indexer
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.integrands import Integrands
from nexort.limit.sample.evaluate import replicate
from nexort.limit.sample.plan import SamplePlan
from nexort.program import arrays, build
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node, Op
from nexort.program.printer.expressions import Expressions
from nexort.program.printer.patterns import Patterns
from nexort.program.types import Axes, Axis, Kind, ket, operator, scalar
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.support.diagnostics import Source, Span
from nexort.training.backprop import Reverse
from nexort.training.scalars import scalar_value

D, E = Axis("d"), Axis("e")
PROGRAM = compile_source(
    Source(
        "mean.nxt",
        """update mean(g) {
 state m = 0
 m = m + g
 return m / (t + 1)
}
vector v ~ N(0, 1)
|x> = mean(|v>)
output <v|x>
""",
    )
)
SIZES = {"d": 2, "e": 3}
ONE = Affine(1)

Leaf = Callable[[str, Axes], Node]


def vector(name: str, axes: Axes) -> Node:
    """An initial vector."""
    return Node(Op.INIT_VECTOR, (), (name, ()), ket(axes))


def slot(name: str, axes: Axes) -> Node:
    """A ket whose entries are given."""
    return Node(Op.SLOT, (), (name,), ket(axes))


def number_slot(name: str, axes: Axes) -> Node:
    """A scalar that is given."""
    return Node(Op.SLOT, (), (name,), scalar(axes))


def locals_of(leaf: Leaf, index: Callable[[int], int | Affine] = int) -> dict[Op, Node]:
    """A local instruction of each kind, of two leaves with axes of 2 by 3 and one of 2 by 2."""
    u, v, square = leaf("u", (D, E)), leaf("v", (E,)), leaf("s", (D, D))
    return {
        Op.CALL: build.call("div", u, v),
        Op.CONTRACT: build.contract(u, data("c", (E, D))),
        Op.TAKE: build.take(u, [index(1)]),
        Op.TRANSPOSE: build.transpose(u),
        Op.DIAGONAL: build.diagonal(square),
        Op.STACK: build.stack([build.take(u, [index(0)]), v]),
        Op.SPREAD: build.spread(v, build.call("add", u, v).type),
    }


def data(name: str, axes: Axes) -> Node:
    """An array that is given."""
    return Node(Op.DATA, (), name, scalar(axes))


DATA = {"c": np.array([[1.0, 2], [0.5, -1], [0, 3]]), "k": np.array([[2.0, 1], [1, 2]])}


def graphs(name: str = "") -> dict[Op, Node]:
    """A graph whose last instruction is the one, of every instruction, as an evaluator has it."""
    leaf = slot if name == "outputs of trainings" else vector
    index = Affine if name in ("formulas", "texts") else int
    u, v = leaf("u", (D, E)), leaf("v", (E,))
    flat = leaf("w", ())
    matrix = Node(Op.INIT_MATRIX, (), ("W", ()), operator())
    loop = Loop("i", Interval(ONE, Affine(3)))
    one = build.copy(flat, 1)
    chi = build.constant(2)
    listed = Node(Op.LIST, (v, build.take(u, [index(0)])), None, v.type)
    return locals_of(leaf, index) | {
        Op.CONST: build.constant(3),
        Op.PARAM: Node(Op.PARAM, (), "p", scalar()),
        Op.SIZE: Node(Op.SIZE, (), "d", scalar()),
        Op.INDEX: Node(Op.INDEX, (), Affine.variable("i"), scalar()),
        Op.DATA: data("c", (E, D)),
        Op.INIT_SCALAR: Node(Op.INIT_SCALAR, (), ("o", ()), scalar((D,))),
        Op.INIT_VECTOR: vector("u", (D, E)),
        Op.REF: Node(Op.REF, (), ("x", ()), ket((D,))),
        Op.FACTOR: build.factor(data("k", (D, D))),
        Op.SUM: build.total(loop, build.call("mul", flat, chi)),
        Op.INNER: build.inner(u, v),
        Op.AVERAGE: build.average(u),
        Op.COPY: one,
        Op.MEAN: build.mean((1,), build.call("tanh", build.call("mul", one, flat))),
        Op.APPLY: build.apply(matrix, v),
        Op.INIT_MATRIX: matrix,
        Op.ADJOINT: build.adjoint(matrix),
        Op.COMPOSE: build.compose(matrix, matrix),
        Op.OP_ADD: build.add_operators(matrix, build.adjoint(matrix)),
        Op.OP_SCALE: build.scale(chi, matrix),
        Op.OP_SUM: build.total(loop, matrix),
        Op.OUTER: build.outer(flat, chi, flat),
        Op.ENTRYWISE: build.entrywise(
            build.call("tanh", build.entry(build.outer(flat, None, flat)))
        ),
        Op.ENTRY: build.entry(build.outer(flat, None, flat)),
        Op.FOLD: Node(Op.FOLD, (listed,), ("mean", Affine(0)), v.type),
        Op.LIST: listed,
        Op.GENERATE: Node(Op.GENERATE, (v,), loop, v.type),
        Op.SLOT: slot("z", (D,)),
        Op.MATMUL: Node(Op.MATMUL, (v,), ("W", (), False), v.type),
    }


def unrolled(value: Node) -> Unrolled:
    """A program with that output."""
    output = UnrolledOutput("y", (value,), ((),), (), value.type.axes, None)
    return Unrolled((output,), DATA, SIZES, {}, {})


def closed(x: Node) -> Node:
    """A scalar that reads the node."""
    if x.type.kind is Kind.SCALAR:
        return x
    if x.type.open:
        x = build.mean(sorted(x.type.copies - {0}), x)
    if x.type.kind is Kind.SCALAR:
        return x
    return Node(Op.AVERAGE, (x,), None, scalar(x.type.axes))


def shape(x: Node) -> tuple[int, ...]:
    """The sizes of a node's axes."""
    return tuple(SIZES.get(a.name, a.size or 0) for a in x.type.axes)


def entries(x: Node, width: int, seed: int = 0) -> np.ndarray:
    """Random values of a node: of a ket with a last dimension."""
    if x.op is Op.DATA:
        return DATA[str(x.attr)]
    behind = (width,) if x.type.kind is Kind.KET else ()
    return np.random.default_rng([seed, crc32(repr(x).encode())]).normal(size=(*shape(x), *behind))


def place(x: Node, width: int) -> finite.Place:
    """A node's place at width n."""
    if x.type.kind is Kind.SCALAR:
        return finite.Place(shape(x), (), (), finite.FLOAT64)
    return finite.Place(shape(x), (width,), tuple(x.type.copies), finite.FLOAT64)


def _arguments(x: Node, width: int) -> list[np.ndarray]:
    found = [entries(a, width) for a in x.args]
    return [finite.raise_scalar(a, v, place(x, width)) for a, v in zip(x.args, found, strict=True)]


def _forward(x: Node) -> object:
    return forward_value(x, _arguments(x, 4), place(x, 4))


def _backward(x: Node) -> object:
    args = _arguments(x, 4)
    inner = x.op in (Op.INNER, Op.AVERAGE)
    of = place(x.args[0], 4) if x.args and inner else place(x, 4)
    return [backward(x, args, entries(x, 4), of, k) for k in range(max(1, len(args)))]


def _exact(x: Node) -> object:
    engine = ExactEngine(unrolled(x))
    at = (0,) * len(x.type.axes)
    return engine.scalar(x, at) if x.type.kind is Kind.SCALAR else engine.form(x, at)


def _integrand(x: Node) -> object:
    engine = ExactEngine(unrolled(x))
    return Integrands(engine, 5).graph(x, (0,) * len(x.type.axes))


def _formula(x: Node) -> object:
    def acts(_: Indexer, acting: Node, ket: Node, labels: object, env: object) -> Formula:
        return Ket("Wv")

    indexer = Indexer(PROGRAM, BoundNames(), acts)
    indexer.functions = lambda *_: Ket("mean")
    labels = tuple(Affine.variable(f"%{k}:a") for k, _ in enumerate(x.type.axes))
    return indexer.formula(x, labels, {"i": ONE})


def _gradient(x: Node) -> object:
    keys = {(name, ()) for name in "uvwsW"}
    return Reverse(keys, SIZES).back(x, number_slot("g", x.type.axes))


def _output(x: Node) -> object:
    given = {leaf: entries(leaf, 4) for leaf in (slot("u", (D, E)), slot("v", (E,)))}
    given |= {leaf: entries(leaf, 4) for leaf in (slot("s", (D, D)), slot("w", ()))}
    given[slot("z", (D,))] = entries(slot("z", (D,)), 4)
    return scalar_value(closed(x), given, DATA, shape)


def _written(x: Node) -> object:
    leaves = [vector("u", (D, E)), vector("v", (E,)), vector("s", (D, D)), vector("w", ())]
    leaves += [graphs()[Op.INIT_MATRIX], graphs()[Op.INIT_SCALAR]]
    members = {leaf: leaf.attr for leaf in leaves}
    return Expressions(members, Patterns((), {}), PROGRAM.updates, lambda _: False, lambda *_: "f")(
        x
    )


def _placed(x: Node) -> object:
    ones = Ones(lambda name: name)
    where = Span(Source("", "x"), 0, 1)
    return Placing(frozenset(), ONE, {}, {}, ones, where, {})(x)


def _derivative(x: Node) -> object:
    moved = {(n, ()): slot(n, a) for n, a in (("u", (D, E)), ("v", (E,)), ("w", ()))}
    return along(x, moved | {("s", ()): slot("s", (D, D))}, {("W", ()): ("dW", ())})


def _limit_array(x: Node) -> object:
    return arrays.local_array(x, [entries(a, 4) for a in x.args], 1, shape(x))


def _width_array(x: Node) -> object:
    return finite.finite_local(x, _arguments(x, 4), place(x, 4))


EVALUATORS: Mapping[str, Callable[[Node], object]] = {
    "at width n": lambda x: simulate(unrolled(closed(x)), 4, 1),
    "arrays at width n": _width_array,
    "trainings at width n": _forward,
    "adjoints at width n": _backward,
    "arrays": _limit_array,
    "samples": lambda x: replicate(
        SamplePlan.of(unrolled(closed(x))), 64, np.random.SeedSequence(0)
    ),
    "exact": _exact,
    "integrands": _integrand,
    "formulas": _formula,
    "gradients": _gradient,
    "outputs of trainings": _output,
    "texts": _written,
    "expansions": _placed,
    "derivatives of rules": _derivative,
}
"""What evaluates an instruction, given a graph that ends in it."""

LOCAL = [op for op in Op if op.local and op.unrolled]
NONE: frozenset[Op] = frozenset()
VALUES = {
    name: frozenset(LOCAL) - without
    for name, without in (
        ("at width n", NONE),
        ("arrays at width n", NONE),
        ("trainings at width n", NONE),
        ("adjoints at width n", {Op.FACTOR}),
        ("arrays", NONE),
        ("samples", NONE),
        ("exact", NONE),
        ("integrands", NONE),
        ("formulas", {Op.FACTOR}),
        ("gradients", {Op.FACTOR}),
        ("outputs of trainings", NONE),
        ("texts", {Op.FACTOR, Op.SPREAD}),
        ("expansions", {Op.FACTOR}),
        ("derivatives of rules", NONE),
    )
}
"""The local instructions that each has."""
