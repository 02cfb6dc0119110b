"""The order of a plan's operations."""

from __future__ import annotations

import random

import pytest

from nexort.limit.exact.schedule import schedule_values
from nexort.limit.exact.values import Value, Values, What


def leaf(values: Values, name: int) -> Value:
    return values.make(What.ARRAY, (), ((str(name),), ()))


def held(order: list[Value], kept: set[Value]) -> int:
    """The most values held at a time."""
    last = {a: v for v in order for a in v.args}
    now: set[Value] = set()
    most = 0
    for v in order:
        now.add(v)
        most = max(most, len(now))
        now -= {a for a in v.args if last[a] is v and a not in kept}
    return most


def layers(depth: int) -> Value:
    """k[l] = tanh(k[l-1]), t[l] = k[l] + t[l-1] * exp(k[l-1]), all k and slopes made before t."""
    values = Values()
    k = [leaf(values, 0)]
    for _ in range(depth):
        k.append(values.make(What.CALL, (k[-1],), "tanh"))
    slopes = [values.make(What.CALL, (x,), "exp") for x in k]
    total = k[0]
    for x, s in zip(k[1:], slopes, strict=False):
        total = values.make(What.CALL, (x, values.make(What.CALL, (s, total), "mul")), "add")
    return total


def reachable(root: Value) -> list[Value]:
    found: dict[Value, None] = {}

    def visit(v: Value) -> None:
        if v not in found:
            for a in v.args:
                visit(a)
            found[v] = None

    visit(root)
    return list(found)


def test_a_recursion_is_held_in_a_few_arrays() -> None:
    counts = []
    for depth in (10, 60):
        root = layers(depth)
        order = schedule_values(reachable(root), {root}, lambda v: 1)
        counts.append(held(order, {root}))
    assert counts[0] == counts[1] <= 5


@pytest.mark.parametrize("seed", range(20))
def test_arguments_come_first_and_each_value_once(seed: int) -> None:
    rng, values = random.Random(seed), Values()
    made = [leaf(values, k) for k in range(4)]
    for _ in range(60):
        args = tuple(rng.choices(made, k=rng.choice((1, 2, 3))))
        made.append(values.make(What.CALL, args, rng.choice(("tanh", "exp", "add"))))
    made = list(dict.fromkeys(made))
    order = schedule_values(made, set(made[-3:]), lambda v: rng.choice((1, 4)))
    assert sorted(order, key=lambda v: v.serial) == sorted(made, key=lambda v: v.serial)
    place = {v: k for k, v in enumerate(order)}
    assert all(place[a] < place[v] for v in made for a in v.args)
