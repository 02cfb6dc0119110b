"""The command line: arguments and printing only; the work is in :mod:`nexort.driver`."""

from nexort.cli.main import main

__all__ = ["main"]
