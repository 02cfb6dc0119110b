"""Which limit a training has: the dynamical dichotomy (nexort.parametrization.theorem) for its
weights.

r = 0 is the maximal update limit, where the weights with r = 0 move; r > 0 is a neural tangent
limit, of the weights with the smallest r. A network without a readout has S = a_out. The theorem is
one of perceptrons: in other networks sizes are counted too (nexort.parametrization.judge), as
``nexort classify`` does, and both must find the same limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np

from nexort.data.given import Given, placeholders
from nexort.parametrization.judge import Judge, Judged
from nexort.parametrization.layers import HALF, Layer, Normalization, Table
from nexort.parametrization.orders import exact_order, round_order
from nexort.parametrization.task_graph import is_perceptron, network_graph
from nexort.parametrization.theorem import FAILURE, VERDICTS, Condition, Conditions
from nexort.program.declarations import UpdateRule
from nexort.program.network import Training
from nexort.program.parametrization import readouts
from nexort.program.program import Program
from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, fail
from nexort.training.prepare import prepare, restrict_moments
from nexort.training.task import Key, Task, Weight, weight_name
from nexort.training.update import Update

NORMALIZATIONS: Mapping[str, Normalization] = {
    "updates": "update",
    "weights": "weight",
    "clip": "clipping",
    "clip paper": "paper-clipping",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limit: its regime, which weights move in it, and whether f_0 vanishes."""

    regime: Literal["maximal", "tangent"]
    active: Mapping[Key, bool]
    vanishes: bool


def update_degree(update: Update) -> int | None:
    """The degree, 0 or 1, in which an update function is homogeneous; None if it is not."""
    return _degree(update.rule, tuple(sorted(update.hyperparameters.items())))


@lru_cache(256)
def _degree(rule: UpdateRule, hyperparameters: tuple[tuple[str, float], ...]) -> int | None:
    update = Update(rule, dict(hyperparameters))
    if update.coefficients(2) is not None:
        return 1
    draws = np.random.Generator(np.random.PCG64(0)).standard_normal((3, 8))
    # so small that any epsilon in use would be seen
    plain, tiny = _applied(update, draws), _applied(update, 1e-20 * draws)
    return 0 if np.allclose(plain, tiny, rtol=1e-12, atol=0.0) else None


def _applied(update: Update, gradients: Array) -> Array:
    states = update.start(gradients.shape[1:])
    with np.errstate(all="ignore"):
        return np.stack([np.array(update.step(t, g, states)) for t, g in enumerate(gradients)])


def layer(key: Key, weight: Weight, *, readout: bool) -> Layer:
    """A weight as the conditions see it."""
    normalization: Normalization = "none"
    if weight.norm is not None:
        normalization = NORMALIZATIONS[weight.norm.kind]
    part = "readout" if readout else weight.kind
    return Layer(weight_name(key), part, update_degree(weight.update), normalization)


def exponents_table(training: Training, weights: Mapping[Key, Weight]) -> Table:
    """The weights of a training as layers with exponents."""
    last = readouts(training.network)
    return Table(
        tuple(layer(key, w, readout=key[0] in last) for key, w in weights.items()),
        tuple(w.exponents for w in weights.values()),
        training.parametrization.out,
    )


def judge(training: Training, task: Task, whole: Table) -> Judge:
    """What counts the sizes of a training, whose table this is."""
    layers = dict(zip(task.weights, whole.layers, strict=True))
    return Judge(network_graph(task, training.network, layers))


def task_verdict(training: Training, task: Task) -> Verdict:
    """The limit of a task with all moments of step 0. Raises NexortError that names the condition
    which does not hold, or says that the limit of such a network is not known."""
    whole = exponents_table(training, task.weights)
    known = Conditions(whole.layers, whole.array, whole.out)
    unmet = failures(known.all())
    layers = dict(zip(task.weights, whole.layers, strict=True))
    if is_perceptron(task, layers):
        if unmet:
            raise _problem(training, task.weights, unmet)
        return _of(known, task.weights)
    counted = judge(training, task, whole)
    judged = counted.at(whole)
    asked = judged.asked()
    if failed := failures(asked):
        # where both find the same fault what the theorem says of exponents is more telling
        if (
            unmet
            and FAILURE[unmet[0].group] == FAILURE[failed[0].group]
            and _has_told_size(unmet[0], asked)
        ):
            raise _problem(training, task.weights, unmet)
        raise _outgrown(training, failed)
    if unmet:
        reason = f"sizes are bounded, but {_reason(unmet)}"
        raise _unknown(training, reason)
    found = _of(known, task.weights)
    alone = {
        key: counted.at(whole, frozenset([key]))
        for key in counted.graph.parameters
        if not found.active[key]
    }
    for reason in _otherwise(judged, known, found, alone, plain=task.start == "plain"):
        raise _unknown(training, reason)
    return found


def judge_task(training: Training, task: Task) -> Task:
    """A task with its limit, and those moments alone that its outputs read. Raises NexortError."""
    found = task_verdict(training, task)
    return replace(
        restrict_moments(task),
        weights={k: replace(w, active=found.active[k]) for k, w in task.weights.items()},
        regime=found.regime,
        vanishes=found.regime == "tangent" and found.vanishes,
    )


def in_limit(program: Program, given: Given) -> Task:
    """The program's training over given numbers and data, in the limit that it has.

    Raises NexortError as :func:`nexort.training.prepare.prepare`, and for a parametrization that is
    not stable, faithful and nontrivial.
    """
    assert program.training is not None
    return judge_task(program.training, prepare(program, given))


def refuse_limitless(program: Program, given: Given) -> None:
    """Raise NexortError where the program's training has no limit; values of data do not matter."""
    in_limit(program, placeholders(program, given))


def _has_told_size(unmet: Condition, asked: Sequence[Condition]) -> bool:
    """Whether gradients by the weight have the size that the theorem tells from its d."""
    if unmet.group != "faithful at initialization":
        return True
    sizes = [
        -exact_order(x.left[0]) for x in asked if (x.group, x.layer) == (unmet.group, unmet.layer)
    ]
    return sizes == [unmet.left[0] - unmet.right[0]]


def _otherwise(
    judged: Judged,
    known: Conditions,
    found: Verdict,
    alone: Mapping[Key, Judged],
    *,
    plain: bool,
) -> Iterator[str]:
    """Where the sizes that were counted are not those of the theorem's limit; ``alone`` has those
    where an inactive weight alone moves."""
    sizes = judged.sizes
    if found.regime == "tangent":
        for node, learned in judged.learned.items():
            if learned[0]:
                yield f"'{judged.graph.features[node]}' moves in it, but no r is 0"
        if plain and found.vanishes and round_order(sizes.output)[0] <= 0:
            yield "f has size 1 at the start, and not by its readout"
    for key, other in alone.items():
        moves = [other.counting.change[node].total for node in other.graph.features]
        if any(round_order(x)[0] <= 0 for x in [*moves, other.sizes.output_change[-1]]):
            yield f"'{weight_name(key)}' moves it, against its r"
    for k, layer in enumerate(known.layers):
        if layer.signs and layer.name in sizes.gradients:
            # the order of gradients without d, against the size they should have
            d = float(known.d[0, k] - known.faithful(k)[0])
            for x in sizes.gradients[layer.name]:
                if not np.isinf(x[0]) and round_order(x + d)[0] > 0:
                    yield f"'{layer.name}' is moved by the signs of gradients that vanish"
                    break


def by_theorem(training: Training, weights: Mapping[Key, Weight]) -> Verdict:
    """The limit by the theorem's conditions alone. Raises NexortError that names the condition
    which does not hold."""
    whole = exponents_table(training, weights)
    known = Conditions(whole.layers, whole.array, whole.out)
    if unmet := failures(known.all()):
        raise _problem(training, weights, unmet)
    return _of(known, weights)


def _of(known: Conditions, weights: Mapping[Key, Weight]) -> Verdict:
    """The theorem's limit where its conditions hold."""
    names = list(weights)
    least = None if known.least is None else known.least[0]
    total: Fraction = known.total[0]
    maximal = least == 0 or (least is None and total >= 1)
    active = {names[k]: bool(known.r[k][0] == 0) for k in known.heads}
    for k in known.body:
        seen = maximal or (least is not None and total + least == 1)
        active[names[k]] = bool(known.r[k][0] == least) and seen
    return Verdict("maximal" if maximal else "tangent", active, total > HALF)


def failures(conditions: Sequence[Condition]) -> list[Condition]:
    """The first condition on one table that does not hold, or, of those for being nontrivial, all
    where none does."""
    for x in conditions:
        if x.group != "nontrivial" and not x.holds[0]:
            return [x]
    nontrivial = [x for x in conditions if x.group == "nontrivial"]
    return [] if any(x.holds[0] for x in nontrivial) else nontrivial


def _problem(
    training: Training, weights: Mapping[Key, Weight], failed: Sequence[Condition]
) -> NexortError:
    return _bad(training, failed[0], _reason(failed, weights))


def _reason(failed: Sequence[Condition], weights: Mapping[Key, Weight] | None = None) -> str:
    """With the ``weights``, also which gradients their update functions see."""
    first = failed[0]
    if first.group != "nontrivial":
        return f"for '{first.layer}', {_text(first, weights)}"
    text = f"for '{first.layer}', nothing moves the output in the limit: "
    return text + " and ".join(f"{x.formula} = {x.left[0]}, not {x.right[0]}" for x in failed)


def _outgrown(training: Training, failed: Sequence[Condition]) -> NexortError:
    """Of counted sizes, whose orders are powers of 1/n."""
    first = failed[0]
    if first.group == "nontrivial":
        return _bad(training, first, "nothing moves the output in the limit")
    wanted = {"=": "1", ">=": "1 or less", "<=": "1 or more"}[first.relation]
    text = f"the {first.formula} is {_power(-exact_order(first.left[0]))}, expected {wanted}"
    return _bad(training, first, text)


def _power(exponent: Fraction) -> str:
    return "n" if exponent == 1 else f"n^({exponent})"


def _bad(training: Training, failed: Condition, text: str) -> NexortError:
    table = training.parametrization
    code = VERDICTS[FAILURE[failed.group]]
    message = f"the parametrization '{table.name}' is {code}: {text}"
    return fail(code, message, table.span, help=_hint(training, "classify FILE shows a repair"))


def _unknown(training: Training, reason: str) -> NexortError:
    """No condition on sizes fails, but the limit is none of the two."""
    table = training.parametrization
    message = f"the limit in the parametrization '{table.name}' is not known: {reason}"
    return fail("no-limit", message, table.span, help=_hint(training, "simulate FILE runs widths"))


def _hint(training: Training, command: str) -> str:
    other = "" if training.parametrization.name == "mup" else "parametrization mup; "
    return f"{other}nexort {command}"


def _text(x: Condition, weights: Mapping[Key, Weight] | None) -> str:
    left, right = x.left[0], x.right[0]
    match x.relation:
        case "=":
            text = f"{x.formula} = {left}, expected {right}"
        case ">=":
            text = f"{x.formula} = {left}, below {right}"
        case _:
            return f"{x.formula} = {left} is above c = {right}: updates outgrow the initial readout"
    if weights is not None and x.group == "faithful at initialization":
        update = next(w.update for key, w in weights.items() if weight_name(key) == x.layer)
        text += f": '{update.name}' sees gradients of size n^({left - right})"
    return text
