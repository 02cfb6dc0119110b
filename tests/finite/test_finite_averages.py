import tracemalloc
from collections import Counter

import numpy as np
import pytest
from finite_programs import call, data, dense, matmul, number, unrolled, vector

from nexort.finite import arrays, nests, simulate
from nexort.finite.averages import components
from nexort.finite.schedule import Averages, schedule
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Axis, ket
from nexort.support.diagnostics import InternalError

K, M = Axis("K"), Axis("M")
x, y, z, w = (vector(name) for name in "xyzw")
xs, ys, zs, us = vector("xs", (K,)), vector("ys", (K,)), vector("zs", (M,)), vector("us", (M, K))
chi = data("chi", (K,))


def at(node, k=1):
    return build.copy(node, k)


def times(*factors):
    first, *rest = factors
    for factor in rest:
        first = call("mul", first, factor)
    return first


def linear(k=1):
    """The entry of |xs> chi <ys|, row on copy 0."""
    return build.contract(call("mul", xs, chi), at(ys, k))


def wide(node, axes, copies):
    return build.spread(node, ket(axes, frozenset(copies)))


CASES = {
    "plain": times(call("tanh", times(x, at(w))), at(z)),
    "axes joined": times(call("tanh", linear()), at(z)),
    "no weight": call("tanh", linear()),
    "several arguments": times(call("tanh", linear()), at(zs)),
    "weights on both axes": times(call("relu", times(us, at(xs))), at(us), at(z), at(xs)),
    "a scalar parameter": times(call("tanh", times(number("c"), x, at(y))), number("c"), at(z)),
    "multi-scalar parameter": times(chi, call("tanh", times(chi, x, at(y))), at(z)),
    "copy zero outside": times(x, at(z), call("cos", times(x, at(y))), w),
    "only weights": times(x, at(z), at(zs)),
    "scalar result": times(at(y), at(zs)),
    "a sum": call("add", times(x, at(y)), call("sin", times(x, at(z)))),
    "a shared product": call("add", times(x, at(y)), call("sin", times(x, at(y)))),
    "taken": times(build.take(call("tanh", times(us, at(us))), (1, None)), at(z)),
    "transposed": times(build.transpose(call("tanh", times(us, at(us)))), at(zs)),
    "diagonal": build.diagonal(build.contract(us, build.transpose(at(us)))),
    "stacked": times(build.stack([times(x, at(y)), call("tanh", times(x, at(w)))]), at(z)),
    "spread": times(wide(times(x, at(y)), (K,), {0, 1}), at(ys)),
    "spread to a pair": call("add", wide(number("c"), (K,), {0, 1}), linear()),
    "contracted pairs": build.contract(call("tanh", times(xs, at(ys))), at(ys)),
    "contracted weight": build.contract(times(us, at(us)), chi),
    "two joined": build.contract(call("mul", us, chi), at(us), 2),
    "vectors in functions": times(call("max", linear(), at(w)), at(z)),
}  # fmt: skip
TWO = {
    "order 2": times(call("tanh", call("add", times(x, at(w)), at(w, 2))), at(z)),
    "one weight each": times(call("cos", times(x, at(w), at(w, 2))), at(z), at(zs, 2)),
    "apart": times(call("tanh", times(x, at(w))), at(z), call("sin", times(x, at(y, 2)))),
    "not on copy zero": times(call("tanh", times(at(w), at(w, 2))), at(z), at(zs, 2)),
    "batched": build.contract(
        call("tanh", call("mul", xs, at(ys))), build.transpose(call("sin", times(us, at(us, 2))))
    ),
    "middle": times(
        call("tanh", call("add", times(x, at(y)), call("exp", times(at(y), at(w, 2))))), at(zs, 2)
    ),
}
SIZES = {"K": 3, "M": 2}
ARRAYS = {"chi": np.array([0.5, -1.25, 2.0])}


def program_of(body, copies=(1,)):
    found = build.mean(copies, body)
    outputs = {"m": found} if found.type.kind.value == "scalar" else {}
    if not outputs:
        outputs = {"a": build.inner(x, found), "b": build.inner(found, found)}
    return unrolled(outputs, SIZES, ARRAYS)


def check(program, width, tolerance=1e-12):
    found, expected = simulate(program, width, 2), dense(program, width, 1)
    for name, value in expected.items():
        assert found[name][1] == pytest.approx(value, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_order_one_is_the_dense_sum(name):
    check(program_of(CASES[name]), 41)


@pytest.mark.parametrize("name", TWO)
def test_order_two_is_the_dense_sum(name):
    check(program_of(TWO[name], (1, 2)), 19)


def test_order_three_is_the_dense_sum():
    body = call("tanh", times(call("add", times(x, at(w)), at(w, 2)), at(y, 3)))
    check(program_of(times(body, at(z, 3)), (1, 2, 3)), 9)


@pytest.mark.parametrize("entries", [40, 3000, 10**8])
def test_blocks_change_only_roundoff(monkeypatch, entries):
    monkeypatch.setattr(nests, "BLOCK_ENTRIES", entries)
    for name in ("axes joined", "several arguments", "contracted pairs", "scalar result"):
        check(program_of(CASES[name]), 37)
    for name in ("order 2", "middle", "not on copy zero"):
        check(program_of(TWO[name], (1, 2)), 13)


def test_outer_products_of_kets_from_matrices():
    h = call("relu", matmul("W", x))
    g = build.mean((1,), times(call("tanh", times(h, at(y))), at(matmul("W", h, True))))
    again = build.mean((1,), times(call("tanh", times(at(h), g)), at(h)))
    check(unrolled({"a": build.inner(h, again), "b": build.average(matmul("W", again))}), 150)


def test_averages_that_share_functions_are_summed_in_one_nest():
    state = call("tanh", linear())
    parts = [build.mean((1,), times(call(f, state), at(z))) for f in ("sin", "cos", "relu")]
    program = unrolled({"s": [build.inner(x, p) for p in parts]}, SIZES, ARRAYS)
    [step] = [s.work for s in schedule(program, 50).steps if isinstance(s.work, Averages)]
    assert len(step.nodes) == 3
    [nest] = step.nests
    assert sum(node is state for node in nest.evaluated) == 1
    check(program, 50)


def test_independent_copies_are_summed_apart():
    mean = build.mean((1, 2), TWO["apart"])
    [step] = [
        s.work
        for s in schedule(unrolled({"m": build.average(mean)}), 30).steps
        if isinstance(s.work, Averages)
    ]
    assert sorted(nest.copies for nest in step.nests) == [(0, 1), (0, 2)]


def test_components_of_a_product():
    body = times(x, call("tanh", times(x, at(w))), at(z), at(zs, 2), number("c"))
    found = components(build.mean((1, 2), body), Counter())
    shapes = sorted((c.copies, len(c.pairs), len(c.weights), len(c.plain)) for c in found)
    assert shapes == [((0,), 0, 0, 2), ((0, 1), 1, 1, 0), ((2,), 0, 1, 0)]


def test_single_precision_stays_close():
    program = program_of(CASES["axes joined"])
    exact, single = (simulate(program, 600, 24, dtype=d)["b"] for d in ("float64", "float32"))
    error = np.hypot(exact.std(), single.std()) / np.sqrt(24)
    assert exact.mean() == pytest.approx(single.mean(), abs=5 * error)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_single_precision_is_not_widened(dtype, monkeypatch):
    seen = []
    original = arrays.finite_local

    def spy(node, args, place):
        found = original(node, args, place)
        seen.append(found.dtype)
        return found

    monkeypatch.setattr("nexort.finite.loops.finite_local", spy)
    simulate(program_of(CASES["multi-scalar parameter"]), 20, 1, dtype=dtype)
    assert seen
    assert set(seen) == {np.dtype(dtype)}


def test_memory_stays_far_below_a_matrix():
    program = program_of(times(call("sign", linear()), at(z)))
    tracemalloc.start()
    try:
        simulate(program, 6000, 1, dtype="float32", threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6000 * 6000 * 4 / 3


def test_other_nodes_inside_are_defects():
    odd = Node(Op.FACTOR, (times(us, at(us)),), None, ket((M, K), frozenset({0, 1})))
    with pytest.raises(InternalError):
        simulate(program_of(odd), 5, 1)


def random_body(stream):
    """A function of copies 0, 1, 2 put together at random."""
    kets = [x, y, xs, ys, zs, us, call("relu", us)]
    pool = [build.copy(k, c) if c else k for k in kets for c in (0, 1, 2)]
    pool += [chi, number("c"), number("d", (M, K)), build.constant(0.5)]
    while len(pool) < 50:
        recent, anything = pool[-1 - stream.integers(12)], pool[stream.integers(len(pool))]
        a, b = stream.permutation(np.array([recent, anything], dtype=object))
        try:
            match stream.integers(9):
                case 0 | 1 | 2:
                    found = call(("mul", "add", "sub")[stream.integers(3)], a, b)
                case 3:
                    found = call(("tanh", "sin", "relu")[stream.integers(3)], a)
                case 4 | 5 | 6:
                    found = build.contract(a, b)
                case 7:
                    found = build.transpose(a)
                case _:
                    found = build.take(a, [stream.integers(2).item()])
        except build.TypeProblem:
            continue
        pool.append(found)
    bounded = call("tanh", call("mul", 0.1, pool[-1]))
    return times(bounded, at(w), call("cos", at(z, 2)))


@pytest.mark.parametrize("number_of_test", range(60))
def test_random_bodies_are_the_dense_sum(number_of_test, monkeypatch):
    monkeypatch.setattr(nests, "BLOCK_ENTRIES", 500)
    stream = np.random.default_rng(number_of_test)
    check(program_of(random_body(stream), (1, 2)), 11)
