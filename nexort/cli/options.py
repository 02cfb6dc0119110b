"""Options that commands share, and reading of programs, numbers and data from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from nexort.cli.streams import note, say
from nexort.data.given import MAX_INSTRUCTIONS, Given
from nexort.driver import compile_source, read
from nexort.program.program import Program
from nexort.support.diagnostics import Diagnostic, NexortError, Report, fail

F = TypeVar("F", bound=Callable[..., Any])

program_argument = click.argument("file", type=click.Path(allow_dash=True))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a param, size of a dim, or a literal for data: --set L=3, --set 'y=[1,2]'.",
)
data_option = click.option(
    "--data",
    "data",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Data: xi=inputs.npy, xi=digits.npz:xi[:, :8], train.npz (entries by name), x=table.csv.",
)
instructions_option = click.option(
    "--max-instructions",
    type=click.IntRange(min=1),
    default=MAX_INSTRUCTIONS,
    show_default=True,
    help="How many instructions loops may unroll to.",
)
memory_option = click.option(
    "--memory",
    default="2GiB",
    show_default=True,
    callback=lambda _c, _p, text: parse_memory(text),
    help="Bound on the arrays held at a time.",
)
checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(),
    metavar="FILE.npz",
    help="Keep a training's finished parts here, and go on from them.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of all randomness.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads; all cores by default. Results do not depend on it.",
)


def sampling_options(command: F) -> F:
    """The options of the limit's sampler."""
    for option in reversed(
        (
            click.option(
                "--samples",
                type=click.IntRange(min=1),
                help="Sample points a replicate (rounded up to a power of two).",
            ),
            click.option(
                "--replicates",
                type=click.IntRange(min=2),
                default=16,
                show_default=True,
                help="Independent replicates, which give the error bars.",
            ),
            click.option(
                "--rtol",
                type=click.FloatRange(min=0, min_open=True),
                help="Double the samples until every output's error is below this part of it.",
            ),
            click.option(
                "--max-samples",
                type=click.IntRange(min=64),
                default=2**17,
                show_default=True,
                help="Where --rtol stops growing the samples.",
            ),
        )
    ):
        command = option(command)
    return command


def finite_options(command: F) -> F:
    """The options of the finite-width simulator."""
    for option in reversed(
        (
            click.option(
                "--dtype",
                type=click.Choice(["float64", "float32"]),
                help="Precision of the simulation; float64 by default, float32 for trainings.",
            ),
            click.option(
                "--entries",
                type=click.Choice(["gaussian", "rademacher", "uniform"]),
                help="Law of every matrix's entries, in place of the program's.",
            ),
            memory_option,
        )
    ):
        command = option(command)
    return command


def plot_options(command: F) -> F:
    """The options of pictures."""
    for option in reversed(
        (
            click.option("--plot", type=click.Path(), help="Draw it: .png, .pdf or .svg."),
            click.option(
                "--track",
                metavar="0,1,2",
                help="Which outputs of a training the picture shows; the first four by default.",
            ),
        )
    ):
        command = option(command)
    return command


def check_plot(plot: str | None) -> None:
    """Raises NexortError for a picture's name that cannot be written, before any work."""
    if plot is not None:
        from nexort.report.compare.style import check_picture_path

        check_picture_path(plot)


def check_output(output: str | None, *known: str) -> None:
    """Raises NexortError for a name that results, text where no suffixes are ``known``, cannot be
    written to, before any work."""
    if output:
        from nexort.report.results.saving import check_path, check_place

        if known:
            check_path(output, known)
        else:
            check_place(output, streams=True)


def draw_training(
    program: Program,
    limit: Mapping[str, Any] | None,
    runs: Mapping[int, Mapping[str, Any]],
    plot: str,
    track: str | None,
) -> None:
    """The first output of a training over its steps. Raises NexortError."""
    from nexort.report.compare.trajectories import plot_trajectories as draw

    tracked = None
    if track is not None:
        parts = [p.strip() for p in track.split(",")]
        if not all(p.isdigit() for p in parts):
            raise fail("bad-option", f"'{track}' is not a list of entries", help="--track 0,1,2")
        tracked = [int(p) for p in parts]
    name = program.outputs[0].name
    draw(
        None if limit is None else limit[name],
        {width: found[name] for width, found in runs.items()},
        plot,
        tracked=tracked,
        name=name,
    )
    note(f"wrote {plot}")


def warn(found: Diagnostic) -> None:
    """A warning on stderr."""
    note(found.render())


def widths_value(text: str) -> tuple[int, ...]:
    """``64,128,256`` as numbers. Raises NexortError."""
    parts = [p.strip() for p in text.split(",") if p.strip()]
    if not parts or not all(p.isdigit() and int(p) > 0 for p in parts):
        message = f"'{text}' is not a list of widths"
        raise fail("bad-option", message, help="--width 64,256,1024")
    return tuple(sorted({int(p) for p in parts}))


def parse_memory(text: str) -> int:
    """``2GiB``, ``512M``, ``1000000`` in bytes. Raises click.BadParameter."""
    units = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
    bare = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = bare[-1:] if bare[-1:].isalpha() else ""
    try:
        size = float(bare.removesuffix(unit)) * units[unit]
    except (ValueError, KeyError):
        raise click.BadParameter(f"'{text}' is not a size such as 2GiB or 512M") from None
    if not 2**20 <= size < 2**60:
        raise click.BadParameter(f"'{text}': at least 1M is needed")
    return int(size)


def load_program(
    file: str, settings: Sequence[str], data: Sequence[str], max_instructions: int
) -> tuple[Program, Given]:
    """The program and what is given to it. Raises NexortError with every error of the options."""
    program = compile_source(read(file))
    for found in program.warnings:
        warn(found)
    return program, replace(read_given(program, settings, data), max_instructions=max_instructions)


def read_given(program: Program, settings: Sequence[str], data: Sequence[str]) -> Given:
    """Numbers and arrays from ``--set`` and ``--data``."""
    if not settings and not data:
        return Given({}, {})
    from nexort.data.arrays import from_array
    from nexort.data.entries import load_entries
    from nexort.data.literals import literal_array

    report = Report()
    numbers: dict[str, int | float] = {}
    arrays = {}
    try:
        arrays = dict(load_entries(data))
    except NexortError as error:
        for diagnostic in error.diagnostics:
            report.add(diagnostic)
    for setting in settings:
        name, found, text = setting.partition("=")
        name = name.strip()
        if not found or not name:
            report.error("bad-option", f"--set {setting}: expected NAME=VALUE", help="--set L=3")
            continue
        try:
            value = literal_array(text.strip())
            if name in program.data:
                arrays[name] = from_array(name, value)
            elif isinstance(value, list):
                message = f"--set {name}: a list is a value for data, '{name}' is not declared so"
                report.error("bad-option", message)
            else:
                numbers[name] = value
        except NexortError as error:
            for diagnostic in error.diagnostics:
                report.add(diagnostic)
    report.stop()
    return Given(numbers, arrays)


def write(text: str, output: str | None) -> None:
    """Text to a file, or to standard output. Raises NexortError if it cannot be written."""
    if output is None:
        say(text, end="")
        return
    try:
        Path(output).write_text(text, "utf-8")
    except OSError as error:
        raise fail("cannot-write", f"{output}: {error.strerror}") from None


def align_columns(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Rows as aligned text under a header."""
    table = [list(header), *(list(row) for row in rows)]
    sizes = [max(len(row[k]) for row in table) for k in range(len(header))]
    lines = [
        "  ".join(c.ljust(s) for c, s in zip(row, sizes, strict=True)).rstrip() for row in table
    ]
    rule = "  ".join("-" * s for s in sizes)
    return "\n".join([lines[0], rule, *lines[1:]])
