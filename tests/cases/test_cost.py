"""What planning and evaluating an exact limit takes, counted in steps and not in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort import NexortError
from nexort.limit.exact import budget
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.factored import dependency_order, factor_sums
from nexort.limit.exact.labels import top
from nexort.limit.exact.solve import deep, solve

CASES = Path(__file__).parent


def steps(p: nexort.api.TensorProgram) -> int:
    """Steps of planning all outputs of a program."""
    with deep():
        engine = ExactEngine(p.unrolled({}))
        engine.warm()
        for output in engine.program.outputs:
            for member in output.members:
                engine.scalar(member, top([a.name for a in member.type.axes]))
    return int(engine.values.budget.most - engine.values.budget.left)


@pytest.mark.parametrize(
    ("name", "output", "last", "value"),
    [
        ("cost-linear-training", "f", 8, [0.8899744959, -0.3820927701]),
        ("cost-meta-learning", "pred", 3, [-0.2932546906, 0.2768721206]),
    ],
)
def test_kets_of_few_initial_vectors(name: str, output: str, last: int, value: object) -> None:
    found = nexort.load(CASES / f"{name}.nxt").limit()[output]
    assert found.method == "exact: closed form"
    np.testing.assert_allclose(np.asarray(found)[last], value, atol=1e-10)
    # at most quadratic, as sums over all earlier steps are
    taken = [steps(nexort.load(CASES / f"{name}.nxt", T=T)) for T in (5, 10, 20)]
    assert taken[2] < 5 * taken[1] < 25 * taken[0]
    assert taken[2] < 200_000


def test_convolution_with_gradients() -> None:
    p = nexort.load(CASES / "cost-conv-ntk.nxt")
    value = [[0.20219097116848, 0.1414344456289165], [0.1414344456289165, 0.2191328380917133]]
    np.testing.assert_allclose(np.asarray(p.limit()["ntk"]), value, rtol=1e-13)
    assert steps(p) < 100_000


def test_factors_of_deep_sums() -> None:
    """Horner's rule for the tangent kernel, whose size grows as the depth; its L(L + 1) / 2 factors
    are written once and taken out once."""
    sizes = []
    for depth in (100, 200):
        p = nexort.load(CASES.parents[1] / "programs" / "mlp.nxt", L=depth)
        program = p.unrolled({"xi": np.eye(3)})
        with deep():
            engine = ExactEngine(program)
            roots = [engine.scalar(o.members[0], top("MM")) for o in program.outputs]
            taken = engine.values.budget.most - engine.values.budget.left
            roots = factor_sums(engine.values, roots)
        sizes.append((taken, len(dependency_order(roots))))
    (few, small), (many, large) = sizes
    assert many < 4.2 * few
    assert large < 2.2 * small


def test_polynomials_squared_again_and_again() -> None:
    """Degree 2^k, as few steps as its limit allows, and sampled beyond."""
    text = """
    vector u, v ~ N(0, 1)
    |x[0]> = |u> - 0.5 * |v>
    for k in 1..30 { |x[k]> = |x[k-1]>^2 / 4 + 0.1 * |v> }
    m[k] = <1|x[k]> for k in 0..3
    output m
    """
    found = nexort.loads(text).limit()["m"]
    assert found.method == "exact: closed form"
    routes = solve(nexort.loads(text.replace("0..3", "0..30")).unrolled({})).routes
    assert [r.method == "sampled" for r in routes] == [False] * 6 + [True] * 25
    z = np.polynomial.hermite_e.hermegauss(40)
    u, v = (x[None] if k else x[:, None] for k, x in enumerate((z[0], z[0])))
    weights = np.outer(z[1], z[1]) / (2 * np.pi)
    x = u - 0.5 * v
    for k in range(4):
        np.testing.assert_allclose(
            np.asarray(found)[k], np.sum(weights * x), rtol=1e-12, atol=1e-12
        )
        x = x**2 / 4 + 0.1 * v


def test_a_power_of_a_hundred_million() -> None:
    p = nexort.loads("vector x ~ N(0, 1)\n|y> = |x>^100000000\noutput <1|y>")
    with pytest.raises(NexortError, match="growth beyond floating point"):
        p.limit()


def test_products_of_twelve_correlated_kets() -> None:
    """E z_1 ... z_12 in some thousand steps, for 10,395 pairings."""
    text = "dim M = 12\ndata C[M, M]\nvector z[M] ~ N(0, 1)\n|g> = C @ |z>\n"
    text += f"|p> = {' * '.join(f'|g[{k}]>' for k in range(12))}\noutput <1|p>"
    rng = np.random.default_rng(0)
    C = rng.normal(size=(12, 12)) / 4
    p = nexort.loads(text)
    found = p.limit(C=C)["<1|p>"]
    assert found.method == "exact: closed form"
    S = C @ C.T
    known: dict[int, float] = {0: 1.0}

    def wick(left: int) -> float:
        if left not in known:
            first = left & -left
            rest = left ^ first
            i = first.bit_length() - 1
            known[left] = sum(S[i, k] * wick(rest ^ (1 << k)) for k in range(12) if rest >> k & 1)
        return known[left]

    np.testing.assert_allclose(float(np.asarray(found)), wick(2**12 - 1), rtol=1e-10)


def test_the_budget_is_known_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "LEAST", 50)
    monkeypatch.setattr(budget, "EACH", 0)
    p = nexort.load(CASES / "cost-meta-learning.nxt")
    reasons = {r.reason for r in solve(p.unrolled({})).routes}
    assert "planning would take more than 50 steps" in reasons


def test_elu_at_depth() -> None:
    """Time that is linear in the depth: the same integral a layer."""
    found = nexort.load(CASES / "cost-elu-depth.nxt").limit()["<x[L]|x[L]>"]
    assert found.method.startswith("bivariate normal integrals")
    value = np.asarray(found)
    np.testing.assert_allclose(value, [[19.719985, 18.278397], [18.278397, 19.719985]], atol=2e-5)
    assert np.max(found.error) < 1e-10 * value.max()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network f(x) {\n  weight v : vector\n  |h> = |v> * x[0]\n  return <v|h>\n}", "too-long"),
        ("x = 1\n" * 150_000, "more than 400,000 words and signs"),
    ],
)
def test_long_texts_and_trainings_are_refused_at_once(text: str, words: str) -> None:
    """Steps are counted as instructions: every one has the values of its kets."""
    if "network" in text:
        text = f"data x[1] = [1]\n{text}\ntrain f {{\n  parametrization mup\n"
        text += "  optimizer sgd(lr=1)\n  error f - 1\n  steps 12345678\n}\noutput f\n"
    with pytest.raises(NexortError, match=words):
        nexort.loads(text).check()
