"""The driver: files that are no programs, imports, dead rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexort import driver
from nexort.data.given import Given
from nexort.program.nodes import Op, walk
from nexort.support.diagnostics import NexortError
from nexort.syntax import files


def message_of(path: Path) -> str:
    with pytest.raises(NexortError) as caught:
        driver.read(path)
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code == "not-a-program"
    return f"{diagnostic.message} {diagnostic.help or ''}"


def test_files_that_are_no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mlp.nxt").write_text("output 1\n")
    Path("folder.nxt").mkdir()
    Path("binary.nxt").write_bytes(b"output \xff\n")
    assert message_of(Path("mlp.py")) == "mlp.py: a program's name ends in .nxt "
    found = message_of(Path("mpl.nxt"))
    assert found == "mpl.nxt: No such file or directory did you mean 'mlp.nxt'?"
    assert message_of(Path("folder.nxt")) == "folder.nxt: not a file "
    assert message_of(Path("binary.nxt")) == "binary.nxt: not UTF-8 text (byte 7) "
    assert "null" in message_of(Path("a\0.nxt"))
    monkeypatch.setattr(files, "MAX_SOURCE", 2)
    assert "larger than" in message_of(Path("mlp.nxt"))


def test_an_import_is_relative_to_its_file_and_read_once(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (tmp_path / "main.nxt").write_text(
        'import "parts/a.nxt"\nimport "parts/b.nxt"\noutput two + one\n'
    )
    (parts / "a.nxt").write_text('import "b.nxt"\none = 1\n')
    (parts / "b.nxt").write_text('import "../parts/a.nxt"\nimport "../main.nxt"\ntwo = 2\n')
    program = driver.compile_source(driver.read(tmp_path / "main.nxt"))
    assert set(program.families) == {"one", "two"}


def test_check_looks_at_every_rule_and_unroll_at_those_that_outputs_need(tmp_path: Path) -> None:
    path = tmp_path / "a.nxt"
    path.write_text("vector v ~ N(0, 1)\n|x> = tanh(|v>)\n|y> = sin(|v>)\noutput <x|x>\n")
    program = driver.compile_source(driver.read(path))
    assert [rule.name for _, rule in program.rules()] == ["x", "y"]
    unrolled = driver.unroll(program, Given({}, {}))
    used = {x.attr for x in walk(m for o in unrolled.outputs for m in o.members) if x.op is Op.CALL}
    assert used == {"tanh"}
