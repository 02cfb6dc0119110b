"""``nexort simulate``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from nexort.cli import options
from nexort.cli.progress import counting, progress
from nexort.cli.streams import say
from nexort.report.schema import with_schema
from nexort.support.diagnostics import fail


@click.command(
    "simulate",
    epilog="""\b
Examples:
  nexort simulate wishart.nxt --width 1024 --seeds 16
  nexort simulate wishart.nxt --width 64,256,1024 --entries rademacher
  nexort simulate mlp.nxt --data xi=x.npy --width 7000 --dtype float32 --json""",
)
@options.program_argument
@options.set_option
@options.data_option
@click.option("--width", default="1024", show_default=True, help="Width, or several: 64,256,1024.")
@click.option("--seeds", type=click.IntRange(min=1), default=8, show_default=True, help="Runs.")
@options.finite_options
@options.seed_option
@options.threads_option
@options.instructions_option
@options.checkpoint_option
@options.json_option
@options.plot_options
@click.option("-o", "--output", type=click.Path(), help="Save all runs: .npz.")
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    width: str,
    seeds: int,
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
    output: str | None,
) -> None:
    """Run a program at finite width: mean and standard error over independent runs."""
    import numpy as np

    from nexort.api import TensorProgram
    from nexort.report.results import results_text, save_runs

    program, given = options.load_program(file, settings, data, max_instructions)
    options.check_plot(plot)
    options.check_output(output, ".npz")
    if plot is not None and program.training is None:
        message = "only the runs of a training are drawn here"
        raise fail("bad-option", message, help="nexort verify --plot draws a comparison")
    tensor_program = TensorProgram(program, given.numbers, max_instructions)
    found = {}
    for n in options.widths_value(width):
        with progress(f"width {n}") as bar:
            found[n] = tensor_program.simulate(
                n,
                seeds,
                seed=seed,
                dtype=dtype,
                entries=entries,
                threads=threads,
                memory=memory,
                progress=counting(bar, seeds),
                checkpoint=checkpoint,
                data=given.arrays,
            )
        if not as_json:
            say(f"width {n}")
            say(results_text(found[n]))
    runs = {n: {k: np.asarray(v.runs) for k, v in r.items()} for n, r in found.items()}
    if output:
        save_runs(output, runs)
    if plot:
        options.draw_training(program, None, runs, plot, track)
    if as_json:
        plain = {str(n): r.as_json() for n, r in found.items()}
        say(json.dumps(with_schema(plain), indent=2))
