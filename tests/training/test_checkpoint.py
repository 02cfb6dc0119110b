"""Checkpoints that are damaged, foreign, or cannot be written: told before any work is done."""

from __future__ import annotations

import os
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.support.diagnostics import NexortError

TEXT = """\
dim d, M
data xi[d, M] = [[0.03, 1.36], [-0.3, -0.53]]
data y[M] = [0.7, -0.1]
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = relu(|u> @ xi)
  return <v|x>
}
train f {
  parametrization ntp
  optimizer sgd(lr=0.1)
  error f - y
  steps 2
}
output f
"""
PROGRAM = nexort.loads(TEXT)


def runs(path: str | Path | None, program: nexort.TensorProgram = PROGRAM) -> np.ndarray:
    return program.simulate(16, 2, checkpoint=path)["f"].runs


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A sound checkpoint."""
    runs(tmp_path / "whole.npz")
    return tmp_path / "whole.npz"


def message(path: str | Path, program: nexort.TensorProgram = PROGRAM) -> str:
    """What is said of a checkpoint; no network is trained before."""
    counts: list[int] = []
    with pytest.raises(NexortError) as caught:
        program.simulate(16, 2, checkpoint=path, progress=counts.append)
    assert counts == []
    return caught.value.diagnostics[0].message


def test_a_sound_one_changes_nothing(whole: Path) -> None:
    np.testing.assert_array_equal(runs(whole), runs(None))
    np.testing.assert_array_equal(runs(whole), runs(None))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


def _flipped(path: Path) -> None:
    with np.load(path) as file:
        content = {k: file[k] for k in file.files}
    key = next(k for k in content if k.startswith("runs"))
    content[key] = content[key] + 1e-9
    np.savez(path, **content)


def _without_an_entry(path: Path) -> None:
    with np.load(path) as file:
        content = {k: file[k] for k in file.files}
    content.pop(next(k for k in content if k.startswith("runs")))
    np.savez(path, **content)


def _packed(path: Path) -> None:
    with np.load(path) as file:
        content = {k: file[k] for k in file.files}
    np.savez_compressed(path, **content, bomb=np.zeros(10**6))


def _foreign(path: Path) -> None:
    np.savez(path, a=np.ones(3))


def _text(path: Path) -> None:
    path.write_text("no archive")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _huge(path: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fingerprint.npy", header.ljust(128) + b"\n")


DAMAGES = [_truncated, _flipped, _without_an_entry, _packed, _foreign, _text, _empty, _huge]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_foreign_files(damage: Callable[[Path], None], whole: Path) -> None:
    damage(whole)
    assert str(whole) in message(whole)


@pytest.mark.parametrize("change", [("0.1)", "0.2)"), ("0.7", "0.8"), ("relu", "tanh")])
def test_of_another_run(change: tuple[str, str], whole: Path) -> None:
    other = nexort.loads(TEXT.replace(*change))
    assert "belongs to another run" in message(whole, other)


def test_other_options_are_other_parts(whole: Path) -> None:
    wanted = PROGRAM.simulate(16, 2, seed=1)["f"].runs
    found = PROGRAM.simulate(16, 2, seed=1, checkpoint=whole)["f"].runs
    np.testing.assert_array_equal(found, wanted)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert "is not a file" in message(tmp_path / "pipe.npz")
    assert "is not a file" in message(tmp_path)
    assert "is not a file" in message("/dev/full")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    assert "No such file or directory" in message(tmp_path / "missing" / "a.npz")
    assert "File name too long" in message(tmp_path / f"{'x' * 300}.npz")
    assert "null" in message(str(tmp_path / "a\0b.npz"))


def _limited(size: int) -> Callable[[], None]:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk(tmp_path: Path) -> None:
    """Before any work where nothing can be written; what was finished before stays."""
    path = tmp_path / "a.npz"
    free = _limited(0)
    try:
        assert "cannot write the checkpoint" in message(path)
    finally:
        free()
    assert list(tmp_path.iterdir()) == []
    runs(path)
    free = _limited(path.stat().st_size + 10)
    try:
        with pytest.raises(NexortError, match="cannot write the checkpoint"):
            PROGRAM.simulate(16, 8, checkpoint=path)
    finally:
        free()
    assert [x.name for x in tmp_path.iterdir()] == ["a.npz"]
    np.testing.assert_array_equal(runs(path), runs(None))


def test_only_trainings_have_parts(tmp_path: Path) -> None:
    plain = nexort.loads("vector v ~ N(0, 1)\noutput <v|v>")
    for call in (plain.limit, lambda **o: plain.simulate(8, 2, **o)):
        with pytest.raises(NexortError, match="this program has none"):
            call(checkpoint=tmp_path / "a.npz")
