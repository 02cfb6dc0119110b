from finite_programs import call, matmul, unrolled, vector, wishart

from nexort.finite.schedule import MatrixProduct, schedule
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Axis, scalar


def products(program, width=10):
    return [s.work for s in schedule(program, width).steps if isinstance(s.work, MatrixProduct)]


def test_products_ready_together_share_one_pass():
    v, w = vector("v"), vector("w")
    first, second = matmul("W", v), matmul("W", call("relu", first_of(v)))
    back = matmul("W", w, True)
    program = unrolled({"a": build.average(call("mul", call("mul", first, second), back))})
    [product] = products(program)
    assert set(product.nodes) == {first, second, back}
    assert not product.again


def first_of(v):
    return call("tanh", v)


def test_chains_side_by_side_advance_together():
    ends = []
    for name in "abcd":
        x = vector(name)
        for _ in range(5):
            x = call("relu", matmul("W", x))
        ends.append(build.average(x))
    found = products(unrolled({"e": ends}))
    assert [len(p.nodes) for p in found] == [4] * 5
    assert [p.again for p in found] == [True] * 4 + [False]


def test_products_wait_for_products_of_other_matrices():
    a = matmul("W", call("relu", matmul("W", vector("a"))))
    b = matmul("W", call("relu", matmul("U", vector("b"))))
    found = products(unrolled({"e": [build.average(a), build.average(b)]}))
    assert [p.nodes for p in found if a in p.nodes] == [(a,)]
    assert [p.nodes for p in found if b in p.nodes] == [(b,)]


def test_groups_are_bounded():
    parts = [build.average(matmul("W", vector("v", (), (k,)))) for k in range(150)]
    found = products(unrolled({"p": parts}))
    assert [len(p.nodes) for p in found] == [64, 64, 22]


def test_values_are_freed_after_their_last_use():
    plan = schedule(wishart(200), 10)
    assert plan.entries <= 4 * 10 + 1000
    alive = set()
    for step in plan.steps:
        alive |= set(step.nodes)
        assert set(step.free) <= alive
        alive -= set(step.free)
    assert {node.op for node in alive} == {Op.INNER}


def test_initial_values_are_drawn_late():
    axis = Axis("K", 7)
    parts = [build.average(call("tanh", vector("v", (axis,), (k,)))) for k in range(50)]
    total = parts[0]
    for part in parts[1:]:
        total = call("add", total, part)
    assert schedule(unrolled({"t": total}), 100).entries < 3 * 700


def test_constants_may_be_outputs():
    three = Node(Op.CONST, (), (1.0, 2.0, 3.0), scalar((Axis("3", 3),)))
    plan = schedule(unrolled({"c": three}), 5)
    assert [s.work for s in plan.steps] == [three]
