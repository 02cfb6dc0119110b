"""Functions of pairs kept from step to step: an optimizer's state."""

import numpy as np
import pytest
from finite_programs import call, dense, matmul, unrolled, vector

from nexort.finite import nests, simulate
from nexort.finite.pairs import keep_pairs
from nexort.finite.schedule import Averages, schedule
from nexort.program import build


def adam(steps, width_of_state=0.9):
    """x_{t+1} = W x_t + sum_{s <= t} Q(g_0..g_s) x_t with g_s = x_s <x_s + v|, Q with memory."""
    x, v = vector("x"), vector("v")
    first = second = total = None
    outputs = []
    for _ in range(steps):
        g = call("mul", x, build.copy(call("add", x, v), 1))
        square = call("mul", g, g)
        first = g if first is None else call("add", call("mul", width_of_state, first), g)
        second = square if second is None else call("add", call("mul", 0.99, second), square)
        q = call("div", first, call("sqrt", call("add", second, 1.0)))
        total = q if total is None else call("add", total, q)
        moved = build.mean((1,), call("mul", total, build.copy(x, 1)))
        back = build.mean((1,), call("mul", call("tanh", total), build.copy(v, 1)))
        x = call("add", matmul("W", x), call("sub", moved, back))
        outputs.append(build.inner(x, x))
    return unrolled({"f": outputs})


def work(steps, capacity, width=64):
    program = adam(steps)
    plan, kept = keep_pairs(schedule(program, width), program, capacity)
    return plan.work() / width**2, kept / width**2


def test_kept_states_make_the_work_linear():
    everything = 10**9
    assert work(4, 0)[0] < work(8, 0)[0] / 3
    assert work(16, everything)[0] - work(8, everything)[0] == pytest.approx(
        work(24, everything)[0] - work(16, everything)[0]
    )
    # what is alive between two steps: both moments and the sum, old and new
    assert work(24, everything)[1] == work(8, everything)[1] <= 6


@pytest.mark.parametrize("matrices", [1, 2, 3, 4, 5])
def test_the_memory_limit_holds(matrices):
    used = work(8, matrices * 64**2 + 5)
    assert used[1] <= matrices
    assert work(8, 10**9)[0] <= used[0] <= work(8, 0)[0]


def test_nothing_to_keep_changes_nothing():
    x = vector("x")
    body = call("mul", call("tanh", call("mul", x, build.copy(x, 1))), build.copy(x, 1))
    program = unrolled({"a": build.average(build.mean((1,), body))})
    plan = schedule(program, 10)
    assert keep_pairs(plan, program, 10**9) == (plan, 0)


def test_it_is_the_dense_sum():
    program = adam(4)
    assert simulate(program, 30, 1)["f"][0] == pytest.approx(dense(program, 30)["f"], rel=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_and_threads_change_no_bit(dtype, monkeypatch):
    monkeypatch.setattr(nests, "BLOCK_ENTRIES", 20_000)
    program, expected = adam(5), None
    for memory in (2**21, 2**22, 2**23, 2**30):
        for threads in (1, 2, 3):
            found = simulate(program, 200, 2, dtype=dtype, memory=memory, threads=threads)["f"]
            expected = found if expected is None else expected
            assert np.array_equal(found, expected)


def test_kept_pairs_are_dropped_in_time():
    plan, _ = keep_pairs(schedule(adam(6), 50), adam(6), 10**9)
    held: set[object] = set()
    for step in plan.steps:
        if isinstance(step.work, Averages):
            for nest in step.work.nests:
                assert set(nest.reads) <= held
                held |= nest.writes
            held -= set(step.work.dropped)
    assert not held
