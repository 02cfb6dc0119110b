"""Which dots can arise, and what vanishes by symmetry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import nexort
from nexort.limit.dots import sources_of_dots
from nexort.limit.symmetry import vanishing
from nexort.program.nodes import Node, Op


def roots(text: str, **data: object) -> list[Node]:
    program = nexort.loads(text).unrolled(data)
    return [m for output in program.outputs for m in output.members]


def dots(text: str, **data: object) -> Mapping[Node, tuple[Node, ...]]:
    return sources_of_dots(roots(text, **data))


NETWORK = """
data xi[2, 2] = [[1, 0.5], [0, 1]]
vector u[2] ~ N(0, 1)
matrix W[2..3] ~ N(0, 1/n)
vector v ~ N(0, 1)
|h[1]> = |u> @ xi
for l in 2..3 { |h[l]> = W[l] relu(|h[l-1]>) }
|g[3]> = BACK * relu'(|h[3]>)
for l in 3..2 { |g[l-1]> = relu'(|h[l-1]>) * (W[l]^T |g[l]>) }
output <g[1]|g[1]>
"""


def test_backpropagation_at_initialization_has_no_dot() -> None:
    found = dots(NETWORK.replace("BACK", "|v>"))
    assert len(found) == 4
    assert not any(found.values())


def test_a_readout_of_nonzero_mean_has_dots() -> None:
    found = dots(NETWORK.replace("BACK", "(|v> + 1)"))
    assert sum(bool(sources) for sources in found.values()) == 2


def test_transpose_after_the_matrix_has_a_dot() -> None:
    found = dots("matrix W ~ N(0, 1/n)\nvector v ~ N(0, 1)\n|x> = W^T W |v>\noutput <v|x>")
    assert [len(sources) for sources in found.values()] == [0, 1]


def test_other_matrices_bring_none() -> None:
    found = dots("matrix A, B ~ N(0, 1/n)\nvector v ~ N(0, 1)\n|x> = A^T B |v>\noutput <x|x>")
    assert not any(found.values())


def test_scalars_cut_the_dependence() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector v, w ~ N(0, 1)
    |x> = W |v>
    |y> = W^T (<x|x> * |w>)
    output <y|y>
    """
    assert not any(dots(text).values())


def test_copies_cut_the_dependence() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector v, w ~ N(0, 1)
    |x> = W |v>
    |y> = W^T E{1}[exp(sin(|w> + |x>{1}))]
    output <y|y>
    """
    assert not any(dots(text).values())


def test_odd_brakets_vanish() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector u, v ~ N(0, 1)
    |x> = tanh(W |v>)
    |y> = relu(|u>) + |v>^2
    output <x|y>, <u|v>, <1|x>, <x|x>, <u|y>
    """
    zero = vanishing(roots(text))
    assert len(zero) == 3
    assert all(node.op in (Op.INNER, Op.AVERAGE) for node in zero)


def test_what_vanishes_is_zero_at_finite_width() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector u, v ~ N(0, 1)
    S = W + W^T
    |x> = tanh(S |v>)
    |y> = sin(S |x>) * cos(|u>)
    |z> = E{1}[sin(|x> + |y>{1})]
    output <x|y> as a, <x|v> as b, <z|y> as c, <x|x> as d, <z|x> as e
    """
    program = nexort.loads(text)
    limit = program.limit()
    runs = program.runs(256, 40, data={})
    for name in "abc":
        assert limit[name] == 0 or limit[name].error > 0
        error = runs[name].std(ddof=1) / np.sqrt(40)
        assert abs(runs[name].mean() - limit[name]) < 5 * np.hypot(error, limit[name].error)
    assert limit["d"] > 0.1
