"""Weights at initialization, and update functions over their history."""

from __future__ import annotations

from collections.abc import Iterable

from nexort.expand.analysis import Analysis
from nexort.expand.names import WORDS
from nexort.expand.placing import Placing, multiple_of, sum_of
from nexort.expand.rules import Item, RuleNest
from nexort.expand.statements import Item as Written
from nexort.expand.weights import Pairs, loops_of, member_type
from nexort.program import build
from nexort.program.declarations import Initial
from nexort.program.index import Affine, Interval, Loop
from nexort.program.network import OptimizerUse, WeightFamily
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind


def loop_variables(items: Iterable[Item]) -> frozenset[str]:
    """The variables of loops."""
    found: set[str] = set()
    for item in items:
        if isinstance(item, RuleNest):
            found |= {item.loop.var, *loop_variables(item.items)}
    return frozenset(found)


def member_loops(a: Analysis) -> dict[str, tuple[Loop, ...]]:
    """Loops over the members of every family of weights."""
    uses = [u for found in a.uses.values() for u in found]
    taken = frozenset((a.step, a.past, *a.names.taken, *WORDS)) - loop_variables(a.rules.items)
    return {w.name: loops_of(w, uses, taken) for w in a.training.network.weights.values()}


def deviation(weight: WeightFamily) -> Node:
    """The root of a weight's variance."""
    one = build.is_number(weight.variance, 1)
    return weight.variance if one else build.call("sqrt", weight.variance)


def declare(a: Analysis, weight: WeightFamily, at: Placing, *, name: str = "") -> Initial:
    """A weight's initial object, of the ``name`` or of one of its own."""
    w = weight.name
    if name != w:
        name = a.names.fresh(*([name] if name else [f"{w}0", f"{w}_0", f"{w}_init"]))
    matrix = weight.kind == "matrix"
    if matrix and not build.is_number(weight.mean, 0):
        raise at.problem(f"the mean of the matrix '{w}'")
    type_ = member_type(weight)
    leaf = Node(Op.INIT_MATRIX if matrix else Op.INIT_VECTOR, (), (name, ()), type_)
    value = multiple_of(deviation(weight), leaf)
    if not build.is_number(weight.mean, 0):
        value = build.call("add", value, weight.mean)
    kind = Kind.OPERATOR if matrix else Kind.KET
    made = Initial(name, kind, weight.ranges, weight.axes, value, None, "", weight.span)
    a.objects[name] = made
    a.initial[w] = name
    return made


def first_value(
    a: Analysis, weight: WeightFamily, loops: tuple[Loop, ...], at: Placing, *,
    vanishes: bool = False, name: str = "",
) -> Written:  # fmt: skip
    """A weight at step 0: 0 where it ``vanishes`` beside its updates; ``name`` as in declare."""
    key = tuple(Affine.variable(x.var) for x in loops)
    if weight.kind == "scalar":
        value = at(build.spread(weight.mean, member_type(weight)))
    else:
        value = declare(a, weight, at, name=name).at(key)
    if vanishes and weight.kind == "vector":
        value = build.call("mul", build.constant(0), value)
    return at.over(loops, at.rule(weight.name, key, value))


def update_call(
    a: Analysis,
    found: tuple[Node | None, Pairs],
    use: OptimizerUse,
    at: Placing,
    name: str | None = None,
) -> Node:
    """``adam[t](|dh[l, s]> chi[s] <x[l-1, s]| for s in 0..t, eps=1e-4)``."""
    value, pairs = found
    past = a.placing(Affine.variable(a.past), at.moving)
    item = build.entry(gradient_of(a, pairs, past)) if value is None else past(value)
    loop = Loop(a.past, Interval(Affine(0), at.step))
    each = Node(Op.GENERATE, (item,), loop, item.type)
    history = Node(Op.LIST, (each,), None, item.type)
    given = tuple(at(use.arguments[p]) for p, _ in use.rule.parameters)
    told = name or a.names.update(use.rule.name), at.step
    fold = Node(Op.FOLD, (history, *given), told, item.type)
    return build.entrywise(fold) if value is None else fold


def gradient_of(a: Analysis, pairs: Pairs, at: Placing) -> Node:
    """The gradient of a matrix, sum |left> chi <right|."""
    chi = at.member(a.chi, (), a.signal.type) if a.apart else None
    total: Node | None = None
    for left, right, sums in pairs:
        if a.single is None:
            term = build.outer(at(left), chi, at(right))
        else:
            one = build.outer(at(a.single.each(left)), None, at(a.single.each(right)))
            term = a.single.total(build.scale(at(a.single.entry(a.signal)), one))
        for loop in reversed(sums):
            term = build.total(Loop(loop.var, at.within(loop.interval)), term)
        total = term if total is None else sum_of(total, term)
    assert total is not None
    return total
