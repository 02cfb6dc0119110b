"""The output at initialization, a Gaussian process (Thm 2.4.7: f_0 -> N(0, <x^L|x^L>)).

f is n^(1/2) times a scalar that vanishes in the limit; what of it survives is linear in the
averages <1|z> that vanish. n^(1/2) <1|z> tends to a Gaussian of covariance <z|z>, so f has the
covariance of the ket that the scalar becomes when every vanishing <1|z> is replaced by |z>.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexort.limit.symmetry import vanishing
from nexort.program import build
from nexort.program.linearity import Linearity, linearity
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind, ket
from nexort.support.diagnostics import fail
from nexort.training.backprop import gradients
from nexort.training.task import Key, seed_slot

HINT = "start from centre, or give the output at initialization"


def fluctuation(out: Node, sizes: Mapping[str, int]) -> Node:
    """The ket, with the axes of f, whose covariance f has at initialization; ``out`` is a scalar
    graph over standard initial objects.

    Raises NexortError where the output is not linear in vanishing averages, or where averages
    inside its kets add fluctuations of their own.
    """
    _check_inside(out, sizes)
    outer = averages(out)
    small = vanishing([out]) & set(outer) or set(outer)
    found: dict[Node, Node] = {}
    for x in walk([out]):
        if x in small:
            found[x] = _entries(x)
        elif x.type.kind is Kind.SCALAR and any(a in found for a in x.args):
            found[x] = _linear(x, found)
    return found[out] if out in found else build.spread(out, ket(out.type.axes))


def averages(x: Node) -> list[Node]:
    """The averages that a scalar is made of, not those inside their kets."""
    if x.op in (Op.INNER, Op.AVERAGE):
        return [x]
    found = [y for a in x.args if a.type.kind is Kind.SCALAR for y in averages(a)]
    return list(dict.fromkeys(found))


def _check_inside(out: Node, sizes: Mapping[str, int]) -> None:
    """An average c inside a ket fluctuates by n^(-1/2), and f with it by df/dc: this vanishes where
    d c does."""
    outer = averages(out)
    keys: dict[Node, Key] = {}
    inner: dict[Node, Node] = {}
    for x in walk([a for c in outer for a in c.args]):
        if x.op in (Op.INNER, Op.AVERAGE) or (x.op is Op.MEAN and x.type.kind is Kind.SCALAR):
            keys[x] = f"average {len(keys)}", ()  # no name of a program has a space
            inner[x] = Node(Op.INIT_SCALAR, (), keys[x], x.type)
        else:
            inner[x] = x.with_args(tuple(inner[a] for a in x.args))

    def placed(x: Node) -> Node:
        into = inner if x in outer else {a: placed(a) for a in x.args}
        return x.with_args(tuple(into[a] for a in x.args))

    alone = placed(out)
    if not keys:
        return
    slot = seed_slot(out.type.axes)
    found = gradients(alone, slot, keys.values(), sizes)
    ends = [g.scalar for g in found.values() if g.scalar is not None]
    if not set(ends) <= vanishing_scalars(ends):
        message = "averages inside the network's kets add to the output's fluctuations"
        raise fail("no-limit", message, help=HINT)


def _entries(x: Node) -> Node:
    """|z> of <1|z>."""
    if x.op is Op.AVERAGE:
        return x.args[0]
    left, right = x.args
    if left.type.axes and right.type.axes:
        return build.contract(left, right, 0)
    return build.call("mul", left, right)


def _linear(x: Node, found: dict[Node, Node]) -> Node:
    moving = [a in found for a in x.args]
    args = tuple(found.get(a, a) for a in x.args)
    match linearity(x), moving:
        case Linearity.SUM, _ if all(moving):
            return build.local_over(x, args)
        case Linearity.PRODUCT, ([True, False] | [False, True]):
            return build.local_over(x, args)
        case Linearity.QUOTIENT, [True, False]:
            return build.local_over(x, args)
    message = "the output at initialization is not a sum of averages that vanish"
    raise fail("no-limit", message, help=HINT)


def vanishing_scalars(roots: Iterable[Node]) -> frozenset[Node]:
    """The scalars that vanish in the limit because they are made of averages of odd kets."""
    roots = tuple(roots)
    zero = set(vanishing(roots))
    for x in walk(roots):
        if x.type.kind is Kind.SCALAR and x.args and x not in zero:
            parts = [a in zero for a in x.args]
            match linearity(x):
                case Linearity.PRODUCT if any(parts):
                    zero.add(x)
                case Linearity.SUM if all(parts):
                    zero.add(x)
    return frozenset(zero)
