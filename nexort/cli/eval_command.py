"""``nexort eval``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from nexort.cli import options


@click.command(
    "eval",
    epilog="""\b
Examples:
  nexort eval wishart.nxt
  nexort eval mlp.nxt --data xi=digits.npz:xi[:, :8] --rtol 1e-3
  nexort eval mlp.nxt --data xi=x.npy --json -o limit.npz""",
)
@options.program_argument
@options.set_option
@options.data_option
@options.sampling_options
@options.memory_option
@options.seed_option
@options.threads_option
@options.instructions_option
@options.json_option
@click.option("-o", "--output", type=click.Path(), help="Save the results: .npz or .json.")
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
    as_json: bool,
    output: str | None,
) -> None:
    """Evaluate the infinite-width limit of every output, with standard errors."""
    from nexort.api import TensorProgram
    from nexort.results import render

    program, given = options.load(file, settings, data, max_instructions)
    with options.progress("limit") as bar:
        results = TensorProgram(program, given.numbers, max_instructions).limit(
            samples=samples,
            replicates=replicates,
            seed=seed,
            rtol=rtol,
            max_samples=max_samples,
            threads=threads,
            memory=memory,
            progress=options.pairs(bar),
            data=given.arrays,
        )
    click.echo(json.dumps(results.as_json(), indent=2) if as_json else render(results))
    if output:
        results.save(output)
