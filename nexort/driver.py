"""The pipeline on one page.

======================  ==============================  ==========================================
stage                   in -> out                       what it does
======================  ==============================  ==========================================
``read``                path -> Source                  the text of a file
``parse``               Source -> Module                syntax (nexort.syntax)
``elaborate``           Module -> Program               names, kinds, axes (nexort.elaborate)
``check``               Program, numbers                what only numbers can tell, of every rule
``simplify``            Program -> Program              dead rules (nexort.transform.simplify)
``derive``              Program -> Derivation           nexort.derive: symbolic, loops kept
``emit``                Program -> numpy source         nexort.derive.emit
``unroll``              Program, numbers -> Unrolled    simplified; loops run, operators expand
``evaluate``            Unrolled -> limits              nexort.lower
``simulate``            Unrolled -> samples at width n  nexort.finite
``training``            Program, numbers -> Task        nexort.training: a run, gradients found
``train``               Task -> outputs over steps      nexort.maximal, .tangent, .finite.training
======================  ==============================  ==========================================

A verifier (nexort.program.verify) runs between the stages that build graphs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nexort import collector
from nexort.diagnostics import NexortError, Report, Source, Span, did_you_mean, fail
from nexort.program.nodes import walk
from nexort.program.numbers import resolve, written
from nexort.program.program import Program
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

if TYPE_CHECKING:
    from nexort.data import LoadedArray
    from nexort.derive.derivation import Derivation
    from nexort.program.unroll import Unroller
    from nexort.program.unrolled import Array, Unrolled
    from nexort.training.task import Task

MAX_INSTRUCTIONS = 1_000_000
"""Nodes that a program may unroll to, rounds of loops included."""

MAX_SOURCE = 64 * 2**20
Number = int | float


def read(path: str | Path) -> Source:
    """The text of a ``.nxt`` file, of standard input where its name is ``-``. Raises NexortError if
    it cannot be read."""
    name = str(path)
    stdin = name in ("-", "/dev/stdin")
    try:
        content = _stdin() if stdin else _content(Path(path))
        return Source("<stdin>" if stdin else name, content.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise fail("not-a-program", f"{name}: {reason}", help=_near(Path(path))) from None
    except UnicodeDecodeError as error:
        message = f"{name}: not UTF-8 text (byte {error.start})"
        hint = "save it as UTF-8" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        raise fail("not-a-program", message, help=hint) from None
    except ValueError as error:  # a null character in the name
        raise fail("not-a-program", f"{name!r}: {error}") from None


def _content(path: Path) -> bytes:
    if path.suffix != ".nxt":
        raise fail("not-a-program", f"{path}: a program's name ends in .nxt")
    if path.exists() and not path.is_file():
        raise fail("not-a-program", f"{path}: not a file")
    if path.is_file() and path.stat().st_size > MAX_SOURCE:
        raise _too_large(str(path))
    return path.read_bytes()


def _stdin() -> bytes:
    if sys.stdin is None:
        raise fail("not-a-program", "standard input is closed")
    content = sys.stdin.buffer.read(MAX_SOURCE + 1)
    if len(content) > MAX_SOURCE:
        raise _too_large("standard input")
    return content


def _too_large(name: str) -> NexortError:
    return fail("not-a-program", f"{name}: larger than {MAX_SOURCE // 2**20} MiB")


def _near(path: Path) -> str | None:
    """The name of a program beside a missing one."""
    try:
        if path.exists() or not path.parent.is_dir():
            return None
        others = [p.name for p in path.parent.glob("*.nxt") if p.name != path.name]
        return did_you_mean(path.name, others)
    except OSError:  # a name too long to ask for
        return None


@collector.paused()
def compile_source(source: Source) -> Program:
    """Source to a verified program. Raises NexortError with every error found."""
    from nexort.elaborate import elaborate
    from nexort.program.verify import verify_program

    program = elaborate(parse(source), _importer())
    verify_program(program)
    return program


def _importer() -> Callable[[t.Import], t.Module]:
    """Loads the imports of a file and of its imports; paths are relative to the importing file."""

    def load(statement: t.Import) -> t.Module:
        path = Path(statement.path)
        if path.is_absolute() or path.suffix != ".nxt":
            message = f'"{statement.path}" is not a relative path to a .nxt file'
            raise fail("bad-import", message, statement.span, help='import "layers.nxt"')
        try:
            # without '..', so that a file has one name and is imported once
            imported = read(os.path.normpath(Path(statement.span.source.name).parent / path))
        except NexortError as error:
            message = error.diagnostics[0].message
            help_text = error.diagnostics[0].help
            raise fail("bad-import", message, statement.span, help=help_text) from None
        return parse(imported)

    return load


@dataclass(frozen=True)
class Given:
    """What a user hands to a program: numbers for params and dims, arrays for data, and how many
    instructions it may unroll to."""

    numbers: Mapping[str, Number]
    arrays: Mapping[str, LoadedArray]
    max_instructions: int = MAX_INSTRUCTIONS


@collector.paused()
def check(program: Program, given: Given) -> Unroller:
    """Unroll as far as sizes are known, to find what only numbers can tell.

    Raises NexortError with every error found.
    """
    from nexort.program.outputs import unrolled_outputs
    from nexort.program.unroll import Unroller

    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    if program.training is not None:
        from nexort.training.prepare import check

        return check(program, params, sizes, given.max_instructions)
    unroller = Unroller(program, params, sizes, report, given.max_instructions)
    unroller.run()
    for _ in unrolled_outputs(unroller):
        pass
    report.stop()
    return unroller


@collector.paused()
def derive(program: Program, given: Given, *, unroll: bool = False) -> Derivation:
    """The symbolic limit; with ``unroll`` of the program whose loops have run.

    Raises NexortError where a rule has no symbolic form or the program has no output.
    """
    from nexort.derive.engine import derive as derived
    from nexort.derive.unrolling import unrolled
    from nexort.program.verify import verify_program
    from nexort.transform.simplify import simplify

    if not program.outputs:
        raise fail("no-output", "the program has no output", help="output <x|x>")
    if program.training is not None:
        return _derive_training(program, given, unroll=unroll)
    program = simplify(program)
    _refuse_divergent(program, given)
    if unroll:
        report = Report()
        params, sizes = resolve(program, given.numbers, report)
        report.stop()
        program = unrolled(program, {**params, **sizes}, given.max_instructions)
        verify_program(program)
    try:
        return derived(program)
    except OverflowError as problem:
        message = f"the formulas leave the range of floating point: {problem}"
        hint = "divide by the scale: the limit of |x> / c is a formula with numbers in range"
        raise fail("not-derivable", message, help=hint) from None


def _derive_training(program: Program, given: Given, *, unroll: bool) -> Derivation:
    """The symbolic limit of a training, its steps symbolic."""
    from nexort.derive.training.derive import derive_training

    assert program.training is not None
    if unroll:
        message = "the steps of a training do not unroll"
        raise fail("bad-option", message, program.training.span, help="leave out --unroll")
    known = _known(program, given)
    if len(known) == len(program.params):
        judge(program, given)
        refuse_divergent_training(program, given)
    return derive_training(program, known)


@collector.paused()
def emit(program: Program, given: Given) -> str:
    """The symbolic limit as a numpy module. Raises NexortError where it is not closed."""
    from nexort.derive.emit.module import module

    derivation = derive(program, given)
    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    known = {name: size for name, size in sizes.items() if size is not None}
    return module(program, derivation, {**params, **known})


@dataclass
class Memory:
    """What :func:`unroll` found before of one program: it simplified, and its graphs by numbers and
    sizes, the most recent ones, without data (which they do not depend on)."""

    simplified: Program | None = None
    graphs: dict[Hashable, Unrolled] = field(default_factory=dict)


GRAPHS = 8
"""Graphs that a memory holds."""

SMALL = 2
"""The size of dims that are not known, where any will do."""


def refuse_training(program: Program) -> None:
    """Raises NexortError for a program with a training."""
    if program.training is not None:
        message = "this works on programs without a training"
        hint = "nexort expand writes the training as one"
        raise fail("bad-training", message, program.training.span, help=hint)


@collector.paused()
def unroll(program: Program, given: Given, memory: Memory | None = None) -> Unrolled:
    """The straight-line program over given numbers and data, operators expanded.

    ``memory`` belongs to this program. Raises NexortError for missing or misshapen data, undefined
    members and the like.
    """
    from nexort.program.verify import verify_program
    from nexort.transform.simplify import simplify

    refuse_training(program)
    memory = memory or Memory()
    if memory.simplified is None:
        simplified = simplify(program)
        verify_program(simplified)
        memory.simplified = simplified
    program = memory.simplified
    params, data, sizes = _bound(program, given)
    key = repr(sorted(params.items())), repr(sorted(sizes.items())), given.max_instructions
    if key not in memory.graphs:
        found = _unrolled(program, params, sizes, given.max_instructions)
        while len(memory.graphs) >= GRAPHS:
            memory.graphs.pop(next(iter(memory.graphs)), None)
        memory.graphs[key] = found
    return replace(memory.graphs[key], data=data)


def _bound(
    program: Program, given: Given
) -> tuple[dict[str, Number], dict[str, Array], dict[str, int]]:
    """The params, the data and the sizes of dims. Raises NexortError."""
    from nexort.data import bind

    report = Report()
    params, dims = resolve(program, given.numbers, report)
    report.stop()
    declared = {name: (d.axes, d.span) for name, d in program.data.items()}
    arrays = {**defaults(program, given), **given.arrays}
    return params, *bind(declared, arrays, dims, written(program, given.numbers))


def _unrolled(
    program: Program, params: Mapping[str, Number], sizes: dict[str, int], most: int
) -> Unrolled:
    """The graph, without data."""
    from nexort.program.laws import check_laws
    from nexort.program.outputs import unrolled_outputs
    from nexort.program.unroll import Unroller
    from nexort.program.unrolled import Unrolled
    from nexort.program.verify import verify_unrolled
    from nexort.transform.operators import expand_operators

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


@collector.paused()
def training(program: Program, given: Given, *, judge: bool = True) -> Task:
    """The program's training over given numbers and data; without ``judge``, for runs at width n,
    of any parametrization.

    Raises NexortError for missing or misshapen data, undefined members, hyperparameters out of
    range, and a parametrization that has no limit.
    """
    from nexort.training.prepare import prepare

    if judge:
        _some_output(program)
    params, data, sizes = _bound(program, given)
    return prepare(program, params, data, sizes, given.max_instructions, judge=judge)


def finite_training(program: Program, given: Given) -> Task:
    """The training for runs at width n, which need no limit, with what its outputs read.

    Raises NexortError as :func:`training`.
    """
    from nexort.training.prepare import read

    _some_output(program)
    return read(training(program, given, judge=False))


def _some_output(program: Program) -> None:
    if not program.outputs:
        raise fail("no-output", "the program has no output", help="output f")


LOOSE = 3
"""The number of a param that has none, where any will do."""


def _refuse_divergent(program: Program, given: Given) -> None:
    """Raise NexortError for an expectation that exists for no data: it does not for ones, for
    positive and for other random numbers, nor for several sizes."""
    from nexort.exact.existing import examine, singular
    from nexort.exact.solve import check_divisions

    values = [rule.value for _, rule in program.rules()]
    values += [o.value for o in program.outputs if o.value is not None]
    if not any(map(singular, walk(values))):
        return
    loose = {n: LOOSE for n, p in program.params.items() if p.default is None}
    given = replace(given, numbers={**loose, **given.numbers})
    for draw, size in enumerate((SMALL, 7, 5)):
        filled = placeholders(program, given, size, draw)
        try:
            unrolled = unroll(program, filled)
        except NexortError:  # sizes that the program does not take
            return
        try:
            examine(unrolled)
            if filled.arrays.keys() == given.arrays.keys():
                check_divisions(unrolled)
            return
        except NexortError as problem:
            found = problem
    raise found


def refuse_divergent_training(program: Program, given: Given) -> None:
    """Raise NexortError for a training of which an expectation exists at initialization for no
    data, as :func:`_refuse_divergent`."""
    from nexort.reading import read

    told = all(d.default is not None or n in given.arrays for n, d in program.data.items())
    for draw, size in enumerate((SMALL, 7, 5)):
        try:
            task = training(program, placeholders(program, given, size, draw))
        except NexortError:  # sizes that the program does not take
            return
        try:
            read(task, declared(program))
            return
        except NexortError as problem:
            found = problem
        if told:
            break
    raise found


def declared(program: Program) -> dict[str, Span]:
    """Where the weights of a training are declared."""
    assert program.training is not None
    return {name: w.span for name, w in program.training.network.weights.items()}


def placeholders(program: Program, given: Given, size: int = SMALL, draw: int = 0) -> Given:
    """Numbers for data that have no values, and sizes for dims that have none: which limit a
    training has depends on neither. The first ``draw`` is of ones, the second positive."""
    import numpy as np

    from nexort.data import LoadedArray

    report = Report()
    _, dims = resolve(program, given.numbers, report)
    report.stop()
    sizes = {name: size for name, size in dims.items() if size is not None}
    for name, data in program.data.items():
        known = given.arrays.get(name)
        values = known.array if known is not None else None
        if values is None and data.default is not None:
            values = np.asarray(data.default.attr, dtype=float)
        if values is not None and values.ndim == len(data.axes):
            for axis, length in zip(data.axes, values.shape, strict=True):
                sizes.setdefault(axis.name, length)
    arrays = dict(given.arrays)
    for name, data in program.data.items():
        if name not in arrays and data.default is None:
            shape = [a.size if a.size is not None else sizes.get(a.name) for a in data.axes]
            filled = np.ones([size if s is None else s for s in shape])
            if draw:
                rng = np.random.default_rng(draw)
                filled = rng.uniform(0.5, 1.5, filled.shape)
                filled *= rng.choice([1, -1], filled.shape) if draw > 1 else 1
            arrays[name] = LoadedArray(filled, f"numbers for {name}")
    used = {a.name for d in program.data.values() for a in d.axes}
    loose = {name: size for name in dims if name not in sizes and name not in used}
    return replace(given, arrays=arrays, numbers={**given.numbers, **loose})


def judge(program: Program, given: Given) -> None:
    """Raise NexortError where the program's training has no limit; values of data do not matter."""
    training(program, placeholders(program, given))


def _known(program: Program, given: Given) -> dict[str, Number]:
    """The numbers of the params that have one, defaults with those that are given."""
    from nexort.program.numbers import evaluate

    unknown = [name for name in given.numbers if name not in {**program.params, **program.dims}]
    if unknown:
        report = Report()
        resolve(program, given.numbers, report)
        report.stop()
    known: dict[str, Number] = {}
    for name, param in program.params.items():
        value = given.numbers.get(name)
        if value is None and param.default is not None:
            value = evaluate(param.default, known)
        if value is not None:
            known[name] = value
    return known


def defaults(program: Program, given: Given) -> dict[str, LoadedArray]:
    """The literal values of data that are not given."""
    import numpy as np

    from nexort.data import LoadedArray

    found: dict[str, LoadedArray] = {}
    for name, declared in program.data.items():
        if declared.default is not None and name not in given.arrays:
            array: Array = np.asarray(declared.default.attr, dtype=float)
            found[name] = LoadedArray(array, f"the default of {name}")
    return found
