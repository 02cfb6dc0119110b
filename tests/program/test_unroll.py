"""Unrolling: loops, ranges, families, update functions, numbers."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort import NexortError
from nexort.program.nodes import Node, Op, walk
from nexort.transform.simplify import simplify


def value(text: str, **numbers: float) -> np.ndarray:
    return np.asarray(nexort.loads(text, **numbers).limit()["s"])


def test_loops_up_and_down_and_nested() -> None:
    text = """
    param T = 4
    a[0] = 1
    for t in 1..T { a[t] = 2 * a[t-1] }
    b[T] = a[T]
    for t in T..1 { b[t-1] = b[t] - 1 }
    for i in 0..1 { for j in 0..i { c[i, j] = 10 * i + j + b[0] } }
    s = a[T] + b[0] + c[1, 0]
    output s
    """
    assert value(text) == 16 + 12 + 10 + 12
    assert value(text, T=1) == 2 + 1 + 10 + 1


@pytest.mark.parametrize(
    ("range_", "total"),
    [("2..L", 0), ("L..2", 0), ("1..5 by 2", 9), ("5..1 by -2", 9), ("5..1", 15)],
)
def test_ranges(range_: str, total: int) -> None:
    assert value(f"param L = 1\ns = sum(k in {range_}) k\noutput s") == total


def test_comprehension_over_two_indices_makes_a_grid() -> None:
    program = nexort.loads("q[i, j] = i + 10 * j for i in 1..2 for j in 0..2\noutput q")
    np.testing.assert_array_equal(program.limit()["q"], [[1, 11, 21], [2, 12, 22]])


def test_update_function_with_memory() -> None:
    text = """
    update momentum(g, beta=0.5) {
      state m = 0
      m = beta * m + g
      return m * (t + 1)
    }
    param T = 2
    g[k] = k + 1 for k in 0..T
    s = momentum[T](g[k] for k in 0..T, beta=0.1)
    output s
    """
    assert value(text) == pytest.approx(3 * (3 + 0.1 * 2 + 0.01 * 1))


def test_derivative_by_the_first_argument() -> None:
    text = "fn f(z, a=3) = a * z^3 + sin(z)\ns = f'(2) + f''(0, 5)\noutput s"
    assert value(text) == pytest.approx(36 + np.cos(2))


def test_functions_see_the_file_and_not_the_loop_around_the_call() -> None:
    text = "param k = 7\nfn f(z) = z + k\na[i] = f(i) for i in 0..1\ns = a[1]\noutput s"
    assert value(text) == 8


def test_equal_expressions_are_one_node() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector v ~ N(0, 1)
    |x> = tanh(W |v>)
    |y> = tanh(W |v>)
    output <x|y> as a, <y|x> as b
    """
    unrolled = nexort.loads(text).unrolled()
    members = [m for o in unrolled.outputs for m in o.members]
    assert members[0] is members[1]
    assert sum(node.op is Op.MATMUL for node in walk(members)) == 1


def test_numbers_of_different_type_stay_apart() -> None:
    from nexort.program import build

    one: list[Node] = [build.constant(1), build.constant(1.0)]
    assert one[0] is not one[1]


def test_dead_rules_are_dropped() -> None:
    program = nexort.loads("vector v ~ N(0, 1)\n|x> = relu(|v>)\n|y> = |x> + 1\noutput <x|x>")
    assert [rule.name for _, rule in simplify(program.program).rules()] == ["x"]


def test_the_instruction_limit_is_an_error() -> None:
    with pytest.raises(NexortError, match="too-long"):
        nexort.loads("a[k] = k for k in 1..10000000\noutput a[1]")


def test_independent_copies_factor() -> None:
    text = """
    vector x, w ~ N(0, 1)
    |y> = E{1,2}[|x> * relu(|w>{1}) * |w>{2}^2]
    output <x|y> as s
    """
    program = nexort.loads(text)
    nodes = [n for _, rule in simplify(program.program).rules() for n in walk([rule.value])]
    assert not any(n.op is Op.MEAN and len(n.attr) > 1 for n in nodes)
    assert float(program.limit()["s"]) == pytest.approx(1 / np.sqrt(2 * np.pi), abs=1e-3)
