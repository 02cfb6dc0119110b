"""Exact Gaussian laws of images: where W is never applied to what its transpose has touched, the
kets |Wx> are jointly Gaussian with covariance <x|y> (Def 2.6.5), and the planner of exact limits
may know it. Sampled from it, an image has none of the errors of the sample of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.exact.solve import solve
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput

Direction = tuple[str, tuple[int, ...], bool]
"""A matrix, and whether it is transposed."""

BLOCKS = 64
"""Pairs of applications of one direction whose covariance is asked for, at the most."""
RTOL = 1e-6
CUTOFF = 1e-6
"""Eigenvalues below this part of the largest one are noise of quadrature."""


@dataclass(frozen=True)
class DirectionLaw:
    """|Wx> = sum_k coefficients[x][:, k] g_k of the applications of one direction, g_k ``rank``
    independent standard Gaussian kets."""

    rank: int
    coefficients: Mapping[Node, Array]


def exact_laws(
    step: Unrolled,
    order: Iterable[Node],
    dots: Mapping[Node, tuple[Node, ...]],
    memory: int,
) -> dict[Direction, DirectionLaw]:
    """The laws of all directions that have an exact one. Raises NexortError for what has no value,
    and where the covariances do not fit into the memory."""
    uses: dict[Direction, list[Node]] = {}
    for x in order:
        if x.op is Op.MATMUL:
            uses.setdefault(x.attr, []).append(x)
    touched = {(x.attr[0], x.attr[1]) for some in uses.values() for x in some if dots[x]}
    wanted = {
        way: [
            (a, b, build.inner(a.args[0], b.args[0]))
            for k, a in enumerate(some)
            for b in some[: k + 1]
        ]
        for way, some in uses.items()
        if way[:2] not in touched and len(some) * (len(some) + 1) <= 2 * BLOCKS
    }
    grams = list(dict.fromkeys(x for some in wanted.values() for _, _, x in some))
    outputs = tuple(
        UnrolledOutput(f"gram {k}", (x,), ((),), (), x.type.axes, None) for k, x in enumerate(grams)
    )
    found = solve(replace(step, outputs=outputs), RTOL, memory).outputs
    arrays = {x: found[f"gram {k}"].value for k, x in enumerate(grams) if f"gram {k}" in found}
    return {
        way: _law(step, uses[way], some, arrays)
        for way, some in wanted.items()
        if all(x in arrays for _, _, x in some)
    }


def _law(
    step: Unrolled,
    uses: list[Node],
    blocks: list[tuple[Node, Node, Node]],
    arrays: Mapping[Node, Array],
) -> DirectionLaw:
    sizes = {x: int(np.prod(step.shape(x.type.axes), dtype=int)) for x in uses}
    ends = np.cumsum([0, *sizes.values()])
    places = {x: slice(int(ends[k]), int(ends[k + 1])) for k, x in enumerate(uses)}
    whole = np.zeros((ends[-1], ends[-1]))
    for a, b, gram in blocks:
        block = arrays[gram].reshape(sizes[a], sizes[b])
        whole[places[a], places[b]] = block
        whole[places[b], places[a]] = block.T
    values, vectors = np.linalg.eigh(whole)
    values, vectors = values[::-1], vectors[:, ::-1]  # the largest first: Sobol's best coordinates
    kept = values > CUTOFF * max(values[0], 0.0)
    # a sign of its own for every eigenvector
    top = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[top, np.arange(len(values))])
    factor = (vectors * signs * np.sqrt(np.maximum(values, 0)))[:, kept]
    return DirectionLaw(int(kept.sum()), {x: np.ascontiguousarray(factor[places[x]]) for x in uses})
