"""``nexort classify``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nexort.cli import options, regimes


@click.command(
    "classify",
    epilog="""\b
Examples:
  nexort classify mup_mlp_adam.nxt
  nexort classify mlp.nxt --parametrization sp --optimizer 'adam(eps=0)'
  nexort classify mlp.nxt --format latex -o table.tex""",
)
@options.program_argument
@options.set_option
@options.data_option
@regimes.regime_option("--parametrization")
@regimes.optimizer_option
@regimes.normalization_option
@click.option("--sizes", is_flag=True, help="Show every counted size as a power of n.")
@regimes.format_option
@regimes.output_option
@options.instructions_option
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    regime: str | None,
    optimizer: str | None,
    normalization: str | None,
    sizes: bool,
    form: str,
    output: str | None,
    max_instructions: int,
) -> None:
    """Classify a parametrization: unstable, unfaithful, trivial, feature learning or operator
    regime. Every condition is shown with its two sides, and the smallest repair of a bad one."""
    from nexort.parametrization.classification import classify_subject
    from nexort.parametrization.report import classification

    options.check_output(output)
    found = regimes.load_subject(file, settings, data, max_instructions)
    found = regimes.change_subject(found, regime, optimizer, normalization)
    text = classification(classify_subject(found), form, sizes=sizes)  # type: ignore[arg-type]
    options.write(text + "\n", output)
