"""``--dump`` and ``--time-passes`` of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import nexort
from nexort.cli import main
from nexort.cli.main import COMMANDS

PROGRAMS = Path(__file__).parents[1] / "programs"
WISHART, MUP = (str(PROGRAMS / f"{name}.nxt") for name in ("wishart", "mup_mlp_adam"))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What a command writes to standard output and standard error."""
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    found = capsys.readouterr()
    assert not done.value.code, found.err
    return found.out, found.err


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"fmt", "functions"}))
def test_every_command_that_reads_a_program_dumps_its_stages(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert "--dump" in shown
    assert "--time-passes" in shown


def test_program_stages_are_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for stage in ("program", "expanded"):
        text, _ = told(capsys, "eval", MUP, "--dump", stage)
        program = nexort.loads(text).program
        assert {o.name for o in program.outputs} == {"f", "features"}
        assert (program.training is None) == (stage == "expanded")


def test_a_tree_has_a_part_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = told(capsys, "check", WISHART, "--dump", "syntax")
    lines = text.splitlines()
    assert "    Declared name='K'" in lines
    assert any(line.strip() == "For" for line in lines)


def test_a_tree_may_be_deep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "deep.nxt"
    path.write_text(f"vector v ~ N(0, 1)\noutput {' + '.join(['<v|v>'] * 3000)} as k\n")
    text, _ = told(capsys, "check", str(path), "--dump", "syntax")
    assert text.count("BraKet") == 3000


def test_an_unrolled_program_has_an_instruction_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = told(
        capsys, "simulate", WISHART, "--width", "8", "--set", "K=2", "--dump", "unrolled"
    )
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    assert lines == [
        "%0 = init_vector v() : ket",
        "%1 = matmul W(%0) : ket",
        "%2 = matmul W^T(%1) : ket",
        "%3 = matmul W(%2) : ket",
        "%4 = matmul W^T(%3) : ket",
        "%5 = inner(%0, %2) : scalar",
        "%6 = inner(%0, %4) : scalar",
        "output m: %5, %6",
    ]
    text, _ = told(capsys, "eval", MUP, "--dump", "unrolled")
    assert {"output f", "output gradient of W[2]"} <= {x.split(":")[0] for x in text.splitlines()}


def test_a_plan_says_how_the_limit_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = told(capsys, "eval", WISHART, "--dump", "plan")
    assert "closed form" in text
    text, _ = told(capsys, "eval", MUP, "--dump", "plan")
    rows = {line.split()[0]: line for line in text.splitlines()[3:]}
    assert "maximal update limit, 8 steps" in text
    assert rows["W[2]"].endswith("pair by pair of neurons")
    assert rows["u"].endswith("entry by entry")


def test_passes_say_their_time_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    text, aside = told(capsys, "eval", WISHART, "--set", "K=2", "--time-passes")
    assert "m[2] = 2" in text
    rows = [line.split() for line in aside.splitlines()[2:]]
    assert [row[0] for row in rows] == ["read", "parse", "elaborate", "check", "unroll", "evaluate"]
    assert all(float(row[1]) >= 0 and row[2] == "s" for row in rows)
    assert " ".join(rows[4][3:]) == "7 instructions"


def test_passes_of_what_fails_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.nxt"
    path.write_text("output <x|x>\n")
    with pytest.raises(SystemExit) as done:
        main(["eval", str(path), "--time-passes"])
    assert done.value.code == 2
    assert "parse" in capsys.readouterr().err


def test_a_stage_inside_another_is_indented(capsys: pytest.CaptureFixture[str]) -> None:
    _, aside = told(capsys, "derive", WISHART, "--time-passes")
    assert "\n  simplify" in aside


def test_a_stage_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["dichotomy", "--dump", "program"])
    assert done.value.code == 2
    assert "--dump wants a program" in capsys.readouterr().err
