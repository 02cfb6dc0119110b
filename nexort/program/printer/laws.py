"""Initial objects as declarations: laws read back from graphs over standard objects."""

from __future__ import annotations

from nexort.program import build
from nexort.program.declarations import Initial
from nexort.program.nodes import STANDARD, Node, Op, walk
from nexort.program.printer.expressions import Expressions
from nexort.program.printer.trees import (
    NOWHERE,
    axis,
    binary,
    call_tree,
    name_tree,
    number_tree,
    range_of,
)
from nexort.program.types import Kind, ket
from nexort.syntax import tree as t

KEYWORDS = {Kind.SCALAR: "scalar", Kind.KET: "vector", Kind.OPERATOR: "matrix"}


def standard_object(value: Node) -> Node | None:
    """The standard object under an initial object's graph, None for a number."""
    return next((x for x in walk([value]) if x.op in STANDARD), None)


def is_joint(initial: Initial) -> bool:
    """Whether an object is declared with others, as in ``vector (u, v) ~ ...``."""
    leaf = standard_object(initial.value)
    return leaf is not None and leaf.attr[0] != initial.name


def declared_target(initial: Initial) -> t.Declared:
    """The name with its index ranges and axes."""
    shape = (*map(range_of, initial.ranges), *map(axis, initial.axes))
    return t.Declared(initial.name, shape, None, NOWHERE)


def random(initials: tuple[Initial, ...], law: t.Expr) -> t.Random:
    """A declaration of objects with one law."""
    first = initials[0]
    arrow = first.kind is Kind.SCALAR and standard_object(first.value) is None
    names = tuple(declared_target(x) for x in initials)
    return t.Random(KEYWORDS[first.kind], names, law, is_joint(first), arrow, NOWHERE)


def law_of(initial: Initial, write: Expressions) -> t.Expr:
    """What stands behind ``~``, or behind ``->``."""
    value = initial.value
    leaf = standard_object(value)
    if leaf is None:
        repeated = value.op is Op.SPREAD and not value.args[0].type.axes
        return write(value.args[0] if repeated else value)
    if leaf.attr[0] != initial.name:  # one entry of joint vectors
        [value] = value.args
    if leaf.op is Op.INIT_MATRIX:
        return _matrix(initial, leaf, write)
    shaped, mean = _without_mean(value, leaf)
    core, variance = _without_variance(shaped, leaf)
    if core is leaf:
        spread = write(variance)
        if leaf.op is Op.INIT_SCALAR:
            spread = binary("/", spread, name_tree("n"))
        return call_tree(name_tree("N"), write(mean), spread)
    core, variance = _without_variance(value, leaf)
    return _shaped(core, leaf, write(variance), write)


def _matrix(initial: Initial, leaf: Node, write: Expressions) -> t.Expr:
    variance: Node = build.constant(1)
    if initial.value is not leaf:
        variance = initial.value.args[0].args[0]
    spread = binary("/", write(variance), name_tree("n"))
    if initial.law is None:
        return call_tree(name_tree("N"), number_tree(0), spread)
    z = Node(Op.SLOT, (), ("z",), ket())
    return _shaped(initial.law, z, spread, write)


def _shaped(value: Node, z: Node, variance: t.Expr, write: Expressions) -> t.Expr:
    """A law other than a Gaussian: its standardized function of z."""
    for title, standardized in (("rademacher", _sign(z)), ("uniform", _uniform(z))):
        if value is standardized:
            return call_tree(name_tree(title), variance)
    return call_tree(name_tree("law"), name_tree(write.function(value, (z,))), variance)


def _sign(z: Node) -> Node:
    return build.call("sign", z)


def _uniform(z: Node) -> Node:
    """sqrt(3) erf(z / sqrt 2)"""
    root = build.call("sqrt", build.constant(2))
    return build.call(
        "mul", build.call("sqrt", build.constant(3)), build.call("erf", build.call("div", z, root))
    )


def _reads(value: Node, leaf: Node) -> bool:
    return any(x is leaf for x in walk([value]))


def _without_mean(value: Node, leaf: Node) -> tuple[Node, Node]:
    if value.op is Op.CALL and value.attr == "add" and not _reads(value.args[1], leaf):
        return value.args[0], value.args[1]
    return value, build.constant(0)


def _without_variance(value: Node, leaf: Node) -> tuple[Node, Node]:
    """A value without the root of its variance or covariance."""
    if value.op is Op.CALL and value.attr == "mul":
        root, rest = value.args
        if root.op is Op.CALL and root.attr == "sqrt" and not _reads(root, leaf):
            return rest, root.args[0]
    inner = value.args[0] if value.op is Op.SPREAD else value
    if inner.op is Op.CONTRACT and inner.args[1].op is Op.FACTOR:
        return inner.args[0], inner.args[1].args[0]
    return value, build.constant(1)
