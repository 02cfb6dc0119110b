"""Gradients at width n against finite differences, in double precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_tasks import run_of, update

from nexort import driver
from nexort.activations import registry
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.finite.crew import Crew
from nexort.finite.streams import Streams, gaussian_draw
from nexort.finite.training.plan import plan
from nexort.finite.training.run import TrainingRun
from nexort.finite.training.slopes import partial_slope
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.types import scalar
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Source
from nexort.training.prepare import prepare
from nexort.training.task import Task, moment, seed_slot

HEAD = """
dim d, M
data xi[d, M], y[M], train[M]
vector u[d] ~ N(0, 1)
vector b, v ~ N(0, 1)
matrix W, U ~ N(0, 1/n)
|h> = |u> @ xi + |b>
|x> = tanh(|h>)
"""

NETWORKS = {
    "mlp": "|z> = gelu(W |x>)",
    "tied and transposed": "|z> = W^T sigmoid(W |x>) + 0.3 * U |x> + W U |h>",
    "normalized": """
        |c> = |x> - <1|x>
        |z> = U (|c> / sqrt(diag(<c|c>) + 0.1))
    """,
    "attention": """
        |p> = W |x>
        |q> = U |x>
        |z> = |x> @ exp(<p|q> - 0.5) + |b>^2
    """,
    "axes": """
        |two> = [W (|x>[0]), |b>]
        t = <two|x>
        |z> = |x> * t[1] + |b> / (2 + t[0]^2) + |x> @ (<x|x>^T) + (|two> @ [1, 2]) * <two|two>[0, 0]
    """,
    "no pairs": "|z> = |x> * E{1}[|x>{1} * |b>{1}] + U |x>",
    "order 1": """
        |r> = U |x>
        |z> = E{1}[tanh(|r> * |b>{1} + |x>{1}) * |h>{1} * |x>{1}] * |b>
    """,
    "order 1, operator": """
        |r> = U |x>
        |z> = tanh(|r> <x|) |h>
    """,
    "order 2": """
        |r> = U |b>
        |z> = E{1,2}[cos(|x> + |r>{1} * |b>{2}) * |h>{2}]
    """,
    "order 2, split": """
        |r> = U |b>
        |z> = E{1,2}[cos(|x> + |r>{1}) * sin(|x> * |h>{2}) * |b>{2}] + |r>
    """,
    "scalar average": """
        s = E{1,2}[tanh(|x>{1} * |b>{2} + |h>{2})]
        |z> = s * (W |x>)
    """,
    "kinks": "|z> = max(W |x>, |b>) + leaky_relu(U |x>, 0.2) + abs(|h>)",
    "powers": "|z> = (1 + (U |x>)^2)^0.5 / (2 + (W |x>)^2) - |x>^3",
}


PARAMETERS = """
dim d, M
data xi[d, M], y[2, M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix ~ N(0, 2)
  weight c : scalar = 1
  weight s : scalar = 0.5
  weight b : vector
  weight v[1..2] : vector
  |x> = tanh(c * |u> @ xi + |b>)
  |z> = relu(W |x>) + s * W^T |x>
  return [<v[1]|z>, <v[2]|z>]
}
train f {
  parametrization mup
  optimizer adam(lr=0.1, eps=1e-4)
  error f - y
  steps 5
}
output f, <x[5]|x[0]>
"""

FIXED = """
dim d, M
data xi[d, M], y[M]
matrix R ~ rademacher(1/n)
vector (p, q) ~ N(0, [[1, 0.5], [0.5, 1]])
vector w ~ N(0.5, 2)
scalar k ~ N(2, 1/n)
network f(xi) {
  weight u : vector[d]
  weight W : matrix ~ N(0.1, 2)
  weight b : vector ~ N(1, 0.5)
  weight v : vector
  |x> = tanh(|u> @ xi + |b>)
  |two> = [|x>[1], |b>]
  s = <1|x>
  |r> = E{1}[tanh([|x>{1} * |b>, |x>{1} * |q>][0] + |two>[0]{1} * |b> * s) @ xi^T]
  |z> = relu(W |x> + k * R |x>) + W^T |p> + R R^T |w> + |r> @ xi
  return <v|z>
}
train f {
  parametrization mup
  optimizer adam(lr=0.1, eps=1e-4)
  error f - y
  steps 5
}
output f
"""

NETWORKS["scalars, several outputs"] = PARAMETERS
NETWORKS["initial objects that stay"] = FIXED


def task_of(body: str) -> Task:
    rng = np.random.default_rng(3)
    if "network" in body:
        shape = (2, 3) if body is PARAMETERS else (3,)
        arrays = {"xi": rng.normal(size=(2, 3)), "y": rng.normal(size=shape)}
        given = Given({}, {k: LoadedArray(v, k) for k, v in arrays.items()})
        program = driver.compile_source(Source("<network>", body))
        return prepare(program, given)
    arrays = {"xi": rng.normal(size=(2, 3)), "y": rng.normal(size=3), "train": np.ones(3)}
    text = HEAD + body + "\nf = <v|z>"
    return run_of(text, arrays, update("sgd"), rate=0.1, steps=1)


def run(task: Task, crew: Crew, width: int, dtype: str = "float64") -> TrainingRun:
    kind = np.dtype(dtype)
    planned = plan(task, width, kind)
    laws = {name: gaussian_draw for name, _ in planned.matrices}
    return TrainingRun(planned, Streams(5, 0, width, kind), laws, crew)


def signal(task: Task) -> Array:
    """An error signal."""
    return np.random.default_rng(1).normal(size=task.step.shape(task.out.type.axes))


def loss(one: TrainingRun, chi: np.ndarray) -> float:
    return float((chi * one.forward([one.task.out])[one.task.out]).sum() * one.scale)


@pytest.mark.parametrize("body", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("width", [5])
def test_gradients_are_slopes(body: str, width: int) -> None:
    task = task_of(body)
    rng = np.random.default_rng(0)
    chi = signal(task)
    with Crew(1, 1) as crew:
        one = run(task, crew, width)
        values = one.forward([task.out])
        of_entries, of_matrices = one.gradients(values, chi)
        assert {*of_entries, *of_matrices} <= set(task.weights)
        stores = {k: s for k, s in {**one.entries, **one.matrices}.items() if s.weight is not None}
        assert stores.keys() == task.weights.keys()
        for key, store in stores.items():
            found = of_entries.get(key)
            if key in of_matrices:
                left, right = of_matrices[key]
                found = left.T @ right
            direction = rng.normal(size=store.w.shape)
            start, step = store.w.copy(), 1e-5
            ends = []
            for sign in (-1, 1):
                store.w[...] = start + sign * step * direction
                ends.append(loss(one, chi))
            store.w[...] = start
            slope = (ends[1] - ends[0]) / (2 * step)
            expected = 0.0 if found is None else float((found * direction).sum() * store.factor)
            assert slope == pytest.approx(expected, rel=1e-6, abs=1e-8), key


@pytest.mark.parametrize("body", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_backpropagation_program_agrees(body: str) -> None:
    """Def 2.9.14 evaluated at width n: d v is n times the gradient of <1|x> by v, and |l><r| stands
    for l r^T / n. The scale of f apart."""
    task = task_of(body)
    chi = signal(task)
    axes = task.out.type.axes
    seed, data = seed_slot(axes), Node(Op.DATA, (), "chi", scalar(axes))
    parts = [x for g in task.gradients.values() for pair in g.pairs for x in pair]
    parts += [x for g in task.gradients.values() for x in (g.ket, g.scalar) if x is not None]
    done = rewrite(parts, lambda x: data if x is seed else x)
    slots = {moment("part", (k,), 0, done[x]): (done[x], 0) for k, x in enumerate(parts)}
    step = replace(task.step, data={**task.step.data, "chi": chi})
    wide = replace(task, step=step, moments={**task.moments, **slots})
    n = 5
    with Crew(1, 1) as crew:
        one = run(wide, crew, n)
        values = one.forward([task.out, *(done[x] for x in parts)])
        of_entries, of_matrices = one.gradients(values, chi / one.scale)

        def rows(x: Node) -> Array:
            return values[done[x]].reshape(-1, n)

        assert parts
        for key, wanted in task.gradients.items():
            if wanted.ket is not None:
                found = values[done[wanted.ket]] / n
                np.testing.assert_allclose(of_entries[key], found, rtol=1e-9, atol=1e-12)
            if wanted.scalar is not None:
                np.testing.assert_allclose(of_entries[key], values[done[wanted.scalar]], rtol=1e-9)
            if wanted.pairs:
                left, right = of_matrices[key]
                total = sum(rows(x).T @ rows(y) for x, y in wanted.pairs) / n
                np.testing.assert_allclose(left.T @ right, total, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["order 1", "order 2", "order 2, split", "scalar average"])
def test_blocks_of_pairs_add_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adjoints of outer nonlinearities do not depend on how indices are cut into blocks."""
    task = task_of(NETWORKS[name])
    results = []
    for entries in (10, 2**20):
        monkeypatch.setattr("nexort.finite.training.regions.BLOCK_ENTRIES", entries)
        with Crew(1, 2) as crew:
            one = run(task, crew, 6)
            results.append(one.gradients(one.forward([task.out]), signal(task)))
    (few, few_pairs), (many, many_pairs) = results
    for key, value in few.items():
        np.testing.assert_allclose(value, many[key], rtol=1e-12, atol=1e-14)
    for key, pair in few_pairs.items():
        for side, other in zip(pair, many_pairs[key], strict=True):
            np.testing.assert_allclose(side, other, rtol=1e-12, atol=1e-14)


def test_single_precision_stays_single() -> None:
    for body in NETWORKS.values():
        task = task_of(body)
        with Crew(1, 1) as crew:
            one = run(task, crew, 6, "float32")
            exact = run(task, crew, 6)
            for key, store in {**one.entries, **one.matrices}.items():
                other = {**exact.entries, **exact.matrices}[key]
                other.w[...] = store.w
            exact.still = {x: value.astype(float) for x, value in one.still.items()}
            chi = signal(task)
            found = one.gradients(one.forward([task.out]), chi)
            wanted = exact.gradients(exact.forward([task.out]), chi)
            for key, value in found[0].items():
                kind = np.float64 if key[0] in ("c", "s") else np.float32
                assert value.dtype == kind
                np.testing.assert_allclose(value, wanted[0][key], rtol=1e-3, atol=1e-5)
            for key, (left, right) in found[1].items():
                assert left.dtype == right.dtype == np.float32
                whole, exactly = left.T @ right, wanted[1][key][0].T @ wanted[1][key][1]
                np.testing.assert_allclose(whole, exactly, rtol=1e-3, atol=1e-5)


POINTS = np.array([0.3, 0.7, 1.9])


@pytest.mark.parametrize("name", sorted(registry()))
def test_slopes_of_every_function(name: str) -> None:
    entry = registry()[name]
    args = [POINTS, POINTS[::-1] + 0.15][: entry.arity]
    for k in range(entry.arity):
        step = np.zeros((entry.arity, 3))
        step[k] = 1e-6
        ends = [entry.evaluate(*(a + s * d for a, d in zip(args, step, strict=True)))
                for s in (1, -1)]  # fmt: skip
        found = np.broadcast_to(partial_slope(name, k, args), (3,))
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)
        singles = [a.astype(np.float32) for a in args]
        assert (
            np.multiply(np.float32(1) * singles[0], partial_slope(name, k, singles)).dtype
            == np.float32
        )


def test_the_power_zero_is_flat_at_zero() -> None:
    assert partial_slope("pow", 0, [np.array([0.0, 1.0]), np.array(0.0)]) == 0
