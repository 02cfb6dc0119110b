"""Kets with several axes: exact limits beside sampled ones, finite widths and emitted modules."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from labelled import program

import nexort
from nexort.limit.exact.labels import BOUND, FREE, Label, canonical_indices, top
from nexort.limit.exact.values import Value, Values, What

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def compare(seeds: Iterable[int], samples: int) -> int:
    """Exact outputs of some programs beside their sampled values; how many there were."""
    count = 0
    for seed in seeds:
        text = program(seed)
        p = nexort.loads(text)
        exact = p.limit()
        closed = [name for name in exact if exact[name].method.startswith("exact")]
        sampled = p.limit(exact=False, samples=samples, seed=seed) if closed else {}
        for name in closed:
            value, other = np.asarray(exact[name]), np.asarray(sampled[name])
            assert value.shape == other.shape, (seed, name, text)
            scale = np.max(np.abs(other), initial=0)
            distance = np.abs(value - other) / (sampled[name].error + 1e-3 * scale + 1e-6)
            assert np.max(distance, initial=0) < 6, (seed, name, text)
            count += 1
    return count


def test_as_sampled() -> None:
    assert compare(range(3), 512) > 5


@pytest.mark.slow
def test_many_as_sampled() -> None:
    assert compare(range(1000, 1040), 512) > 80


def emitted(seeds: Iterable[int]) -> int:
    """Emitted modules beside the exact values; how many there were."""
    count = 0
    for seed in seeds:
        p = nexort.loads(program(seed))
        try:
            source = p.emit()
        except nexort.NexortError as error:
            if error.diagnostics[0].code != "not-closed":
                raise
            continue
        namespace: dict[str, object] = {}
        exec(source, namespace)
        found = {k: np.asarray(v) for k, v in namespace["limit"]().items()}  # type: ignore[operator]
        exact = p.limit()
        for name in exact:
            if exact[name].method.startswith("exact"):
                value = np.asarray(exact[name])
                assert found[name].shape == value.shape, (seed, name, source)
                scale = 1e-7 * (1 + np.max(np.abs(value), initial=0))
                assert np.allclose(found[name], value, rtol=0, atol=scale), (seed, name, source)
        count += 1
    return count


def test_as_emitted() -> None:
    assert emitted(range(12)) > 8


@pytest.mark.slow
def test_many_as_emitted() -> None:
    assert emitted(range(1000, 1060)) > 50


def test_at_finite_width() -> None:
    """Shapes and values at width 2000, whose deviation is about n^(-1/2)."""
    for seed in range(8):
        p = nexort.loads(program(seed))
        exact, finite = p.limit(), p.simulate(width=2000, seeds=2, seed=seed)
        for name in exact:
            value, other = np.asarray(exact[name]), np.asarray(finite[name])
            assert value.shape == other.shape
            scale = 1 + np.max(np.abs(value), initial=0)
            assert np.max(np.abs(value - other), initial=0) < 0.5 * scale, (seed, name)


# ---- one label a binder --------------------------------------------------------------------------


def test_thousands_of_sums() -> None:
    """sum_k A[k] ... over 500 contractions: more labels than any counter had."""
    text = """
    dim K = 500, P = 2
    data S[K, P, P]
    vector u[P] ~ N(0, 1)
    |x[0]> = |u>
    for k in 1..K { |x[k]> = S[k-1] @ |x[k-1]> }
    output <x[K]|x[K]>
    """
    rng = np.random.default_rng(0)
    S = rng.normal(size=(500, 2, 2))
    S /= np.linalg.norm(S, ord=2, axis=(1, 2), keepdims=True)
    product = np.eye(2)
    for s in S:
        product = s @ product
        scale = np.linalg.norm(product)
        product, s[:] = product / scale, s / scale
    found = nexort.loads(text).limit(S=S)["<x[K]|x[K]>"]
    assert found.method == "exact: closed form"
    np.testing.assert_allclose(np.asarray(found), product @ product.T, rtol=1e-9, atol=1e-9)


def test_a_bra_ket_of_seven_axes_on_both_sides() -> None:
    """14 labels of one scalar, all of size 2."""
    axes = ", ".join("ABCDFGH")
    text = f"dim {', '.join(f'{x} = 2' for x in 'ABCDFGH')}\ndata a[{axes}]\nvector b ~ N(0, 1)\n"
    a = np.random.default_rng(1).normal(size=(2,) * 7)
    found = nexort.loads(text + "|x> = |b> * a\noutput <x|x>").limit(a=a)["<x|x>"]
    np.testing.assert_allclose(np.asarray(found), np.multiply.outer(a, a), rtol=1e-13)


def test_indices_in_order_of_appearance() -> None:
    a, b = Label(FREE, 7, "M"), Label(BOUND, 0, "d")
    own, names = canonical_indices((a, 3, b, a))
    assert own == (*top("M"), 3, Label(FREE, 1, "d"), *top("M"))
    assert tuple(names.get(x, x) for x in own) == (a, 3, b, a)


def bound(value: Value) -> set[Label]:
    """Labels that a value binds, itself and below."""
    own = set(value.attr) if value.what is What.SUM else set()
    return own.union(*(bound(a) for a in value.args))


def test_nested_sums_bind_different_labels() -> None:
    values = Values()
    i, j, k = top("MMM")

    def entries(name: str, *at: Label) -> Value:
        return values.array(("data", name), at)

    inner = values.sum(values.mul(entries("A", i, k), entries("A", k, j)), [k])
    outer = values.sum(values.mul(values.call("sin", inner), entries("B", i)), [i])
    assert outer.labels == (j,)
    assert len(bound(outer)) == 2
    # the same with other names to begin with, and after a change of names
    other = values.sum(values.mul(entries("A", j, i), entries("A", i, k)), [i])
    other = values.sum(values.mul(values.call("sin", other), entries("B", j)), [j])
    assert values.relabel(other, {k: j}) is outer


def test_entries_of_lists_are_counted_once() -> None:
    """sum over a of [x_a, 5]: pinned to its second entry this is 5 times the size of a."""
    values = Values()
    a, b = top("MN")
    parts = [values.array(("data", "x"), (a,)), values.number(5)]
    total = values.sum(values.stack(parts, b), [a])
    second = values.relabel(total, {b: 1})
    size = values.array(("ones", "M"), (a,))
    assert second is values.mul(values.number(5), values.sum(size, [a]))
