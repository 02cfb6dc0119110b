"""The README's code runs: programs check and evaluate, Python executes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nexort
from nexort import optimizers

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "nxt"])
def test_programs(text: str) -> None:
    found = nexort.loads(text).limit(samples=256)
    assert found


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), {})


def test_shell_commands_name_files_that_exist() -> None:
    shell = "\n".join(text for kind, text in BLOCKS if kind == "sh")
    assert (ROOT / "programs/digits.nxt").exists()
    assert "programs/digits.nxt" in shell
    assert (ROOT / "programs/figures/digits.png").exists()


def test_optimizers_are_listed() -> None:
    [text] = re.findall(r"\*\*`optimizer`\*\* is one of (.*?), with", TEXT, re.S)
    assert set(re.findall(r"`(\w+)`", text)) == set(optimizers.optimizer_registry())
