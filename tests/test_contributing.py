"""CONTRIBUTING.md names what is there, and its examples work, one after the other."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexort.cli import main
from nexort.cli.stages import STAGES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
FILES = re.findall(r"`([\w/.]+)`:\n\n```(python|nxt|text)\n(.*?)```", TEXT, re.DOTALL)
NEW = {path: text for path, kind, text in FILES if kind != "text"}
WRITTEN = {path: text for path, kind, text in FILES if kind == "text"}
"""Files that the examples add, and what golden tests write."""

CHANGES = [
    (path, hunk)
    for block in re.findall(r"```diff\n(.*?)```", TEXT, re.DOTALL)
    for path, body in re.findall(r"^\+\+\+ (\S+)\n(.*?)(?=^\+\+\+ |\Z)", block, re.M | re.S)
    for hunk in body.split("@@\n")
]
"""(file, lines that begin with a space, - or +), in order."""

SETUP, EXAMPLES = (
    [
        shlex.split(line or inline, comments=True)
        for block, inline in re.findall(
            r"```sh\n(.*?)```|`((?:pytest|nexort) [^`]*)`", part, re.DOTALL
        )
        for line in block.splitlines() or [""]
    ]
    for part in TEXT.split("\n## ", 1)
)
"""Commands, in order."""


def changed(text: str, hunk: str) -> str:
    """A text with the one place that a hunk speaks of changed."""
    lines = [(line[:1], line[1:]) for line in hunk.splitlines(keepends=True)]
    before, after = ("".join(x for mark, x in lines if mark.strip() in ("", m)) for m in "-+")
    assert text.count(before) == 1, hunk
    return text.replace(before, after)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every example in it."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("nexort", "grammar", "programs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    for path, text in NEW.items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, "utf-8")
    for path, hunk in CHANGES:
        (copy / path).write_text(changed((copy / path).read_text("utf-8"), hunk), "utf-8")
    return copy


def run(project: Path, *words: str) -> None:
    """A command as a module, in the copy, whose packages come first."""
    found = subprocess.run(
        [sys.executable, "-m", *words], cwd=project, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_files_that_are_named_exist() -> None:
    names = re.findall(r"`([\w.]*/?[\w./]+)`", PROSE)
    names = [n for n in names if "/" in n or n.endswith((".md", ".nxt", ".py"))]
    names += [word for words in (*SETUP, *EXAMPLES) for word in words if word.startswith("tests/")]
    assert len(names) > 40
    made = NEW.keys() | WRITTEN.keys()
    assert [n for n in names if not (ROOT / n).exists() and n not in made] == []


def test_there_is_an_example_of_every_kind() -> None:
    kinds = re.findall(r"^## (\d)\. An? ([\w ]+)$", TEXT, re.MULTILINE)
    assert [kind for _, kind in kinds] == [
        "activation", "optimizer", "layer", "instruction", "closed form", "diagnostic",
        "golden file",
    ]  # fmt: skip
    assert len(NEW) == 4
    assert {path for path, _ in CHANGES if path not in NEW} == {
        "tests/answers.py", "nexort/program/nodes.py", "nexort/program/build.py",
        "nexort/finite/arrays.py", "nexort/training/backprop.py", "tests/program/instructions.py",
    }  # fmt: skip


def test_what_has_to_pass_is_what_is_run() -> None:
    ci = (ROOT / ".ci" / "run").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    checks = [" ".join(words) for words in SETUP[2:]]
    assert len(checks) == 5
    for check in [c for line in checks for c in line.split(" && ")]:
        assert f".venv/bin/{check}" in ci or check == "pytest tests/test_layers.py", check


DUMPS = [words for words in EXAMPLES if "--dump" in words or "--time-passes" in words]


def test_every_stage_is_dumped() -> None:
    assert [words[-1] for words in DUMPS] == [*STAGES, "--time-passes"]


@pytest.mark.parametrize("words", DUMPS, ids=lambda words: words[-1])
def test_dumps(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as done:
        main(words[1:])
    shown = capsys.readouterr()
    assert not done.value.code, shown.err
    assert shown.out


def test_commands_know_the_examples(project: Path) -> None:
    asked = [words for words in EXAMPLES if words[0] == "nexort" and words not in DUMPS]
    assert len(asked) == 3
    for words in asked:
        run(project, *words)


@pytest.mark.slow
def test_examples_pass_their_tests(project: Path) -> None:
    tests = [words for words in EXAMPLES if words[0] == "pytest"]
    assert len(tests) == 10
    for words in tests:
        run(project, *words)
    for path, text in WRITTEN.items():
        assert (project / path).read_text("utf-8") == text


@pytest.mark.slow
def test_examples_are_formatted(project: Path) -> None:
    files = {path for path in (*NEW, *(path for path, _ in CHANGES)) if path.endswith(".py")}
    run(project, "ruff", "check", *sorted(files))
    run(project, "ruff", "format", "--check", *sorted(files))
