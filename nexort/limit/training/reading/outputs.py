"""Which outputs of a training exist, each as a function of what it reads.

In the neural tangent limit kets stay what they are at initialization, f_0 is Gaussian of the
covariance <x|x> of a ket, and f_t - f_0 a sum of kernels times error signals (Thm 2.9.19): where
these are affine in f, so is f_t in f_0. A number that depends on f_0 is the mean over f_0, and
judged as the expectation of a function of a ket W|x>.

In the maximal update limit |W_t x> = W_0|x> + (what training has added). Where |x> at step t is no
linear combination of what W_0 has met before, the hat of W_0|x> is independent of all the rest: a
Gaussian part. All else is of a law that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.existing import EXPECTED, FULL, examine, heavy, is_singular
from nexort.limit.existence.ranges import ValueRange
from nexort.limit.settings import Settings
from nexort.limit.training.reading.beginning import exists
from nexort.limit.training.reading.laws import Laws, law_mean, lift_scalars, program_of, with_span
from nexort.limit.training.reading.maximal import MaximalReading
from nexort.limit.training.reading.tangent import TangentReading
from nexort.limit.training.tangent.standard import is_drawn
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.support.diagnostics import NexortError, Span
from nexort.training.task import Task


@dataclass
class Reading:
    """Outputs that are not shown to exist, those that exist and have no finite variance shown, and
    values of those that draws of f_0 say little of."""

    unknown: set[str]
    heavy: set[str]
    values: dict[str, LimitValue]


def read_outputs(
    task: Task, places: Mapping[str, Span], settings: Settings | None = None
) -> Reading:
    """Of all outputs; ``places`` has the declarations of weights.

    Raises NexortError for what does not exist, with the reason.
    """
    shown = exists(task, places)
    settings = settings or Settings()
    laws: Laws = (
        TangentReading(task, settings) if task.regime == "tangent" else MaximalReading(task)
    )
    found = Reading(set(), set(), {})
    for output in task.outputs:
        if not _is_shown(task, laws, output, found) or not shown:
            found.unknown.add(output.name)
    return found


def _is_shown(task: Task, laws: Laws, output: UnrolledOutput, found: Reading) -> bool:
    """Whether an output is shown to exist; its value, where it is a singular function of f_0, is
    added to what is found, else what samples say of it. Raises NexortError."""
    inside = walk(output.members)
    if not any(map(_grows, inside)) and laws.polynomial():
        return True
    done = rewrite(output.members, lambda x: lift_scalars(laws.at(x) if x in task.moments else x))
    members = [done[m] for m in output.members]
    slots = [x for x in walk(members) if x in laws.known]
    spans = {**laws.spans(), **{done[x]: s for x, s in task.spans.items() if x in done}}
    if output.span is not None:
        spans = {**dict.fromkeys(members, output.span), **spans}
    program = program_of(task, laws, members, spans)
    try:
        unknown = examine(program, FULL, laws.known)
        known: Mapping[Node, ValueRange] = laws.known
        fresh = laws.dense(slots) if unknown else {}
        if fresh:
            unknown, known = _with_density(program, laws, fresh)
    except NexortError as problem:
        raise with_span(problem, output.span) from None
    if any(_reads_f(task, x) for x in inside if x.op in EXPECTED) and any(map(_grows, inside)):
        return False
    if unknown or not all(laws.known[x].tame for x in slots):
        return False
    value = laws.value(program, [law_mean(m) for m in members], output)
    if value is not None:
        found.values[output.name] = value
    elif heavy(program, laws=known):
        found.heavy.add(output.name)
    return True


def _with_density(
    program: Unrolled, laws: Laws, fresh: Mapping[Node, ValueRange]
) -> tuple[frozenset[Node], Mapping[Node, ValueRange]]:
    """As :func:`examine`, with slots that may be dense, where what that says needs them to be; and
    what is then known of slots."""
    problem, unknown = None, frozenset[Node]()
    known = {**laws.known, **fresh}
    try:
        unknown = examine(program, FULL, known)
    except NexortError as found:
        problem = found
    if (problem or not unknown) and laws.certain(fresh):
        if problem:
            raise problem
        return unknown, known
    return examine(program, FULL, laws.known), laws.known


def _grows(x: Node) -> bool:
    """A function that is not a polynomial, nor bounded by one."""
    if not is_singular(x) or not any(y.op is Op.SLOT for y in walk(x.args[1:] or x.args)):
        whole = x.op is Op.CALL and x.attr == "pow" and x.args[1].op is Op.CONST
        return whole and not (isinstance(x.args[1].attr, int) and x.args[1].attr >= 0)
    return True


def _reads_f(task: Task, node: Node) -> bool:
    """Whether an expectation is itself a function of a random f."""
    f = (x for x in walk([node]) if x in task.moments and task.moments[x][0] is task.out)
    return task.regime == "tangent" and is_drawn(task) and any(f)
