"""What a program keeps of earlier calls: graphs and plans, by numbers and sizes, and no data."""

from __future__ import annotations

import gc
import weakref

import numpy as np

import nexort
from nexort.transform.straight import GRAPHS

TEXT = """
param s = 1
dim d, M
data xi[d, M]
vector u[d] ~ N(0, s / d)
|x> = relu(|u> @ xi)
k = <x|x>
l = <x|x> * s
output k, l
"""
RNG = np.random.default_rng(0)
X, OTHER, SMALL = RNG.standard_normal((3, 5)), RNG.standard_normal((3, 5)), np.eye(2)


def test_calls_do_not_depend_on_earlier_ones() -> None:
    kept = nexort.loads(TEXT)
    calls = [
        lambda p: p.kernel(X),
        lambda p: p.kernel(OTHER),
        lambda p: p.kernel(SMALL),
        lambda p: p.kernel(X, OTHER),
        lambda p: p.kernel(X, outputs=["l"]),
        lambda p: p.kernel(X, dtype="float32"),
        lambda p: p.kernel(X),
        lambda p: p.limit(xi=SMALL),
        lambda p: p.limit(xi=X),
    ]
    for call in calls:
        found, fresh = call(kept), call(nexort.loads(TEXT))
        assert list(found) == list(fresh)
        for name in fresh:
            np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(fresh[name]))


def test_numbers_that_change() -> None:
    program = nexort.loads(TEXT)
    once = program.kernel(X)["l"]
    program.numbers["s"] = 3
    np.testing.assert_allclose(program.kernel(X)["l"], 9 * once, rtol=1e-15)


def test_many_sizes() -> None:
    program = nexort.loads(TEXT)
    for size in [*range(1, 30), 1, 2]:
        assert program.kernel(X[:, :1].repeat(size, axis=1))["k"].shape == (size, size)
    assert len(program._memory.graphs) <= GRAPHS


def test_data_are_not_kept() -> None:
    program = nexort.loads(TEXT)
    data = X.copy()
    seen = weakref.ref(data)
    program.kernel(data)
    program.kernel(data, data + 1)
    del data
    gc.collect()
    assert seen() is None
