"""Whether E f(z_1, ..., z_k) exists for jointly Gaussian variables.

What is bounded with all its powers exists; a function of one linear form is one of one variable; a
sum exists where its terms do, a product where those of independent factors do. A function that is
not integrable along a random line through one of its singular points is not integrable, as the
singular points form a surface there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nexort.activations import Array
from nexort.gaussian.variable import SLOT
from nexort.limit.existence import line
from nexort.limit.existence.forms import (
    collect_bases,
    factors,
    graph_product,
    plain_exponents,
    polynomials,
    without_vanishing,
)
from nexort.limit.existence.nearby import at_error_ends, is_uncertain
from nexort.limit.existence.products import product_exists
from nexort.limit.existence.ranges import BOUNDED, VARIABLE, NotShown, ValueRange, bounds
from nexort.limit.existence.rays import along_lines, undefined_at
from nexort.limit.existence.variables import VariableSpace, one_direction
from nexort.limit.existence.verdict import EXISTS, UNKNOWN, Existence, Known, undefined_expectation
from nexort.program import build
from nexort.program.differentiate import substitute
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import substitute_definitions

TERMS = 12
"""Of a sum that is taken apart."""

FAR = 1e3
"""A variable's size from which on growth alone is looked at."""

DEPTH = 8
"""Sums within one another."""

Covariances = Callable[[Sequence[Node]], Array | None]


def exists_in_space(
    node: Node, covariance: Covariances, ranges: Mapping[Node, ValueRange] | None = None
) -> Existence:
    """Whether E f exists for a graph over leaves (SLOT nodes).

    ``covariance`` gives that of Gaussian leaves, None where it is not known but has positive
    variances; ``ranges`` are of leaves of other laws, those that do not grow of unknown numbers.
    What is shown holds for all numbers in f up to their errors.
    """
    node = plain_exponents(substitute_definitions(node))
    if not all(math.isfinite(x.attr) for x in walk([node]) if x.op is Op.CONST):
        return undefined_expectation("a number beyond the range of floats", always=True)
    verdict = _of_one(node, covariance, ranges)
    if verdict.known is not Known.UNKNOWN and is_uncertain(node):
        others = (_of_one(at_error_ends(node, way), covariance, ranges) for way in (1, -1))
        return verdict if all(x.known is verdict.known for x in others) else UNKNOWN
    return verdict


def _of_one(
    node: Node, covariance: Covariances, ranges: Mapping[Node, ValueRange] | None = None
) -> Existence:
    leaves = [x for x in walk([node]) if x.op is Op.SLOT]
    known = {x: (ranges or {}).get(x, VARIABLE) for x in leaves}
    if not leaves:
        return line.exists_on_line(node, 0.0)
    if tame(node, known):
        return EXISTS
    others = [x for x in leaves if known[x] is not VARIABLE]
    if len(leaves) == 1 and known[leaves[0]].dense:
        return _of_dense(node, leaves[0], known[leaves[0]])
    if all(known[x].up == BOUNDED for x in others) and others:
        return _of_numbers(node, covariance, {x: known[x] for x in others})
    if others:
        return UNKNOWN
    found = covariance(leaves)
    if found is None:
        alone = len(leaves) == 1
        return line.exists_on_line(substitute(node, {leaves[0]: SLOT}), None) if alone else UNKNOWN
    if not np.isfinite(found).all():
        return UNKNOWN
    still = {x: build.constant(0) for x, v in zip(leaves, np.diag(found), strict=True) if v == 0}
    if still:
        return _of_one(plain_exponents(substitute(node, still)), covariance, ranges)
    return _judged(without_vanishing(node, leaves), VariableSpace.of(leaves, found))


def tame(node: Node, ranges: Mapping[Node, ValueRange]) -> bool:
    """Whether interval arithmetic shows that every power of f has an expectation."""
    leaves = {x: ranges.get(x, VARIABLE) for x in walk([node]) if x.op is Op.SLOT}
    try:
        return bounds(plain_exponents(substitute_definitions(node)), leaves).tame
    except NotShown:
        return False


def _of_dense(node: Node, leaf: Node, known: ValueRange) -> Existence:
    """Of one variable z = c + s g, g a Gaussian that does not depend on c: its density is bounded,
    and positive everywhere, so that singular points are integrable as they are for a Gaussian; what
    grows is where all powers exist."""
    verdict = line.exists_on_line(substitute(node, {leaf: SLOT}), None)
    if verdict.known is Known.EXISTS:
        ends = [
            replace(known, low=a, high=b, nonzero=True, down=BOUNDED)
            for a, b in ((FAR, math.inf), (-math.inf, -FAR))
        ]
        if not all(tame(node, {leaf: x}) for x in ends):
            return UNKNOWN
    return verdict


def _of_numbers(
    node: Node, covariance: Covariances, numbers: Mapping[Node, ValueRange]
) -> Existence:
    """Of a graph with numbers that are not known: a divergence for all values that are tried."""
    verdict = UNKNOWN
    for value in (0.737, 1.618, -0.737, -1.618):
        values = {x: value if value > r.low else -value for x, r in numbers.items()}
        tried = substitute(node, {x: build.constant(v) for x, v in values.items()})
        verdict = exists_in_space(tried, covariance)
        if verdict.known is not Known.DIVERGES:
            return UNKNOWN
    return verdict


def _judged(node: Node, space: VariableSpace) -> Existence:
    own = one_direction(node, space)
    if own is not None:
        return line.exists_on_line(*own)
    problem = undefined_at(node, space)
    if problem is not None:
        return undefined_expectation(problem)
    # poles of terms may cancel: factors as they are come first
    if product_exists(node, space, lines=False) is EXISTS or _is_dominated(node, space, DEPTH):
        return EXISTS
    terms = _terms(node)
    if len(terms) > 1:
        found = [_of_term(t, space) for t in terms]
        bad = [v for v in found if v.known is Known.DIVERGES]
        if len(bad) == 1 and all(v.known is Known.EXISTS for v in found if v is not bad[0]):
            return bad[0]
        return along_lines(node, space) or UNKNOWN
    return product_exists(node, space)


def _of_term(node: Node, space: VariableSpace) -> Existence:
    if _is_dominated(node, space, DEPTH):
        return EXISTS
    own = one_direction(node, space)
    return product_exists(node, space) if own is None else line.exists_on_line(*own)


def _is_dominated(node: Node, space: VariableSpace, depth: int) -> bool:
    """Whether f exists because of a bound: |f| itself, with |a + b|^e <= C (|a|^e + |b|^e)."""
    if bounds(node, dict.fromkeys(space.leaves, VARIABLE), almost=True).tame:
        return True
    own = one_direction(node, space)
    if own is not None:
        return line.exists_on_line(*own) is EXISTS
    parts = factors(node)
    if parts is None:
        return False
    parts = collect_bases(parts)
    known = polynomials(node, space.leaves)
    for k, (base, exponent) in enumerate(parts):
        if exponent < 0 or base in known or base.op is not Op.CALL or depth == 0:
            continue
        if base.attr in ("add", "sub"):
            rest = [*parts[:k], *parts[k + 1 :]]
            sums = [graph_product([(a, exponent), *rest]) for a in base.args]
            return all(_is_dominated(x, space, depth - 1) for x in sums)
    return product_exists(node, space, lines=False) is EXISTS


def _terms(node: Node) -> list[Node]:
    """The terms of a sum, of a product with one, or of its quotient by a number of factors."""
    if node.op is not Op.CALL:
        return [node]
    if node.attr in ("add", "sub"):
        found = [t for a in node.args for t in _terms(a)]
    elif node.attr in ("mul", "div"):
        left = _terms(node.args[0])
        right = _terms(node.args[1]) if node.attr == "mul" else [node.args[1]]
        if len(left) * len(right) == 1:
            return [node]
        found = [build.call(str(node.attr), a, b) for a in left for b in right]
    elif node.attr == "neg":
        found = _terms(node.args[0])
    else:
        return [node]
    return found if len(found) <= TERMS else [node]
