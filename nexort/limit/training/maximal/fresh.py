"""Whether images |W_t x> have a Gaussian part that is independent of all the rest.

The hat of W_0|x> at step t is, given the hats of all |y> that W_0 has met before, Gaussian of the
variance <r|r>, r the residual of |x> after its projection on them: not 0 where |x> is no linear
combination of them. On samples of N points a residual that is 0 in the limit falls as 1/N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np

from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.limit.training.maximal.run import maximal_trajectory
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array, UnrolledOutput
from nexort.training.task import Task, moment

SIZES = (512, 2048)
RUNS = 8

LASTS = 0.6
"""Of the mean residual over the smaller samples what must be left of it over the larger; 1/4 would
be, were there none in the limit."""

LEAST = 1e-9
"""Residuals over <x|x> that are no roundings."""


def has_fresh_part(task: Task, images: Sequence[tuple[Node, int]]) -> bool:
    """Whether all of some applications of matrices, each at a step, are seen to have one."""
    return all(_is_fresh(task, x, t) for x, t in dict.fromkeys(images))


def _is_fresh(task: Task, image: Node, t: int) -> bool:
    ahead = [x for x in walk([task.out, image]) if x.op is Op.MATMUL and x.attr == image.attr]
    ends = [x for g in task.gradients.values() for pair in g.pairs for x in pair]
    ends += [g.ket for g in task.gradients.values() if g.ket is not None]
    if any(x.attr == image.attr and x not in ahead for x in walk(ends) if x.op is Op.MATMUL):
        return False  # met while gradients are taken
    before = [
        (x.args[0], s) for s in range(t + 1) for x in ahead if s < t or x.serial < image.serial
    ]
    before = list(dict.fromkeys(before))
    if (image.args[0], t) in before:
        before.remove((image.args[0], t))
    small, large = (_residuals(task, [*before, (image.args[0], t)], size) for size in SIZES)
    return bool((large > np.maximum(LEAST, LASTS * small)).all())


def _residuals(task: Task, kets: Sequence[tuple[Node, int]], size: int) -> Array:
    """Of every entry of the last multi-ket after its projection on the others, over its square: the
    mean over runs."""
    slots = [moment(f"argument {k}", (), t, x) for k, (x, t) in enumerate(kets)]
    pairs = list(combinations_with_replacement(range(len(kets)), 2))
    grams = [build.inner(slots[i], slots[j]) for i, j in pairs]
    outputs = tuple(
        UnrolledOutput(f"{i} {j}", (x,), ((),), (), x.type.axes, None)
        for (i, j), x in zip(pairs, grams, strict=True)
    )
    moments = dict(zip(slots, kets, strict=True))
    last = max(t for _, t in kets)
    plan = MaximalPlan.of(replace(task, steps=last, outputs=outputs, moments=moments))
    ranks = [int(np.prod(task.step.shape(x.type.axes), dtype=int)) for x, _ in kets]
    found = []
    for k in range(RUNS):
        run = maximal_trajectory(plan, size, np.random.SeedSequence([size, k]), "float64").outputs
        whole = [[_block(run, ranks, i, j) for j in range(len(kets))] for i in range(len(kets))]
        found.append(_schur(np.block(whole), ranks[-1]))
    return np.asarray(np.mean(found, axis=0))


def _block(run: object, ranks: Sequence[int], i: int, j: int) -> Array:
    assert isinstance(run, dict)
    if i > j:
        return _block(run, ranks, j, i).T
    return np.asarray(run[f"{i} {j}"]).reshape(ranks[i], ranks[j])


def _schur(gram: Array, count: int) -> Array:
    """The last ``count`` diagonal entries less what the others say of them, relatively; 0 where
    numbers are not finite."""
    if not np.isfinite(gram).all():
        return np.zeros(count)
    a, b, c = gram[:-count, :-count], gram[:-count, -count:], np.diagonal(gram)[-count:]
    rest = c - (b * (np.linalg.pinv(a, rcond=1e-12, hermitian=True) @ b)).sum(axis=0)
    return np.asarray(np.where(c > 0, rest / np.where(c > 0, c, 1.0), 0.0))
