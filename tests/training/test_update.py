"""Update functions against PyTorch's optimizers (stored paths) and formulas written by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nexort import driver, optimizers
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.parametrization.verdict import update_degree
from nexort.support.diagnostics import Source
from nexort.training.update import BLOCK, Update

TORCH = np.load(Path(__file__).with_name("torch.npz"))
ADAM = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3}
HYPERPARAMETERS: dict[str, dict[str, float]] = {
    "sgd": {},
    "momentum": {"beta": 0.8},
    "nesterov": {"beta": 0.8},
    "adam_outside": ADAM,
    "adamw": ADAM,
    "rmsprop": {"alpha": 0.9, "eps": 1e-3},
    "adagrad": {"eps": 1e-3},
    "adadelta": {"rho": 0.8, "eps": 1e-3},
    "nadam": {**ADAM, "momentum_decay": 0.1},
    "adamax": ADAM,
    "amsgrad": ADAM,
}


def made(name: str, **hyperparameters: float) -> Update:
    """An optimizer of the registry."""
    entry = optimizers.optimizer_registry()[name]
    rule = driver.compile_source(Source(name, entry.source)).updates[name]
    defaults = {p: float(d.attr) for p, d in rule.parameters if d is not None}
    assert set(hyperparameters) <= set(defaults)
    return Update(rule, defaults | hyperparameters)


def path(update: Update, gradients: np.ndarray, dtype: str = "float64") -> np.ndarray:
    """Q_t at every step."""
    states = update.start(gradients.shape[1:], dtype)
    return np.stack([update.step(t, g, states) for t, g in enumerate(gradients.astype(dtype))])


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_steps_are_those_of_pytorch(name: str) -> None:
    gradients, wanted = TORCH["g"], TORCH[name]
    decay = 0.1 * 0.2 if name == "adamw" else 0.0
    w = wanted[0]
    for t, q in enumerate(path(made(name, **HYPERPARAMETERS[name]), gradients)):
        w = (1 - decay) * w - 0.1 * q
        # NAdam's product of momenta is a float32 there
        tolerance = 1e-7 if name == "nadam" else 1e-12
        np.testing.assert_allclose(w, wanted[t + 1], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_steps_in_single_precision_are_those_of_pytorch(name: str) -> None:
    gradients, wanted = TORCH["g"], TORCH[name]
    decay = np.float32(0.1 * 0.2 if name == "adamw" else 0)
    w = wanted[0].astype("float32")
    for t, q in enumerate(path(made(name, **HYPERPARAMETERS[name]), gradients, "float32")):
        w = (1 - decay) * w - np.float32(0.1) * q
        assert w.dtype == np.float32
        np.testing.assert_allclose(w, wanted[t + 1], rtol=2e-6, atol=2e-6)


def test_adam_with_epsilon_inside_the_root() -> None:
    g = TORCH["g"]
    m = v = np.zeros(7)
    for t, q in enumerate(path(made("adam", **ADAM), g)):
        m = 0.8 * m + 0.2 * g[t]
        v = 0.95 * v + 0.05 * g[t] ** 2
        root = np.sqrt(v / (1 - 0.95 ** (t + 1)) + 1e-6)
        np.testing.assert_allclose(q, m / (1 - 0.8 ** (t + 1)) / root, rtol=1e-13)


def test_sign_sgd_and_lion() -> None:
    g = TORCH["g"]
    np.testing.assert_allclose(path(made("sign_sgd"), g), np.sign(g), rtol=1e-15)
    near = np.array([[0.0, -0.0, 1e-10, -1e-10, 1e-25]])
    for dtype in ("float64", "float32"):
        found = path(made("sign_sgd"), near, dtype)
        np.testing.assert_allclose(found, np.sign(near), rtol=1e-6)
        found = path(made("sign_sgd", eps=1e-10), near, dtype)
        wanted = [[0, 0, 0.5**0.5, -(0.5**0.5), 1e-15]]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    m = np.zeros(7)
    for t, q in enumerate(path(made("lion"), g)):
        np.testing.assert_array_equal(q, np.sign(0.9 * m + 0.1 * g[t]))
        m = 0.99 * m + 0.01 * g[t]


@pytest.mark.parametrize("name", optimizers.optimizer_registry())
def test_every_optimizer_has_a_summary_a_source_and_ranges(name: str) -> None:
    entry = optimizers.optimizer_registry()[name]
    program = driver.compile_source(Source(name, entry.source))
    assert list(program.updates) == [name]
    update = made(name)
    assert entry.summary.endswith(".")
    assert entry.citation
    assert "source:" not in entry.summary
    assert set(update.hyperparameters) <= set(entry.ranges)
    assert all(entry.ranges[k].holds(v) for k, v in update.hyperparameters.items())


def test_ranges() -> None:
    ranges = optimizers.optimizer_registry()["adam"].ranges
    inside = {"beta1": (0, 0.999), "eps": (0, 1e-8, 10)}
    outside = {"beta1": (-0.1, 1, np.nan), "eps": (-1e-9, np.inf, np.nan)}
    for name, values in inside.items():
        assert all(ranges[name].holds(v) for v in values)
    for name, values in outside.items():
        assert not any(ranges[name].holds(v) for v in values)
    assert str(ranges["beta1"]) == "at least 0 and below 1"
    decays = {n: e.weight_decay for n, e in optimizers.optimizer_registry().items()}
    assert {n: d for n, d in decays.items() if d is not None} == {"adamw": 0.01, "lion": 0.0}


@pytest.mark.parametrize("name", optimizers.optimizer_registry())
def test_gradients_that_are_zero_move_nothing(name: str) -> None:
    """Units that are off have gradients 0 from the first step on."""
    for dtype in ("float64", "float32"):
        np.testing.assert_array_equal(path(made(name), np.zeros((3, 2)), dtype), 0)


def test_coefficients_of_linear_updates() -> None:
    g = TORCH["g"]
    for name in ("sgd", "momentum", "nesterov"):
        update = made(name)
        c = update.coefficients(12)
        assert c is not None
        np.testing.assert_allclose(c @ g, path(update, g), rtol=1e-13)
        assert update_degree(update) == 1
    assert made("adam").coefficients(3) is None


def test_degrees_of_homogeneity() -> None:
    assert update_degree(made("sign_sgd")) == 0
    assert update_degree(made("adam", eps=0.0)) == 0
    assert update_degree(made("adam", eps=1e-3)) is None
    assert update_degree(made("lion")) == 0


def test_blocks_and_single_precision_change_nothing_but_rounding() -> None:
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((3, 2 * BLOCK + 5))
    for name in ("adam", "nadam", "amsgrad", "lion"):
        whole = path(made(name), gradients)
        picked = [0, BLOCK, 2 * BLOCK + 4]
        np.testing.assert_array_equal(whole[:, picked], path(made(name), gradients[:, picked]))
        single = path(made(name), gradients, "float32")
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, whole, rtol=2e-4, atol=2e-5)


def test_states_that_swap() -> None:
    text = "update swap(g) { state a = 1; state b = 2; c = a; a = b; b = c + 0 * g; return a + g }"
    rule = driver.compile_source(Source("swap", text)).updates["swap"]
    found = path(Update(rule, {}), np.zeros((4, 3)))
    np.testing.assert_array_equal(found[:, 0], [2, 1, 2, 1])


def test_states_that_share_a_value_and_a_result_that_is_old() -> None:
    text = (
        "update old(g) { state a = 3; state b = 0; c = a; a = 2 * g; b = 2 * g; return c + b - b }"
    )
    rule = driver.compile_source(Source("old", text)).updates["old"]
    update = Update(rule, {})
    states = update.start((2,))
    gradients = np.array([[1.0, 2.0], [5.0, 7.0]])
    found = [update.step(t, g, states) for t, g in enumerate(gradients)]
    np.testing.assert_array_equal(found, [[3, 3], [2, 4]])
    np.testing.assert_array_equal(states, [[10, 14], [10, 14]])
    text = "update late(g) { state a = 0; c = a; a = g; return c }"
    late = Update(driver.compile_source(Source("late", text)).updates["late"], {})
    np.testing.assert_array_equal(path(late, gradients), [[0, 0], [1, 2]])


@pytest.mark.parametrize("name", optimizers.optimizer_registry())
def test_layouts_do_not_matter(name: str) -> None:
    """Gradients in any order of memory, without axes, and repeated ones."""
    rng = np.random.default_rng(1)
    update = made(name)
    gradients = rng.standard_normal((3, 5, 7))
    plain = path(update, gradients)
    states = update.start((5, 7))
    for t, g in enumerate(gradients):
        np.testing.assert_array_equal(update.step(t, np.asfortranarray(g), states), plain[t])
    flat = path(update, gradients[:, 2, 3])
    np.testing.assert_array_equal(flat, plain[:, 2, 3])
    states = update.start((4, 7))
    for t, g in enumerate(gradients):
        found = update.step(t, np.broadcast_to(g[0], (4, 7)), states)
        np.testing.assert_array_equal(found, np.broadcast_to(plain[t, 0], (4, 7)))


@pytest.mark.parametrize("name", optimizers.optimizer_registry())
def test_threads_may_share_the_states(name: str) -> None:
    rng = np.random.default_rng(2)
    gradients = rng.standard_normal((4, 6, 5000))
    update, alone = made(name), made(name)
    states = update.start((6, 5000))

    def rows(t: int, first: int) -> np.ndarray:
        return update.step(
            t, gradients[t, first : first + 2], [s[first : first + 2] for s in states]
        )

    with ThreadPoolExecutor(3) as pool:
        found = [np.concatenate(list(pool.map(rows, [t] * 3, (0, 2, 4)))) for t in range(4)]
    np.testing.assert_array_equal(found, path(alone, gradients))


def test_steps_may_be_asked_for_in_any_order() -> None:
    """States that are numbers, here a product of momenta, do not depend on who asked before."""
    update = made("nadam")
    gradients = np.random.default_rng(3).standard_normal((6, 3))
    first = path(update, gradients)
    late = made("nadam")
    states = late.start((3,))
    late.runner(5, 8, np.dtype("float64"))
    np.testing.assert_array_equal([late.step(t, g, states) for t, g in enumerate(gradients)], first)


PROGRAM = """
param b = 0.5
dim d, M
data xi[d, M], k[3], shift
update mine(g, c=0.25) {
  state p = b
  state z = p + 1
  state m = z
  m = b * m + sum(j in 1..2) g * j + z
  p = p * b
  return m * p * d + c + k[1] * shift
}
network f(xi) {
  weight u : vector[d]
  weight v : vector
  return |v> * tanh(|u> @ xi)
}
train f {
  parametrization mup
  optimizer mine(lr=0.2)
  error f
  steps 3
}
output f
"""


def test_update_functions_read_numbers_of_the_program() -> None:
    arrays = {"xi": np.ones((2, 3)), "k": np.array([1.0, 2.0, 3.0]), "shift": np.array(0.5)}
    given = Given({}, {name: LoadedArray(a, name) for name, a in arrays.items()})
    task = driver.training(driver.compile_source(Source("p", PROGRAM)), given)
    found = path(task.weights["v", ()].update, np.array([[1.0], [2.0]]))
    # m: 0.75 + 3 + 1.5, then 2.625 + 6 + 1.5; p: 1/4, 1/8
    np.testing.assert_allclose(found[:, 0], [5.25 / 2 + 1.25, 10.125 / 4 + 1.25], rtol=1e-15)
