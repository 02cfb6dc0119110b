"""Programs as files: their text, and that of what they import."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from nexort.support.diagnostics import NexortError, Source, did_you_mean, fail
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

MAX_SOURCE = 64 * 2**20


def read(path: str | Path) -> Source:
    """The text of a ``.nxt`` file, of standard input where its name is ``-``. Raises NexortError if
    it cannot be read."""
    name = str(path)
    stdin = name in ("-", "/dev/stdin")
    try:
        content = _stdin() if stdin else _content(Path(path))
        return Source("<stdin>" if stdin else name, content.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise fail("not-a-program", f"{name}: {reason}", help=_near(Path(path))) from None
    except UnicodeDecodeError as error:
        message = f"{name}: not UTF-8 text (byte {error.start})"
        hint = "save it as UTF-8" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        raise fail("not-a-program", message, help=hint) from None
    except ValueError as error:  # a null character in the name
        raise fail("not-a-program", f"{name!r}: {error}") from None


def _content(path: Path) -> bytes:
    if path.suffix != ".nxt":
        raise fail("not-a-program", f"{path}: a program's name ends in .nxt")
    if path.exists() and not path.is_file():
        raise fail("not-a-program", f"{path}: not a file")
    if path.is_file() and path.stat().st_size > MAX_SOURCE:
        raise _too_large(str(path))
    return path.read_bytes()


def _stdin() -> bytes:
    if sys.stdin is None:
        raise fail("not-a-program", "standard input is closed")
    content = sys.stdin.buffer.read(MAX_SOURCE + 1)
    if len(content) > MAX_SOURCE:
        raise _too_large("standard input")
    return content


def _too_large(name: str) -> NexortError:
    return fail("not-a-program", f"{name}: larger than {MAX_SOURCE // 2**20} MiB")


def _near(path: Path) -> str | None:
    """The name of a program beside a missing one."""
    try:
        if path.exists() or not path.parent.is_dir():
            return None
        others = [p.name for p in path.parent.glob("*.nxt") if p.name != path.name]
        return did_you_mean(path.name, others)
    except OSError:  # a name too long to ask for
        return None


def importer() -> Callable[[t.Import], t.Module]:
    """Loads the imports of a file and of its imports; paths are relative to the importing file."""

    def load(statement: t.Import) -> t.Module:
        path = Path(statement.path)
        if path.is_absolute() or path.suffix != ".nxt":
            message = f'"{statement.path}" is not a relative path to a .nxt file'
            raise fail("bad-import", message, statement.span, help='import "layers.nxt"')
        try:
            # without '..', so that a file has one name and is imported once
            imported = read(os.path.normpath(Path(statement.span.source.name).parent / path))
        except NexortError as error:
            message = error.diagnostics[0].message
            help_text = error.diagnostics[0].help
            raise fail("bad-import", message, statement.span, help=help_text) from None
        return parse(imported)

    return load
