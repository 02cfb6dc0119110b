"""``nexort dichotomy``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import click

from nexort.cli import options, regimes
from nexort.cli.streams import note, say
from nexort.support.diagnostics import fail


@click.command(
    "dichotomy",
    epilog="""\b
Examples:
  nexort dichotomy --plot dichotomy.png
  nexort dichotomy --x vector.c --y matrix.c --depth 3
  nexort dichotomy --x ntp --y sp --optimizer 'adam(eps=0)' --plot plane.png
  nexort dichotomy model.nxt --x W.c --y v.b --x-range 0:2""",
)
@click.argument("file", type=click.Path(), required=False)
@options.set_option
@options.data_option
@click.option("--x", "across", metavar="NAME", help="What varies: r, S, matrix.c, W[2].c, ntp, ...")
@click.option("--y", "up", metavar="NAME", help="What else varies.")
@click.option("--x-range", default="-1:1", show_default=True, help="From where to where.")
@click.option("--y-range", default="-1:1", show_default=True, help="From where to where.")
@regimes.regime_option("--base", "mup")
@regimes.optimizer_option
@regimes.normalization_option
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Hidden layers of the perceptron, where no program is given.",
)
@click.option(
    "--steps", type=click.IntRange(1, 128), help="Points a unit; 8 in text, 64 in pictures."
)
@click.option("--plot", type=click.Path(), help="Draw it: .png, .pdf or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.instructions_option
def command(
    file: str | None,
    settings: Sequence[str],
    data: Sequence[str],
    across: str | None,
    up: str | None,
    x_range: str,
    y_range: str,
    regime: str,
    optimizer: str | None,
    normalization: str | None,
    depth: int,
    steps: int | None,
    plot: str | None,
    as_json: bool,
    max_instructions: int,
) -> None:
    """Slices of the space of parametrizations, coloured by verdict, with SP, NTP, µP and UP_s: of
    a perceptron by the theorem, of a program by its counted sizes. Without --x and --y three slices
    through the base."""
    from nexort.parametrization import picture, spaces
    from nexort.parametrization.slices import take_slice

    options.check_plot(plot)
    if (across is None) != (up is None):
        raise fail("bad-option", "a slice has two coordinates", help="--x r --y S")
    if file is None:
        space = spaces.of_perceptron(depth, regime, optimizer, normalization)
        name = f"perceptrons with {depth} hidden layers"
    else:
        found = regimes.load_subject(file, settings, data, max_instructions)
        found = regimes.change_subject(found, None, optimizer, normalization)
        space, name = spaces.tables_of_subject(found, regime), file
    fine = steps or (64 if plot else 8)
    if across is None or up is None:
        wanted = spaces.DEFAULT
    else:
        wanted = ((across, up, (_range(x_range), _range(y_range))),)
    slices = [take_slice(space, x, y, r, fine, spaces.MARKS) for x, y, r in wanted]
    if plot:
        by = f" under {optimizer}" if optimizer else ""
        picture.draw_slices(slices, plot, f"Parametrizations of {name}{by}")
        note(f"wrote {plot}")
    if as_json:
        import json

        say(json.dumps([picture.slice_json(x) for x in slices]))
    elif not plot:
        say("\n\n".join(map(picture.slice_text, slices)))


def _range(text: str) -> tuple[Fraction, Fraction]:
    """``-1:1/2``. Raises NexortError."""
    first, colon, last = text.partition(":")
    try:
        found = Fraction(first), Fraction(last)
    except (ValueError, ZeroDivisionError):
        colon = ""
    if not colon or found[0] >= found[1] or found[1] - found[0] > 16:
        raise fail("bad-option", f"'{text}' is not a range", help="--x-range -1:1/2")
    return found
