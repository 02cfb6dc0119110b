"""A file to a program."""

from __future__ import annotations

from nexort.elaborate.statements import elaborate
from nexort.program.program import Program
from nexort.program.verify import verify_program
from nexort.support import collector
from nexort.support.diagnostics import Source
from nexort.syntax.files import importer
from nexort.syntax.parser import parse


@collector.paused()
def compile_source(source: Source) -> Program:
    """Source to a verified program. Raises NexortError with every error found."""
    program = elaborate(parse(source), importer())
    verify_program(program)
    return program
