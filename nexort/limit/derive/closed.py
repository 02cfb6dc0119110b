"""Dual activations in closed form, as formulas: what a derivation prints and emitted code runs.

For centred Gaussians y, z with variances p, q and covariance c: ``pair(f, g)`` is E f(y) g(z) and
``mean(f)`` is E f(y), in the symbols p, c, q. Functions are graphs over SLOT ('z',).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nexort.activations import expectations
from nexort.gaussian import catalogue, pairs, pieces
from nexort.gaussian.pieces import Pieces
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.limit.derive import families, graphs
from nexort.limit.derive import pieces as halves
from nexort.limit.derive.algebra import rebuilt
from nexort.limit.derive.arithmetic import HALF, mul, number, power
from nexort.limit.derive.families import BIVARIATE, PI, C, P, Q
from nexort.limit.derive.formula import ONE, ZERO, Apply, Formula
from nexort.limit.derive.walking import walk_formula
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.nodes import walk as nodes_of
from nexort.program.partials import fill_expression
from nexort.program.types import scalar

__all__ = ["C", "Closed", "P", "Q", "closed_mean", "closed_pair"]

TINY = 1e-200
"""Beside 0: no function of the registry changes between."""

SLOTS = {name: Node(Op.SLOT, (), (name,), scalar()) for name in ("p", "c", "q", "y", "pi")}


@dataclass(frozen=True, slots=True)
class Closed:
    """A formula in p, c, q (p alone for a mean), and where it is from."""

    formula: Formula
    source: str

    def at(self, values: Mapping[Formula, Formula]) -> Formula:
        """The formula at other formulas for p, c and q."""
        return _placed(self.formula, values)

    @property
    def has_bivariate(self) -> bool:
        """Whether it has the bivariate normal distribution function."""
        return any(
            isinstance(x, Apply) and x.function == BIVARIATE for x in walk_formula(self.formula)
        )

    @property
    def divides(self) -> bool:
        """Whether it divides by variances: where one is 0, so is c, and the quotient is 0."""
        return any(families.divides(x) for x in walk_formula(self.formula))


def _placed(formula: Formula, values: Mapping[Formula, Formula]) -> Formula:
    return values[formula] if formula in values else rebuilt(formula, lambda f: _placed(f, values))


@lru_cache(1024)
def closed_pair(f: Node, g: Node) -> Closed | None:
    """E f(y) g(z), or None where it has no closed form."""
    (a, first), (b, second) = _scaled(f), _scaled(g)
    found = _pair(first, second)
    return None if found is None else Closed(mul(a, b, found.formula), found.source)


@lru_cache(1024)
def closed_mean(f: Node) -> Closed | None:
    """E f(y), or None where it has no closed form."""
    factor, bare = _scaled(f)
    found = _mean(bare)
    return None if found is None else Closed(mul(factor, found.formula), found.source)


def _scaled(f: Node) -> tuple[Formula, Node]:
    """Factors that are numbers or params, and the rest."""
    if f.op is Op.CALL and f.attr in ("mul", "neg", "div"):
        if f.attr == "neg":
            factor, rest = _scaled(f.args[0])
            return mul(number(-1), factor), rest
        constant = [SLOT not in nodes_of([a]) for a in f.args]
        if any(constant) and not all(constant) and (constant[1] or f.attr == "mul"):
            own, other = f.args if constant[1] else reversed(f.args)
            factor, rest = _scaled(own)
            known = graphs.at(other, ZERO)
            return mul(factor, known if f.attr == "mul" else families.reciprocal(known)), rest
    return ONE, f


def _pair(f: Node, g: Node) -> Closed | None:
    if f is g and (listed := _listed(f)) is not None:
        return listed
    if _has_params(f, g):
        return None
    left, right = Univariate(f), Univariate(g)
    if pairs.pair_evaluator(left, right) is not None:
        return _of_atoms(left, right)
    first, second = _pieces(left), _pieces(right)
    if first is None or second is None:
        return None
    citation = catalogue.ROSENBAUM if left.kinks or right.kinks else catalogue.INTEGRAL
    formula = halves.pieces_pair(first, second)
    return None if formula is None else Closed(formula, catalogue.short(citation))


def _pieces(f: Univariate) -> Pieces | None:
    """A function's pieces; None for products of signs with a value of their own at 0, the only one
    at a variance of 0, between two sides that agree. (Products of steps are terms of a sum, of
    which the other terms have the rest of the value.)"""
    found = pieces.pieces(f)
    if found is None or not any(x.op is Op.CALL and x.attr == "sign" for x in nodes_of([f.node])):
        return found
    left, right, there = f(np.array([-TINY, TINY, 0.0]))
    return None if abs(left - right) < 1e-12 < abs(there - left) else found


def _has_params(*graphs_: Node) -> bool:
    return any(x.op in (Op.PARAM, Op.SIZE) for x in nodes_of(graphs_))


def _of_atoms(left: Univariate, right: Univariate) -> Closed | None:
    source = _source(left, right)
    multiple = pairs.gelu_like(left, right)
    if multiple is not None:
        slope, factor, scale = multiple
        return Closed(_multiple(slope, factor, scale), source)
    terms = [normal_form(x.node) for x in (left, right)]
    if any(a.tilt < 0 for h in terms for a in h):
        return None  # the formula is a number also where there is no expectation
    return Closed(families.terms_expectation(*terms), source)


def _source(f: Univariate, g: Univariate) -> str:
    known = catalogue.closed_form(f, g)
    assert known is not None
    return catalogue.short(known[1])


def _listed(f: Node) -> Closed | None:
    """E f(y) f(z) as the registry writes it, f with a param or a number for its second argument."""
    known = expectations.known_expectations().get(str(f.attr)) if f.op is Op.CALL else None
    if known is None or not known.square or f.args[0] is not SLOT:
        return None
    slots = {"y": graphs.at(f.args[1], ZERO)} if len(f.args) > 1 else {}
    assert known.citation is not None
    return Closed(_written(known.square, slots), catalogue.short(known.citation))


def _multiple(slope: bool, factor: float, scale: float) -> Formula:
    """E f(y) f(z) of f(z) = factor h(scale z), h gelu or its derivative."""
    known = expectations.known_expectations()["gelu"]
    formula = _written(known.slope if slope else known.square, {})
    square = power(families.recognise_exact(scale), number(2))
    inner = _placed(formula, {v: mul(square, v) for v in (P, C, Q)}) if scale != 1 else formula
    return mul(power(families.recognise_exact(factor), number(2)), inner)


def _written(text: str, slots: Mapping[str, Formula]) -> Formula:
    """A formula of the registry."""
    known = {"p": P, "c": C, "q": Q, "pi": PI, **slots}
    return _roots(graphs.graph_formula(fill_expression(text, SLOTS), known))


def _roots(formula: Formula) -> Formula:
    """Square roots as powers."""
    match rebuilt(formula, _roots):
        case Apply("sqrt", (x,)):
            return power(x, HALF)
        case other:
            return other


def _mean(f: Node) -> Closed | None:
    if f.op is Op.CALL and f.attr == "pow" and build.is_number(f.args[1], 2):
        base = f.args[0]
        found = closed_pair(base, base)
        if found is not None and pairs_up(base):
            return Closed(found.at({C: P, Q: P}), found.source)
    if _has_params(f):
        return None
    whole, one = Univariate(f), Univariate(build.constant(1))
    if pairs.pair_evaluator(whole, one) is not None:
        return _of_atoms(whole, one)
    parts = _pieces(whole)
    return None if parts is None else Closed(halves.pieces_mean(parts), catalogue.INTEGRAL)


def pairs_up(f: Node) -> bool:
    """Whether f(z)^2 has no shorter closed form of its own."""
    if _has_params(f):
        return True
    square = Univariate(build.call("mul", f, f))
    shorter = pairs.pair_evaluator(square, Univariate(build.constant(1)))
    return shorter is None and _pieces(square) is None
