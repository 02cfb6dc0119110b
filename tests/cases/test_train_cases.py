"""Trainings: the same network in the limit, in its expansion and at any width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort

HERE = Path(__file__).parent


def test_a_threshold_above_every_update_changes_nothing() -> None:
    source = (HERE / "train-clip.nxt").read_text()
    clipped, plain = nexort.loads(source), nexort.loads(source.replace("clip 1000", ""))
    assert "clip" not in plain.program.source.text.partition("train f")[2]
    one, other = (p.limit(samples=1024)["f"] for p in (clipped, plain))
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    assert one[1].max() == pytest.approx(4.1e-3, rel=0.1)
    runs = [p.simulate(width=64, seeds=2)["f"] for p in (clipped, plain)]
    np.testing.assert_array_equal(runs[0], runs[1])


def test_outputs_start_as_they_come_unless_they_are_centred() -> None:
    source = (HERE / "train-ups-centred.nxt").read_text()
    program, size = nexort.loads(source), []
    for width in (64, 1024):
        runs = program.simulate(width=width, seeds=24)["f"].runs
        assert runs is not None
        size.append(np.sqrt((runs[:, 0] ** 2).mean()))
    # n^(-1/4) times a Gaussian
    assert 0.4 < size[0] * 64**0.25 < 1.2
    assert 1.2 < size[0] / size[1] < 3.2
    assert (program.limit(samples=64, replicates=2)["f"][0] == 0).all()
    centred = nexort.loads(source.replace("steps 2", "centre; steps 2"))
    assert (centred.simulate(width=64, seeds=2)["f"][0] == 0).all()


def test_a_step_does_not_depend_on_how_many_follow() -> None:
    """Once f20 was -0.595 where 32 steps were asked for, and f30 ran off with more samples."""
    found = {
        T: nexort.load(HERE / "train-many-directions.nxt", T=T).limit(samples=4096, replicates=4)
        for T in (31, 48)
    }
    for name, wanted, close in (("f20", -0.632, 0.002), ("f30", -0.7277, 0.003)):
        one, other = (found[T][name] for T in (31, 48))
        np.testing.assert_array_equal(one, other)
        assert one.plain[2] == pytest.approx(wanted, abs=close)
        assert one.error.max() < close
        assert "chaotic" not in one.method
