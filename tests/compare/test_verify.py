"""The comparison of limits with finite widths, on synthetic runs and a real matrix."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nexort.program.unrolled import Array
from nexort.report.compare import Verification, verification_text, verify
from nexort.report.compare.exponent import fit_decay
from nexort.report.compare.plot import check_picture_path, plot_verification
from nexort.report.compare.tails import quantile, together, two_sided
from nexort.report.results import Estimate
from nexort.support.diagnostics import NexortError

WIDTHS = (64, 128, 256, 512, 1024)
Runs = dict[int, dict[str, Array]]


@dataclass(frozen=True)
class Scenario:
    """Runs limit + bias/n + kink/sqrt(n) + noise/sqrt(n), noise of unit variance with one common
    correlation between entries."""

    widths: tuple[int, ...] = WIDTHS
    seeds: int = 16
    entries: int = 1
    bias: float = 0.0
    kink: float = 0.0
    correlation: float = 0.0
    tails: float | None = None
    limit_error: float = 0.0

    def runs(self, limit: Array, rng: np.random.Generator) -> Runs:
        found = {}
        for n in self.widths:
            common = self.noise(rng, (self.seeds, 1))
            own = self.noise(rng, (self.seeds, self.entries))
            r = self.correlation
            noise = math.sqrt(r) * common + math.sqrt(1 - r) * own
            found[n] = {"x": limit + self.bias / n + (self.kink + noise) / math.sqrt(n)}
        return found

    def noise(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        if self.tails is None:
            return rng.standard_normal(shape)
        return rng.standard_t(self.tails, shape) / math.sqrt(self.tails / (self.tails - 2))

    def verify(self, rng: np.random.Generator, shift: float = 0.0) -> Verification:
        """Compare with the true limit plus its error plus ``shift``."""
        limit = rng.normal(size=self.entries)
        runs = self.runs(limit, rng)
        found = limit + self.limit_error * rng.standard_normal() + shift
        return verify({"x": (found, np.full(self.entries, self.limit_error))}, runs)


SCENARIOS = {
    "plain": Scenario(),
    "bias": Scenario(entries=4, bias=10.0),
    "correlated": Scenario(entries=100, bias=5.0, correlation=0.97),
    "heavy tails": Scenario(entries=30, correlation=0.5, tails=5.0),
    "many entries": Scenario(entries=1000, seeds=8),
    "few seeds": Scenario(entries=20, seeds=3, bias=3.0),
    "two seeds": Scenario(entries=5, seeds=2),
    "two widths": Scenario(widths=(256, 1024), seeds=4, entries=5, bias=3.0),
    "one width": Scenario(widths=(1024,), seeds=5, entries=5),
    "limit sampled": Scenario(entries=10, limit_error=0.02),
    "kink": Scenario(entries=1, seeds=32, kink=1.32),
    "strong kink": Scenario(entries=10, seeds=32, kink=5.0),
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("repetitions", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_true_limits_hold(name: str, repetitions: int) -> None:
    rng = np.random.default_rng([repetitions, len(name)])
    holds = [SCENARIOS[name].verify(rng).holds for _ in range(repetitions)]
    assert np.mean(holds) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "bias", "correlated", "few seeds", "heavy tails"])
def test_refusals_of_true_limits_are_as_rare_as_promised(name: str) -> None:
    """At confidence 0.9, 600 true limits are refused 60 times or less."""
    rng = np.random.default_rng(5)
    scenario = SCENARIOS[name]
    refused = 0
    for _ in range(600):
        limit = rng.normal(size=scenario.entries)
        runs = scenario.runs(limit, rng)
        refused += not verify({"x": (limit, 0.0)}, runs, confidence=0.9).holds
    assert refused <= 60 + 3 * math.sqrt(54)


@pytest.mark.parametrize("seed", range(10))
def test_five_standard_errors_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenario = Scenario(seeds=32)
    limit = np.array([1.0])
    runs = scenario.runs(limit, rng)
    found = verify({"x": (limit, 0.0)}, runs).outputs[0]
    off = float(found.extrapolated[0] + 5 * found.extrapolated_error[0])
    wrong = verify({"x": (np.array([off]), 0.0)}, runs)
    assert wrong.outputs[0].score[0] == pytest.approx(-5)
    assert not wrong.holds
    assert "extrapolates to" in wrong.outputs[0].reason


@pytest.mark.parametrize("name", ["bias", "correlated", "heavy tails", "many entries", "few seeds"])
def test_wrong_limits_fail(name: str) -> None:
    rng = np.random.default_rng(1)
    found = [SCENARIOS[name].verify(rng, shift=0.15) for _ in range(20)]
    assert not any(v.holds for v in found)


def test_entries_off_together_fail() -> None:
    """Each of 400 entries is within its Bonferroni bound, but they deviate alike."""
    rng = np.random.default_rng(0)
    scenario = Scenario(entries=400, seeds=16, correlation=0.995)
    found = [scenario.verify(rng, shift=0.04) for _ in range(30)]
    reasons = [v.outputs[0].reason for v in found]
    assert sum("all entries together" in r for r in reasons) > 3


def test_deviations_that_do_not_shrink() -> None:
    rng = np.random.default_rng(0)
    runs = {n: {"x": 1 + 0.1 * rng.normal(size=(16, 3))} for n in WIDTHS}
    found = verify({"x": (np.ones(3), 0.0)}, runs)
    assert not found.holds
    assert "does not shrink" in found.outputs[0].reason
    drawn = Estimate(np.ones(3), random=True)  # of which only the mean is known
    found = verify({"x": drawn}, runs)
    assert found.holds
    assert found.outputs[0].exponent is None
    assert "random in the limit" in verification_text(found)
    assert not verify({"x": Estimate(np.full(3, 1.2), random=True)}, runs).holds
    slow = {n: {"x": 1 + n**-0.2 * rng.normal(size=(32, 3))} for n in WIDTHS}
    assert "shrinks too slowly" in verify({"x": (np.ones(3), 0.0)}, slow).outputs[0].reason


def test_exponent() -> None:
    rng = np.random.default_rng(0)
    widths = np.array(WIDTHS, dtype=float)
    found = [
        fit_decay(widths, [rng.normal(size=(8, 1)) / math.sqrt(n) for n in WIDTHS], np.zeros(1))
        for _ in range(400)
    ]
    exponents = np.array([f.exponent for f in found])
    errors = np.array([f.exponent_error for f in found])
    assert exponents.mean() == pytest.approx(-0.5, abs=0.03)
    assert exponents.std() == pytest.approx(errors.mean(), rel=0.2)


def test_exact_outputs() -> None:
    def of(value: float, noise: float = 0.0, dtype: str = "float64") -> bool:
        rng = np.random.default_rng(0)
        runs = {n: {"x": value * (1 + noise * rng.normal(size=(4, 2)))} for n in (64, 256)}
        return verify({"x": (np.full(2, 3.0), 0.0)}, runs, dtype=dtype).holds

    assert of(3.0)
    assert of(3.0, 1e-15)
    assert of(3.0 * (1 + 1e-10), 1e-15)
    assert not of(3.0 * (1 + 1e-8))
    assert of(3.0 * (1 + 1e-5), 1e-6, "float32")
    assert not of(3.0 * (1 + 1e-3), 1e-6, "float32")
    runs = {n: {"x": np.full((2, 1), 3.0 + 1e-5, np.float32)} for n in (64, 256)}
    assert verify({"x": (np.full(1, 3.0), 0.0)}, runs).holds
    wrong = verify({"x": (2.0, 0.0)}, {64: {"x": np.ones(4)}, 128: {"x": np.ones(4)}})
    assert wrong.outputs[0].reason == "every run gives 1, the limit is 2"
    assert wrong.outputs[0].exponent is None
    near = verify({"x": (1.02, 0.01)}, {64: {"x": np.ones(4)}, 128: {"x": np.ones(4)}})
    assert near.holds


def test_partly_exact_outputs() -> None:
    rng = np.random.default_rng(0)
    runs = {n: {"f": rng.normal(size=(8, 3)) / math.sqrt(n) * [0, 1, 1]} for n in WIDTHS}
    found = verify({"f": (np.zeros(3), 0.0)}, runs)
    assert found.holds
    assert found.outputs[0].exact.tolist() == [True, False, False]
    assert not verify({"f": (np.array([1e-3, 0, 0]), 0.0)}, runs).holds


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite(bad: float) -> None:
    runs = {n: {"x": np.ones((4, 2)), "y": np.ones(4)} for n in (64, 128)}
    runs[128]["x"][2, 1] = bad
    found = verify({"x": (np.ones(2), 0.0), "y": (bad, 0.0)}, runs)
    reasons = [output.reason for output in found.outputs]
    assert reasons == [
        "NaN or infinite in 1 of 4 runs at width 128",
        "the limit is NaN or infinite",
    ]
    json.dumps(found.as_json(), allow_nan=False)
    text = verification_text(found)
    assert "x (2)   DOES NOT HOLD" in text
    assert "y   NO FINITE LIMIT" in text
    assert "y has no finite limit to compare with." in text


def moments(n: int, rng: np.random.Generator) -> list[float]:
    """<v|(W^T W)^k v>, k = 1..4."""
    w, v = rng.normal(size=(n, n)) / math.sqrt(n), rng.normal(size=n)
    found, a = [], v
    for _ in range(4):
        a = w.T @ (w @ a)
        found.append(float(v @ a) / n)
    return found


def test_wishart() -> None:
    rng = np.random.default_rng(0)
    runs = {n: {"m": np.array([moments(n, rng) for _ in range(16)])} for n in (32, 64, 128, 256)}
    catalan = Estimate([1, 2, 5, 14], name="m", labels=[[1, 2, 3, 4]])
    found = verify({"m": catalan}, runs)
    assert found.holds
    assert found.outputs[0].exponent == pytest.approx(-0.5, abs=0.2)
    without_dots = verify({"m": Estimate([1, 1, 1, 1], labels=[[1, 2, 3, 4]])}, runs)
    assert not without_dots.holds
    assert without_dots.outputs[0].reason.startswith(("[2]: ", "[3]: ", "[4]: "))


def test_refusals() -> None:
    def message(limit: dict, runs: dict) -> str:
        with pytest.raises(NexortError) as caught:
            verify(limit, runs)
        return str(caught.value)

    good = {"x": (np.ones(2), 0.0)}
    assert "nothing to compare" in message(good, {})
    assert "no runs of x at width 64" in message(good, {64: {"y": np.ones((2, 2))}})
    assert "shape (4, 3), expected (runs, *(2,))" in message(good, {64: {"x": np.ones((4, 3))}})
    assert "found 1 run of x at width 64" in message(good, {64: {"x": np.ones((1, 2))}})


def test_tails() -> None:
    assert two_sided(np.array(2.0), np.array(10.0)) == pytest.approx(0.07338803)
    assert quantile(0.001, 7.0) == pytest.approx(4.78529)
    assert together(np.array([0.003, 0.003, 0.003])) == pytest.approx(0.003)
    assert together(np.array([1e-9, *[0.5] * 99])) == pytest.approx(1e-7, rel=1e-3)
    assert together(np.array([0.5, 0.5])) == pytest.approx(0.5)


@pytest.fixture
def comparison() -> Verification:
    """All kinds of outputs at once."""
    rng = np.random.default_rng(3)
    limits = {"m": Estimate([1, 2, 5, 14], labels=[[1, 2, 3, 4]]), "s": (1.0, 0.002)}
    limits |= {"k": (np.eye(8), 1e-3), "one": (np.ones(2), 0.0), "wrong": (1.1, 0.0)}
    limits |= {f"long_name_of_an_output_{k}": (0.0, 0.0) for k in range(9)}
    runs: Runs = {n: {} for n in WIDTHS}
    for n, outputs in runs.items():
        for name, value in limits.items():
            target = np.asarray(value if isinstance(value, Estimate) else value[0])
            noise = rng.normal(size=(8, *target.shape)) / math.sqrt(n)
            fixed = name in ("one", "wrong")
            outputs[name] = np.ones((8, *target.shape)) if fixed else target + noise
    return verify(limits, runs)


def test_render(comparison: Verification) -> None:
    text = verification_text(comparison)
    assert repr(comparison) == text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "limit against runs at n = 64, 128, 256, 512, 1024, 8 runs at each"
    assert "61 more entries, |z| up to " in text
    assert "every run gives 1, the limit is 1.1" in text
    assert "one (2)   holds   exact at every width" in text
    assert "does NOT hold for wrong (14 outputs" in lines[-1]
    assert verification_text(Scenario().verify(np.random.default_rng(0))).endswith(
        "The limit holds (1 output, 1 entry, confidence 0.999)."
    )


def test_json(comparison: Verification) -> None:
    found = json.loads(json.dumps(comparison.as_json(), allow_nan=False))
    assert found["holds"] is False
    assert np.shape(found["outputs"]["k"]["means"]) == (5, 8, 8)
    assert found["outputs"]["one"]["exponent"] is None


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c,
        lambda c: SCENARIOS["one width"].verify(np.random.default_rng(0)),
        lambda c: verify({"x": (1.0, 0.0)}, {n: {"x": np.ones(3)} for n in (8, 16)}),
        lambda c: verify({"x": (1.0, 0.0)}, {n: {"x": np.full(3, np.nan)} for n in (8, 16)}),
        lambda c: Scenario(widths=tuple(range(20, 200, 10))).verify(np.random.default_rng(0)),
    ],
)
def test_plot(
    comparison: Verification, make: Callable[[Verification], Verification], tmp_path: Path
) -> None:
    plot_verification(make(comparison), tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_plot_files(tmp_path: Path) -> None:
    found = Scenario().verify(np.random.default_rng(0))
    for name, start in (("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        plot_verification(found, tmp_path / name)
        once = (tmp_path / name).read_bytes()
        plot_verification(found, tmp_path / name)
        assert once.startswith(start)
        assert (tmp_path / name).read_bytes() == once
    with pytest.raises(NexortError, match=r"p\.gif: unknown kind of picture"):
        check_picture_path(tmp_path / "p.gif")
    with pytest.raises(NexortError, match="there is no folder"):
        plot_verification(found, tmp_path / "no" / "p.png")
