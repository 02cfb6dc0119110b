"""Checkpoints of long runs: finished parts in one .npz, which a restarted run does not repeat."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nexort.support.diagnostics import NexortError, count_text, fail

_FINGERPRINT, _DIGEST = "fingerprint", "digest"


Array = np.ndarray[Any, Any]


class Checkpoint:
    """A store of arrays by key. Every ``put`` replaces the file as a whole, so that it is sound at
    any moment; threads may share a store. It is written before there is anything to keep, so that
    a place that cannot be written to is known before any work.

    Raises NexortError where the file belongs to another run, is damaged or no checkpoint, and where
    it cannot be written.
    """

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.lock = threading.Lock()
        self.known: dict[str, Array] = self._read() if self._exists() else {}
        self._write()

    def get(self, key: str) -> dict[str, Array] | None:
        """The arrays that were put under a key."""
        start = f"{key}/"
        with self.lock:
            found = {k.removeprefix(start): v for k, v in self.known.items() if k.startswith(start)}
        return found or None

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep some arrays, on disk before this returns."""
        with self.lock:
            self.known |= {f"{key}/{name}": np.asarray(value) for name, value in arrays.items()}
            self._write()

    def _exists(self) -> bool:
        """Whether there is a file. Raises NexortError for what is there and no file: opening a pipe
        would wait for ever."""
        try:
            if self.path.exists() and not self.path.is_file():
                raise self._problem("is not a file")
            return self.path.exists()
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            raise self._problem(f"cannot be read: {reason}") from None

    def _read(self) -> dict[str, Array]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                packed = any(x.compress_type != zipfile.ZIP_STORED for x in archive.infolist())
            if packed:  # could be of any size; what is stored fits into the file
                raise ValueError("its entries are compressed")
            with np.load(self.path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except Exception as problem:  # a damaged archive may fail anywhere
            raise self._problem(f"cannot be read: {problem or type(problem).__name__}") from None
        if _FINGERPRINT not in found or _DIGEST not in found:
            raise self._problem("is no checkpoint of this version of nexort")
        told, digest = str(found.pop(_FINGERPRINT)), str(found.pop(_DIGEST))
        if told != self.fingerprint:
            message = f"the checkpoint '{self.path}' belongs to another run"
            hint = "remove the file, or run the program, numbers and options that it was made with"
            raise fail("bad-checkpoint", message, None, help=hint)
        if digest != _digest(found):
            raise self._problem("is damaged: its content is not what was written")
        return found

    def _problem(self, what: object) -> NexortError:
        message = f"the checkpoint '{self.path}' {what}"
        return fail("bad-checkpoint", message, None, help="remove it, or name another file")

    def _write(self) -> None:
        """Raises NexortError; what the file had before is in it still."""
        told = {_FINGERPRINT: self.fingerprint, _DIGEST: _digest(self.known)}
        content: dict[str, Any] = {
            k: np.asarray(x) for k, x in (*told.items(), *self.known.items())
        }
        try:
            handle, name = tempfile.mkstemp(".npz", f".{self.path.name[:200]}.", self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(file, **content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            message = f"cannot write the checkpoint '{self.path}': {reason}"
            hint = f"{count_text(len(self.known), 'array')} of finished parts were to be kept"
            raise fail("cannot-write", message, None, help=hint if self.known else None) from None


def _digest(arrays: Mapping[str, Array]) -> str:
    """Of the content of arrays, and their names."""
    digest = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        digest.update(repr((name, value.dtype.str, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StorePart:
    """A part of a store: its keys begin with a text that has all that its numbers depend on beside
    the training."""

    whole: Checkpoint
    name: str

    def get(self, key: str) -> dict[str, Array] | None:
        """The arrays that were put under a key."""
        return self.whole.get(f"{self.name}/{key}")

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep some arrays, on disk before this returns."""
        self.whole.put(f"{self.name}/{key}", arrays)


class Store(Protocol):
    """What keeps finished units: a checkpoint, or a part of one."""

    def get(self, key: str) -> dict[str, Array] | None:
        """The arrays that were put under a key."""
        ...

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep some arrays, on disk before this returns."""
        ...
