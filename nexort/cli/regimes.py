"""Options of commands on parametrizations: regimes, optimizers, normalization, formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nexort.cli import options

if TYPE_CHECKING:
    from nexort.parametrization.subject import Subject

F = TypeVar("F", bound=Callable[..., Any])

NORMALIZATIONS = ("none", "update", "clipping", "paper-clipping", "weight", "trust")

optimizer_option = click.option(
    "--optimizer",
    metavar="NAME",
    help="Another optimizer for all weights: adam, 'adam(eps=0)', sgd, lamb, adafactor, ...",
)
normalization_option = click.option(
    "--normalization",
    type=click.Choice(NORMALIZATIONS),
    help="What becomes of updates Q of a weight w, |.| a norm over all entries: Q / |Q| (update); "
    "Q min(1, theta / |Q|), as libraries clip (clipping); Q / min(|Q|, theta), as the paper does "
    "(paper-clipping); Q / |w| (weight); or Q |w| / |Q|, as in LARS and LAMB (trust).",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "json"]),
    default="text",
    show_default=True,
    help="Form of the result.",
)
output_option = click.option("-o", "--output", type=click.Path(), help="Write to a file.")


def regime_option(name: str, default: str | None = None, more: str = "") -> Callable[[F], F]:
    """The option that names a parametrization, or one of ``more``."""
    return click.option(
        name,
        "regime",
        metavar="NAME",
        default=default,
        show_default=default is not None,
        help="mup, ntp, sp or ups(1/4); by default the program's own."
        if default is None
        else f"{more}mup, ntp, sp or ups(1/4).",
    )


def load_subject(
    file: str, settings: Sequence[str], data: Sequence[str], max_instructions: int
) -> Subject:
    """The program's network in its own parametrization. Raises NexortError."""
    from dataclasses import replace

    from nexort.driver import compile_source, read
    from nexort.parametrization.subject import subject, with_training

    program = compile_source(with_training(read(file)))
    given = options.read_given(program, settings, data)
    return subject(program, replace(given, max_instructions=max_instructions))


def change_subject(
    found: Subject, regime: str | None, optimizer: str | None, normalization: str | None
) -> Subject:
    """The network under other updates, then in another parametrization. Raises NexortError."""
    from nexort.parametrization.optimizers import optimizer_of as by_name
    from nexort.parametrization.subject import divide_updates, in_regime, under

    if optimizer is not None:
        found = under(found, by_name(optimizer))
    if normalization is not None:
        found = divide_updates(found, normalization)  # type: ignore[arg-type]
    return found if regime is None else in_regime(found, regime)
