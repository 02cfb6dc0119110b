"""By what updates are divided: norms of updates and of weights (2.10.2, Def 2.10.7).

nu_t = |X| = sqrt(E X^2), X the update Q_t as a random variable, summed over the axes of a weight:
of a matrix the entry Q_t(sum_i chi_i |dh_i> |x_i>^(1), ...). Clipping makes it
max(1, nu_t / theta), the paper's min(nu_t, theta); of the weight itself it is sqrt(<w_t|w_t>), for
a matrix what decay keeps of its deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from nexort.limit.derive.algebra import (
    HALF,
    MINUS_ONE,
    applied,
    axis_sum,
    mul,
    power,
    reindexed,
    unbound,
)
from nexort.limit.derive.formula import ONE, Expectation, Formula, Ket, Number, Symbol
from nexort.limit.derive.training.backward import Gradient
from nexort.limit.derive.training.common import ZERO_STEP, Run
from nexort.limit.derive.training.network import deviation
from nexort.limit.derive.training.timed import entries
from nexort.limit.derive.walking import is_random
from nexort.program.index import Affine
from nexort.program.network import STEP_VARIABLE

At = Callable[[Formula, Affine], Formula]
TWO = Number(Fraction(2))


def normalized(run: Run) -> Iterator[Gradient]:
    """The weights whose updates are divided by a norm."""
    for name in run.training.network.weights:
        for gradient in run.gradients(name):
            if run.move(gradient).norm is not None and run.is_active(gradient):
                yield gradient


def norm(run: Run, gradient: Gradient, t: Affine, at: At) -> Formula:
    """nu_t, an expectation that no rule has seen; ``at`` places kets at a step."""
    move = run.move(gradient)
    found = move.norm
    assert found is not None
    kind = run.training.network.weights[gradient.name].kind
    if found.kind == "weights" and kind == "matrix":
        declared = run.training.network.weights[gradient.name]
        return mul(run.kept(gradient, ZERO_STEP, t), deviation(declared))
    names = {x.label: run.names.fresh() for x in gradient.labels}
    env = {v: Affine.variable(n) for v, n in names.items()}
    if found.kind == "weights":
        axes = tuple(env[x.label] for x in gradient.labels)
        member = Ket if kind == "vector" else Symbol
        value = at(member(gradient.name, gradient.indices, axes), t)
    else:
        past = run.names.fresh("r")
        r = Affine.variable(past)
        own = unbound(reindexed(gradient.value, env), run.names)
        joined = run.weighted(at(own, r), r)
        value = move.applied(past, t, entries(joined, False) if kind == "matrix" else joined)
    square = power(value, TWO)
    body: Formula = Expectation(square) if is_random(square) else square
    for x in reversed(gradient.labels):
        body = axis_sum(names[x.label], x.axis, body)
    size = power(body, HALF)
    if found.threshold is None:
        return size
    threshold = reindexed(run.threshold(gradient), {STEP_VARIABLE: t})
    if found.kind == "clip":
        return applied("max", (ONE, mul(size, power(threshold, MINUS_ONE))))
    return applied("min", (size, threshold))
