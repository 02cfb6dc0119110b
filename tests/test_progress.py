"""Progress: an estimate of what is left, and lines now and then where there is no terminal."""

from __future__ import annotations

import pytest

from nexort.cli import progress
from nexort.cli.progress import Clock, clock


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_estimate() -> None:
    now = Time()
    state = Clock("limit", now)
    state.set(0, 10, None)
    assert state.left is None
    now.seconds = 30
    state.set(1, 10, None)
    assert state.left == pytest.approx(270)
    now.seconds = 90
    state.set(3, 10, None)
    assert state.left == pytest.approx(210)
    now.seconds = 100
    state.set(0, 40, None)  # more samples: other units
    assert state.left is None
    now.seconds = 120
    state.set(10, 40, None)
    assert state.left == pytest.approx(60)
    state.set(40, 40, None)
    assert state.left == 0


def test_what_a_checkpoint_had_took_no_time() -> None:
    now = Time()
    state = Clock("runs", now)
    now.seconds = 1
    state.set(90, 100, None)
    assert state.left is None
    now.seconds = 11
    state.set(91, 100, None)
    assert state.left == pytest.approx(90)


def test_what_came_before_the_units_is_not_theirs() -> None:
    now = Time()
    state = Clock("limit", now)
    now.seconds = 60  # planning
    state.set(0, 16, None)
    now.seconds = 61
    state.set(1, 16, None)
    assert state.left == pytest.approx(15)
    assert state.elapsed == 61


def test_times_as_text() -> None:
    assert [clock(x) for x in (0, 0.2, 59.5, 61, 3661)] == [
        "0:00:00", "0:00:01", "0:01:00", "0:01:01", "1:01:01",
    ]  # fmt: skip


def test_lines_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = Time()
    monkeypatch.setattr(progress.time, "monotonic", now)
    monkeypatch.setattr(Clock.__init__, "__defaults__", (now,))
    with progress.progress("limit") as bar:
        for k in range(1, 101):
            now.seconds = 2.0 * k
            bar(k, 100, None)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "limit: 5 of 100, 0:00:10 gone, about 0:03:10 left"
    assert 4 <= len(lines) <= 8
