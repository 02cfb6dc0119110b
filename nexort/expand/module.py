"""A file with its training written out: declarations, the core program of the run, outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nexort import optimizers
from nexort.data.given import Given
from nexort.elaborate.source import compile_source
from nexort.elaborate.statements import defined_names
from nexort.expand.analysis import analyse
from nexort.expand.decaying import Decaying, decays
from nexort.expand.maximal import Maximal
from nexort.expand.names import Names
from nexort.expand.outputs import Outputs, trajectories
from nexort.expand.tangent import Tangent
from nexort.expand.text import spell
from nexort.expand.trees import comment_of, flattened, loop_names, reads
from nexort.expand.unrolling import generic, unrolled, verdict_of
from nexort.program.network import Training
from nexort.program.nodes import Op
from nexort.program.numbers import Number
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError
from nexort.support.diagnostics import InternalError, NexortError, Source, fail
from nexort.syntax import tree as t
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module, print_statement
from nexort.transform import straight


def expand(source: Source, given: Given) -> str:
    """The core program that a file stands for, in canonical form: it is checked, and evaluates to
    the same outputs. Params and dims have the values that are given.

    Raises NexortError for errors of the file, and for what the core language has no words for.
    """
    program = compile_source(source)
    if program.training is None:
        return _without_training(source, given)
    try:
        return written_out(source, given, symbolic=True)
    except NotSymbolicError:
        pass
    except NexortError as error:
        if any(d.code in REFUSALS for d in error.diagnostics):
            raise
    try:
        return written_out(source, given, symbolic=False)
    except NotSymbolicError:
        message = "this training cannot be written out: it depends on sizes that are not known"
        span, hint = program.training.network.span, "give data, or sizes: --set d=3"
        raise fail("not-expandable", message, span, help=hint) from None
    except NexortError as error:
        if any(d.code in REFUSALS for d in error.diagnostics):
            raise
        raise InternalError(f"the expansion of {source.name} is no program: {error}") from error


REFUSALS = ("not-expandable", "bad-argument", "no-value")
"""Errors that are those of the file, not of what was written."""

FEW = 3
"""Steps that an expansion is checked over, where it has more."""


def written_out(source: Source, given: Given, *, symbolic: bool) -> str:
    """The core program of a training, checked: with the network's loops kept (``symbolic``), or
    run. Raises NotSymbolicError where they cannot be, and NexortError."""
    program = compile_source(source)
    lines, last = _expanded(program, flattened(source), given, symbolic=symbolic)
    text = _formatted(lines)
    _check(text, last, given)
    return text


def _check(text: str, last: str, given: Given) -> None:
    """The text is a program of the core language, over a few steps, or over all where outputs name
    steps. Raises NexortError."""
    program = compile_source(Source("<expansion>", text))
    steps = program.params.get(last)
    few = Given({last: FEW}, {}, given.max_instructions)
    if steps is not None and steps.default is not None and steps.default.op is Op.CONST:
        short = Given({}, {}) if int(steps.default.attr) <= FEW else few
        try:
            straight.check(program, short)
            return
        except NexortError:
            pass
    try:
        straight.check(program, Given({}, {}, given.max_instructions))
    except NexortError as error:
        # what is too long to be looked at is not wrong
        if any(d.code != "too-long" for d in error.diagnostics):
            raise


def _formatted(lines: Iterable[str]) -> str:
    return format_module(parse(Source("<expansion>", "\n".join(lines) + "\n")))


# ---- declarations --------------------------------------------------------------------------------


def _without_training(source: Source, given: Given) -> str:
    """A program without a training as it is; a network that is not trained defines nothing."""
    module = parse(source)
    if not any(isinstance(x, t.Import | t.Network) for x in module.statements):
        statements = tuple(_with_numbers(x, given) for x in module.statements)
        return format_module(replace(module, statements=statements))
    lines: list[str] = []
    for x in flattened(source):
        lines += _of_network(x, given) if isinstance(x, t.Network) else _kept(x, given)
    return _formatted(lines)


def _kept(x: t.Statement, given: Given) -> list[str]:
    """A statement as it is, with given numbers in place of defaults, and its comment."""
    lines = print_statement(_with_numbers(x, given)).splitlines()
    comment = comment_of(x)
    return [*lines[:-1], f"{lines[-1]}  {comment}"] if comment else lines


def _with_numbers(x: t.Statement, given: Given) -> t.Statement:
    if isinstance(x, t.Declaration) and x.keyword in ("param", "dim"):
        return replace(x, names=tuple(_numbered(n, given.numbers) for n in x.names))
    return x


def _numbered(x: t.Declared, numbers: Mapping[str, Number]) -> t.Declared:
    if x.name not in numbers:
        return x
    value = numbers[x.name]
    literal: t.Expr = t.Number(repr(abs(value)), x.span)
    return replace(x, value=t.Negative(literal, x.span) if value < 0 else literal)


def _of_network(network: t.Network, given: Given) -> list[str]:
    """The declarations inside a network that are not its own rules."""
    inside = set(defined_names(network.body))
    lines: list[str] = []
    for x in network.body:
        match x:
            case t.Declaration() | t.Random() | t.Update() | t.Optimizer():
                lines += _kept(x, given)
            case t.Function() if not reads(x) & inside - {x.name}:
                lines += _kept(x, given)
            case _:
                pass
    return lines


# ---- trainings -----------------------------------------------------------------------------------


def _expanded(
    program: Program, statements: list[t.Statement], given: Given, *, symbolic: bool
) -> tuple[list[str], str]:
    """The lines of the core program, and its number of steps as text. Raises NotSymbolicError and
    NexortError."""
    training = program.training
    assert training is not None
    network = training.network
    taken = {*defined_names(statements), *loop_names(statements)}
    for x in statements:
        if isinstance(x, t.Network):
            taken |= set(defined_names(x.body))
    names = Names(taken, [x.name for x in statements if isinstance(x, t.Update | t.Optimizer)])
    if symbolic:
        base, sizes = generic(program, given)
        body, output = network.body, network.output
    else:
        base, sizes, body, output = unrolled(program, given)
    verdict = verdict_of(program, base, given.max_instructions)
    last = spell(training.steps)
    first: list[str] = []
    if not training.steps.terms:
        last = names.free("T")
        first = [f"param {last} = {training.steps.constant}"]
    analysis = analyse(program, body, output, base, sizes, names, verdict.active)
    if verdict.regime == "tangent":
        kind = Decaying if decays(training) else Tangent
        run: Maximal | Tangent = kind(analysis, last, vanishes=verdict.vanishes)
    else:
        run = Maximal(analysis, last)
    shown = run.lines()
    ranges = {
        name: tuple(f"{spell(r.first)}..{spell(r.last)}" for r in weight.ranges)
        for name, weight in network.weights.items()
    }
    outputs = Outputs(trajectories(program), ranges, analysis.step, last, names, run.fixed)
    lines = _heading(program, training, verdict.regime)
    for x in statements:
        match x:
            case t.Network():
                lines += [*_of_network(x, given), *first]
            case t.Train():
                lines += ["", *_used_optimizers(training, statements, names, run.squares)]
                ones = [f"{name}{_axes(axes)}" for axes, name in analysis.ones.used.items()]
                if ones:
                    lines += [f"scalar {', '.join(ones)} -> 1  # repeats over these axes", ""]
                lines += [*shown, ""]
            case t.Output():
                lines += outputs.output(x)
            case _:
                changed = outputs.statement(x)
                lines += _kept(changed, given)
    return lines, last


def _axes(axes: Iterable[object]) -> str:
    shown = ", ".join(map(str, axes))
    return f"[{shown}]" if shown else ""


def _heading(program: Program, training: Training, regime: str) -> list[str]:
    name = program.source.title
    limit = "maximal update" if regime == "maximal" else "neural tangent"
    where = "Thm 2.9.30" if regime == "maximal" else "Thm 2.9.23"
    return [
        f"# The core program of {name}: the training of '{training.network.name}' in the",
        f"# {limit} limit (arXiv 2308.01814, {where}).",
        "",
    ]


def _used_optimizers(
    training: Training, statements: list[t.Statement], names: Names, squares: Mapping[str, str]
) -> list[str]:
    """The registry's optimizers that the training uses, as they are written there, and those with
    squared values."""
    own = {x.name: x for x in statements if isinstance(x, t.Update | t.Optimizer)}
    lines: list[str] = []
    for name in dict.fromkeys(use.rule.name for use in training.optimizers):
        tree: t.Statement | None = own.get(name)
        if tree is None:
            source = Source(f"{name}.nxt", optimizers.registry()[name].source)
            tree = _named(parse(source).statements[-1], names.update(name))
            lines += [*print_statement(tree).splitlines(), ""]
        if name in squares:
            lines += [*print_statement(_squared(tree, squares[name])).splitlines(), ""]
    return lines


def _named(tree: t.Statement, name: str) -> t.Statement:
    assert isinstance(tree, t.Update | t.Optimizer)
    return replace(tree, name=name)


def _squared(tree: t.Statement, name: str) -> t.Statement:
    """An update function whose value is squared."""

    def square(x: t.Expr) -> t.Expr:
        base = x if isinstance(x, t.Name) else t.Paren(x, x.span)
        return t.Binary("^", base, t.Number("2", x.span), x.span)

    match tree:
        case t.Update():
            return replace(tree, name=name, result=square(tree.result))
        case t.Optimizer():
            body = tuple(
                replace(x, value=square(x.value)) if isinstance(x, t.Updated) else x
                for x in tree.body
            )
            return replace(tree, name=name, body=body)
        case _:
            raise InternalError(f"{name} is no update function")
