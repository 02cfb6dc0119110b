"""Error bars: what is exact is printed with roundings, what is sampled with its standard error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import nexort

HERE = Path(__file__).parent


def test_a_deterministic_training_is_not_chaotic() -> None:
    value = nexort.load(HERE / "error-not-chaotic.nxt").limit()["f"]
    xi = np.array([[1, 0.6, -0.4], [0, 0.8, 0.3]])
    y = np.array([1, -0.5, 0.3])
    # kets by their coordinates over |u_1>, |u_2>, |v> at the start
    u, v = np.eye(3)[:2], np.eye(3)[2]
    wanted = []
    for _ in range(9):
        x = u.T @ xi
        f = v @ x
        wanted.append(f)
        v, u = v - 0.4 * x @ (f - y), u - 0.4 * np.outer(xi @ (f - y), v)
    assert (np.abs(value.plain - wanted) <= 2 * value.error).all()
    assert value.error.max() < 1e-13
    assert "chaotic" not in value.method
    assert "sampled" not in value.method


def test_the_error_of_a_difference_is_that_of_its_parts() -> None:
    value = nexort.load(HERE / "error-difference.nxt").limit()["b"]
    assert (np.abs(value.plain) <= value.error).all()
    assert (value.error > 1e-17).all()
    assert (value.error < 1e-14).all()


def test_a_large_input_does_not_erase_the_others() -> None:
    p = nexort.load(HERE / "error-mixed-norms.nxt")
    wanted = np.array([[5e15, 5e7], [5e7, 0.5]])
    value = p.limit()["<x|x>"]
    np.testing.assert_allclose(value.plain, wanted, rtol=1e-15)
    assert (value.error <= 1e-13 * wanted).all()
    array, error, _ = p.kernel(np.array([1e8, 1.0])).results()["<x|x>"]
    np.testing.assert_allclose(array, wanted, rtol=1e-15)
    assert (error <= 1e-13 * wanted).all()


def test_softplus_of_large_inputs_is_a_relu() -> None:
    value = nexort.load(HERE / "error-softplus-large.nxt").limit()["<x|x>"]
    wanted = np.array([[5e219, 5e209], [5e209, 5e199]])
    assert (np.abs(value.plain - wanted) <= 2 * value.error).all()
    assert (value.error <= 1e-10 * wanted).all()


def test_tanh_of_large_inputs_is_a_sign_and_of_small_ones_linear() -> None:
    value = nexort.load(HERE / "error-tanh-range.nxt").limit()["<x|x>"]
    wanted = np.array([[1, np.sqrt(2 / np.pi) * 1e-100], [np.sqrt(2 / np.pi) * 1e-100, 1e-200]])
    assert (np.abs(value.plain - wanted) <= 2 * value.error).all()
    assert (value.error <= 1e-10 * wanted).all()
