"""``nexort fmt``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from nexort.cli.streams import note, say
from nexort.support.diagnostics import fail


@click.command(
    "fmt",
    epilog="""\b
Examples:
  nexort fmt mlp.nxt
  nexort fmt --check programs/*.nxt
  cat mlp.nxt | nexort fmt -""",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if it would.")
@click.option("--stdout", is_flag=True, help="Print the formatted text instead of writing it.")
def command(files: Sequence[str], only_check: bool, stdout: bool) -> int:
    """Format programs in place. '-' formats standard input to standard output."""
    from nexort.driver import read
    from nexort.syntax.parser import parse
    from nexort.syntax.printer import format_module

    changed = 0
    for file in files:
        source = read(file)
        text = format_module(parse(source))
        if only_check:
            if text != source.text:
                changed += 1
                note(f"would reformat {source.name}")
        elif stdout or source.name == "<stdin>":
            say(text, end="")
        elif text != source.text:
            _replace(Path(file), text)
            note(f"reformatted {file}")
    return 1 if changed else 0


def _replace(path: Path, text: str) -> None:
    """Write whole or not at all."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except OSError as error:
        raise fail("cannot-write", f"{path}: {error.strerror}") from None
