"""``nexort graph``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nexort.cli import options
from nexort.cli.streams import say_bytes
from nexort.data.given import MAX_INSTRUCTIONS
from nexort.support.diagnostics import fail


@click.command(
    "graph",
    epilog="""\b
Examples:
  nexort graph mlp.nxt
  nexort graph mlp.nxt -o mlp.svg
  nexort graph mlp.nxt --format json
  nexort graph mup_mlp_adam.nxt -o training.svg""",
)
@options.program_argument
@options.set_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["dot", "json", "svg", "png", "pdf"]),
    help="Format; by default that of -o, else dot.",
)
@click.option("-o", "--output", type=click.Path(), help="Write to a file.")
def command(file: str, settings: Sequence[str], form: str | None, output: str | None) -> None:
    """Write the program graph: declarations, rules (families stay families) and their uses; of a
    training, those of the core program that it stands for."""
    from nexort.api import TensorProgram
    from nexort.program.drawing import as_dot, draw_graph, graph_json

    options.check_output(output)
    program, given = options.load_program(file, settings, (), MAX_INSTRUCTIONS)
    form = form or (Path(output).suffix[1:] if output else "dot")
    g = TensorProgram(program, given.numbers).graph()
    if form in ("dot", "gv", "json"):
        text = graph_json(g) if form == "json" else as_dot(g)
        options.write(text + "\n", output)
        return
    if form not in ("svg", "png", "pdf"):
        message = f"cannot write a graph as '{form}'"
        raise fail("bad-option", message, help="use .dot, .json, .svg, .png or .pdf")
    data = draw_graph(g, form)
    if output is None:
        say_bytes(data)
    else:
        try:
            Path(output).write_bytes(data)
        except OSError as error:
            raise fail("cannot-write", f"{output}: {error.strerror}") from None
