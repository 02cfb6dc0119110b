"""``nexort coordcheck``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from nexort.cli import options
from nexort.cli.progress import counting, progress
from nexort.cli.streams import note, say
from nexort.report.schema import with_schema


@click.command(
    "coordcheck",
    epilog="""\b
Examples:
  nexort coordcheck mup_mlp_adam.nxt --plot sizes.png
  nexort coordcheck mine.nxt --expect mup
  nexort coordcheck mine.nxt --width 128,512,2048 --seeds 16 --steps 2 --json""",
)
@options.program_argument
@options.set_option
@options.data_option
@click.option(
    "--width",
    help="Widths: 64,256,1024. By default 64 to 2048, less for copies of order 2 or more.",
)
@click.option("--seeds", type=click.IntRange(min=2), default=8, show_default=True, help="Runs.")
@click.option(
    "--steps", type=click.IntRange(min=0), help="Steps of training; the program's, at most 3."
)
@click.option(
    "--expect",
    metavar="NAME",
    help="Expect the sizes of mup, ntp, sp or ups(s), not those of the program's own exponents.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.2,
    show_default=True,
    help="How far an exponent may be from its prediction.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Precision of the runs.",
)
@options.memory_option
@options.seed_option
@options.threads_option
@options.instructions_option
@options.json_option
@click.option("--plot", type=click.Path(), help="Draw sizes against widths: .png, .pdf or .svg.")
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    width: str | None,
    seeds: int,
    steps: int | None,
    expect: str | None,
    tolerance: float,
    dtype: str,
    memory: int,
    seed: int,
    threads: int | None,
    max_instructions: int,
    as_json: bool,
    plot: str | None,
) -> int:
    """Check how sizes grow with the width; exit code 1 if one is off.

    Trains at a series of widths, whatever the exponents, fits the power of n in the size of every
    vector, scalar and gradient at every step, and sets it beside the power that is predicted. Where
    one is off, it names the first tensor that is, and the exponent that explains it. Of a program
    without a training, the sizes of its vectors and scalars.
    """
    from nexort.coordcheck.check import check_coordinates
    from nexort.coordcheck.text import check_json as numbers
    from nexort.coordcheck.text import check_text

    options.check_plot(plot)
    widths = options.widths_value(width) if width else None
    program, given = options.load_program(file, settings, data, max_instructions)
    with progress("runs") as bar:
        found = check_coordinates(
            program,
            given,
            widths,
            seeds,
            steps=steps,
            expect=expect,
            tolerance=tolerance,
            dtype=dtype,
            watch=lambda n: counting(bar, seeds, f"width {n}"),
            seed=seed,
            threads=threads,
            memory=memory,
        )
    say(json.dumps(with_schema(numbers(found)), indent=2) if as_json else check_text(found))
    if plot is not None:
        from nexort.coordcheck.picture import plot_check as draw

        draw(found, plot)
        note(f"wrote {plot}")
    return 0 if found.holds else 1
