"""Whether the expectation of a product of powers, exponentials and the like exists.

Near 0 a product of powers |l_i|^{s_i} of linear forms, or q_i^{s_i/2} of positive semidefinite
quadratic forms, is integrable exactly where for every subspace V that is a sum of their spans the
exponents of those inside of V sum up to more than -dim V. exp(z^T A z) is integrable where
1 - 2 A Cov z is positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from mpmath import mp, mpf

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.precise import Undefined, logarithm
from nexort.limit.existence.forms import collect_bases, factors, graph_power, polynomials, quadratic
from nexort.limit.existence.line import exists_on_line, profile, rates_at_ends
from nexort.limit.existence.ranges import VARIABLE, bounds
from nexort.limit.existence.rays import along_lines
from nexort.limit.existence.variables import VariableSpace, linear_forms, linear_part, one_direction
from nexort.limit.existence.verdict import EXISTS, UNKNOWN, Existence, Known, diverges
from nexort.program import build
from nexort.program.nodes import Node, Op

LITTLE = 1e-3
LOCI = 8
"""Singular subspaces whose sums are looked at."""


@dataclass(frozen=True)
class _Part:
    """A factor: a graph, its directions (rows over the independent coordinates), and where it is
    a function of one linear form, that with its variance, the form and its profile."""

    node: Node
    base: Node
    exponent: float
    spread: Array
    line: tuple[Node, float] | None = None


def product_exists(node: Node, space: VariableSpace, *, lines: bool = True) -> Existence:
    """Whether the expectation of a product exists; without ``lines`` a divergence may be missed."""
    parts = _parts(node, space)
    if parts is None:
        return UNKNOWN
    verdicts = [_component(c, space, lines) for c in _components(parts)]
    if all(v.known is Known.EXISTS for v in verdicts):
        return EXISTS
    bad = next((v for v in verdicts if v.known is Known.DIVERGES), None)
    return UNKNOWN if bad is None else bad


def _parts(node: Node, space: VariableSpace) -> list[_Part] | None:
    """The factors, those of one direction joined; None where one is 0."""
    found = factors(node)
    if found is None:
        return None
    parts: list[_Part] = []
    for base, exponent in collect_bases(found):
        forms = linear_forms(base, space)
        rows = [linear_part(p, space) @ space.root for _, p in forms]
        spread = np.array([r for r in rows if np.linalg.norm(r) > 0]).reshape(
            -1, space.root.shape[1]
        )
        graph = graph_power(base, exponent)
        part = _Part(graph, base, exponent, spread)
        for k, other in enumerate(parts):
            joined = build.call("mul", other.node, graph)
            if one_direction(joined, space) is not None:
                parts[k] = replace(other, node=joined, base=joined, exponent=1.0)
                break
        else:
            parts.append(part)
    return [replace(p, line=one_direction(p.node, space)) for p in parts]


def _components(parts: list[_Part]) -> list[list[_Part]]:
    """Independent groups."""
    groups: list[list[_Part]] = []
    for part in parts:
        near = [g for g in groups if any(_are_linked(part, p) for p in g)]
        groups = [g for g in groups if g not in near]
        groups.append([part, *(p for g in near for p in g)])
    return groups


def _are_linked(a: _Part, b: _Part) -> bool:
    if not len(a.spread) or not len(b.spread):
        return False
    sizes = np.outer(np.linalg.norm(a.spread, axis=1), np.linalg.norm(b.spread, axis=1))
    return bool((np.abs(a.spread @ b.spread.T) > 1e-12 * sizes).any())


def _component(parts: list[_Part], space: VariableSpace, lines: bool) -> Existence:
    """Whether the expectation of a product that does not factor exists."""
    if len(parts) == 1 and parts[0].line is not None:
        return exists_on_line(*parts[0].line)
    whole = parts[0].node
    for p in parts[1:]:
        whole = build.call("mul", whole, p.node)
    known = [_shape(p, space) for p in parts]
    if any(k is not None and k.growth.any() for k in known):  # what falls may outweigh it
        known = [_shape(p, space, falls=True) for p in parts]
    sure = [k for k in known if k is not None]
    found = UNKNOWN
    if len(sure) == len(parts):
        growth = sum((k.growth for k in sure), np.zeros((space.root.shape[1],) * 2))
        even = all(k.even for k in sure)
        pure = all(k.growth.any() and not k.loci for k in sure)
        found = _growth(growth, even, pure)
        if found is EXISTS:
            found = _flats([x for k in sure for x in k.loci], whole, space)
    if found is UNKNOWN and lines:
        return along_lines(whole, space) or UNKNOWN
    return found


def _growth(form: Array, even: bool, pure: bool) -> Existence:
    """Of exp(g^T A g), g independent standard normal, times what grows less, or of a bound on it;
    ``pure`` without anything else."""
    least = 1 - 2 * float(np.linalg.eigvalsh(form).max(initial=0.0)) if form.size else 1.0
    if least > 1e-9:
        return EXISTS
    if even and (least < -1e-9 or (pure and abs(least) < 1e-12)):
        return diverges("it grows like the exponential of a quadratic form that the Gaussian "
                        "density does not outweigh")  # fmt: skip
    return UNKNOWN


@dataclass(frozen=True)
class _Locus:
    """The affine subspace rows g = place, near which f ~ distance^order."""

    rows: Array
    place: Array
    order: float


@dataclass(frozen=True)
class _Shape:
    """Where a factor is singular, and A of its growth like exp(g^T A g), or of a bound on it;
    ``even`` that it grows so in every direction."""

    loci: list[_Locus]
    growth: Array
    even: bool = True


def _shape(part: _Part, space: VariableSpace, *, falls: bool = False) -> _Shape | None:
    return _of_many(part, space) if part.line is None else _of_line(part, space, falls=falls)


def _of_line(part: _Part, space: VariableSpace, *, falls: bool = False) -> _Shape | None:
    """The singular hyperplanes and the growth of a function of one linear form; with ``falls`` that
    of what falls like exp(-a z^2) is negative, not 0 as a bound."""
    assert part.line is not None
    graph, variance = part.line
    if variance == 0:
        return _Shape([], np.zeros((space.root.shape[1],) * 2))
    found = profile(graph, variance)
    least, rate = sorted(found.rates)
    if not found.exact or rate == math.inf or (found.verdict is UNKNOWN and rate <= 0):
        return None
    if falls and rate <= 0:
        beyond = max((abs(z) for z, _ in found.points), default=0.0)
        least, rate = sorted(min(x, 0.0) for x in rates_at_ends(graph, variance, beyond))
    # 0 on one side, as relu is, or the same on both; of what falls faster 0 is a bound
    even = least > rate - 1e-6 or (rate == 0 and least == -math.inf)
    rate = 0.0 if rate == -math.inf else rate
    way = part.spread[int(np.linalg.norm(part.spread, axis=1).argmax())]
    unit = (way / np.linalg.norm(way))[None, :]
    sign = _orientation(part, space, unit[0])
    scale = math.sqrt(variance)
    loci = [_Locus(unit * sign, np.array([z / scale]), order)
            for z, order in found.points if math.isfinite(order)]  # fmt: skip
    return _Shape(loci, rate * variance * unit.T @ unit, even)


def _orientation(part: _Part, space: VariableSpace, unit: Array) -> float:
    """The sign of the form that the line's variable stands for along a direction."""
    forms = linear_forms(part.node, space)
    vectors = [linear_part(p, space) for _, p in forms]
    first = int(np.argmax([np.linalg.norm(v @ space.root) for v in vectors]))
    v = vectors[first] / np.abs(vectors[first]).max()
    v = v * np.sign(v[np.flatnonzero(v)[0]])
    return float(np.sign(v @ space.root @ unit))


def _of_many(part: _Part, space: VariableSpace) -> _Shape | None:
    """The same of a function of several linear forms."""
    nothing = np.zeros((space.root.shape[1],) * 2)
    known = polynomials(part.base, space.leaves)
    count = len(space.leaves)
    if part.base.op is Op.CALL and part.base.attr == "exp" and part.base.args[0] in known:
        form = quadratic(known[part.base.args[0]], count)
        if form is not None:
            return _Shape([], part.exponent * space.root.T @ form.square @ space.root)
    own = bounds(part.base, dict.fromkeys(space.leaves, VARIABLE), almost=True)
    up, down = (own.up, own.down) if part.exponent > 0 else (own.down, own.up)
    if up < (1, 2.0):
        return _Shape([], nothing, even=down < (1, 2.0))
    if part.exponent > 0 and part.base.op is Op.CALL:
        if part.base.attr == "log":
            return _of_powers(part.base.args[0], space, -LITTLE, even=True)
        if activations.registry()[str(part.base.attr)].at_most_linear:
            return _of_powers(part.base.args[0], space, part.exponent)
    if part.base not in known:
        return None
    form = quadratic(known[part.base], count)
    if form is None or part.exponent > 0:
        return None
    square = space.root.T @ form.square @ space.root
    sizes, vectors = np.linalg.eigh(square)
    scale = np.abs(sizes).max()
    kept = np.abs(sizes) > 1e-9 * scale
    if not (sizes > -1e-9 * scale).all() and not (sizes < 1e-9 * scale).all():
        return None
    rows = vectors[:, kept].T
    linear = rows @ (space.root.T @ form.linear)
    place = -linear / (2 * sizes[kept])
    rest = space.root.T @ form.linear - rows.T @ linear
    least = form.constant - float((linear**2 / (4 * sizes[kept])).sum())
    if np.abs(rest).max() > 1e-12 * scale or abs(least) > 1e-12 * max(scale, abs(form.constant)):
        return None
    return _Shape([_Locus(rows, place, 2 * part.exponent)], nothing)


def _of_powers(
    argument: Node, space: VariableSpace, exponent: float, *, even: bool = False
) -> _Shape | None:
    """Of |u|^exponent, a bound on |f(u)|, for a product u of powers. |log u| is less than a
    multiple of u^e + u^-e for every e > 0: with ``even`` all factors have this exponent."""
    parts = _parts(argument, space)
    if parts is None:
        return None
    loci: list[_Locus] = []
    growth = np.zeros((space.root.shape[1],) * 2)
    for p in parts:
        power = exponent if even else exponent * p.exponent
        own = (
            p if p.line is None else replace(p, line=(graph_power(p.line[0], exponent), p.line[1]))
        )
        own = replace(own, exponent=power)
        known = _of_many(own, space) if p.line is None else _of_line(own, space)
        if known is None or (even and known.growth.any()):
            return None
        loci += known.loci
        growth = growth + known.growth
    return _Shape(loci, growth, even=False)


def _flats(loci: Sequence[_Locus], whole: Node, space: VariableSpace) -> Existence:
    """Whether f is integrable near the subspaces and where they meet: its order there is measured,
    as numerators may be 0 there too."""
    some = [x for x in loci if x.order < 0]
    if len(some) > LOCI:
        return UNKNOWN
    verdict = EXISTS
    for count in range(1, len(some) + 1):
        for chosen in combinations(some, count):
            rows = np.vstack([x.rows for x in chosen])
            place = np.concatenate([x.place for x in chosen])
            dimension = _rank(rows)
            if _rank(np.column_stack([rows, place])) > dimension:
                continue
            total = sum(x.order for x in some if _contains(rows, place, x, dimension))
            if total > -dimension + 1e-9:
                continue
            order = _order(whole, space, rows, place)
            if order is not None and abs(order - total) < 0.01:
                order = total
            if order is not None and order <= -dimension + 1e-9:
                return diverges(
                    f"it grows like the power {order:.6g} of the distance from a subspace of "
                    f"codimension {dimension}, and only powers above -{dimension} are integrable"
                )
            if order is None or order < -dimension + 0.01:
                verdict = UNKNOWN
    return verdict


def _order(whole: Node, space: VariableSpace, rows: Array, place: Array) -> float | None:
    """The order of f at a random point of an affine subspace, along a random line; None where it
    is no power."""
    rng = np.random.default_rng(17)
    count = space.root.shape[1]
    start = rng.standard_normal(count)
    start += np.linalg.lstsq(rows, place - rows @ start, rcond=None)[0]
    way = rng.standard_normal(count)
    logs = []
    with mp.workdps(60):
        for step in (1e-3, 1e-5, 1e-7):
            z = space.root @ (start + step * way)
            try:
                found = logarithm(whole, {x: mpf(v) for x, v in zip(space.leaves, z, strict=True)})
            except Undefined:
                return None
            if found is None or mp.isinf(found):
                return None
            logs.append(float(found))
    slopes = [(b - a) / math.log(1e-2) for a, b in pairwise(logs)]
    return slopes[1] if abs(slopes[0] - slopes[1]) < 0.02 else None


def _rank(rows: Array) -> int:
    return int(np.linalg.matrix_rank(rows, tol=1e-8))


def _contains(rows: Array, place: Array, x: _Locus, dimension: int) -> bool:
    wider = np.vstack([rows, x.rows])
    values = np.concatenate([place, x.place])
    return _rank(wider) == dimension and _rank(np.column_stack([wider, values])) == dimension
