"""The ``nexort`` command: subcommands, exit codes, errors.

Exit codes: 0 success, 1 a verification does not hold, 2 a user error, 3 a defect of nexort.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from nexort.cli.streams import drop_output, note, prepare_streams
from nexort.support.diagnostics import InternalError, NexortError

COMMANDS = {
    "check": "Check a program and list its names, kinds, axes and instructions.",
    "classify": "Classify a parametrization: stable, faithful, feature learning?",
    "coordcheck": "Fit how sizes in a training grow with the width, and find which is off.",
    "derive": "Derive the infinite-width limit as mathematics: text, LaTeX, JSON.",
    "dichotomy": "Draw slices of the space of parametrizations, coloured by verdict.",
    "eval": "Evaluate the infinite-width limit of every output.",
    "expand": "Write a training out as a core program.",
    "fmt": "Format programs in the canonical style.",
    "functions": "List the entrywise functions, and what is closed of their expectations.",
    "graph": "Write the program graph as DOT, SVG, PNG, PDF or JSON.",
    "scaling": "What every tensor of a model gets as functions of width.",
    "simulate": "Run a program at finite width.",
    "verify": "Compare the limit with finite widths.",
}


class Group(click.Group):
    """Loads a subcommand's module only when it is used, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        from nexort.cli.stages import with_stages

        module = import_module(f"nexort.cli.{name}_command")
        return with_stages(module.command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command; an unknown one gets a suggestion."""
        if args and args[0] not in COMMANDS:
            from nexort.support.diagnostics import did_you_mean

            hint = did_you_mean(args[0], COMMANDS) or f"commands: {', '.join(COMMANDS)}"
            ctx.fail(f"No such command '{args[0]}' ({hint})")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and exit with the documented code."""
        kwargs["standalone_mode"] = False
        sys.exit(_guarded(lambda: super(Group, self).main(*args, **kwargs)))


def _guarded(run: Callable[[], Any]) -> int:
    """The exit code of a run, its errors told."""
    try:
        prepare_streams()
        result = run()
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        return 0
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
    except (click.Abort, KeyboardInterrupt):
        note("interrupted")
        return 130
    except Exception as error:
        return _told(error)
    return result if isinstance(result, int) else 0


def _told(error: Exception) -> int:
    """The exit code of an error, which is written to stderr."""
    match error:
        case NexortError():
            note(error.render())
            count = sum(d.severity == "error" for d in error.diagnostics)
            if count > 1:
                note(f"{count} errors")
            return 2
        case MemoryError():
            note("error[memory]: out of memory; lower --memory, --samples or --width")
            return 2
        case OSError(errno=errno.ENOSPC, filename=None):
            drop_output()
            note(f"error[cannot-write]: cannot write to standard output: {error.strerror}")
            return 2
        case OSError():
            drop_output()
            where = f"{error.filename}: " if error.filename is not None else ""
            note(f"error[system]: {where}{error.strerror or error}")
            return 2
    if os.environ.get("NEXORT_DEBUG"):
        raise error
    text = str(error) if isinstance(error, InternalError) else f"{type(error).__name__}: {error}"
    prefix = "" if isinstance(error, InternalError) else "internal error, please report: "
    note(f"{prefix}{text}\n(NEXORT_DEBUG=1 shows the traceback)")
    return 3


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run 'nexort COMMAND --help' for options and examples.",
)
@click.version_option(package_name="nexort", prog_name="nexort")
def main() -> None:
    """A compiler for Tensor Programs: bra-ket programs and their infinite-width limits."""
