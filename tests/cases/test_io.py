"""Surroundings: encodings, marks, pipes, full disks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexort.cli import main

HERE = Path(__file__).parent


def nexort(
    *arguments: str, encoding: str = "utf-8", content: bytes = b"", stdout: int = subprocess.PIPE
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "nexort", *arguments],
        input=content, stdout=stdout, stderr=subprocess.PIPE, cwd=HERE, check=False, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    return done.returncode, (done.stdout or b"").decode("latin-1"), done.stderr.decode("latin-1")


@pytest.mark.parametrize("name", ["io-bom", "io-no-break-space"])
def test_accepted(name: str) -> None:
    code, out, err = nexort("eval", f"{name}.nxt")
    assert (code, out.splitlines()[0], err) == (0, "<v|v> = 1", "")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_encodings(encoding: str) -> None:
    code, out, err = nexort("derive", "io-encoding.nxt", encoding=encoding)
    assert (code, err) == (0, "")
    assert "  <v|v> = 1\n" in out


def test_a_program_from_a_pipe() -> None:
    for name in ("-", "/dev/stdin"):
        code, out, _ = nexort("eval", name, content=(HERE / "io-pipe.nxt").read_bytes())
        assert (code, out.splitlines()[0]) == (0, "<v|v> = 1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        code, _, err = nexort("eval", "io-full-disk.nxt", stdout=full.fileno())
    assert code == 2
    assert err == "error[cannot-write]: cannot write to standard output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_for_text() -> None:
    code, _, err = nexort("derive", "io-pipe.nxt", "-o", "/dev/full")
    assert (code, err) == (2, "error[cannot-write]: /dev/full: No space left on device\n")


def shell(command: str) -> tuple[int, str]:
    """Exit code and all output of a shell's line; ``nexort`` is the command."""
    called = f'nexort() {{ {sys.executable} -m nexort "$@"; }}\n{command}'
    done = subprocess.run(
        ["/bin/sh", "-c", called], capture_output=True, text=True, cwd=HERE, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no sh")
def test_closed_and_broken_streams() -> None:
    code, shown = shell("nexort eval io-pipe.nxt >&-")
    assert (code, shown.splitlines()[0]) == (2, "error[cannot-write]: standard output is closed")
    code, shown = shell("nexort eval io-pipe.nxt 2>&-")
    assert (code, shown.splitlines()[0]) == (0, "<v|v> = 1")
    code, shown = shell("nexort derive io-pipe.nxt | head -1")
    assert (code, shown) == (0, "io-pipe.nxt\n")


@pytest.mark.parametrize(
    ("command", "name"), [("eval", "none/x.npz"), ("eval", "x.txt"), ("simulate", "none/x.npz")]
)
def test_where_results_go_is_looked_at_before_any_work(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.nxt"
    file.write_text("vector v ~ N(0, 1)\noutput <v|v>\n", "utf-8")
    with pytest.raises(SystemExit) as left:
        main([command, str(file), "-o", str(tmp_path / name)])
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (2, "")
    assert "bad-output-file" in said.err


@pytest.fixture
def places(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "full.npz").symlink_to("/dev/full")
    (tmp_path / "full.png").symlink_to("/dev/full")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "place", "problem"),
    [
        (["eval", "io-pipe.nxt", "-o"], "pipe.npz", "is a pipe"),
        (["simulate", "io-pipe.nxt", "--width", "64", "-o"], "full.npz", "is no plain file"),
        (["verify", "io-pipe.nxt", "--plot"], "full.png", "is no plain file"),
        (["eval", "io-pipe.nxt", "-o"], "folder.npz", "is a folder"),
        (["derive", "io-pipe.nxt", "-o"], "folder.npz", "is a folder"),
        (["eval", "io-pipe.nxt", "--emit", "numpy", "-o"], "none/x.py", "there is no folder"),
    ],
)
def test_places_that_take_no_file(
    arguments: list[str], place: str, problem: str, places: Path
) -> None:
    code, out, err = nexort(*arguments, str(places / place))
    assert (code, out) == (2, "")
    assert err.startswith("error[bad-output-file]: ")
    assert problem in err
