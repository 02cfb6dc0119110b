"""Roots of spaces, projections of initial multi-vectors, matrices with and without dots."""

from __future__ import annotations

import numpy as np

from nexort.limit.sample.frames import NeuronSpace
from nexort.limit.sample.matrices import InitialOperator, Projection

N = 1024


def space(k: int = 0, **how: bool) -> NeuronSpace:
    return NeuronSpace(N, np.random.SeedSequence(k), careful=False, **how)


def test_fresh_kets_are_orthonormal_in_the_sample() -> None:
    for source in (space(), space(mirrored=True), space(halves=True)):
        kets = np.concatenate([source.fresh(3), source.fresh(1), source.fresh(10)])
        np.testing.assert_allclose(kets @ kets.T / N, np.eye(14), atol=1e-12)
        np.testing.assert_allclose(kets.mean(axis=1), 0, atol=1e-12)


def test_with_every_mirrored_point_comes_its_negative() -> None:
    kets = space(mirrored=True).fresh(5)
    np.testing.assert_allclose(kets[:, : N // 2], -kets[:, N // 2 :], atol=1e-12)


def test_past_a_part_of_the_sample_kets_are_plain() -> None:
    source = space()
    source.fresh(N // 4)
    many = source.fresh(N // 2)
    assert many.shape == (N // 2, N)
    assert np.abs(many @ many.T / N - np.eye(N // 2)).max() > 1e-3


def projection(length: int) -> Projection:
    return Projection(length, N, space().fresh, 1e-6)


def test_projections_have_the_covariance_of_their_numbers() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 20))
    rows[4] = rows[0] - 2 * rows[1]
    found = projection(20)
    images = np.concatenate([found.apply(rows[:2]), found.apply(rows[2:])])
    np.testing.assert_allclose(images @ images.T / N, rows @ rows.T, atol=1e-10)
    assert found.basis.count == 5


def test_projections_are_linear() -> None:
    x = np.random.default_rng(1).standard_normal((3, 8))
    found = projection(8)
    first = found.apply(x)
    np.testing.assert_allclose(found.apply(x @ x.T @ x), x @ x.T @ first, atol=1e-9)
    assert found.basis.count == 3


def test_zero_has_a_zero_image() -> None:
    found = projection(5)
    np.testing.assert_array_equal(found.apply(np.zeros((2, 5))), np.zeros((2, N)))
    assert found.basis.count == 0


def matrix() -> tuple[InitialOperator, NeuronSpace, NeuronSpace]:
    rows, columns = space(1), space(2)
    return InitialOperator(rows, columns, 1.0, 1e-6), rows, columns


def test_nearly_parallel_arguments_stay_stable() -> None:
    w, _, columns = matrix()
    rng = np.random.default_rng(2)
    x = np.tanh(columns.fresh(1))
    near = [x + 1e-9 * rng.standard_normal(x.shape) for _ in range(20)]
    images = [w.image(ket, flipped=False, reach=0)[0] for ket in near]
    assert w.met(flipped=False) == 1
    assert 0 < w.dropped < 1e-7
    assert np.abs(np.diff(images, axis=0)).max() < 1e-6


def test_arguments_close_to_what_a_matrix_has_met_keep_their_angle() -> None:
    """Directions of a thousandth, a hundredth and a tenth of their argument."""
    w, _, columns = matrix()
    x = np.tanh(columns.fresh(4))
    rows = np.concatenate([x[:1], x[:1] + np.array([[1e-3], [1e-2], [0.1]]) * x[1:]])
    images = np.concatenate([w.image(r[None], flipped=False, reach=0) for r in rows])
    np.testing.assert_allclose(images @ images.T / N, rows @ rows.T / N, atol=1e-12)


def test_without_sources_an_image_has_no_dot() -> None:
    """Of what is new as of what a matrix has met with a dot before."""
    w, rows, columns = matrix()
    x = np.tanh(columns.fresh(2))
    image = w.image(x, flipped=False, reach=0)
    y = image**3 + np.tanh(rows.fresh(2))
    with_dot = w.image(y, flipped=True, reach=2)
    assert np.abs(with_dot @ x.T / N).max() > 0.2
    hats = w.image(y, flipped=True, reach=0)
    dots = with_dot - hats
    inside = np.linalg.lstsq(x.T, dots.T, rcond=None)[0].T @ x
    np.testing.assert_allclose(inside, dots, atol=1e-10)
    new = y + 0.3 * np.tanh(rows.fresh(2))
    again = w.image(new, flipped=True, reach=0)
    np.testing.assert_allclose(again @ again.T / N, new @ new.T / N, atol=1e-11)
    # W^T is linear in what it has met: with its dot as it was
    np.testing.assert_allclose(w.image(y, flipped=True, reach=2), with_dot, atol=1e-10)


def test_a_dot_is_of_what_the_transpose_had_met() -> None:
    """Directions that were met later are independent of an argument, whatever a sample says."""
    w, rows, columns = matrix()
    x, later = np.tanh(columns.fresh(1)), np.tanh(columns.fresh(30))
    y = np.tanh(w.image(x, flipped=False)) + rows.fresh(1)
    w.image(later, flipped=False)
    found = w.image(y, flipped=True, reach=1) - w.image(y, flipped=True, reach=0)
    inside = (found @ x.T) / (x @ x.T) * x
    np.testing.assert_allclose(inside, found, atol=1e-10)


def test_an_argument_that_is_not_finite_adds_no_direction() -> None:
    """Alone as with others: what it leaves out is not known, and nothing else is off by it."""
    for count in (1, 2):
        w, _, columns = matrix()
        x = np.tanh(columns.fresh(count))
        w.image(x, flipped=False, reach=0)
        x[0, 3] = np.inf
        with np.errstate(all="ignore"):
            w.image(x, flipped=False, reach=0)
        assert w.met(flipped=False) == count
        assert w.dropped == 0
