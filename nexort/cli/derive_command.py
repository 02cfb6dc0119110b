"""``nexort derive``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence

import click

from nexort.cli import options
from nexort.report.schema import with_schema
from nexort.support.diagnostics import fail

WIDTH = 100
"""Columns of a page that does not go to a terminal, and the most on one that does."""

LEAST_WIDTH = 60


@click.command(
    "derive",
    epilog="""\b
Examples:
  nexort derive mlp.nxt
  nexort derive mlp.nxt --steps
  nexort derive mup_mlp_adam.nxt   the limit of a training, steps symbolic
  nexort derive mlp.nxt --latex -o mlp-limit.tex
  nexort derive mlp.nxt --latex --document -o mlp.tex && pdflatex mlp.tex
  nexort derive recurrent.nxt --unroll --set T=3 --json""",
)
@options.program_argument
@options.set_option
@click.option("--steps", is_flag=True, help="Show every rewrite, with its rule and citation.")
@click.option("--unroll", is_flag=True, help="Run loops instead of keeping their indices.")
@click.option("--latex", "as_latex", is_flag=True, help="LaTeX equations, after a few macros.")
@click.option("--document", is_flag=True, help="With --latex: a file that pdflatex compiles.")
@options.instructions_option
@options.json_option
@click.option("-o", "--output", type=click.Path(), help="Write to a file.")
def command(
    file: str,
    settings: Sequence[str],
    steps: bool,
    unroll: bool,
    as_latex: bool,
    document: bool,
    max_instructions: int,
    as_json: bool,
    output: str | None,
) -> None:
    """Derive the infinite-width limit as mathematics: outputs, kets, covariances, recursions."""
    from nexort.api import TensorProgram

    if as_json and as_latex:
        raise fail("bad-option", "--json and --latex exclude each other")
    if document and not as_latex:
        message = "--document is a form of LaTeX"
        raise fail("bad-option", message, help="--latex --document")
    options.check_output(output)
    program, given = options.load_program(file, settings, (), max_instructions)
    limits = TensorProgram(program, given.numbers, max_instructions).derive(unroll=unroll)
    if as_json:
        shown = json.dumps(with_schema(limits.as_json()), indent=2, ensure_ascii=False) + "\n"
    elif as_latex:
        shown = limits.latex(steps=steps, document=document)
    else:
        shown = limits.text(steps=steps, width=_width(output))
    options.write(shown, output)


def _width(output: str | None) -> int:
    if output is not None or not sys.stdout.isatty():
        return WIDTH
    return max(LEAST_WIDTH, min(WIDTH, shutil.get_terminal_size().columns))
