"""Innovation bases: exact sample covariances, ranks, dots' adjointness."""

import numpy as np

from nexort.limit.sample.innovations import Innovations, Roots
from nexort.limit.sample.points import Points

N = 1024


def roots(k: int = 0) -> Roots:
    return Roots(Points(N, np.random.SeedSequence(k)))


def test_fresh_kets_are_orthonormal_in_the_sample() -> None:
    source = roots()
    kets = np.concatenate([source.fresh(3), source.fresh(1), source.fresh(10)])
    np.testing.assert_allclose(kets @ kets.T / N, np.eye(14), atol=1e-12)
    np.testing.assert_allclose(kets.mean(axis=1), 0, atol=1e-12)


def test_past_a_part_of_the_sample_kets_are_plain() -> None:
    source = roots()
    many = source.fresh(N // 2)
    assert many.shape == (N // 2, N)
    assert np.abs(many @ many.T / N - np.eye(N // 2)).max() > 1e-3


def test_images_have_the_covariance_of_their_arguments() -> None:
    arguments = np.random.default_rng(0).standard_normal((6, 20))
    arguments[4] = arguments[0] - 2 * arguments[1]
    found = Innovations(roots(), 20)
    images = np.concatenate([found.image(arguments[:2]), found.image(arguments[2:])])
    np.testing.assert_allclose(images @ images.T / N, arguments @ arguments.T, atol=1e-10)
    assert found.rank == 5


def test_the_map_is_linear() -> None:
    x = np.random.default_rng(1).standard_normal((3, 8))
    found = Innovations(roots(), 8)
    first = found.image(x)
    np.testing.assert_allclose(found.image(x @ x.T @ x), x @ x.T @ first, atol=1e-9)
    assert found.rank == 3


def test_nearly_collinear_arguments_stay_stable() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal(50)
    found = Innovations(roots(), 50)
    images = [found.image((x + 1e-9 * rng.standard_normal(50))[None])[0] for _ in range(20)]
    assert found.rank == 1
    assert 0 < found.dropped < 1e-7
    assert np.abs(np.diff(images, axis=0)).max() < 1e-6


def test_zero_arguments_have_zero_images() -> None:
    found = Innovations(roots(), 5)
    np.testing.assert_array_equal(found.image(np.zeros((2, 5))), np.zeros((2, N)))
    assert found.rank == 0
