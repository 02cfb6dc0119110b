"""Training at width n: against plain loops, by its invariances, and towards known means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_tasks import MLP, reference, run_of, update

from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.finite.crew import Crew
from nexort.finite.streams import Streams, gaussian_draw
from nexort.finite.training import first_nonfinite_step, train
from nexort.finite.training.plan import plan
from nexort.finite.training.run import TrainingRun
from nexort.program.network import Exponents
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind, scalar
from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, Source
from nexort.training.task import Norm, Task

PROGRAMS = Path(__file__).parents[2] / "programs"
RNG = np.random.default_rng(8)
INPUTS, DIM = 4, 3
ARRAYS = {
    "xi": RNG.normal(size=(DIM, INPUTS)),
    "y": RNG.normal(size=INPUTS),
    "train": np.array([1.0, 1.0, 1.0, 0.0]),
}


def mlp(
    phi: str, how: str, parametrization: str, depth: int, steps: int = 5, **rest: float
) -> Task:
    return run_of(
        MLP.replace("PHI", phi), ARRAYS, update(how), rate=0.1, steps=steps,
        parametrization=parametrization, numbers={"L": depth},
    )  # fmt: skip


def initial_weights(task: Task, width: int, dtype: str) -> list[Array]:
    """u, W[2], ..., v of run 0 at the start, as ``train`` draws them; in double precision."""
    kind = np.dtype(dtype)
    planned = plan(task, width, kind)
    laws = {name: gaussian_draw for name, _ in planned.matrices}
    with Crew(1, 1) as crew:
        run = TrainingRun(planned, Streams(0, 0, width, kind), laws, crew)
    matrices = [run.matrices[key].w for key in sorted(run.matrices)]
    weights = [run.entries["u", ()].w.T, *matrices, run.entries["v", ()].w]
    return [w.astype(float) for w in weights]


# ---- a plain loop --------------------------------------------------------------------------------

Optimizer = Callable[[int, Array, dict[str, Array]], Array]


def sgd(t: int, g: Array, state: dict[str, Array]) -> Array:
    return g


def momentum(t: int, g: Array, state: dict[str, Array]) -> Array:
    state["m"] = 0.9 * state.get("m", 0) + g
    return state["m"]


def adam(t: int, g: Array, state: dict[str, Array]) -> Array:
    m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
    return m / (1 - 0.9 ** (t + 1)) / np.sqrt(v / (1 - 0.999 ** (t + 1)) + 1e-8)


PHI = {
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "relu": (lambda h: np.maximum(h, 0), lambda h: (h > 0).astype(float)),
}


def plain_loop(
    weights: list[Array], phi: str, optimizer: Optimizer, table: Mapping[str, tuple[float, ...]],
    rate: float, steps: int, centre: bool, decay: float = 0.0,
    divisor: Callable[[Array, Array, str], float] = lambda q, w, kind: 1.0,
) -> Array:  # fmt: skip
    """Outputs of every step. ``table``: (a, b, c, d) of first, hidden and last layers, where the
    last layer is W^T x (Eq 2.3); ``weights`` are w, W = n^-a w."""
    act, slope = PHI[phi]
    n, layers = len(weights[-1]), len(weights)
    kinds = ["first", *["hidden"] * (layers - 2), "last"]
    weights = [w.copy() for w in weights]
    states: list[dict[str, Array]] = [{} for _ in weights]
    xi, y, mask = ARRAYS["xi"], ARRAYS["y"], ARRAYS["train"]
    found, start = [], 0.0
    for t in range(steps + 1):
        W = [w * n ** -table[k][0] for w, k in zip(weights, kinds, strict=True)]
        h, x = [], [xi]
        for matrix in W[:-1]:
            h.append(matrix @ x[-1])
            x.append(act(h[-1]))
        f = W[-1] @ x[-1]
        if t == 0 and centre:
            start = f
        found.append(f - start)
        chi = (found[-1] - y) * mask
        gradients = [x[-1] @ chi]
        dx = W[-1][:, None] * chi
        for layer in range(layers - 2, -1, -1):
            dh = dx * slope(h[layer])
            gradients.insert(0, dh @ x[layer].T)
            dx = W[layer].T @ dh
        for k, (g, kind) in enumerate(zip(gradients, kinds, strict=True)):
            a, _, c, d = table[kind]
            q = optimizer(t, g * n**-a * n**d, states[k])
            q = q / divisor(q, weights[k], kind)
            weights[k] = (1 - decay) * weights[k] - rate * n**-c * q
    return np.array(found)


TABLES = {
    "mup": {"first": (0, 0, 0, 1), "hidden": (0, 0.5, 1, 1), "last": (1, 0, 0, 1)},
    "ntp": {"first": (0, 0, 0.5, 0.5), "hidden": (0.5, 0, 1, 1), "last": (0.5, 0, 0.5, 0.5)},
}
"""Section 4 of the paper, for Eq 2.3; the task has the last layer's n^-a in a_out."""


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize(
    ("phi", "optimizer", "depth"),
    [("tanh", adam, 3), ("relu", momentum, 2), ("relu", sgd, 2), ("tanh", sgd, 1)],
)
def test_a_plain_loop_trains_the_same(
    phi: str, optimizer: Optimizer, depth: int, parametrization: str
) -> None:
    width = 150  # two blocks of rows
    task = mlp(phi, optimizer.__name__, parametrization, depth)
    for dtype, tolerance in (("float64", 1e-10), ("float32", 2e-4)):
        weights = initial_weights(task, width, dtype)
        centre = parametrization == "ntp"
        wanted = plain_loop(weights, phi, optimizer, TABLES[parametrization], 0.1, 5, centre)
        found = train(task, width, 1, dtype=dtype)["f"][0]
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        assert np.abs(found[-1] - found[0]).max() > 0.05


def test_decay_of_every_weight() -> None:
    task = mlp("tanh", "adam", "mup", 3)
    decaying = {key: replace(w, decay=np.full(5, 0.1)) for key, w in task.weights.items()}
    found = train(replace(task, weights=decaying), 150, 1, dtype="float64")["f"][0]
    weights = initial_weights(task, 150, "float64")
    wanted = plain_loop(weights, "tanh", adam, TABLES["mup"], 0.1, 5, False, 0.1)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["updates", "weights", "clip", "clip paper"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_updates_are_divided_by_norms(
    kind: Literal["updates", "weights", "clip", "clip paper"], dtype: str
) -> None:
    """Eq 2.54: with the exponents of Def 2.10.5 steps have the same size as without."""
    width, task = 150, mlp("tanh", "momentum", "mup", 3)
    thresholds = np.array([0.2, 0.5, 1.0, 2.0, 4.0])
    table = {"first": (0, 0, -0.5, 1), "hidden": (0, 0.5, 0, 1), "last": (1, 0, -0.5, 1)}
    if kind == "weights":
        table["hidden"] = (0, 0.5, 0.5, 1)
    if kind == "clip":
        table = {"first": (0, 0, 0, 1), "hidden": (0, 0.5, 1, 1), "last": (1, 0, 0, 1)}
    shifted = {}
    for key, w in task.weights.items():
        norm = Norm(kind, thresholds if kind.startswith("clip") else None)
        divided = replace(w, norm=norm)
        e = w.exponents
        shifted[key] = replace(divided, exponents=replace(e, c=e.c - divided.shift))
    steps = iter(np.repeat([*thresholds, 1.0], 4))

    def divisor(q: Array, w: Array, layer: str) -> float:
        if kind == "weights":
            return float(np.linalg.norm(w))
        if kind == "updates":
            return float(np.linalg.norm(q))
        e = 1 if layer == "hidden" else 0.5
        size, threshold = float(np.linalg.norm(q)), next(steps) * width**e
        return max(1.0, size / threshold) if kind == "clip" else min(size, threshold)

    found = train(replace(task, weights=shifted), width, 1, dtype=dtype)["f"][0]
    weights = initial_weights(task, width, dtype)
    wanted = plain_loop(weights, "tanh", momentum, table, 0.1, 5, False, 0.0, divisor)
    tolerance = 1e-10 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    assert np.abs(found[-1] - found[0]).max() > 0.02


# ---- invariances ---------------------------------------------------------------------------------

THETAS = st.lists(st.fractions(-2, 2, max_denominator=4), min_size=4, max_size=4)


@settings(deadline=None, max_examples=12)
@given(THETAS, st.sampled_from(["sgd", "adam"]), st.sampled_from(["mup", "ntp"]))
def test_exponents_are_redundant(thetas: list[Fraction], how: str, parametrization: str) -> None:
    """Prop 2.2.3: (a, b, c, d) -> (a + theta, b - theta, c - theta, d + theta) changes nothing."""
    task = mlp("tanh", how, parametrization, 3)
    moved = {
        key: replace(w, exponents=_moved(w.exponents, theta))
        for (key, w), theta in zip(task.weights.items(), thetas, strict=True)
    }
    one = train(task, 20, 1, dtype="float64", threads=1)["f"]
    other = train(replace(task, weights=moved), 20, 1, dtype="float64", threads=1)["f"]
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def _moved(e: Exponents, theta: Fraction) -> Exponents:
    return Exponents(e.a + theta, e.b - theta, e.c - theta, e.d + theta)


def test_other_exponents_are_not() -> None:
    task = mlp("tanh", "adam", "mup", 2)
    one = train(task, 20, 1, dtype="float64")["f"]
    for change in ("a", "b", "c", "d"):
        moved = {
            key: replace(w, exponents=replace(w.exponents, **{change: Fraction(1, 3)}))
            for key, w in task.weights.items()
        }
        other = train(replace(task, weights=moved), 20, 1, dtype="float64")["f"]
        assert np.abs(other - one).max() > 1e-4, change


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_the_number_of_runs_change_no_bit(dtype: str) -> None:
    task = mlp("relu", "adam", "mup", 2, steps=3)
    alone = train(task, 300, 1, dtype=dtype, threads=1)["f"]
    for threads, seeds in ((2, 1), (2, 3), (3, 2), (4, 1)):
        found = train(task, 300, seeds, dtype=dtype, threads=threads)["f"]
        assert found.shape == (seeds, 4, INPUTS)
        np.testing.assert_array_equal(found[0], alone[0])
    few = train(task, 300, 3, dtype=dtype, threads=4, memory=4 * 2**20)["f"]
    np.testing.assert_array_equal(few, train(task, 300, 3, dtype=dtype)["f"])
    assert len(np.unique(few[:, 1, 0])) == 3
    assert (train(task, 300, 1, seed=1, dtype=dtype)["f"] != alone).any()


# ---- known means ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "seeds"), [(256, 120), (1024, 24)])
@pytest.mark.parametrize("case", ["mup_L2_tanh_adam", "ntp_L2_tanh_momentum"])
def test_means_at_finite_width(case: str, width: int, seeds: int) -> None:
    """Another program's means over other seeds."""
    task, known = reference(case)
    found = train(task, width, seeds)["f"]
    mean, wanted = found.mean(0), np.array(known["finite"][str(width)]["mean"])
    error = np.hypot(found.std(0, ddof=1) / np.sqrt(seeds), known["finite"][str(width)]["sem"])
    z = (mean - wanted)[error > 1e-8] / error[error > 1e-8]
    assert np.abs(z).max() < 4
    assert error[-1].max() < 0.01
    assert np.abs(mean[-1]).max() > 0.2


# ---- the rest of the interface -------------------------------------------------------------------


class Store:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Array]] = {}
        self.asked: list[str] = []

    def get(self, key: str) -> Mapping[str, Array] | None:
        self.asked.append(key)
        return self.kept.get(key)

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        assert key not in self.kept
        self.kept[key] = arrays


def test_finished_runs_are_not_run_again() -> None:
    task, store = mlp("tanh", "sgd", "mup", 2), Store()
    counts: list[int] = []
    first = train(task, 16, 2, checkpoint=store, progress=counts.append)["f"]
    assert counts == [1, 2]
    assert len(store.kept) == 2
    again = train(task, 16, 4, checkpoint=store, progress=counts.append)["f"]
    assert counts[2:] == [3, 4]
    np.testing.assert_array_equal(again, train(task, 16, 4)["f"])
    np.testing.assert_array_equal(first, again[:2])
    train(task, 17, 1, checkpoint=store)
    train(task, 16, 1, checkpoint=store, dtype="float64")
    train(task, 16, 1, checkpoint=store, entries="uniform")
    assert len(store.kept) == 7


def test_starts() -> None:
    task = mlp("tanh", "sgd", "ntp", 2)
    plain = train(replace(task, start="plain"), 16, 2, dtype="float64")["f"]
    centred = train(task, 16, 2, dtype="float64")["f"]
    axes = task.out.type.axes
    given_start = Node(Op.DATA, (), "y", scalar(axes))
    put = train(replace(task, start=given_start), 16, 2, dtype="float64")["f"]
    assert np.abs(plain[:, 0]).max() > 0.1
    assert (centred[:, 0] == 0).all()
    # the targets: there is nothing to learn
    np.testing.assert_allclose(put, np.broadcast_to(ARRAYS["y"], put.shape), atol=1e-12)


def test_what_is_finite_is_kept() -> None:
    task = mlp("square", "sgd", "mup", 2, steps=12)
    wild = {k: replace(w, rates=w.rates * 10) for k, w in task.weights.items()}
    found = train(replace(task, weights=wild), 32, 2)["f"]
    steps = np.isfinite(found).all(axis=-1)
    assert steps[:, :2].all()
    assert not steps[:, -1].any()
    assert (np.diff(steps.astype(int), axis=1) <= 0).all()
    stopped = first_nonfinite_step(replace(task, weights=wild), 32, run=1)
    assert stopped is not None
    assert stopped[0] == int(np.argmin(steps[1]))
    assert stopped[1].type.kind is Kind.KET  # not the output at the end, but what made it so
    assert first_nonfinite_step(mlp("tanh", "sgd", "mup", 2), 32) is None


def test_decay_and_silent_weights() -> None:
    """With no rate, weights only decay: f is linear in the readout."""
    task = mlp("tanh", "adam", "mup", 2, steps=3)
    weights = {
        key: replace(w, rates=0 * w.rates, decay=np.full(3, 0.1 if key[0] == "v" else 0.0))
        for key, w in task.weights.items()
    }
    found = train(replace(task, weights=weights), 40, 1, dtype="float64")["f"][0]
    np.testing.assert_allclose(found, found[:1] * 0.9 ** np.arange(4)[:, None], rtol=1e-12)


def test_error_signals_that_overflow() -> None:
    """A signal without a value ends a run as an output would."""
    arrays = ARRAYS | {"y": np.array([np.inf, 0, 0, 0])}
    task = run_of(MLP.replace("PHI", "tanh"), arrays, update("sgd"), rate=0.1, steps=2,
                  numbers={"L": 2})  # fmt: skip
    found = train(task, 16, 1)["f"][0]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()
    assert first_nonfinite_step(task, 16) == (0, task.errors[0])


def test_laws_of_entries() -> None:
    task = mlp("tanh", "sgd", "mup", 2, steps=1)
    found = {law: train(task, 64, 2, entries=law)["f"] for law in ("gaussian", "rademacher")}
    np.testing.assert_array_equal(found["gaussian"], train(task, 64, 2)["f"])
    assert (found["gaussian"] != found["rademacher"]).any()


@pytest.mark.parametrize("name", ["figure_5_1", "figure_5_2"])
def test_the_papers_figures_fit_two_gibibytes(name: str) -> None:
    arrays = dict(np.load(PROGRAMS / "data" / "figures.npz"))
    given = Given({}, {k: LoadedArray(v.astype(float), k) for k, v in arrays.items()})
    program = driver.compile_source(Source(name, (PROGRAMS / f"{name}.nxt").read_text()))
    task = driver.training(program, given)
    assert plan(task, 7000, np.dtype("float32")).bytes() < 2 * 2**30
    found = train(task, 40, 2)["f"]
    assert found.shape == (2, 21, 104)
    assert np.isfinite(found).all()


def test_what_cannot_be_run() -> None:
    task = mlp("tanh", "adam", "mup", 2, steps=1)
    for code, options in (
        ("unknown-dtype", {"dtype": "float16"}),
        ("unknown-law", {"entries": "cauchy"}),
        ("memory-limit", {"memory": 100_000}),
    ):
        with pytest.raises(NexortError) as caught:
            train(task, 200, 1, **options)  # type: ignore[arg-type]
        assert caught.value.diagnostics[0].code == code
