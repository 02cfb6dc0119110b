"""Reading of ``.npy``, ``.npz`` and text tables. Sizes and types are checked before the reading,
and pickled objects are never loaded."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from nexort.data.arrays import MAX_BYTES, check_numeric
from nexort.data.tables import parse_table
from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, Source, did_you_mean, fail

ARRAYS = (".npy",)
ARCHIVES = (".npz",)
TABLES = (".csv", ".tsv", ".txt")
EXTENSIONS = ARRAYS + ARCHIVES + TABLES

T = TypeVar("T")


def read_array(path: str) -> Array:
    """The array in a ``.npy`` file or a text table. Raises NexortError."""
    size = _size(path)
    if Path(path).suffix.lower() in TABLES:
        if size > MAX_BYTES:
            raise _too_large(path, size)
        return parse_table(Source(path, _guarded(path, lambda: _text(path))))

    def read() -> Array:
        with open(path, "rb") as stream:
            return _read_npy(stream, size, path)

    return _guarded(path, read)


def entry_names(path: str) -> list[str]:
    """The names of the arrays in a ``.npz`` file. Raises NexortError."""
    _size(path)

    def read() -> list[str]:
        with zipfile.ZipFile(path) as archive:
            return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]

    names = list(dict.fromkeys(_guarded(path, read)))
    if not names:
        raise fail("data-entry", f"{path}: found no array in it")
    return names


def read_entries(path: str, names: Iterable[str]) -> dict[str, Array]:
    """Arrays in a ``.npz`` file by name. Raises NexortError, also for a name that is not in it."""
    known = entry_names(path)
    found = {}
    for name in names:
        if name not in known:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            message = f"{path}: no entry '{name}', found {shown}"
            raise fail("data-entry", message, help=did_you_mean(name, known))
        found[name] = _guarded(f"{path}:{name}", lambda name=name: _read_entry(path, name))  # type: ignore[misc]
    return found


def _read_entry(path: str, name: str) -> Array:
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        with archive.open(member) as stream:
            return _read_npy(stream, member.file_size, f"{path}:{name}")


def _read_npy(stream: IO[bytes], size: int, origin: str) -> Array:
    """The array in a stream of ``size`` bytes in the .npy format."""
    version = np.lib.format.read_magic(stream)
    header: Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0
    elif version == (2, 0):
        header = np.lib.format.read_array_header_2_0
    else:  # (3, 0) exists for field names outside latin-1
        raise fail("data-file", f"{origin}: found .npy version {version}, expected plain numbers")
    shape, fortran, dtype = header(stream)
    check_numeric(dtype, origin)
    count = math.prod(shape)
    needed, present = count * dtype.itemsize, size - stream.tell()
    if needed > present:
        message = (
            f"{origin}: truncated: {present} of the {needed} bytes of an array of shape {shape}"
        )
        raise fail("data-file", message)
    if count * 8 > MAX_BYTES:
        raise _too_large(origin, count * 8)
    array = np.frombuffer(stream.read(needed), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8-sig")


def _guarded(origin: str, read: Callable[[], T]) -> T:
    """What ``read`` returns; a damaged file, which may fail anywhere, is a NexortError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except NexortError:
        raise
    except UnicodeDecodeError as error:
        message = f"{origin}: not UTF-8 text (byte {error.start})"
        raise fail("data-file", message) from None
    except OSError as error:
        message = f"{origin}: cannot be read: {error.strerror or error}"
        raise fail("data-file", message) from None
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        message = f"{origin}: damaged, or not of the kind that its name says ({reason})"
        raise fail("data-file", message) from None


def _size(path: str) -> int:
    """The bytes in a file. Raises NexortError if there is no such file."""
    place = Path(path)
    try:
        if place.is_file():
            return place.stat().st_size
        if place.exists():
            raise fail("data-file", f"{path}: not a file")
        near = [p.name for p in place.parent.iterdir() if p.suffix.lower() in EXTENSIONS]
    except (OSError, ValueError):
        near = []
    raise fail("data-file", f"{path}: no such file", help=did_you_mean(place.name, near))


def _too_large(origin: str, size: int) -> NexortError:
    message = f"{origin}: {size / 2**30:.1f} GiB, expected at most {MAX_BYTES // 2**30} GiB"
    return fail("data-file", message)
