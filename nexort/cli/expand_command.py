"""``nexort expand``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nexort.cli import options


@click.command(
    "expand",
    epilog="""\b
Examples:
  nexort expand mup_mlp_adam.nxt
  nexort expand mup_mlp_adam.nxt --set L=3 -o core.nxt
  nexort eval core.nxt""",
)
@options.program_argument
@options.set_option
@options.data_option
@options.instructions_option
@click.option("-o", "--output", type=click.Path(), help="Write to a file.")
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    max_instructions: int,
    output: str | None,
) -> None:
    """Print the core program that a training stands for: forward pass, backpropagation, updates of
    kets and operators in the limit, loops kept."""
    from nexort import driver

    options.check_output(output)
    program, given = options.load_program(file, settings, data, max_instructions)
    options.write(driver.text(driver.expand(program, given)), output)
