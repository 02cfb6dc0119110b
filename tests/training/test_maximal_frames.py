"""Frames of kets on a sample, and initial matrices over them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from nexort import driver
from nexort.limit.sample.frames import Basis, NeuronSpace, directions
from nexort.limit.sample.matrices import InitialOperator, pairs_times
from nexort.limit.sample.points import Points
from nexort.limit.training.maximal.machine import CUTOFF as DROPPED
from nexort.limit.training.maximal.moved import MovedPairs
from nexort.support.diagnostics import Source
from nexort.training.update import Update

N = 512
CUTOFF = DROPPED / np.sqrt(N)


def gram(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows @ rows.T / rows.shape[1])


def test_directions_span_what_is_longer_than_the_cutoff() -> None:
    rng = np.random.default_rng(0)
    base = np.linalg.qr(rng.standard_normal((N, 5)))[0].T * np.sqrt(N)
    mix = rng.standard_normal((8, 5)) * [1, 1, 1e-1, 1e-2, 1e-6]
    rows = mix @ base
    found = directions(rows, rows, 1e-4)
    new = found.change @ rows
    assert len(new) == 4
    np.testing.assert_allclose(gram(new), np.eye(4), atol=1e-9)
    assert 0 < found.left < 1e-4
    part = rows - (rows @ new.T / N) @ new
    assert np.sqrt(np.diag(gram(part))).max() < 1e-4 * 3

    few = directions(rows, rows, 1e-4, 2)
    np.testing.assert_allclose(few.change, found.change[:2], atol=1e-9)
    assert few.left > found.left


def test_directions_of_rounding_are_none() -> None:
    rows = np.random.default_rng(0).standard_normal((3, N))
    assert not len(directions(1e-16 * rows, rows, 1e-4).change)
    assert not len(directions(0 * rows, 0 * rows, 1e-4).change)
    assert not len(directions(np.nan * rows, rows, 1e-4).change)


def test_roots_stay_orthonormal() -> None:
    space = NeuronSpace(N, np.random.SeedSequence(1))
    first = space.fresh(3)
    x = np.tanh(first)
    space.learn(np.concatenate([x, x[:1] + 1e-12, first]))
    second = space.fresh(4)
    last = space.root(space.take(2), np.abs(second))
    np.testing.assert_allclose(gram(space.known.rows), np.eye(space.known.count), atol=1e-9)
    for older in (np.ones((1, N)), first, x, second, np.abs(second)):
        assert np.abs(last @ older.T / N).max() < 1e-12


def test_roots_among_more_kets_than_fit(capfd: pytest.CaptureFixture[str]) -> None:
    for size, left in ((8, 0), (64, 30)):
        space = NeuronSpace(size, np.random.SeedSequence(1))
        kets = np.random.default_rng(0).standard_normal((40, size))
        root = space.root(space.take(size // 2 - 1 - left), kets)
        np.testing.assert_allclose(gram(root), np.eye(len(root)), atol=1e-9)
        orthogonal = np.abs(root @ kets.T / size).max(axis=0) < 1e-9
        assert orthogonal.sum() == left
    assert capfd.readouterr() == ("", "")


def test_points_are_even_where_it_pays() -> None:
    points = Points(64, np.random.SeedSequence(0), even=2)
    first, later = points.take(2), points.take(3)
    # one point in every 64th part of the unit interval
    cells = np.sort(np.floor(64 * ndtr(first)), axis=1)
    np.testing.assert_array_equal(cells, [np.arange(64)] * 2)
    assert len(later) == 3
    assert all(len(set(row)) < 64 for row in np.floor(64 * ndtr(later)))


def test_initial_operators_are_linear_and_have_transposes() -> None:
    rows, columns = (NeuronSpace(N, np.random.SeedSequence(k)) for k in (1, 2))
    matrix = InitialOperator(rows, columns, 2.0, CUTOFF)
    x, y = np.tanh(columns.fresh(3)), np.tanh(rows.fresh(2))
    image = matrix.image(x, flipped=False)
    np.testing.assert_allclose(gram(image), 4 * gram(x), atol=1e-12)
    back = matrix.image(y, flipped=True)
    np.testing.assert_allclose(back @ x.T / N, y @ image.T / N, atol=1e-12)
    # a ket that depends on the hats: its image has a dot, and W^T is the adjoint of W
    z = image**3 / 16
    again = matrix.image(z, flipped=True)
    np.testing.assert_allclose(again @ x.T / N, z @ image.T / N, atol=1e-11)
    assert np.abs(np.diag(z @ image.T / N)).min() > 0.2
    total = matrix.image(x + 0.5 * x[::-1], flipped=False)
    np.testing.assert_allclose(total, image + 0.5 * image[::-1], atol=1e-11)


def test_bases_of_kets_that_hardly_move_stay_orthonormal() -> None:
    """Every step adds directions that are a hundredth of their argument: what normalizing them
    magnifies must not add up."""
    rows, columns = (NeuronSpace(2048, np.random.SeedSequence(k)) for k in (6, 7))
    matrix = InitialOperator(rows, columns, 1.0, CUTOFF)
    x, y = columns.fresh(3), rows.fresh(3)
    rng = np.random.default_rng(8)
    for _ in range(40):
        image, back = matrix.image(x, flipped=False), matrix.image(y, flipped=True)
        x = x + 0.03 * np.tanh(back + rng.standard_normal(x.shape))
        y = y + 0.03 * np.tanh(image + rng.standard_normal(y.shape))
    for side in matrix.sides:
        assert side.basis.count > 60
        off = np.abs(gram(side.basis.rows) - np.eye(side.basis.count))
        assert off.max() < 1e-13


def test_a_matrix_drawn_as_a_whole_remains_what_it_was() -> None:
    """Images of what it has met are the same, the transpose is the adjoint, and what is new has
    images of its size; entries have variance 1/N."""
    rows, columns = (NeuronSpace(N, np.random.SeedSequence(k)) for k in (3, 4))
    matrix = InitialOperator(rows, columns, 1.0, CUTOFF)
    x, y = np.tanh(columns.fresh(30)), np.tanh(rows.fresh(20))
    image, back = matrix.image(x, flipped=False), matrix.image(y, flipped=True)
    assert matrix.matrix is None
    more = np.tanh(columns.fresh(110))
    found = matrix.image(more, flipped=False)
    assert matrix.matrix is not None
    np.testing.assert_allclose(matrix.image(x, flipped=False), image, atol=1e-10)
    np.testing.assert_allclose(matrix.image(more, flipped=False), found, atol=1e-10)
    again = matrix.image(y, flipped=True)
    np.testing.assert_allclose(again, back, atol=1e-10)
    np.testing.assert_allclose(again @ x.T / N, y @ image.T / N, atol=1e-10)
    new = np.random.default_rng(5).standard_normal((4, N))
    for flipped in (False, True):
        np.testing.assert_allclose(gram(matrix.image(new, flipped)), gram(new), atol=0.3)
    assert abs(N * (matrix.matrix**2).mean() - 1) < 0.05


def test_frames_grow() -> None:
    frame = Basis(4)
    rows = np.arange(400.0).reshape(100, 4)
    frame.append(rows[:70])
    frame.append(rows[70:])
    np.testing.assert_array_equal(frame.rows, rows)


def test_mirrored_samples_have_no_odd_moments() -> None:
    for halves in (False, True):
        space = NeuronSpace(N, np.random.SeedSequence(2), halves=halves, mirrored=True, even=2)
        roots = space.fresh(3)
        np.testing.assert_allclose(gram(roots), np.eye(3), atol=1e-12)
        odd = [np.tanh(roots), roots**3, np.sin(roots[:1] + roots[1:])]
        assert max(np.abs(x.mean(axis=1)).max() for x in odd) < 1e-12
        half = roots[:, : N // 2]
        assert (np.abs(half.mean(axis=1)).max() < 1e-9) == halves


@pytest.mark.parametrize("tied", [False, True])
def test_a_matrix_drawn_whole_stays_the_sum_of_its_parts(tied: bool) -> None:
    rng = np.random.default_rng(0)
    program = driver.compile_source(Source("u", "update last(g) { return sign(g) }"))
    signs = Update(program.updates["last"], {})
    joined, alone = (MovedPairs(signs, 64, 64, tied=tied) for _ in range(2))
    whole = rng.standard_normal((64, 64)).astype(np.float32)
    x, kept = rng.standard_normal((3, 64)), 1.0
    for t in range(4):
        if t == 2:
            joined.include(kept * whole)
        left, right = rng.standard_normal((2, 5, 64))
        for pairs in (joined, alone):
            pairs.step(t, left, right, 0.3, 0.9, None)
        kept *= 0.9
    for flipped in (False, True):
        expected = alone.apply(x, flipped) + kept * pairs_times(whole, x, flipped)
        np.testing.assert_allclose(joined.apply(x, flipped), expected, atol=1e-4)
