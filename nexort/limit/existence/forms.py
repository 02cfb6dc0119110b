"""Polynomials of several variables in a graph, their linear and their quadratic parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from nexort.activations import Array
from nexort.gaussian.precise import Undefined, precise_function, precise_number
from nexort.limit.existence.zeros import natural
from nexort.program import build
from nexort.program.differentiate import substitute
from nexort.program.nodes import Node, Op, rewrite, walk

Polynomial = dict[tuple[int, ...], float]
"""Monomials, the indices of their variables in order, to coefficients."""

MOST_TERMS = 400


@dataclass(frozen=True)
class Quadratic:
    """x^T A x + b^T x + c."""

    square: Array
    linear: Array
    constant: float

    @cached_property
    def rank(self) -> int:
        """Of A."""
        return int(np.linalg.matrix_rank(self.square, tol=1e-9)) if self.square.any() else 0

    @cached_property
    def sign(self) -> int:
        """1 where A is positive semidefinite, -1 where -A is, else 0."""
        sizes = np.linalg.eigvalsh(self.square)
        scale = np.abs(sizes).max(initial=0.0) * 1e-9
        return 1 if sizes.min() >= -scale else -1 if sizes.max() <= scale else 0


def polynomials(root: Node, leaves: Sequence[Node]) -> dict[Node, Polynomial]:
    """The subgraphs that are polynomials of the leaves."""
    found: dict[Node, Polynomial] = {leaf: {(k,): 1.0} for k, leaf in enumerate(leaves)}
    for x in walk([root]):
        if x in found:
            continue
        if x.op is Op.CONST:
            found[x] = {(): float(x.attr)}
        elif x.op is Op.CALL and all(a in found for a in x.args):
            known = _combined(x, [found[a] for a in x.args])
            if known is not None and len(known) <= MOST_TERMS:
                found[x] = known
    return found


def without_vanishing(node: Node, leaves: Sequence[Node]) -> Node:
    """The graph with numbers in place of polynomials that are constant, as x - x is."""
    known = polynomials(node, leaves)
    fixed = {
        x: build.constant(p.get((), 0.0))
        for x, p in known.items()
        if x.op is not Op.CONST and not any(p)
    }
    return substitute(node, fixed) if fixed else node


def _combined(x: Node, args: list[Polynomial]) -> Polynomial | None:
    name = str(x.attr)
    if all(set(a) <= {()} for a in args):
        return _constant(x, args)
    a, b = args[0], args[-1]
    match name:
        case "neg":
            return _sum({}, a, -1.0)
        case "add" | "sub":
            return _sum(a, b, 1.0 if name == "add" else -1.0)
        case "mul":
            return _product(a, b)
        case "square":
            return _product(a, a)
        case "div" if set(b) == {()} and b[()]:
            return {m: c / b[()] for m, c in a.items()}
        case "pow" if natural(x.args[1]) and x.args[1].attr <= 8:
            result: Polynomial = {(): 1.0}
            for _ in range(int(x.args[1].attr)):
                result = _product(result, a)
            return result
    return None


def _constant(x: Node, args: Sequence[Polynomial]) -> Polynomial | None:
    """A function of numbers."""
    numbers = [precise_number(p.get((), 0.0)) for p in args]
    try:
        return {(): float(precise_function(str(x.attr))(*numbers))}
    except (Undefined, OverflowError):
        return None


def _sum(a: Polynomial, b: Polynomial, factor: float) -> Polynomial:
    found = dict(a)
    for m, c in b.items():
        found[m] = found.get(m, 0.0) + factor * c
    return {m: c for m, c in found.items() if c}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for m, c in a.items():
        for n, d in b.items():
            key = tuple(sorted((*m, *n)))
            found[key] = found.get(key, 0.0) + c * d
    return {m: c for m, c in found.items() if c}


def polynomial_degree(p: Polynomial) -> int:
    """Of a polynomial; 0 of a number."""
    return max((len(m) for m in p), default=0)


def quadratic(p: Polynomial, count: int) -> Quadratic | None:
    """A polynomial of degree up to 2 of so many variables, else None."""
    if polynomial_degree(p) > 2:
        return None
    square, linear = np.zeros((count, count)), np.zeros(count)
    for m, c in p.items():
        if len(m) == 2:
            square[m[0], m[1]] += c / 2
            square[m[1], m[0]] += c / 2
        elif m:
            linear[m[0]] = c
    return Quadratic(square, linear, p.get((), 0.0))


def collect_bases(parts: list[tuple[Node, float]]) -> list[tuple[Node, float]]:
    """Equal bases once."""
    found: dict[Node, float] = {}
    for base, exponent in parts:
        found[base] = found.get(base, 0.0) + exponent
    return [(b, e) for b, e in found.items() if e]


def factors(node: Node) -> list[tuple[Node, float]] | None:
    """Bases and exponents whose product is the graph up to sign; None with a factor 0."""
    match node.op, node.attr:
        case Op.CALL, "mul":
            parts = [factors(a) for a in node.args]
            return None if None in parts else [x for p in parts for x in p or ()]
        case Op.CALL, "div":
            first, second = factors(node.args[0]), factors(node.args[1])
            if first is None or second is None:
                return None
            return [*first, *((b, -e) for b, e in second)]
        case Op.CALL, "neg" | "abs":
            return factors(node.args[0])
        case Op.CALL, "square" | "sqrt":
            own = factors(node.args[0])
            scale = 2.0 if node.attr == "square" else 0.5
            return None if own is None else [(b, e * scale) for b, e in own]
        case Op.CALL, "pow" if node.args[1].op is Op.CONST and node.args[1].attr != 0:
            own = factors(node.args[0])
            scale = float(node.args[1].attr)
            return None if own is None else [(b, e * scale) for b, e in own]
        case Op.CONST, _:
            return [] if node.attr else None
    return [(node, 1.0)]


def plain_exponents(node: Node) -> Node:
    """The graph with numbers for exponents."""

    def rule(x: Node) -> Node:
        if x.op is not Op.CALL or x.attr != "pow" or x.args[1].op is Op.CONST:
            return x
        if any(y.op not in (Op.CONST, Op.CALL) for y in walk([x.args[1]])):
            return x
        known = polynomials(x.args[1], ()).get(x.args[1])
        return x if known is None else build.call("pow", x.args[0], _literal(known[()]))

    return rewrite([node], rule)[node]


def _literal(c: float) -> Node:
    return build.constant(int(c) if c == int(c) else c)


def graph_power(base: Node, exponent: float) -> Node:
    """|base|^exponent, or base^exponent for an integer."""
    if exponent == 1:
        return base
    whole = exponent == int(exponent)
    return build.call("pow", base if whole else build.call("abs", base), _literal(exponent))


def graph_product(parts: list[tuple[Node, float]]) -> Node:
    """The product of powers."""
    graphs = [graph_power(b, e) for b, e in parts]
    return reduce(lambda a, b: build.call("mul", a, b), graphs)
