"""The Python interface."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import nexort

PROGRAMS = Path(__file__).parents[1] / "programs"
X = np.random.default_rng(0).standard_normal((4, 3))


def test_load_limit_simulate() -> None:
    p = nexort.load(PROGRAMS / "mlp.nxt", L=2)
    limit = p.limit(xi=X)
    assert set(limit) == {"nngp", "ntk"}
    assert isinstance(limit["nngp"], np.ndarray)
    assert limit["nngp"].shape == limit["nngp"].error.shape == (3, 3)
    assert limit["nngp"].method == "exact: closed form"
    assert "sampled" in p.limit(xi=X, exact=False)["nngp"].method
    finite = p.simulate(width=512, seeds=8, xi=X)["nngp"]
    assert finite.runs.shape == (8, 3, 3)
    assert (np.abs(finite - limit["nngp"]) < 6 * finite.error + 0.05).all()


def test_params_change_the_program() -> None:
    p = nexort.load(PROGRAMS / "wishart.nxt", K=2)
    assert p.limit()["m"].shape == (2,)
    assert p.with_numbers(K=3).limit()["m"].shape == (3,)
    with pytest.raises(nexort.NexortError, match="no param or dim 'k'"):
        nexort.load(PROGRAMS / "wishart.nxt", k=2)


def test_graph_keeps_families() -> None:
    g = nexort.load(PROGRAMS / "mlp.nxt", L=50).graph()
    assert isinstance(g, nx.MultiDiGraph)
    assert g.number_of_nodes() < 20
    assert g.number_of_edges("x[l] for l in 2..L", "nngp") == 2
    indices = {d["index"] for _, _, d in g.in_edges("h[l] for l in 2..L", data=True)}
    assert "l - 1" in str(indices) or "-1 + l" in str(indices) or any("l" in i for i in indices)


def test_families_are_not_unrolled_by_size() -> None:
    small, large = (nexort.load(PROGRAMS / "mlp.nxt", L=k) for k in (3, 300))
    assert len(small.table()) == len(large.table())
    wide = large.with_numbers(L=2).unrolled({"xi": np.ones((2, 500))})
    narrow = large.with_numbers(L=2).unrolled({"xi": np.ones((2, 1))})
    from nexort.program.nodes import walk

    counts = [len(walk([m for o in u.outputs for m in o.members])) for u in (wide, narrow)]
    assert counts[0] == counts[1]


def test_bad_data_are_errors() -> None:
    p = nexort.load(PROGRAMS / "mlp.nxt")
    for bad in ({}, {"xi": np.full((2, 2), np.nan)}, {"xi": np.ones(3)}, {"x": X}):
        with pytest.raises(nexort.NexortError):
            p.limit(**bad)


def test_rich_display() -> None:
    p = nexort.loads("vector v ~ N(0, 1)\n|x> = tanh(|v>)^2\noutput <x|x>, <1|x>")
    assert "<table" in p._repr_html_()
    found = p.limit(exact=False)
    assert "<table" in found._repr_html_()
    assert "±" in found["<1|x>"]._repr_html_()
    assert "outputs" in repr(p)


def test_verify() -> None:
    found = nexort.load(PROGRAMS / "autoencoder.nxt").verify((64, 128, 256), seeds=16)
    assert found.holds


def test_progress_is_reported() -> None:
    p = nexort.loads("vector v ~ N(0, 1)\noutput <v|v>")
    seen: list[tuple[int, int]] = []
    p.limit(samples=64, exact=False, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (16, 16)
