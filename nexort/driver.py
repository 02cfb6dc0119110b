"""The pipeline on one page.

=============  ================================  ================================================
stage          in -> out                         what it does
=============  ================================  ================================================
``read``       path -> Source                    the text of a file (nexort.syntax.files)
``parse``      Source -> Module                  syntax (nexort.syntax)
``elaborate``  Module -> Program                 names, kinds, axes (nexort.elaborate)
``check``      Program, Given                    what only numbers can tell, of every rule
``simplify``   Program -> Program                dead rules go (nexort.transform.simplify)
``expand``     Program -> Program                a training written out (nexort.expand)
``text``       Program -> text                   the inverse of elaborate (nexort.program.printer)
``derive``     Program -> Derivation             symbols, loops kept (nexort.limit.derive)
``emit``       Derivation -> numpy source        nexort.limit.derive.emit
``unroll``     Program, Given -> Unrolled        loops run, operators expand (nexort.transform)
``training``   Program, Given -> Task            a run, gradients found (nexort.training)
``evaluate``   Unrolled or Task -> limits        nexort.limit
``simulate``   Unrolled -> samples at width n    nexort.finite
``train``      Task -> samples at width n        nexort.finite.training
=============  ================================  ================================================

Given is what a user hands to a program: numbers for params and dims, and data. A verifier
(nexort.program.verify) runs between the stages that build graphs. Nothing below imports this page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexort.data.given import MAX_INSTRUCTIONS, Given
from nexort.program.program import Program
from nexort.support import collector
from nexort.support.diagnostics import Diagnostic, Report, Source, fail
from nexort.support.passes import stage

if TYPE_CHECKING:
    from nexort.limit.derive.derivation import Derivation
    from nexort.limit.estimate import LimitValue
    from nexort.limit.settings import Progress, Settings
    from nexort.program.unroll import Unroller
    from nexort.program.unrolled import Array, Unrolled
    from nexort.support.checkpoint import StorePart
    from nexort.syntax import tree as t
    from nexort.training.task import Task
    from nexort.transform.straight import Memory

__all__ = ["MAX_INSTRUCTIONS", "Given"]

Warn = Callable[[Diagnostic], None]


# ---- a file to a program -------------------------------------------------------------------------


@stage
def read(path: str | Path) -> Source:
    """The text of a ``.nxt`` file, of standard input where its name is ``-``. Raises NexortError if
    it cannot be read."""
    from nexort.syntax import files

    return files.read(path)


@stage
@collector.pause_collector()
def parse(source: Source) -> t.Module:
    """The syntax tree of a text. Raises NexortError with every error found."""
    from nexort.syntax import parser

    return parser.parse(source)


@stage
def elaborate(module: t.Module) -> Program:
    """A verified program from a syntax tree and what it imports. Raises NexortError with every
    error found."""
    from nexort.elaborate.source import compile_module

    return compile_module(module)


def compile_source(source: Source) -> Program:
    """Source to a verified program. Raises NexortError with every error found."""
    return elaborate(parse(source))


@stage
@collector.pause_collector()
def check(program: Program, given: Given) -> Unroller:
    """Unroll as far as sizes are known, to find what only numbers can tell.

    Raises NexortError with every error found.
    """
    if program.training is not None:
        from nexort.training import prepare

        return prepare.check_training(program, given)
    from nexort.transform import straight

    return straight.check_core(program, given)


# ---- programs to programs ------------------------------------------------------------------------


@stage
def simplify(program: Program) -> Program:
    """The same outputs by fewer rules."""
    from nexort.transform.straight import simplify_straight

    return simplify_straight(program)


@stage
def expand(program: Program, given: Given) -> Program:
    """The core program that a training stands for; a program without one as it is.

    Raises NexortError for what has no limit or no words in the core language.
    """
    from nexort.expand.module import expand as written

    check(program, given)
    if program.training is not None:
        _refuse_without_limit(program, given)
    return written(program, given)


def text(program: Program) -> str:
    """A program in the language. Raises NexortError for what it has no words for."""
    from nexort.program.printer import print_program

    return print_program(program)


def _refuse_without_limit(program: Program, given: Given) -> None:
    """Raise NexortError for a training without a limit, or with an expectation that is none."""
    from nexort.limit.training.reading.divergence import refuse_divergent_training
    from nexort.parametrization.verdict import refuse_limitless

    _some_output(program)
    refuse_limitless(program, given)
    refuse_divergent_training(program, given)


# ---- formulas ------------------------------------------------------------------------------------


@stage
@collector.pause_collector()
def derive(program: Program, given: Given, *, unroll: bool = False) -> Derivation:
    """The symbolic limit; with ``unroll`` of the program whose loops have run.

    Raises NexortError where a rule has no symbolic form or the program has no output.
    """
    from nexort.limit.derive.derive import derive as derived
    from nexort.limit.derive.unrolling import unroll_loops
    from nexort.limit.exact.divergence import refuse_divergent
    from nexort.program.numbers import resolve
    from nexort.program.verify import verify_program

    _some_output(program)
    if program.training is not None:
        return _derive_training(program, given, unroll=unroll)
    program = simplify(program)
    refuse_divergent(program, given)
    if unroll:
        report = Report()
        params, sizes = resolve(program, given.numbers, report)
        report.stop()
        program = unroll_loops(program, {**params, **sizes}, given.max_instructions)
        verify_program(program)
    try:
        return derived(program)
    except OverflowError as problem:
        message = f"the formulas leave the range of floating point: {problem}"
        hint = "divide by the scale: the limit of |x> / c is a formula with numbers in range"
        raise fail("not-derivable", message, help=hint) from None


def _derive_training(program: Program, given: Given, *, unroll: bool) -> Derivation:
    """The symbolic limit of a training, its steps symbolic."""
    from nexort.data.given import known_numbers
    from nexort.limit.derive.training.derive import derive_training

    assert program.training is not None
    if unroll:
        message = "the steps of a training do not unroll"
        raise fail("bad-option", message, program.training.span, help="leave out --unroll")
    numbers = known_numbers(program, given)
    if len(numbers) == len(program.params):
        _refuse_without_limit(program, given)
    return derive_training(program, numbers)


@stage
@collector.pause_collector()
def emit(program: Program, given: Given) -> str:
    """The symbolic limit as a numpy module. Raises NexortError where it is not closed."""
    from nexort.limit.derive.emit.module import module
    from nexort.program.numbers import resolve

    derivation = derive(program, given)
    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    known = {name: size for name, size in sizes.items() if size is not None}
    return module(program, derivation, {**params, **known})


# ---- numbers -------------------------------------------------------------------------------------


@stage
@collector.pause_collector()
def unroll(program: Program, given: Given, memory: Memory | None = None) -> Unrolled:
    """The straight-line program over given numbers and data, operators expanded.

    ``memory`` belongs to this program. Raises NexortError for missing or misshapen data, undefined
    members and the like.
    """
    from nexort.transform import straight

    return straight.unroll(program, given, memory)


@stage
@collector.pause_collector()
def training(program: Program, given: Given) -> Task:
    """The program's training over given numbers and data, in the limit that it has.

    Raises NexortError for missing or misshapen data, undefined members, hyperparameters out of
    range, and a parametrization that has no limit.
    """
    from nexort.parametrization.verdict import in_limit

    _some_output(program)
    return in_limit(program, given)


@stage
def evaluate(
    program: Unrolled, settings: Settings, progress: Progress | None = None
) -> dict[str, LimitValue]:
    """The infinite-width limit of every output (Master Theorem 2.6.10). Raises NexortError."""
    from nexort.limit.evaluate import evaluate as limit

    return limit(program, settings, progress)


@stage
def evaluate_training(
    program: Program,
    given: Given,
    settings: Settings,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    warn: Warn | None = None,
) -> tuple[Task, dict[str, LimitValue]]:
    """The task, and the limit of its outputs over the steps (Thm 2.9.19, 2.9.30).

    ``checkpoint`` is a file that keeps what is finished; ``warn`` is told where a run ceases to be
    finite. Raises NexortError.
    """
    from nexort.finite.training.separation import separation_of
    from nexort.limit.training.evaluate import evaluate_training as limit
    from nexort.limit.training.reading.divergence import weight_places

    task = training(program, given)
    store = _part(checkpoint, task, f"limit {settings.identity}")
    again = partial(separation_of, task, settings.seed)
    said = None if warn is None else partial(_placed, program, warn)
    return task, limit(task, weight_places(program), settings, progress, store, said, again)


@stage
def simulate(program: Unrolled, width: int, seeds: int, **options: Any) -> dict[str, Array]:
    """The outputs of ``seeds`` runs at width n, shape (seeds, ...). Raises NexortError."""
    from nexort.finite import simulate as runs

    _check_size(width, seeds)
    return runs(program, width, seeds, **options)


TRAINING_DTYPE = "float32"
"""The precision of trainings at width n where none is asked for."""


@stage
def train(
    program: Program,
    given: Given,
    width: int,
    seeds: int,
    *,
    dtype: str | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> tuple[Task, dict[str, Array]]:
    """The task, and the outputs of ``seeds`` networks trained at width n, shape (seeds, ...), in
    any parametrization: these need no limit. Raises NexortError.
    """
    from nexort.finite.training import train as runs
    from nexort.training import prepare

    _check_size(width, seeds)
    _some_output(program)
    task = prepare.restrict_moments(prepare.prepare(program, given))
    kind = dtype or TRAINING_DTYPE
    told = width, kind, options.get("seed", 0), options.get("entries")
    store = _part(checkpoint, task, f"runs {told}")
    return task, runs(task, width, seeds, dtype=kind, checkpoint=store, **options)


# ---- what stages ask for -------------------------------------------------------------------------


def _some_output(program: Program) -> None:
    if not program.outputs:
        hint = "output <x|x>" if program.training is None else "output f"
        raise fail("no-output", "the program has no output", help=hint)


def _check_size(width: int, seeds: int) -> None:
    if width < 1 or seeds < 1:
        raise fail("bad-option", f"width and seeds are at least 1, found {width} and {seeds}")


def _placed(program: Program, warn: Warn, found: Diagnostic) -> None:
    """Warn, and point at the optimizer where a warning points at nothing."""
    uses = () if program.training is None else program.training.optimizers
    warn(replace(found, span=found.span or (uses[0].span if uses else None)))


def _part(path: str | Path | None, task: Task, name: str) -> StorePart | None:
    """A part of a training's checkpoint: the limit, or the runs at a width."""
    if path is None:
        return None
    from nexort.support.checkpoint import Checkpoint, StorePart
    from nexort.training.fingerprint import fingerprint

    return StorePart(Checkpoint(path, fingerprint(task)), name)
