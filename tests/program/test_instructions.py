"""Every instruction stands with its role and arity, and every evaluator has it or says its name."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from instructions import (
    DATA,
    EVALUATORS,
    LOCAL,
    SIZES,
    VALUES,
    Leaf,
    entries,
    graphs,
    locals_of,
    number_slot,
    place,
    shape,
    slot,
    unrolled,
    vector,
)

from nexort.finite import arrays as finite
from nexort.finite.training.operations import backward, lower_adjoint
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.exact.budget import NotExact
from nexort.program import arrays, build
from nexort.program.linearity import Linearity, linearity
from nexort.program.nodes import Node, Op, Role, source, walk
from nexort.program.types import Axes, ket, scalar
from nexort.program.verify import verify_unrolled
from nexort.support.diagnostics import InternalError, NexortError
from nexort.training.backprop import Reverse
from nexort.training.scalars import scalar_value

REFUSALS = (InternalError, NotExact, Unsupported, NexortError)


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_have_every_instruction_or_refuse_it_by_name(name: str, op: Op) -> None:
    x = graphs(name)[op]
    assert x.op is op
    refusal = refused(EVALUATORS[name], x)
    if refusal is None:
        return
    assert op not in VALUES[name]
    if isinstance(refusal, NotExact):
        assert refusal.node is x
    else:
        above = {y.op.name for y in walk([x]) if y.op.role is not Role.LEAF or y is x}
        assert above & set(re.findall(r"\w+", str(refusal).upper()))


def refused(evaluator: Callable[[Node], object], x: Node) -> Exception | None:
    """What an evaluator says of an instruction that it does not have."""
    try:
        evaluator(x)
    except REFUSALS as refusal:
        return refusal
    return None


@pytest.mark.parametrize("op", [op for op in LOCAL if op is not Op.FACTOR])
def test_local_instructions_have_one_meaning(op: Op) -> None:
    """On arrays of the limit and at width n, of kets, scalars and functions of copies."""
    for leaf in (vector, number_slot, copied):
        x = locals_of(leaf)[op]
        args = [entries(a, 5) for a in x.args]
        where = place(x, 5)
        raised = [finite.raise_scalar(a, v, where) for a, v in zip(x.args, args, strict=True)]
        one, other = arrays.local_array(x, args, 1, shape(x)), finite.finite_local(x, raised, where)
        assert one.shape == (*shape(x), *where.tail)
        np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-14)


def copied(name: str, axes: Axes) -> Node:
    """An iid copy of a ket."""
    return build.copy(vector(name, axes), 1)


@pytest.mark.parametrize("op", [op for op in LOCAL if op is not Op.FACTOR])
@pytest.mark.parametrize("leaf", [slot, number_slot])
def test_adjoints_and_gradients_are_slopes(op: Op, leaf: Leaf) -> None:
    """Of <g|x> by its arguments: central differences, the adjoint at width n, the gradient's
    graph."""
    x = locals_of(leaf)[op]
    width, where = 3, place(x, 3)
    values = {a: entries(a, width) for a in x.args}
    g = leaf("g", x.type.axes)
    seed = entries(g, width)
    graph = dict(_Everything(set(), SIZES).back(x, g))
    for k, a in enumerate(x.args):
        direction = entries(a, width, seed=1)
        ends = []
        for step in (-1e-5, 1e-5):
            args = [values[b] + (step * direction if b is a else 0) for b in x.args]
            ends.append(float((arrays.local_array(x, args, 1, shape(x)) * seed).sum()))
        slope = (ends[1] - ends[0]) / 2e-5
        raised = [finite.raise_scalar(b, values[b], where) for b in x.args]
        adjoint = lower_adjoint(a, backward(x, raised, seed, where, k), raised[k].shape)
        assert (adjoint * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-8)
        if a in graph and a.op is not Op.DATA:
            total = build.call("mul", graph[a], leaf("dx", a.type.axes))
            given = {g: seed, leaf("dx", a.type.axes): direction} | values
            known = {y: given.get(y, entries(y, width)) for y in walk([total]) if y.op is Op.SLOT}
            found = float(scalar_value(total, known, DATA, shape).sum())
            assert found == pytest.approx(slope, rel=1e-6, abs=1e-8)


class _Everything(Reverse):
    """All that a node is made of may move."""

    def depends(self, x: Node) -> bool:
        return True


@pytest.mark.parametrize("op", [op for op in Op if op.role is Role.SELECTION])
def test_selections_are_entries_of_their_argument(op: Op) -> None:
    x = locals_of(vector)[op]
    [value] = (entries(a, 2) for a in x.args)
    found = arrays.local_array(x, [value], 1, shape(x))
    for at in np.ndindex(shape(x)):
        np.testing.assert_array_equal(found[at], value[source(x, at, int)])
    assert linearity(x) is Linearity.SUM


@pytest.mark.parametrize("op", LOCAL)
def test_local_instructions_of_other_kinds(op: Op) -> None:
    """``build.over``: of scalars a scalar, of kets on copies on these."""
    if op is Op.FACTOR:
        return
    kets, scalars, copies = (locals_of(leaf)[op] for leaf in (vector, number_slot, copied))
    assert build.local_over(scalars, kets.args) is kets
    assert build.local_over(kets, copies.args) is copies
    assert build.local_over(copies, copies.args) is copies
    if op is not Op.SPREAD:
        assert build.local_over(kets, scalars.args) is scalars


@pytest.mark.parametrize("op", Op)
def test_roles_and_arities(op: Op) -> None:
    assert (op.arity == 0) == (op.role is Role.LEAF or op is Op.INIT_MATRIX)
    assert Op[op.name] is op
    assert op.unrolled or op.role not in (Role.AVERAGE, Role.COPY)


def test_instructions_of_one_role_and_arity_are_different() -> None:
    assert len(set(Op)) == len(Op.__members__) == len({op.value for op in Op})


@pytest.mark.parametrize("op", [op for op in Op if not op.unrolled])
def test_what_is_not_unrolled_is_refused_by_its_name(op: Op) -> None:
    x = Node(Op.INIT_VECTOR, (), ("x", ()), ket())
    bad = Node(op, (x,) * (op.arity or 0), ("y", ()), ket())
    with pytest.raises(InternalError, match=op.name):
        verify_unrolled(unrolled(build.average(bad)))


@pytest.mark.parametrize("op", [Op.INNER, Op.AVERAGE, Op.MATMUL, Op.CONTRACT])
def test_a_wrong_number_of_arguments_is_refused(op: Op) -> None:
    x = Node(Op.INIT_VECTOR, (), ("x", ()), ket())
    with pytest.raises(InternalError, match=f"{op.name} of 3 arguments"):
        verify_unrolled(unrolled(Node(op, (x, x, x), None, scalar())))
