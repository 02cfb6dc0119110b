"""Golden diagnostics: what the command line says about every program in ``golden/errors``.

A first line such as ``# --set L=0`` or ``# eval --set L=0`` gives the command (``check`` by
default) and its options. ``pytest --update-golden`` writes the ``.expected`` files.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexort
from nexort.cli import main
from nexort.support.diagnostics import Diagnostic, Source, Span

GOLDEN = Path(__file__).parent / "golden" / "errors"
PROGRAMS = sorted(path.stem for path in GOLDEN.glob("*.nxt"))
STAGES = (
    "syntax",
    "elaborate",
    "program",
    "transform",
    "limit/sample",
    "driver.py",
    "cli/options.py",
)
"""Where every code needs a golden file; the other stages have tests of their own."""

COMMANDS = r"# (eval|check|derive|expand|classify|scaling|dichotomy|coordcheck|--)"


def command_line(path: Path) -> list[str]:
    """The command that the first line of a program asks for."""
    first = path.read_text("utf-8").split("\n", 1)[0]
    words = shlex.split(first[1:]) if re.match(COMMANDS, first) else []
    command = words.pop(0) if words and not words[0].startswith("--") else "check"
    return [command, path.name, *words]


@pytest.mark.parametrize("name", PROGRAMS)
def test_golden(
    name: str,
    update_golden: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(SystemExit) as exit_:
        main(command_line(GOLDEN / f"{name}.nxt"))
    shown = capsys.readouterr()
    assert exit_.value.code == 2, shown.err
    assert shown.out == ""
    expected = GOLDEN / f"{name}.expected"
    if update_golden:
        expected.write_text(shown.err, "utf-8")
    assert shown.err == expected.read_text("utf-8")


def test_nothing_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.expected")) == PROGRAMS


# ---- every code is covered -----------------------------------------------------------------------


def codes() -> Iterator[tuple[str, str]]:
    """(code, file) for every diagnostic that the covered stages can make."""
    package = Path(nexort.__file__).parent
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        if not place.startswith(STAGES):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(args=[ast.Constant(str(code)), _, *_]) if re.fullmatch(
                    r"syntax|[a-z]+(-[a-z]+)+", code
                ):
                    yield code, place
                case _:
                    pass


def test_every_code_is_covered() -> None:
    shown = "".join(path.read_text("utf-8") for path in GOLDEN.glob("*.expected"))
    covered = set(re.findall(r"^error\[([a-z-]+)\]", shown, re.MULTILINE))
    covered.add("not-a-program")  # of files that are no programs, see test_driver
    covered.add("cannot-write")  # of a full disk, see cases/test_io
    covered.add("memory-limit")  # of a sample that is too large, see lower/test_evaluate
    missing = {(code, place) for code, place in codes() if code not in covered}
    assert not missing


# ---- rendering -----------------------------------------------------------------------------------


def test_a_long_line_is_clipped_around_the_span() -> None:
    text = "x" * 400 + "CULPRIT" + "y" * 400
    shown = Diagnostic("code", "message", Span(Source("a.nxt", text), 400, 407)).render()
    source, carets = shown.split("\n")[-2:]
    assert max(map(len, shown.split("\n"))) < 140
    assert source[carets.index("^") :].startswith("CULPRIT")
    assert carets.count("^") == len("CULPRIT")


def test_control_characters_are_not_shown() -> None:
    text = "a = \x1b[31m1\tb\0\n"
    shown = Diagnostic("code", "found '\x1b'", Span(Source("a\r.nxt", text), 4, 5)).render()
    assert shown.replace("\n", "").isprintable()
    assert shown.split("\n")[-2:] == ["1 | a = \ufffd[31m1 b\ufffd", "  |     ^"]


def test_a_span_over_lines_marks_the_first() -> None:
    text = "a = (1 +\n  2)\n"
    shown = Diagnostic("code", "message", Span(Source("a.nxt", text), 4, 13)).render()
    assert shown.split("\n")[-2:] == ["1 | a = (1 +", "  |     ^^^^"]


def test_a_span_at_the_end_of_the_text() -> None:
    shown = Diagnostic("code", "message", Span(Source("a.nxt", "a ="), 3, 4)).render()
    assert shown.split("\n")[-2:] == ["1 | a =", "  |    ^"]
