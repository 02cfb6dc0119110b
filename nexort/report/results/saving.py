"""Writing of results to files."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, fail


def save_runs(path: str | Path, runs: Mapping[int, Mapping[str, Array]]) -> None:
    """Write runs at several widths to ``.npz``: entry NAME.nWIDTH, shape (seeds, ...)."""
    suffix_of(path, (".npz",))
    save_arrays(
        path, {f"{name}.n{n}": v for n, outputs in runs.items() for name, v in outputs.items()}
    )


def suffix_of(path: str | Path, known: Sequence[str]) -> str:
    """The extension of a path to write to. Raises NexortError unless it is a known one."""
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        message = f"{path}: unknown kind of file, expected {' or '.join(known)}"
        raise fail("bad-output-file", message, help=f"-o results{known[0]}")
    return suffix


def check_path(path: str | Path, known: Sequence[str]) -> None:
    """Raises NexortError unless results can be written to a path, as far as names tell."""
    suffix_of(path, known)
    check_place(path)


def check_place(path: str | Path, *, streams: bool = False) -> None:
    """Raises NexortError unless a file can be made at a path, or written anew; pipes and devices do
    only for ``streams``, what is written from front to end."""
    place = Path(path)
    if not place.parent.is_dir():
        raise fail("bad-output-file", f"{path}: there is no folder {place.parent}")
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(path, error) from None
    if stat.S_ISDIR(mode):
        raise fail("bad-output-file", f"{path} is a folder", help="name a file in it")
    if not (streams or stat.S_ISREG(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "no plain file"
        raise fail("bad-output-file", f"{path} is {kind}", help="name a file that can be made")
    if not os.access(place, os.W_OK):
        raise fail("bad-output-file", f"{path}: cannot be written: no permission")


def save_arrays(path: str | Path, arrays: Mapping[str, Array]) -> None:
    """Write a ``.npz`` file; equal arrays give equal bytes, and any name is allowed."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                member = zipfile.ZipInfo(f"{name}.npy")
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    except OSError as error:
        raise _unwritable(path, error) from None


def save_json(path: str | Path, value: Any) -> None:
    """Write a ``.json`` file."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: str | Path, error: OSError) -> NexortError:
    message = f"{path}: cannot be written: {error.strerror or error}"
    return fail("bad-output-file", message)
