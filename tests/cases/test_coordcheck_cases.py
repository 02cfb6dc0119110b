"""Coordinate checks: one verdict, and exit code 1 where nothing learns."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexort.cli import main

HERE = Path(__file__).parent
FEW = ("--width", "64,128,256,512", "--seeds", "4")


def run(capsys: pytest.CaptureFixture[str], name: str, *args: str) -> tuple[int, str]:
    """The exit code and the output of a check of a file."""
    with pytest.raises(SystemExit) as exit_:
        main(["coordcheck", str(HERE / f"coordcheck-{name}.nxt"), *FEW, *args])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, " ".join(capsys.readouterr().out.split())


def test_a_dead_network(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "dead")
    assert code == 1
    assert "trivial, every gradient is exactly 0" in shown
    assert "No size is off" not in shown


def test_a_small_rate(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "small-rate")
    assert code == 0
    assert "No size is off" in shown
    assert "[-1/2 to 0]" in shown


def test_the_reason_where_a_gradient_starts_at_0(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "why", "--expect", "mup")
    assert code == 1
    assert "Why: c of W is smaller by 1" in shown


def test_one_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "contradiction", "--steps", "1")
    assert code == 1
    assert "NOT GOOD: the parametrization is unstable" in shown
    assert "the change of f until step 1 is n^(1/2)" in shown
    assert "Sizes are as the exponents predict" in shown
    assert "No size is off" not in shown


@pytest.mark.parametrize("line", ["error 0 * (f - y)", "optimizer adam(lr=0)"])
def test_nothing_that_moves(capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str) -> None:
    text = (HERE / "coordcheck-small-rate.nxt").read_text("utf-8")
    old = "error f - y" if "error" in line else "optimizer adam(lr=0.001)"
    path = tmp_path / "still.nxt"
    path.write_text(text.replace(old, line), "utf-8")
    with pytest.raises(SystemExit) as exit_:
        main(["coordcheck", str(path), *FEW])
    assert exit_.value.code == 1
    assert "nothing is learned" in " ".join(capsys.readouterr().out.split())
