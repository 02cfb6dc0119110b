"""Programs and their texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

from nexort.elaborate.source import compile_source
from nexort.program.declarations import OutputRule
from nexort.program.nodes import Node
from nexort.program.printer import print_program
from nexort.program.program import Program
from nexort.support.diagnostics import Source
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

PLACES = (
    "span", "refs", "text", "source", "warnings", "functions", "spans", "output_span",
    "output_refs", "error_refs",
)  # fmt: skip
"""What takes no part in equality: where things are written, and functions, which are inlined."""


def bare(x: object) -> object:
    """A part of a program without its places; graphs are interned."""
    if isinstance(x, Node):
        return x
    if isinstance(x, Mapping):
        return {key: bare(value) for key, value in x.items()}
    if isinstance(x, tuple):
        return tuple(map(bare, x))
    if isinstance(x, OutputRule) and not x.name.isidentifier():
        x = replace(x, name="")  # as it is written
    if is_dataclass(x):
        kept = [f.name for f in fields(x) if f.name not in PLACES]
        return type(x), *((name, bare(getattr(x, name))) for name in kept)
    return x


def comes_back(program: Program) -> None:
    """What is elaborated from the text of a program is the program, comments included."""
    text = print_program(program)
    assert format_module(parse(Source("printed.nxt", text))) == text
    again = compile_source(Source("printed.nxt", text))
    assert bare(again) == bare(program)
    assert print_program(again) == text
