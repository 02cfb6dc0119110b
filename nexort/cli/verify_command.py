"""``nexort verify``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nexort.cli import options
from nexort.cli.progress import counting, pairs, progress
from nexort.cli.streams import note, say
from nexort.report.schema import with_schema


@click.command(
    "verify",
    epilog="""\b
Examples:
  nexort verify wishart.nxt
  nexort verify mlp.nxt --data xi=digits.npz:xi[:, :8] --plot digits.png
  nexort verify mlp.nxt --data xi=x.npy --width 64,512,4096 --seeds 16 --dtype float32""",
)
@options.program_argument
@options.set_option
@options.data_option
@click.option(
    "--width",
    help="Widths: 64,256,1024. By default up to 1024, less for copies of order 2 or more.",
)
@click.option("--seeds", type=click.IntRange(min=2), default=32, show_default=True, help="Runs.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.999,
    show_default=True,
    help="Probability with which a true limit passes.",
)
@options.sampling_options
@options.finite_options
@options.seed_option
@options.threads_option
@options.instructions_option
@options.checkpoint_option
@options.json_option
@options.plot_options
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    width: str | None,
    seeds: int,
    confidence: float,
    samples: int | None,
    replicates: int,
    rtol: float | None,
    max_samples: int,
    dtype: str | None,
    entries: str | None,
    memory: int,
    seed: int,
    threads: int | None,
    max_instructions: int,
    checkpoint: str | None,
    as_json: bool,
    plot: str | None,
    track: str | None,
) -> int:
    """Compare the limit with finite widths; exit code 1 if the limit theorem does not hold."""
    from nexort.api import TensorProgram
    from nexort.report.compare import verification_text

    options.check_plot(plot)
    widths = options.widths_value(width) if width else None
    program, given = options.load_program(file, settings, data, max_instructions)
    tensor_program = TensorProgram(program, given.numbers, max_instructions)
    with progress("limit") as bar:
        limit = tensor_program.limit(
            samples=samples,
            replicates=replicates,
            seed=seed,
            rtol=rtol,
            max_samples=max_samples,
            threads=threads,
            memory=memory,
            progress=pairs(bar),
            checkpoint=checkpoint,
            warn=options.warn,
            data=given.arrays,
        )
    runs: dict[int, dict[str, Any]] = {}
    with progress("runs") as bar:
        found = tensor_program.verify(
            widths,
            seeds,
            data=given.arrays,
            limit=limit,
            confidence=confidence,
            dtype=dtype,
            watch=lambda width: counting(bar, seeds, f"width {width}"),
            entries=entries,
            memory=memory,
            seed=seed,
            threads=threads,
            checkpoint=checkpoint,
            keep=runs,
        )
    say(json.dumps(with_schema(found.as_json()), indent=2) if as_json else verification_text(found))
    if plot is not None and program.training is not None:
        options.draw_training(program, limit, runs, plot, track)
    elif plot is not None:
        from nexort.report.compare.plot import plot_verification as draw

        draw(found, plot)
        note(f"wrote {plot}")
    return 0 if found.holds else 1
