"""``nexort eval``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from nexort.cli import options
from nexort.cli.kernels import second_of, show
from nexort.cli.progress import pairs, progress
from nexort.cli.streams import note, say
from nexort.report.schema import with_schema

if TYPE_CHECKING:
    from nexort.report.results import Estimate


@click.command(
    "eval",
    epilog="""\b
Examples:
  nexort eval wishart.nxt
  nexort eval mlp.nxt --data xi=digits.npz:xi[:, :8] --rtol 1e-3
  nexort eval mlp.nxt --data xi=x.npy --json -o limit.npz
  nexort eval mlp.nxt --data xi=train.npz --data xi2=test.npz -o kernel.npy
  nexort eval mlp.nxt --emit numpy -o kernel.py
  nexort eval mup_mlp_adam.nxt --set L=3 --checkpoint run.npz""",
)
@options.program_argument
@options.set_option
@options.data_option
@options.sampling_options
@options.memory_option
@options.seed_option
@options.threads_option
@options.instructions_option
@options.checkpoint_option
@options.json_option
@click.option("--sampled", is_flag=True, help="Sample every expectation, also exact ones.")
@click.option("--explain", is_flag=True, help="Print which route every expectation takes.")
@click.option(
    "--emit", type=click.Choice(["numpy"]), help="Write the recursion as a module of its own."
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    help="Precision of kernels over data, computed in blocks.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Save the results: .npz or .json; kernels over data also .npy, without holding them; "
    "with --emit, the module.",
)
def command(
    file: str,
    settings: Sequence[str],
    data: Sequence[str],
    samples: int | None,
    replicates: int,
    rtol: float | None,
    max_samples: int,
    memory: int,
    seed: int,
    threads: int | None,
    max_instructions: int,
    checkpoint: str | None,
    as_json: bool,
    sampled: bool,
    explain: bool,
    emit: str | None,
    dtype: str | None,
    output: str | None,
) -> None:
    """Evaluate the infinite-width limit of every output: exact where mathematics allows, else with
    standard errors. With a second set of inputs (xi2 for data xi), the kernel between the two."""
    from nexort.api import TensorProgram
    from nexort.report.results import results_text

    if emit:
        options.check_output(output)
    program, given = options.load_program(file, settings, data, max_instructions)
    if emit:
        options.write(TensorProgram(program, given.numbers, max_instructions).emit(), output)
        return
    second = second_of(program, given.arrays)
    table = ""
    if explain and program.training is None:
        explained = TensorProgram(program, given.numbers, max_instructions)
        rows = [row.cells for row in explained.explain(rtol or 1e-8, data=given.arrays)]
        table = options.align_columns(rows, ("expectation", "route", "relative error"))
    if second or dtype or (output and output.endswith(".npy")):
        show(
            TensorProgram(program, given.numbers, max_instructions),
            given,
            second,
            as_json=as_json,
            output=output,
            dtype=dtype or "float64",
            rtol=rtol or 1e-8,
            threads=threads,
            memory=memory,
        )
        _explained(table, aside=as_json)
        return
    options.check_output(output, ".npz", ".json")
    with progress("limit") as bar:
        results = TensorProgram(program, given.numbers, max_instructions).limit(
            samples=samples,
            replicates=replicates,
            seed=seed,
            rtol=rtol,
            max_samples=max_samples,
            threads=threads,
            memory=memory,
            exact=not sampled,
            progress=pairs(bar),
            checkpoint=checkpoint,
            warn=options.warn,
            data=given.arrays,
        )
    say(json.dumps(with_schema(results.as_json()), indent=2) if as_json else results_text(results))
    if explain and program.training is not None:
        table = _routes(results)
    _explained(table, aside=as_json)
    if output:
        results.save(output)


def _routes(results: Mapping[str, Estimate]) -> str:
    """A row an output of a training: how its run was found, and its error relative to its size."""
    import numpy as np

    rows = []
    for name, found in results.items():
        size = np.nanmax(np.abs(found), initial=0.0)
        error = np.nanmax(found.error, initial=0.0)
        rows.append((name, found.method, f"{error / size:.1g}" if size else "0"))
    return options.align_columns(rows, ("output", "route", "relative error"))


def _explained(table: str, *, aside: bool) -> None:
    """The table of --explain; beside JSON it is no result, and goes to stderr."""
    if table:
        (note if aside else say)(table if aside else f"\n{table}")
