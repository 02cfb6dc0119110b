"""Sizes counted from a network's graph against the theorem, and on other architectures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from architectures import ATTENTION
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, PERCEPTRON, UNIT, Array, around, grid, mlp, network

from nexort import driver
from nexort.data.given import Given, placeholders
from nexort.parametrization.classification import classify_subject
from nexort.parametrization.judge import Judge
from nexort.parametrization.layers import perceptron
from nexort.parametrization.subject import subject
from nexort.parametrization.theorem import VERDICTS, codes
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError, Source
from nexort.training.prepare import prepare
from nexort.training.task import Task

DEGREES = {"adam": None, "adam(eps=0)": 0, "sgd": 1}
_judges: dict[tuple[int, str, str], Judge] = {}


def judge(depth: int, phi: str, optimizer: str) -> Judge:
    """The counted conditions of a perceptron."""
    key = depth, phi, optimizer
    if key not in _judges:
        _judges[key] = Judge(mlp(*key).graph())
    return _judges[key]


def compared(depth: int, phi: str, optimizer: str, tables: Array) -> Array:
    """The codes by both routes, which must agree."""
    expected = codes(perceptron(depth, DEGREES[optimizer]), tables, 0, UNIT)
    found = judge(depth, phi, optimizer).codes(tables, np.zeros(len(tables), int), UNIT)
    wrong = np.flatnonzero(found != expected)
    assert not len(wrong), (
        tables[wrong[0]] / UNIT, VERDICTS[found[wrong[0]]], VERDICTS[expected[wrong[0]]]
    )  # fmt: skip
    return found


@pytest.mark.parametrize("optimizer", DEGREES)
def test_a_dense_grid_is_classified_as_by_the_theorem(optimizer: str) -> None:
    tables = np.concatenate([grid(2), around(2, 100_000, 3)])
    assert len(tables) > 100_000
    found = compared(2, "tanh", optimizer, tables)
    assert set(found) == set(range(len(VERDICTS)))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", DEGREES)
@pytest.mark.parametrize("phi", ["tanh", "relu", "gelu", "relu6", "selu", "hardtanh"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_grids_of_every_depth(depth: int, phi: str, optimizer: str) -> None:
    compared(depth, phi, optimizer, around(depth, 100_000, depth))
    compared(depth, phi, optimizer, grid(depth)[::3])


@given(
    st.integers(1, 3),
    st.sampled_from(["tanh", "relu", "relu6"]),
    st.sampled_from(list(DEGREES)),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_table_is_classified_as_by_the_theorem(
    depth: int, phi: str, optimizer: str, data: st.DataObject
) -> None:
    near = around(depth, 1, data.draw(st.integers(0, 10**6)))[0]
    moved = data.draw(st.lists(st.integers(0, 4 * depth + 3), max_size=2))
    for k in moved:
        near.reshape(-1)[k] += data.draw(st.integers(-UNIT, UNIT))
    compared(depth, phi, optimizer, near[None])


def test_a_hundred_thousand_tables_within_ten_seconds() -> None:
    import time

    tables = around(3, 100_000, 5)
    known = judge(3, "tanh", "adam")
    start = time.process_time()
    known.codes(tables, np.zeros(len(tables), int), UNIT)
    assert time.process_time() - start < 20


# ---- other architectures -------------------------------------------------------------------------

GOOD = {"mup": "feature learning", "ntp": "operator regime"}
OTHERWISE: dict[tuple[str, ...], str] = {
    # sums of n terms with a mean: f_0 is of size n^1/2 in the neural tangent parametrization
    ("tied embedding", "ntp"): "unstable",
    ("mean of the last layer", "ntp"): "unstable",
    # the scalar's gradient has size 1: all features move with it (Rem 2.9.21)
    ("scalar", "ntp"): "feature learning",
    # the random output moves the gate
    ("residual branches that start at 0", "ntp"): "feature learning",
}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("regime", GOOD)
@pytest.mark.parametrize("name", NETWORKS)
def test_architectures(name: str, regime: str, optimizer: str) -> None:
    found = classify_subject(network(NETWORKS[name], optimizer, regime))
    assert found.method == "counted"
    known = OTHERWISE.get((name, regime), GOOD[regime])
    assert found.verdict == OTHERWISE.get((name, regime, optimizer), known), str(found)


@pytest.mark.parametrize("name", NETWORKS)
def test_standard_parametrization_is_never_good(name: str) -> None:
    assert classify_subject(network(NETWORKS[name], "adam", "sp")).verdict in (
        "unstable",
        "unfaithful",
    )


def test_perceptrons_are_told_from_other_networks() -> None:
    assert mlp(3, "relu", "adam").is_perceptron()
    assert mlp(1, "relu", "adam").is_perceptron()
    assert not any(network(body).is_perceptron() for body in NETWORKS.values())


def test_averages_obey_the_law_of_large_numbers_only_where_signs_allow() -> None:
    """<1|W x> is of size n^-1/2, <h|h> of size 1, <v|x> of size n^-1/2 until v has learned x."""
    body = """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      |x1> = relu(|u> @ xi)
      |h> = W |x1>
      m = <1|h>
      k = <h|h>
      g = <v|h>
      |x2> = tanh(|h> * (1 + m @ xi^T @ xi))
      return <v|x2>"""
    body = body.replace(
        "      |x2> = tanh(|h> * (1 + m @ xi^T @ xi))", "      |x2> = tanh(|h> + m)"
    )
    judge_ = Judge(network(body).graph())
    mup = network(body).table
    zero = np.array([mup.out], dtype=object)

    known = judge_.of(mup.array, zero).sizes

    def size(order: Array) -> float:
        return float(order[0])

    start, change = known.start, known.change
    assert (size(start["m"]), size(start["k"]), size(start["g"])) == (0.5, 0, 0.5)
    # h moves along dh, which contains v, and v along x2: their products then have a mean
    assert size(change["g"][0]) == 0
    assert size(change["k"][1]) == 0


def test_orders_are_piecewise_linear_in_the_exponents() -> None:
    """At depth 1: h[1] is n^(-a_u - b_u), f n^(1/2 - a_u - b_u - a_v - b_v)."""
    known = judge(1, "tanh", "sgd")
    tables = around(1, 50, 3)
    sizes = known.of(tables, np.zeros(50), UNIT).sizes
    a, b = tables[:, :, 0] / UNIT, tables[:, :, 1] / UNIT
    np.testing.assert_allclose(sizes.start["h[1]"], a[:, 0] + b[:, 0])
    np.testing.assert_allclose(sizes.output, (a + b).sum(axis=1) - 0.5)


# ---- what is trained -----------------------------------------------------------------------------

RATES = {"adam": "adam(lr=1, eps=0.1)", "sgd": "sgd(lr=1)", "sign": "sign_sgd(lr=1)"}


@pytest.mark.parametrize("optimizer", RATES)
@pytest.mark.parametrize("regime", ["mup", "ntp", "ups(1/4)", "sp"])
@pytest.mark.parametrize("name", [*NETWORKS, "perceptron"])
def test_a_limit_is_one_that_is_classified_so(name: str, regime: str, optimizer: str) -> None:
    """What ``train`` takes ``classify`` calls good, and of the same kind."""
    body = NETWORKS.get(name, PERCEPTRON.replace("PHI", "tanh"))
    text = (
        f"param L = 3\ndim d, M\ndata xi[d, M]\nnetwork f(xi) {{{body}\n}}\n"
        f"train f {{ parametrization {regime}; optimizer {RATES[optimizer]}; error f; steps 2 }}\n"
        "output f"
    )
    program = driver.compile_source(Source("<network>", text))
    found = classify_subject(subject(program, Given({}, {})))
    try:
        task = driver.training(program, placeholders(program, Given({}, {})))
    except NexortError as error:
        [problem] = error.diagnostics
        assert problem.code in ("no-limit", found.verdict), str(found)
        if problem.code == "no-limit":
            assert any(w.kind == "scalar" for w in found_task(program).weights.values())
    else:
        kinds = {"maximal": "feature learning", "tangent": "operator regime"}
        assert found.verdict == kinds[task.regime], str(found)


def found_task(program: Program) -> Task:
    """The training whatever its limit."""
    return prepare(program, placeholders(program, Given({}, {})))


def test_gradients_that_averages_make_vanish_are_no_fault_of_the_exponents() -> None:
    """Attention's scores are moved once the readout has learned; a wrong d is still found."""
    found = network(ATTENTION, "adam", "mup")
    assert classify_subject(found).verdict == "feature learning"
    for by, verdict in ((Fraction(1, 2), "unfaithful"), (Fraction(-1, 2), "unfaithful")):
        exponents = list(found.table.exponents)
        k = list(found.task.weights).index(("Q", ()))
        exponents[k] = replace(exponents[k], d=exponents[k].d + by)
        other = replace(found, table=replace(found.table, exponents=tuple(exponents)))
        assert classify_subject(other).verdict == verdict


def test_weights_that_nothing_reads_have_no_size() -> None:
    body = """
      weight u : vector[d]
      weight b : vector
      weight v : vector
      |x> = tanh(|u> @ xi + 0 * |b>) + 0.5 * |u> @ xi
      return <v|x>"""
    assert classify_subject(network(body, "adam", "mup")).verdict == "feature learning"


def test_many_tables_at_once_are_those_of_single_tables() -> None:
    rng = np.random.default_rng(2)
    for name, body in NETWORKS.items():
        found = network(body)
        known = Judge(found.graph())
        base = found.table.array.astype(float)
        tables = base + rng.choice([0, 0, 0, 0.5, -0.5], (12, *base.shape[1:]))
        out = np.full(12, float(found.table.out))
        whole = known.codes(tables, out)
        for k in range(12):
            assert known.codes(tables[k : k + 1], out[k : k + 1])[0] == whole[k], name
