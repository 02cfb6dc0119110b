"""A program with its training written out: declarations, the core program of the run, outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nexort import optimizers
from nexort.data.given import Given
from nexort.expand.analysis import Analysis, OneOutput, analyse
from nexort.expand.decaying import Decaying, any_decays
from nexort.expand.maximal import MaximalExpansion
from nexort.expand.moving import inverse_or_zero
from nexort.expand.names import ExpansionNames
from nexort.expand.outputs import Around, outputs_over_steps
from nexort.expand.statements import Item
from nexort.expand.tangent import TangentExpansion
from nexort.expand.unrolling import generic, unroll_network, verdict_of
from nexort.program import build
from nexort.program.build import TypeProblem
from nexort.program.declarations import (
    NO_NOTE,
    Family,
    Initial,
    Note,
    Param,
    UpdateRule,
    UserFunction,
    rules_of,
)
from nexort.program.index import Affine
from nexort.program.network import Training
from nexort.program.nodes import LOOPS, Node, Op, walk
from nexort.program.numbers import Number
from nexort.program.program import OUTPUTS, RETURN, TRAIN, Program
from nexort.program.shifting import NotSymbolicError, within
from nexort.program.types import Kind, scalar
from nexort.program.verify import verify_program
from nexort.support.diagnostics import InternalError, NexortError, Span, fail
from nexort.transform import straight


def expand(program: Program, given: Given) -> Program:
    """The core program that a training stands for, with the same outputs; a program without one as
    it is. Params and dims have the values that are given.

    Raises NexortError for what the core language has no words for.
    """
    program = _with_numbers(program, given.numbers)
    training = program.training
    if training is None:
        return program
    try:
        return written_out(program, given, symbolic=True)
    except (NotSymbolicError, TypeProblem):
        pass
    except NexortError as error:
        if any(d.code in REFUSALS for d in error.diagnostics):
            raise
    try:
        return written_out(program, given, symbolic=False)
    except NotSymbolicError:
        message = "this training cannot be written out: it depends on sizes that are not known"
        span, hint = training.network.span, "give data, or sizes: --set d=3"
        raise fail("not-expandable", message, span, help=hint) from None
    except TypeProblem as problem:
        raise InternalError(f"the expansion of {program.source.name}: {problem}") from problem
    except NexortError as error:
        if any(d.code in REFUSALS for d in error.diagnostics):
            raise
        raise InternalError(f"the expansion of {program.source.name}: {error}") from error


@dataclass(frozen=True)
class Expansion:
    """The rules of a training as equations, and what their names stand for."""

    program: Program
    regime: Literal["maximal", "tangent", "decayed"]
    step: str
    """The variable of steps, the last index of what moves."""
    last: Affine
    """The last step."""
    kernel: str
    """K_Q, in the neural tangent limits."""
    weights: Mapping[str, str]
    """The initial objects of weights: kets and matrices."""
    sums: Mapping[str, str]
    """The sums of the updates of weights that decay, by weight."""
    written_in: frozenset[str]
    """Gradients and updates, which need no names of their own."""
    single: OneOutput | None
    """One output, of which cotangents and the kernel are."""
    process: tuple[str, Node] | None
    """A Gaussian process that is a part of the output, by its name and as an average."""


def equations(program: Program, given: Given, *, symbolic: bool = True) -> Expansion:
    """A training as equations: with loops kept where they can be and ``symbolic``, steps as they
    are written, and names for what the core language has no words for.

    Raises NexortError for what has no symbolic form.
    """
    program = _with_numbers(program, given.numbers)
    training = program.training
    assert training is not None
    try:
        if symbolic:
            return _equations(program, given, symbolic=True)
    except (NotSymbolicError, TypeProblem):
        pass
    try:
        return _equations(program, given, symbolic=False)
    except NotSymbolicError:
        message = "this training has no symbolic form: it depends on sizes that are not known"
        span, hint = training.network.span, "give data, or sizes: --set d=3"
        raise fail("not-derivable", message, span, help=hint) from None


REFUSALS = ("not-expandable", "bad-argument", "no-value")
"""Errors that are those of the file, not of what was written."""

FEW = 3
"""Steps that an expansion is checked over, where it has more."""


def written_out(program: Program, given: Given, *, symbolic: bool) -> Program:
    """The core program of a training, checked: with the network's loops kept (``symbolic``), or
    run. Raises NotSymbolicError where they cannot be, TypeProblem and NexortError."""
    found, last = _core(program, given, symbolic=symbolic)
    verify_program(found)
    _check(found, last, given)
    return found


def _check(program: Program, last: Affine, given: Given) -> None:
    """What only numbers can tell, over a few steps, or over all where outputs name steps. Raises
    NexortError."""
    steps = program.params.get(str(last))
    few = Given({str(last): FEW}, {}, given.max_instructions)
    if steps is not None and steps.default is not None and steps.default.op is Op.CONST:
        short = Given({}, {}) if int(steps.default.attr) <= FEW else few
        try:
            straight.check_core(program, short)
            return
        except NexortError:
            pass
    try:
        straight.check_core(program, Given({}, {}, given.max_instructions))
    except NexortError as error:
        # what is too long to be looked at is not wrong
        if any(d.code != "too-long" for d in error.diagnostics):
            raise


def _with_numbers(program: Program, numbers: Mapping[str, Number]) -> Program:
    """A program with given numbers in place of defaults."""

    def told(name: str) -> Node:
        return build.constant(numbers[name])

    params = {n: replace(x, default=told(n)) if n in numbers else x
              for n, x in program.params.items()}  # fmt: skip
    dims = {n: replace(x, size=told(n)) if n in numbers else x for n, x in program.dims.items()}
    return replace(program, params=params, dims=dims)


def _with_ranges(program: Program, base: Mapping[str, int]) -> Program:
    """A program whose families of weights have their ranges in numbers, as run loops have."""
    training = program.training
    assert training is not None
    mapped = {name: Affine(value) for name, value in base.items()}
    network = training.network
    weights = {
        name: replace(w, ranges=tuple(within(r, mapped) for r in w.ranges))
        for name, w in network.weights.items()
    }
    return replace(program, training=replace(training, network=replace(network, weights=weights)))


# ---- trainings -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Training:
    """A training whose rules are known: its analysis, the last step, and what writes a limit."""

    program: Program
    analysis: Analysis
    names: ExpansionNames
    regime: Literal["maximal", "tangent"]
    last: Affine
    run: MaximalExpansion | TangentExpansion

    def whole(self, items: Sequence[Item]) -> Program:
        """The program of the rules of a run, with those around it."""
        program, training = self.program, self.analysis.training
        run, names, a = self.run, self.names, self.analysis
        around = Around(program, training, names, run.fixed, a.objects, a.step, self.last)
        body = (*around.before, *items, *around.after)
        return replace(
            program,
            initial=_initial(program, a),
            updates=_updates(program, training, names, run.squares),
            functions=_functions(program, names) if run.steps.divides else program.functions,
            families=_families(body),
            body=body,
            outputs=tuple(around.outputs),
            training=None,
        )


def _read(program: Program, given: Given, *, symbolic: bool, free: bool) -> _Training:
    """A training's rules in its limit. Where ``free``, steps are as they are written, and a part of
    the output may have no rule. Raises NotSymbolicError, TypeProblem and NexortError."""
    training = program.training
    assert training is not None
    network = training.network
    own = [name for name, rule in program.updates.items() if not _of_registry(rule)]
    names = ExpansionNames(_taken(program, training), own)
    if symbolic:
        base, sizes = generic(program, given)
        body, output = network.body, network.output
    else:
        base, sizes, body, output = unroll_network(program, given)
        program = _with_ranges(program, base)
    verdict = verdict_of(program, base, given.max_instructions)
    last = training.steps
    if not last.terms and not free:
        steps = names.free("T")
        params = {
            **program.params,
            steps: Param(steps, build.constant(last.constant), training.span),
        }
        program = replace(program, params=params)
        last = Affine.variable(steps)
    one_by_one = free and verdict.regime == "tangent"
    analysis = analyse(program, body, output, base, sizes, names, verdict.active, one_by_one)
    if verdict.regime == "tangent":
        kind = Decaying if any_decays(training) else TangentExpansion
        run: MaximalExpansion | TangentExpansion = kind(
            analysis, last, vanishes=verdict.vanishes, free=free
        )
    else:
        run = MaximalExpansion(analysis, last, free=free)
    return _Training(program, analysis, names, verdict.regime, last, run)


def _core(program: Program, given: Given, *, symbolic: bool) -> tuple[Program, Affine]:
    """The core program, and its number of steps. Raises NotSymbolicError, TypeProblem and
    NexortError."""
    read = _read(program, given, symbolic=symbolic, free=False)
    run, analysis = read.run, read.analysis
    found = read.whole(run.items())
    notes = _notes(program, found, analysis, run.start_comment)
    return replace(found, notes=_headed(notes, found, analysis.training, read.regime)), read.last


def _equations(program: Program, given: Given, *, symbolic: bool) -> Expansion:
    read = _read(program, given, symbolic=symbolic, free=True)
    run, a = read.run, read.analysis
    found = read.whole(run.equations())
    process = None
    if run.process is not None:
        process = (run.random if isinstance(run, Decaying) else run.network.name), run.process
    return Expansion(
        found,
        "decayed" if isinstance(run, Decaying) else read.regime,
        a.step,
        read.last,
        run.kernel,
        a.initial,
        run.seen if isinstance(run, Decaying) else {},
        run.updated,
        a.single,
        process,
    )


def _taken(program: Program, training: Training) -> set[str]:
    """The names of a file, but for those of outputs over every step."""
    network = training.network
    made = outputs_over_steps(program)
    body = [x for x in program.body if not made.keys() & {r.name for _, r in rules_of((x,))}]
    taken = {*program.params, *program.dims, *program.data, *program.initial, network.name}
    taken |= {*program.functions}
    taken |= {*program.families, *network.families, *network.weights} - made.keys()
    rules = [*rules_of(tuple(body)), *rules_of(network.body)]
    taken |= {loop.var for loops, _ in rules for loop in loops}
    graphs = walk([*(rule.value for _, rule in rules), network.output])
    return taken | {x.attr.var for x in graphs if x.op in LOOPS}


def _of_registry(rule: UpdateRule) -> bool:
    """Whether an update function is that of the registry."""
    entry = optimizers.optimizer_registry().get(rule.name)
    return entry is not None and rule.span.source.text == entry.source


def _initial(program: Program, a: Analysis) -> dict[str, Initial]:
    """Initial objects: of the program, ones, and of weights."""
    where = a.training.network.span
    ones = {
        name: Initial(name, Kind.SCALAR, (), axes, build.spread(build.constant(1), scalar(axes)),
                      None, "-> 1", where)
        for axes, name in a.ones.used.items()
    }  # fmt: skip
    return {**program.initial, **ones, **a.objects}


def _functions(program: Program, names: ExpansionNames) -> dict[str, UserFunction]:
    """The functions of the file, and the inverse of norms."""
    name = names.fresh("inverse", "inverted")
    z = Node(Op.SLOT, (), ("formal", "z"), scalar())
    where = Span(program.source, 0, 0)
    return {
        **program.functions,
        name: UserFunction(name, (("z", None),), inverse_or_zero(z), where),
    }


def _families(body: Iterable[Item]) -> dict[str, Family]:
    found: dict[str, Family] = {}
    for _, rule in rules_of(tuple(body)):
        family = Family(rule.name, len(rule.indices), rule.value.type, rule.span)
        found.setdefault(rule.name, family)
    return found


def _updates(
    program: Program, training: Training, names: ExpansionNames, squares: Mapping[str, str]
) -> dict[str, UpdateRule]:
    """The update functions of the file, those of the registry that the training uses, and those
    with squared values."""
    found = {name: rule for name, rule in program.updates.items() if not _of_registry(rule)}
    for rule in {use.rule.name: use.rule for use in training.optimizers}.values():
        own = names.update(rule.name)
        found[own] = replace(rule, name=own)
        if rule.name in squares:
            found[squares[rule.name]] = _squared(rule, squares[rule.name])
    return found


def _squared(rule: UpdateRule, name: str) -> UpdateRule:
    """An update function whose value is squared."""
    two = build.constant(2)
    return replace(rule, name=name, result=build.call("pow", rule.result, two))


# ---- comments ------------------------------------------------------------------------------------


def _notes(program: Program, found: Program, a: Analysis, start: str) -> dict[str, Note]:
    """The comments beside declarations, and those of the expansion."""
    other = {OUTPUTS, RETURN, TRAIN}
    if program.training is not None:
        other |= {program.training.network.name, *program.training.network.weights}
    notes = {n: Note((), x.beside) for n, x in program.notes.items() if x.beside and n not in other}
    ones = list(a.ones.used.values())
    notes |= {name: Note((), "# repeats over these axes") for name in ones[-1:]}
    added = found.functions.keys() - program.functions.keys()
    notes |= {name: Note((), "# 0 at 0") for name in added}
    weights = [name for name in a.objects if name not in program.initial]
    notes |= {name: Note((f"# {start}",)) for name in weights[:1]}
    return notes


def _headed(
    notes: dict[str, Note], found: Program, training: Training, regime: str
) -> dict[str, Note]:
    """Comments with the heading above what is declared first."""
    maximal = regime == "maximal"
    limit, where = ("maximal update", "Thm 2.9.30") if maximal else ("neural tangent", "Thm 2.9.23")
    title = found.source.title
    heading = (
        f"# The core program of {title}: the training of '{training.network.name}' in the",
        f"# {limit} limit (arXiv 2308.01814, {where}).",
        "",
    )
    first = next(_declared(found))
    return {**notes, first: Note(heading, notes.get(first, NO_NOTE).beside)}


def _declared(program: Program) -> Iterator[str]:
    for names in (program.params, program.dims, program.data, program.updates, program.initial):
        yield from names
