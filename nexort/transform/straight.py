"""A program over given numbers and data as straight-line code: loops run, operators expanded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from nexort.data.given import Given, bind_given
from nexort.program.laws import check_laws
from nexort.program.numbers import Number, resolve
from nexort.program.outputs import unrolled_outputs
from nexort.program.program import Program
from nexort.program.unroll import Unroller
from nexort.program.unrolled import Unrolled
from nexort.program.verify import verify_program, verify_unrolled
from nexort.support.diagnostics import Report, fail
from nexort.transform.operators import expand_operators
from nexort.transform.simplify import simplify


@dataclass
class Memory:
    """What :func:`unroll` found before of one program: it simplified, and its graphs by numbers and
    sizes, the most recent ones, without data (which they do not depend on)."""

    simplified: Program | None = None
    graphs: dict[Hashable, Unrolled] = field(default_factory=dict)


GRAPHS = 8
"""Graphs that a memory holds."""


def refuse_training(program: Program) -> None:
    """Raises NexortError for a program with a training."""
    if program.training is not None:
        message = "this works on programs without a training"
        hint = "nexort expand writes the training as one"
        raise fail("bad-training", message, program.training.span, help=hint)


def check_core(program: Program, given: Given) -> Unroller:
    """Unroll a program without a training as far as sizes are known, to find what only numbers can
    tell. Raises NexortError with every error found."""
    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    unroller = Unroller(program, params, sizes, report, given.max_instructions)
    unroller.run()
    for _ in unrolled_outputs(unroller):
        pass
    report.stop()
    return unroller


def simplify_straight(program: Program) -> Program:
    """The same outputs by fewer rules, verified."""
    found = simplify(program)
    verify_program(found)
    return found


def unroll(program: Program, given: Given, memory: Memory | None = None) -> Unrolled:
    """The straight-line program over given numbers and data, operators expanded.

    ``memory`` belongs to this program. Raises NexortError for missing or misshapen data, undefined
    members and the like.
    """
    refuse_training(program)
    memory = memory or Memory()
    if memory.simplified is None:
        memory.simplified = simplify_straight(program)
    program = memory.simplified
    params, data, sizes = bind_given(program, given)
    key = repr(sorted(params.items())), repr(sorted(sizes.items())), given.max_instructions
    if key not in memory.graphs:
        found = _unrolled(program, params, sizes, given.max_instructions)
        while len(memory.graphs) >= GRAPHS:
            memory.graphs.pop(next(iter(memory.graphs)), None)
        memory.graphs[key] = found
    return replace(memory.graphs[key], data=data)


def _unrolled(
    program: Program, params: Mapping[str, Number], sizes: dict[str, int], most: int
) -> Unrolled:
    """The graph, without data."""
    report = Report()
    unroller = Unroller(program, params, sizes, report, most)
    unroller.run()
    outputs = tuple(unrolled_outputs(unroller))
    report.stop()
    if not outputs:
        message = "the program has no output"
        raise fail("no-output", message, help="output <x|x>")
    laws = {
        i.name: unroller.instance(i.law, unroller.base)
        for i in program.initial.values()
        if i.law is not None
    }
    check_laws(program, laws, report)
    report.stop()
    unrolled = Unrolled(outputs, {}, sizes, laws, unroller.spans)
    unrolled = expand_operators(unrolled, most)
    verify_unrolled(unrolled)
    return unrolled
