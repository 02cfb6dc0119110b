"""``nexort check``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nexort.cli import options
from nexort.cli.streams import say


@click.command(
    "check",
    epilog="""\b
Examples:
  nexort check mlp.nxt
  nexort check mlp.nxt --set L=10 --json""",
)
@options.program_argument
@options.set_option
@options.data_option
@options.instructions_option
@options.json_option
def command(
    file: str, settings: Sequence[str], data: Sequence[str], max_instructions: int, as_json: bool
) -> None:
    """Check a program: names, kinds, axes, index ranges. Prints a table of what it defines."""
    from nexort import driver
    from nexort.program.view import program_table
    from nexort.training.prepare import prepare

    program, given = options.load_program(file, settings, data, max_instructions)
    if data and program.training is not None:
        prepare(program, given)
    elif data:
        driver.unroll(program, given)
    else:
        driver.check(program, given)
    rows = program_table(program)
    header = ("name", "kind", "axes", "instruction")
    if as_json:
        import json

        say(json.dumps([dict(zip(header, r.cells, strict=True)) for r in rows], indent=2))
    else:
        say(options.align_columns([r.cells for r in rows], header))
