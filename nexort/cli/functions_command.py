"""``nexort functions``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from nexort.cli import options
from nexort.cli.streams import say
from nexort.support.diagnostics import did_you_mean, fail

if TYPE_CHECKING:
    from nexort.limit.derive.listing import FunctionRow


@click.command(
    "functions",
    epilog="""\b
Examples:
  nexort functions
  nexort functions relu gelu
  nexort functions --json""",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.json_option
def command(names: Sequence[str], as_json: bool) -> None:
    """List the entrywise functions: formula, derivative, and how the expectation E f(y) f(z) of two
    correlated Gaussians is found. With names, also the closed forms."""
    from nexort.limit.derive import listing

    found = {row.name: row for row in listing.function_rows()}
    for name in names:
        if name not in found:
            hint = did_you_mean(name, found)
            raise fail("unknown-name", f"unknown function '{name}'", help=hint)
    rows = [found[name] for name in names or found]
    if as_json:
        import json

        shown = {"schema": 1, "functions": [row.as_json() for row in rows]}
        say(json.dumps(shown, indent=2))
    elif names:
        say("\n\n".join("\n".join(_lines(row)) for row in rows))
    else:
        head = ("function", "formula", "derivative", "E f(y) f(z)")
        say(options.align_columns([row.cells for row in rows], head))


def _lines(row: FunctionRow) -> Iterator[str]:
    """All that is known of one function."""
    yield f"{row.call} = {row.formula}"
    for argument, slope in zip(row.arguments, row.derivatives, strict=True):
        yield f"  d/d{argument}: {slope}"
    if row.parity is not None:
        yield f"  {row.parity}"
    if row.kinks:
        places = ", ".join(f"{x:g}" for x in row.kinks)
        yield f"  {'jumps' if row.jumps else 'not smooth'} at {places}"
    if row.route is None:
        return
    source = "" if row.source is None else f" ({row.source})"
    yield f"  E f(y) f(z) by {row.route}{source}"
    named = (("E f(y)", row.mean), ("E f(y) f(z)", row.square), ("E f'(y) f'(z)", row.slope))
    shown = [f"    {name} = {text}" for name, text in named if text is not None]
    if shown:
        yield "  y, z of variances p, q and covariance c:"
        yield from shown
        if any("Φ_2" in text for text in shown):
            yield "    Φ_2(x, y, r) is the bivariate normal distribution function of correlation r"
