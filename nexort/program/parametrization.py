"""abcd-parametrizations by name, for any architecture (Def 2.2.1, 2.9.7, 2.9.11, 2.9.12).

A weight's part tells its exponents: matrices, vectors and scalars; SP and UP_s also tell the
readout, a vector that stands in the network's output itself. The readout's a_{L+1} of the paper's
tables for perceptrons is a_out plus its own a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Literal

from nexort.program.build import is_number
from nexort.program.declarations import Block, Rule
from nexort.program.linearity import Linearity, linearity
from nexort.program.network import Exponents, Network
from nexort.program.nodes import Node, Op, walk

Part = Literal["matrix", "vector", "scalar", "readout"]
HALF = Fraction(1, 2)


def exact_exponents(
    a: Fraction | int, b: Fraction | int, c: Fraction | int, d: Fraction | int
) -> Exponents:
    """(a, b, c, d) as exact rationals."""
    return Exponents(Fraction(a), Fraction(b), Fraction(c), Fraction(d))


_NONE = exact_exponents(0, 0, 0, 0)

Table = tuple[dict[Part, Exponents], Fraction]
"""Exponents by part, and a_out."""


def _mup() -> Table:
    """Maximal update (Def 2.9.12)."""
    vector = exact_exponents(0, 0, 0, 1)
    matrix = exact_exponents(0, HALF, 1, 1)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, Fraction(1)


def _ntp() -> Table:
    """Neural tangent (Def 2.9.11)."""
    vector = exact_exponents(0, 0, HALF, HALF)
    matrix = exact_exponents(HALF, 0, 1, 1)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, HALF


def _sp() -> Table:
    """Standard (Ex 2.2.2)."""
    hidden = exact_exponents(0, HALF, 0, 0)
    return {"matrix": hidden, "vector": _NONE, "readout": hidden, "scalar": _NONE}, Fraction(0)


def uniform(s: Fraction) -> Table:
    """UP_s (Rem 2.8.25): r_l = s for l <= L, r_{L+1} = 0, a_{L+1} + b_{L+1} = 1 - s. UP_0 is the
    maximal update parametrization, UP_1/2 the neural tangent one up to Prop 2.2.3."""
    vector = exact_exponents(0, 0, s, 1 - s)
    matrix = exact_exponents(0, HALF, 1 + s, 1 - s)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, 1 - s


NAMED: dict[str, Callable[[], Table]] = {"mup": _mup, "ntp": _ntp, "sp": _sp}


Terms = frozenset[frozenset[str]]
"""The terms of a sum of products, by the vector weights that are their factors."""

_OTHER: Terms = frozenset((frozenset(),))
_LINEAR = ("add", "sub", "neg", "mul")
_MOST_TERMS = 1024


def readouts(network: Network) -> frozenset[str]:
    """The vector weights that weigh what the output averages: f is linear in them. It is a sum of
    products over entries, whichever of its parts have names; of every product one factor is a
    readout, rather one of mean 0 than a gain, and rather one that no function reads."""
    order = list(network.weights)
    read = _read_by_functions(network)

    def rank(name: str) -> tuple[bool, bool, int]:
        return is_number(network.weights[name].mean, 0), name not in read, order.index(name)

    def likely(term: frozenset[str]) -> frozenset[str]:
        return frozenset(w for w in term if rank(w)[0]) or term

    chosen: set[str] = set()
    terms = [t for t in _terms(network) if t]
    for term in sorted(terms, key=lambda t: (len(likely(t)), sorted(map(order.index, t)))):
        if not term & chosen:
            chosen.add(max(likely(term), key=rank))
    return frozenset(chosen)


def _read_by_functions(network: Network) -> set[str]:
    """The weights in arguments of functions that are no sums and products, and in denominators."""
    rules: dict[str, list[Node]] = {}
    for rule in _rules(network.body):
        rules.setdefault(rule.name, []).append(rule.value)
    roots = [*(x for values in rules.values() for x in values), network.output]
    calls = [x for x in walk(roots) if x.op is Op.CALL and x.attr not in _LINEAR]
    waiting = [a for x in calls for a in (x.args[1:] if x.attr == "div" else x.args)]
    found: set[str] = set()
    while waiting:
        nodes = walk(waiting)
        found.update(str(x.attr[0]) for x in nodes if x.op is Op.INIT_VECTOR)
        names = {str(x.attr[0]) for x in nodes if x.op is Op.REF}
        waiting = [x for name in names for x in rules.pop(name, ())]
    return found


def _terms(network: Network) -> Terms:
    """Of the output; those of families are the smallest solution of their rules."""
    rules = list(_rules(network.body))
    known: dict[str, Terms] = {rule.name: frozenset() for rule in rules}
    while True:
        found = dict(known)
        for rule in rules:
            found[rule.name] |= _read(rule.value, network, known)
        if found == known:
            return _read(network.output, network, known)
        known = found


def _read(root: Node, network: Network, known: Mapping[str, Terms]) -> Terms:
    """Of a graph's value, the terms of families being known."""
    found: dict[Node, Terms] = {}
    for x in walk([root]):
        args = [found[a] for a in x.args]
        match x.op, linearity(x):
            case Op.INIT_VECTOR, _ if x.attr[0] in network.weights:
                found[x] = frozenset((frozenset((str(x.attr[0]),)),))
            case Op.REF, _:
                found[x] = known.get(str(x.attr[0]), _OTHER)
            case _, Linearity.SUM:
                found[x] = frozenset().union(*args)
            case _, Linearity.PRODUCT | Linearity.QUOTIENT:
                found[x] = _products(*args)
            case _:
                found[x] = _OTHER
    return found[root]


def _products(left: Terms, right: Terms) -> Terms:
    if len(left) * len(right) > _MOST_TERMS:
        return frozenset((frozenset().union(*left, *right),))
    return frozenset(p | q for p in left for q in right)


def _rules(body: tuple[Rule | Block, ...]) -> Iterator[Rule]:
    for x in body:
        if isinstance(x, Block):
            yield from _rules(x.body)
        else:
            yield x


def part(network: Network, name: str) -> Part:
    """Which part of a parametrization a weight is."""
    if name in readouts(network):
        return "readout"
    return network.weights[name].kind
