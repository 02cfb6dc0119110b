"""A file, or its syntax tree, to a program."""

from __future__ import annotations

from nexort.elaborate.statements import elaborate
from nexort.program.program import Program
from nexort.program.verify import verify_program
from nexort.support import collector
from nexort.support.diagnostics import Source
from nexort.syntax import tree as t
from nexort.syntax.files import importer
from nexort.syntax.parser import parse


@collector.pause_collector()
def compile_source(source: Source) -> Program:
    """Source to a verified program. Raises NexortError with every error found."""
    return compile_module(parse(source))


@collector.pause_collector()
def compile_module(module: t.Module) -> Program:
    """A verified program from a syntax tree and what it imports. Raises NexortError with every
    error found."""
    program = elaborate(module, importer())
    verify_program(program)
    return program
