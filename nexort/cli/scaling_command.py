"""``nexort scaling``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nexort.cli import options, regimes
from nexort.support.diagnostics import did_you_mean, fail


@click.command(
    "scaling",
    epilog="""\b
Examples:
  nexort scaling mlp.nxt --optimizer adam
  nexort scaling mlp.nxt --optimizer sgd --gauge init --base-width 256
  nexort scaling mlp.nxt --optimizer lamb --base-width 256 --width 4096
  nexort scaling mine.nxt --regime own
  nexort scaling mlp.nxt --optimizer 'adam(eps=0)' --format latex -o table.tex""",
)
@options.program_argument
@options.set_option
@options.data_option
@regimes.optimizer_option
@regimes.normalization_option
@regimes.regime_option("--regime", "mup", "own (the program's exponents), ")
@click.option(
    "--gauge",
    default="mup-package",
    show_default=True,
    metavar="NAME",
    help="Where powers of n stand: init (no multipliers), multiplier (entries start with size 1) "
    "or mup-package (multipliers for readouts alone).",
)
@click.option("--base-width", type=click.IntRange(min=1), help="Powers of n over this width.")
@click.option("--width", type=click.IntRange(min=1), help="Numbers at this width.")
@regimes.format_option
@regimes.output_option
@options.instructions_option
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    optimizer: str | None,
    normalization: str | None,
    regime: str,
    gauge: str,
    base_width: int | None,
    width: int | None,
    form: str,
    output: str | None,
    max_instructions: int,
) -> int:
    """The scaling table of a model: initialization, multiplier, learning rate, epsilon and weight
    decay of every tensor as functions of width; exit code 1 if the table is not good."""
    from nexort.parametrization.classification import classify_subject
    from nexort.parametrization.optimizers import optimizer_of as by_name
    from nexort.parametrization.practice import GAUGES, practice
    from nexort.parametrization.table import Widths, practical

    if gauge not in GAUGES:
        hint = did_you_mean(gauge, GAUGES) or f"gauges: {', '.join(GAUGES)}"
        raise fail("unknown-name", f"unknown gauge '{gauge}'", help=hint)
    options.check_output(output)
    by = None if optimizer is None else by_name(optimizer)
    found = regimes.load_subject(file, settings, data, max_instructions)
    own = regime == "own"
    found = regimes.change_subject(found, None if own else regime, optimizer, normalization)
    made = practice(found, by, gauge)
    judged = classify_subject(found)
    text = practical(made, Widths(base_width, width), form, judged)  # type: ignore[arg-type]
    options.write(text + "\n", output)
    return 0 if judged.good else 1
