"""Updates divided by norms (section 2.10.2): limits against widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nexort

TEXT = (Path(__file__).parents[2] / "programs/mup_mlp_adam.nxt").read_text()


def program(optimizer: str, lines: str) -> nexort.api.TensorProgram:
    text = TEXT.replace("adam(lr=0.1, eps=1e-4)", f"{optimizer}\n  {lines}")
    text = text.replace("steps 8", "steps 4").replace("vector[d]", "vector[d] ~ N(0, 2)")
    return nexort.loads(text)


CASES = [
    ("adam(lr=0.5, eps=1e-2)", "normalize updates"),
    ("momentum(lr=0.3)", "normalize updates"),
    pytest.param("adam(lr=0.5, eps=1e-2)", "clip 0.5", marks=pytest.mark.slow),
    ("sgd(lr=0.5)", "clip 0.3 for W, v\n  normalize updates for u"),
    ("sgd(lr=0.3)", "clip paper 0.3 for W, v\n  clip 0.2 for u"),
    pytest.param("sgd(lr=0.5)", "normalize weights", marks=pytest.mark.slow),
    ("adam(lr=0.1, eps=1e-2)", "normalize weights\n  decay 0.05"),
]


@pytest.mark.parametrize(("optimizer", "lines"), CASES)
def test_maximal_update_limit(optimizer: str, lines: str) -> None:
    found = program(optimizer, lines).verify((64, 256, 1024), seeds=24)
    assert found.holds, found
    without = [x for x in lines.splitlines() if "decay" in x]
    other = program(optimizer, "\n".join(without)).limit()["f"]
    apart = np.abs(found.outputs[0].limit - np.asarray(other))
    assert (apart > 10 * np.hypot(found.outputs[0].limit_error, other.error)).any()


TANGENT = [
    ("adam(lr=0.5, eps=1e-2)", "normalize updates"),
    pytest.param("momentum(lr=0.3)", "clip 0.4\n  decay 0.05", marks=pytest.mark.slow),
    pytest.param("momentum(lr=0.3)", "normalize updates\n  decay 0.05", marks=pytest.mark.slow),
    ("sgd(lr=0.5)", "clip 0.3 for W, v\n  normalize updates for u"),
    pytest.param("sgd(lr=0.3)", "clip paper 0.3", marks=pytest.mark.slow),
    pytest.param(
        "adam(lr=0.1, eps=1e-2)", "normalize weights\n  decay 0.05", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("optimizer", "lines"), TANGENT)
def test_neural_tangent_limit(optimizer: str, lines: str) -> None:
    text = program(optimizer, lines).program.source.text
    text = text.replace("parametrization mup", "parametrization ntp\n  centre")
    tangent = nexort.loads(text[: text.rindex("output")] + "output f\n")
    assert tangent.program.training is not None
    limit = tangent.limit(samples=2048)
    found = tangent.verify((64, 256, 1024), seeds=24, limit=limit)
    assert found.holds, found
    assert np.abs(found.outputs[0].limit).max() > 0.1


def test_normalized_steps_do_not_know_the_size_of_gradients() -> None:
    """Three times the error signal, and the same run: momentum is linear (Def 2.10.7)."""
    text = program("momentum(lr=0.3)", "normalize updates").program.source.text
    plain = nexort.loads(text).limit()["f"]
    more = nexort.loads(text.replace("(f - y) * train", "3 * (f - y) * train")).limit(seed=1)["f"]
    apart = (np.asarray(plain) - np.asarray(more))[1:] / np.hypot(plain.error, more.error)[1:]
    assert np.abs(apart).max() < 4.5
    assert plain.error.max() < 0.01


def _f(lines: str, *, start: str = "parametrization mup", optimizer: str = "sgd(lr=0.5)") -> Any:
    text = program(optimizer, lines).program.source.text.replace("parametrization mup", start)
    return nexort.loads(text[: text.rindex("output")] + "output f\n")


@pytest.mark.parametrize("start", ["parametrization mup", "parametrization ntp\n  centre"])
@pytest.mark.parametrize("optimizer", ["sgd(lr=0.5)", "adam(lr=0.1, eps=1e-2)"])
def test_a_threshold_above_every_update_changes_nothing(optimizer: str, start: str) -> None:
    """Q min(1, theta / |Q|) is Q, to the last bit, in the limit and at any width."""
    plain = _f("", start=start, optimizer=optimizer)
    clipped = _f("clip 1000", start=start, optimizer=optimizer)
    options: Any = {"samples": 256, "replicates": 2, "exact": False}
    found = [np.asarray(p.limit(**options)["f"]) for p in (plain, clipped)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-9)
    runs = [p.simulate(width=64, seeds=2)["f"] for p in (plain, clipped)]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", ["parametrization mup", "parametrization ntp\n  centre"])
def test_thresholds_that_every_update_meets(start: str) -> None:
    """Below every norm, clip theta is Q theta / |Q|, and clip paper theta is Q / theta; above all
    of them clip paper is Q / |Q|."""
    options: Any = {"samples": 256, "replicates": 2, "exact": False}

    def same(one: Any, other: Any) -> None:
        found = [np.asarray(p.limit(**options)["f"]) for p in (one, other)]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-9)
        assert np.abs(found[0][-1] - found[0][0]).max() > 1e-4

    low = _f("clip 0.001", start=start, optimizer="sgd(lr=100)")
    same(low, _f("normalize updates", start=start, optimizer="sgd(lr=0.1)"))
    same(_f("clip paper 100", start=start), _f("normalize updates", start=start))
    low = _f("clip paper 0.001", start=start, optimizer="sgd(lr=0.0001)")
    same(low, _f("", start=start, optimizer="sgd(lr=0.1)"))
