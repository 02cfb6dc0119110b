"""Quasi-Monte Carlo coordinates."""

import numpy as np
import pytest

from nexort.limit.sample.points import Points, block


def seed(k: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(k)


def test_coordinates_are_standard_normal_and_uncorrelated() -> None:
    points = Points(4096, seed(0)).take(3 * block(4096))
    gram = points @ points.T / 4096
    assert np.abs(points.mean(axis=1)).max() < 5 / 64
    assert np.abs(gram - np.eye(len(points))).max() < 6 / 64


def test_taking_in_parts_is_taking_at_once() -> None:
    count = block(256)
    whole = Points(256, seed(3)).take(count + 10)
    points = Points(256, seed(3))
    parts = [points.take(k) for k in (1, 5, 0, count, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_one_coordinate_integrates_better_than_random() -> None:
    errors = [Points(1024, seed(k)).take(1)[0].mean() for k in range(20)]
    assert np.std(errors) < 0.1 / np.sqrt(1024)


def test_values_are_finite_at_any_size() -> None:
    for size in (2, 64, 2**14):
        assert np.isfinite(Points(size, seed(1)).take(5)).all()


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024, 2048, 4096])
def test_no_pair_is_correlated_more_than_independent_ones(size: int) -> None:
    """N E c^2 = 1 for the sample correlation c of independent coordinates."""
    runs = 80
    squares = np.zeros((64, 64))
    for k in range(runs):
        points = Points(size, seed(k)).take(64)
        squares += (points @ points.T) ** 2 / size / runs
    pairs = squares[np.triu_indices(64, 1)]
    # the largest of 2016 means of 80 squares of normal variables
    assert pairs.max() < 1 + 6 * np.sqrt(2 / runs)
    assert pairs.mean() < 1.05


def test_none_may_be_asked_for() -> None:
    """Kets that are 0 in every sample need none."""
    points = Points(64, seed(0))
    assert points.take(0).shape == (0, 64)
    np.testing.assert_array_equal(points.take(2), Points(64, seed(0)).take(2))
