"""A declared training at given numbers: ``Training`` and an unroller to ``Task``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from nexort.data.given import Given, bind_given
from nexort.program.declarations import OutputRule
from nexort.program.laws import check_laws
from nexort.program.missing import Missing
from nexort.program.network import (
    OUTPUT,
    Network,
    Start,
    Training,
)
from nexort.program.nodes import STANDARD, Node, Op, rewrite, walk
from nexort.program.numbers import resolve
from nexort.program.outputs import unrolled_outputs
from nexort.program.program import Program
from nexort.program.types import Kind
from nexort.program.unroll import Unroller
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.program.verify import verify_unrolled
from nexort.support.diagnostics import Report, Span, fail
from nexort.training.backprop import gradients
from nexort.training.task import (
    Key,
    Task,
    moment,
    output_slot,
    seed_slot,
    weight_name,
)
from nexort.training.weights import TrainingNumbers, weight_member
from nexort.transform.operators import expand_operators


def prepare(program: Program, given: Given) -> Task:
    """The program's training over given numbers and data, of any parametrization: ``regime`` and
    ``active`` of the task say nothing, and its moments are all named kets and scalars at every
    step.

    Raises NexortError for missing or misshapen data, undefined members and hyperparameters out of
    range.
    """
    training = program.training
    assert training is not None
    params, data, sizes = bind_given(program, given)
    most = given.max_instructions
    report = Report()
    inside = Unroller(alone(program, training.network), params, sizes, report, most)
    out = _output(inside, training.network)
    whole = Unroller(program, params, sizes, report, most)
    numbers = TrainingNumbers(whole, data, _steps(whole, training))
    named = {key: node for key, node in inside.members.items() if node is not None}
    found = _run(whole, training, {**named, (training.network.name, ()): out}, numbers.steps)
    report.stop()
    laws = _laws(program, whole)
    graph = Unrolled((), data, sizes, laws, inside.spans)
    return _task(training, *_expanded(graph, out, found, most), numbers)


def restrict_moments(task: Task) -> Task:
    """A task with those moments alone that its outputs read."""
    nodes = walk([m for output in task.outputs for m in output.members])
    return replace(task, moments={x: task.moments[x] for x in nodes if x in task.moments})


def check_training(program: Program, given: Given) -> Unroller:
    """Unroll a training's network as far as sizes are known, and where all are, its outputs.

    Raises NexortError with every error found.
    """
    training = program.training
    assert training is not None
    report = Report()
    params, sizes = resolve(program, given.numbers, report)
    report.stop()
    most = given.max_instructions
    inside = Unroller(alone(program, training.network), params, sizes, report, most)
    if None in sizes.values():
        inside.run()
        report.stop()
    else:
        out = _output(inside, training.network)
        whole = Unroller(program, params, sizes, report, most)
        named = {key: node for key, node in inside.members.items() if node is not None}
        named[training.network.name, ()] = out
        steps = _steps(whole, training)
        _run(whole, training, named, steps)
        _signals(training, TrainingNumbers(whole, {}, min(steps, 1)))
    return inside


def alone(program: Program, network: Network) -> Program:
    """The network as a program of one step without outputs."""
    return replace(
        program,
        initial={**program.initial, **network.initial},
        families=network.families,
        body=network.body,
        outputs=(),
        training=None,
    )


def _output(unroller: Unroller, network: Network) -> Node:
    """Run the network's rules, and find its output. Raises NexortError."""
    unroller.run()
    unroller.report.stop()
    span = network.output_span
    unroller.rule = OutputRule(
        network.name, network.output, None, network.axes, span, network.output_refs
    )
    try:
        out = unroller.instance(network.output, unroller.base)
    except Missing:
        unroller.report.stop()
        raise fail("index-range", "the network's output is not defined", span) from None
    unroller.spans.setdefault(out, span)
    _all_used(unroller, network, out)
    return out


def _all_used(unroller: Unroller, network: Network, out: Node) -> None:
    """Every member of a family of weights must be read, if only by what the output does not read.
    Raises NexortError."""
    named = [x for x in unroller.members.values() if x is not None]
    leaves = STANDARD | {Op.MATMUL}
    used = {x.attr[:2] for x in walk([out, *named]) if x.op in leaves}
    for key in _keys(unroller, network):
        if key not in used:
            message = f"the weight '{weight_name(key)}' is never used"
            unroller.report.error(
                "unused-weight", message, network.weights[key[0]].span, help="a smaller range"
            )
    unroller.report.stop()


def _steps(unroller: Unroller, training: Training) -> int:
    where = training.spans["steps"]
    [steps] = unroller.integers((training.steps,), unroller.base, where)
    if steps < 0:
        message = f"the number of steps is {steps}, expected 0 or more"
        raise fail("bad-training", message, where)
    return steps


def _laws(program: Program, unroller: Unroller) -> dict[str, Node]:
    """The laws of matrices that are no weights."""
    laws = {
        i.name: unroller.instance(i.law, unroller.base)
        for i in program.initial.values()
        if i.law is not None
    }
    check_laws(program, laws, unroller.report)
    unroller.report.stop()
    return laws


def _keys(unroller: Unroller, network: Network) -> list[Key]:
    """Every member of every family of weights."""
    return [
        (name, key)
        for name, declared in network.weights.items()
        for key in product(*(r.values(unroller.base) for r in declared.ranges))
    ]


def _expanded(
    graph: Unrolled, out: Node, run: RunMoments, most: int
) -> tuple[Unrolled, RunMoments]:
    """The network's graph without operators, its only output ``out``, and the moments in it."""
    roots = (out, *dict.fromkeys(node for node, _ in run.moments.values()))
    several = UnrolledOutput("f", roots, tuple((k,) for k in range(len(roots))), (), (), None)
    expanded = expand_operators(replace(graph, outputs=(several,)), most)
    done = dict(zip(roots, expanded.outputs[0].members, strict=True))
    alone = UnrolledOutput("f", (done[out],), ((),), (), out.type.axes, None)
    step = replace(expanded, outputs=(alone,))
    verify_unrolled(step)
    return step, replace(run, moments={s: (done[x], t) for s, (x, t) in run.moments.items()})


# ---- the run's outputs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class RunMoments:
    """The outputs of a run over moments, and what each moment is, of all named values."""

    outputs: tuple[UnrolledOutput, ...]
    moments: Mapping[Node, tuple[Node, int]]
    spans: Mapping[Node, Span]
    """Where the outputs' nodes were first written."""


def _run(
    unroller: Unroller, training: Training, named: Mapping[Key, Node], steps: int
) -> RunMoments:
    """The program's outputs over the network's members. Raises NexortError."""
    moments: dict[Node, tuple[Node, int]] = {}
    weights = training.network.weights
    leaves = {
        x.attr: x
        for x in walk(named.values())
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and x.attr[0] in weights
    }
    unroller.count_in(training.spans["steps"], (steps + 1) * len({**leaves, **named}))
    for (name, key), node in {**leaves, **named}.items():
        if node.type.kind is Kind.OPERATOR:
            continue
        for t in range(steps + 1):
            slot = moment(name, key, t, node)
            moments[slot] = node, t
            unroller.members[name, (*key, t)] = slot
    unroller.run()
    outputs = tuple(unrolled_outputs(unroller))
    unroller.report.stop()
    return RunMoments(outputs, moments, unroller.spans)


# ---- the whole -----------------------------------------------------------------------------------


def _task(training: Training, step: Unrolled, run: RunMoments, numbers: TrainingNumbers) -> Task:
    """The run, once its graph stands, of no limit yet. Raises NexortError."""
    [out] = step.outputs[0].members
    axes = out.type.axes
    shapes = {
        x.attr: step.shape(x.type.axes)
        for x in walk([out, *(node for node, _ in run.moments.values())])
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR)
    }
    keys = _keys(numbers.unroller, training.network)
    weights = {key: weight_member(key, shapes.get(key, ()), training, numbers) for key in keys}
    errors, start = _signals(training, numbers)
    return Task(
        step=step,
        out=out,
        errors=errors,
        gradients=gradients(out, seed_slot(axes), list(weights), step.sizes),
        weights=weights,
        steps=numbers.steps,
        output_exponent=training.parametrization.out,
        start=start,
        outputs=run.outputs,
        moments=run.moments,
        regime="maximal",
        spans=run.spans,
        places=training.spans,
    )


def _signals(training: Training, numbers: TrainingNumbers) -> tuple[tuple[Node, ...], Start]:
    """The error signal at every step, and what the output is at the start. Raises NexortError."""
    start = training.start
    if not isinstance(start, str):
        start = numbers.graph(start, where=training.spans["start"])
    return tuple(_error(training, numbers, t) for t in range(numbers.steps)), start


def _error(training: Training, numbers: TrainingNumbers, t: int) -> Node:
    """The error signal at a step, f as the task's slot."""
    where = training.spans["error"]
    node = numbers.graph(training.error, t, where=where, refs=training.error_refs)
    slot = output_slot(training.network.axes)

    def place(x: Node) -> Node:
        return slot if x.op is Op.SLOT and x.attr == OUTPUT else x

    return rewrite([node], place)[node]
