"""Update functions against PyTorch's optimizers (stored paths) and formulas written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nexort import driver, optimizers
from nexort.diagnostics import Source
from nexort.training.stability import degree
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
    entry = optimizers.registry()[name]
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
    np.testing.assert_allclose(path(made("sign_sgd"), g), np.sign(g))
    m = np.zeros(7)
    for t, q in enumerate(path(made("lion"), g)):
        np.testing.assert_array_equal(q, np.sign(0.9 * m + 0.1 * g[t]))
        m = 0.99 * m + 0.01 * g[t]


def test_every_optimizer_has_a_summary_a_source_and_ranges() -> None:
    for name, entry in optimizers.registry().items():
        update = made(name)
        assert entry.summary
        assert entry.citation
        assert set(update.hyperparameters) <= set(entry.ranges)


def test_coefficients_of_linear_updates() -> None:
    g = TORCH["g"]
    for name in ("sgd", "momentum", "nesterov"):
        update = made(name)
        c = update.coefficients(12)
        assert c is not None
        np.testing.assert_allclose(c @ g, path(update, g), rtol=1e-13)
        assert degree(update) == 1
    assert made("adam").coefficients(3) is None


def test_degrees_of_homogeneity() -> None:
    assert degree(made("sign_sgd")) == 0
    assert degree(made("adam", eps=0.0)) == 0
    assert degree(made("adam", eps=1e-3)) is None
    assert degree(made("lion")) == 0


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
