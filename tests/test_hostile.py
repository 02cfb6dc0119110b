"""Hostile texts and command lines end in results or in errors of one's own, within bounds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("bounds are those of Linux", allow_module_level=True)

import hostile

import nexort
from nexort.cli import main


def test_some() -> None:
    texts, lines, failed = hostile.run(range(60), range(40))
    assert failed == []
    assert (texts, lines) == (60, 40)


@pytest.mark.slow
def test_many_for_a_while() -> None:
    """New ones every day, 40 s of them; ``python tests/hostile.py`` runs more."""
    first = int(time.time()) // 86_400 * 1000
    texts, lines, failed = hostile.run(range(first, first + 10**6), range(first, first + 300), 40)
    assert failed == []
    assert texts > 50
    assert lines > 50


def test_failures_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr("nexort.driver.check", broken)
    assert "planted" in (hostile.failure("output 1\n", whole=False) or "")
    monkeypatch.setattr(hostile, "parse", lambda *_a, **_k: bytearray(3 * 2**30))
    assert hostile.failure("", whole=False) == "more than 1 GiB"
    monkeypatch.setattr(hostile, "SECONDS", 0.05)
    monkeypatch.setattr(hostile, "parse", lambda *_a, **_k: [None for _ in iter(int, 1)])
    assert hostile.failure("", whole=False) == "longer than 0.05 s"


# ---- sizes and depths ----------------------------------------------------------------------------


def value(text: str, tmp_path: Path) -> float:
    (tmp_path / "a.nxt").write_text(text, "utf-8")
    with hostile.bounded():
        [found] = nexort.load(tmp_path / "a.nxt").limit().values()
    return float(found)


def test_long_sums_and_products(tmp_path: Path) -> None:
    many = 10_000
    head = "vector v ~ N(0, 1)\n"
    assert value(f"{head}output {' + '.join(['<v|v>'] * many)} as s", tmp_path) == many
    assert value(f"{head}output {' * '.join(['<v|v>'] * many)} as s", tmp_path) == 1
    text = f"|x[{'+'.join(['1'] * 2000)}]> = |v>\noutput <x[2000]|x[2000]>"
    assert value(head + text, tmp_path) == 1


def test_high_powers_are_refused_or_found(tmp_path: Path) -> None:
    head = "matrix W ~ N(0, 1/n)\nvector v ~ N(0, 1)\n"
    assert value(f"{head}output <v|W^500|v>", tmp_path) == 0
    with pytest.raises(nexort.NexortError, match=r"growth without bound|infinite or not a number"):
        value(f"{head}|y> = |v>^100000000\noutput <y|y>", tmp_path)


def test_deep_imports_and_cycles(tmp_path: Path) -> None:
    deep = 1500
    for k in range(deep):
        (tmp_path / f"i{k}.nxt").write_text(f'import "i{k + 1}.nxt"\n')
    (tmp_path / f"i{deep}.nxt").write_text('import "i0.nxt"\nimport "a.nxt"\nvector v ~ N(0, 1)\n')
    assert value('import "i0.nxt"\noutput <v|v>\n', tmp_path) == 1


@pytest.mark.parametrize(
    "arguments",
    [["eval", "--seed", "-1"], ["simulate", "--seed", "-1"], ["verify", "--seed", "-1"]],
)
def test_negative_seeds_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.nxt").write_text("vector v ~ N(0, 1)\noutput <v|v>\n")
    command, *rest = arguments
    with pytest.raises(SystemExit) as exit_:
        main([command, str(tmp_path / "a.nxt"), *rest])
    assert exit_.value.code == 2
    assert "--seed" in capsys.readouterr().err


def test_negative_seeds_are_refused_in_python() -> None:
    program = nexort.loads("vector v ~ N(0, 1)\noutput <v|v>")
    for call in (program.limit, lambda **o: program.simulate(8, 2, **o)):
        with pytest.raises(nexort.NexortError, match="seed"):
            call(seed=-1)


def test_names_longer_than_a_file_system_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x" * 300 + ".nxt", "x" * 5000 + ".nxt"):
        with pytest.raises(SystemExit) as exit_:
            main(["eval", name])
        assert exit_.value.code == 2
        assert "File name too long" in capsys.readouterr().err
