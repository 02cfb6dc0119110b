"""The normal form of a function of z: a sum of numbers times atoms.

An atom is ``z^power exp(-tilt z^2 / 2 + slope z) edge wave other`` where the edge is erf(edge z)
(the sign of z for an infinite edge, absent for 0), the wave sin(frequency z) or cos(frequency z),
and ``other`` a function without any of these forms. Linear combinations, products, inner and outer
constants of relu, step, erf, gelu, sin, exp, polynomials, ... all reduce to it, so that their
Gaussian expectations follow from few formulas by bilinearity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from nexort import activations
from nexort.activations import expectations
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import ARGUMENTS, expression_graph

INFINITE = math.inf


@dataclass(frozen=True, slots=True)
class Atom:
    """One product; see the module."""

    power: int = 0
    tilt: float = 0.0
    slope: float = 0.0
    edge: float = 0.0
    wave: str = ""
    frequency: float = 0.0
    other: Node | None = None

    @property
    def kink(self) -> bool:
        """Whether this is z^k or z^k sign(z)."""
        return self.edges and self.tilt == 0 and self.edge in (0.0, INFINITE)

    @property
    def edges(self) -> bool:
        """Whether this is z^k exp(-tilt z^2 / 2) erf(edge z)."""
        return not (self.slope or self.wave or self.other)

    @property
    def waves(self) -> bool:
        """Whether this is 1, exp(slope z), sin(frequency z) or cos(frequency z) alone."""
        plain = not (self.power or self.tilt or self.edge or self.other)
        return plain and not (self.slope and self.wave)


ONE = Atom()
Terms = dict[Atom, float]


class Opaque(Exception):
    """No reduction to atoms."""


def constant_terms(value: float) -> Terms:
    return {ONE: value}


def _clean(terms: Terms) -> Terms:
    return {atom: c for atom, c in terms.items() if c != 0} or {ONE: 0.0}


def add_terms(f: Terms, g: Terms, factor: float = 1.0) -> Terms:
    """f + factor g."""
    total = dict(f)
    for atom, c in g.items():
        total[atom] = total.get(atom, 0.0) + factor * c
    return _clean(total)


def scale_terms(f: Terms, factor: float) -> Terms:
    """factor f."""
    return _clean({atom: factor * c for atom, c in f.items()})


def multiply(f: Terms, g: Terms) -> Terms:
    """f g. Raises Opaque."""
    total: Terms = {}
    for a, c in f.items():
        for b, d in g.items():
            total = add_terms(total, _product(a, b), c * d)
    if len(total) > 64:
        raise Opaque
    return total


def _product(a: Atom, b: Atom) -> Terms:
    if a.other or b.other:
        if ONE in (a, b):
            return {b if a == ONE else a: 1.0}
        raise Opaque
    edge = a.edge or b.edge
    if a.edge and b.edge:
        if a.edge != b.edge or a.edge != INFINITE:
            raise Opaque  # a product of two error functions is no atom
        edge = 0.0
    base = Atom(a.power + b.power, a.tilt + b.tilt, a.slope + b.slope, edge)
    if not (a.wave and b.wave):
        return {replace(base, wave=a.wave or b.wave, frequency=a.frequency or b.frequency): 1.0}
    if a.wave > b.wave:  # cos before sin
        a, b = b, a
    total: Terms = {}
    kind = "sin" if a.wave != b.wave else "cos"
    signs = (1.0, -1.0) if b.wave == "sin" and a.wave == "sin" else (1.0, 1.0)
    # cos x sin y = (sin(y - x) + sin(y + x)) / 2; sin x sin y and cos x cos y likewise
    for sign, frequency in ((signs[0], b.frequency - a.frequency),
                            (signs[1], b.frequency + a.frequency)):  # fmt: skip
        total = add_terms(total, _wave(base, kind, frequency), sign / 2)
    return total


def _wave(base: Atom, kind: str, frequency: float) -> Terms:
    if frequency == 0:
        return {base: 1.0 if kind == "cos" else 0.0}
    sign = -1.0 if kind == "sin" and frequency < 0 else 1.0
    return {replace(base, wave=kind, frequency=abs(frequency)): sign}


def terms_power(f: Terms, k: int) -> Terms:
    """f^k. Raises Opaque."""
    result = constant_terms(1.0)
    for _ in range(k):
        result = multiply(result, f)
    return result


def sides(f: Terms) -> tuple[dict[int, float], dict[int, float]] | None:
    """The polynomials (power -> coefficient) that f is for z > 0 and for z < 0, if it is."""
    positive: dict[int, float] = {}
    negative: dict[int, float] = {}
    for atom, c in f.items():
        if not atom.kink:
            return None
        positive[atom.power] = positive.get(atom.power, 0.0) + c
        negative[atom.power] = negative.get(atom.power, 0.0) + (-c if atom.edge else c)
    return (
        {k: c for k, c in positive.items() if c != 0},
        {k: c for k, c in negative.items() if c != 0},
    )


def sign(f: Terms) -> Terms:
    """sign(f) for an f with one sign on each side of 0. Raises Opaque."""
    if len(f) == 1:
        [(atom, c)] = f.items()
        if atom.edges and atom.tilt:
            return sign({replace(atom, tilt=0.0): c})
        if atom.edges and atom.edge not in (0, INFINITE):
            return sign({replace(atom, edge=INFINITE): c})
    polynomials = sides(f)
    if polynomials is None:
        raise Opaque
    signs = []
    for polynomial, mirror in zip(polynomials, (1, -1), strict=True):
        values = {math.copysign(1, c * mirror**k) for k, c in polynomial.items()}
        if len(values) > 1:
            raise Opaque
        signs.append(values.pop() if values else 0.0)
    mean, jump = (signs[0] + signs[1]) / 2, (signs[0] - signs[1]) / 2
    return _clean({ONE: mean, Atom(edge=INFINITE): jump})


def absolute(f: Terms) -> Terms:
    """|f| = f sign(f)."""
    return multiply(f, sign(f))


def linear(f: Terms) -> float | None:
    """c of f = c z, else None."""
    if list(f) == [Atom(1)]:
        return f[Atom(1)]
    return f[ONE] * 0 if f == {ONE: 0.0} else None


def _affine(f: Terms) -> tuple[float, float]:
    if not set(f) <= {ONE, Atom(1)}:
        raise Opaque
    return f.get(ONE, 0.0), f.get(Atom(1), 0.0)


def exponential(f: Terms) -> Terms:
    """exp of a quadratic polynomial."""
    if not set(f) <= {ONE, Atom(1), Atom(2)}:
        raise Opaque
    atom = Atom(tilt=-2 * f.get(Atom(2), 0.0), slope=f.get(Atom(1), 0.0))
    return {atom: math.exp(f.get(ONE, 0.0))}


def _trigonometric(kind: str) -> Callable[[Terms], Terms]:
    def apply(f: Terms) -> Terms:
        phase, frequency = _affine(f)
        if frequency == 0:
            return constant_terms(getattr(math, kind)(phase))
        c, s = math.cos(phase), math.sin(phase)
        same, other = ("sin", "cos") if kind == "sin" else ("cos", "sin")
        first = scale_terms(_wave(ONE, same, frequency), c)
        return add_terms(first, _wave(ONE, other, frequency), s if kind == "sin" else -s)

    return apply


def error_function(f: Terms) -> Terms:
    """erf(c z)."""
    c = linear(f)
    if c is None or c == 0:
        raise Opaque
    return {Atom(edge=abs(c)): math.copysign(1.0, c)}


def _divide(f: Terms, g: Terms) -> Terms:
    if list(g) != [ONE] or g[ONE] == 0:
        raise Opaque
    return scale_terms(f, 1 / g[ONE])


def _pow(f: Terms, g: Terms) -> Terms:
    k = g.get(ONE, 0.0)
    if list(g) != [ONE] or k != int(k) or not 0 <= k <= 16:
        raise Opaque
    return terms_power(f, int(k))


FAMILIES: dict[str, Callable[..., Terms]] = {
    "add": add_terms,
    "sub": lambda f, g: add_terms(f, g, -1.0),
    "neg": lambda f: scale_terms(f, -1.0),
    "mul": multiply,
    "div": _divide,
    "pow": _pow,
    "square": lambda f: multiply(f, f),
    "abs": absolute,
    "sign": sign,
    "exp": exponential,
    "sin": _trigonometric("sin"),
    "cos": _trigonometric("cos"),
    "erf": error_function,
}
"""How the functions that atoms are made of act on normal forms."""


@cache
def function_parts(name: str) -> Node | None:
    """A function as sums and products of others, over the slots x and y."""
    known = expectations.known_expectations().get(name)
    return expression_graph(known.parts, ARGUMENTS) if known is not None and known.parts else None


def apply_terms(name: str, args: Sequence[Terms]) -> Terms:
    """A function of normal forms. Raises Opaque."""
    known = constant_value(name, args)
    if known is not None:
        return known
    if name in FAMILIES:
        return FAMILIES[name](*args)
    graph = function_parts(name)
    if graph is None:
        raise Opaque
    found: dict[Node, Terms] = dict(zip(ARGUMENTS, args, strict=False))
    for x in walk([graph]):
        if x.op is Op.CONST:
            found[x] = constant_terms(float(x.attr))
        elif x not in found:
            found[x] = apply_terms(str(x.attr), [found[a] for a in x.args])
    return found[graph]


def constant_value(name: str, args: Sequence[Terms]) -> Terms | None:
    """A function of constants, None of others and where it is not finite."""
    if not all(list(a) == [ONE] for a in args):
        return None
    evaluate = activations.registry()[name].evaluate
    with np.errstate(all="ignore"):
        value = float(evaluate(*(a[ONE] for a in args)))
    return constant_terms(value) if math.isfinite(value) else None


@lru_cache(4096)
def _normal_form(node: Node) -> tuple[tuple[Atom, float], ...]:
    found: dict[Node, Terms] = {}
    for x in walk([node]):
        if x is SLOT:
            found[x] = {Atom(1): 1.0}
        elif x.op is Op.CONST:
            found[x] = constant_terms(float(x.attr))
        else:
            found[x] = _of_call(x, [found[a] for a in x.args])
    return tuple(found[node].items())


def _of_call(node: Node, args: Sequence[Terms]) -> Terms:
    try:
        terms = apply_terms(str(node.attr), args)
    except (Opaque, OverflowError):
        return {Atom(other=node): 1.0}
    finite = all(math.isfinite(c) for c in terms.values())
    return terms if finite else {Atom(other=node): 1.0}


def normal_form(node: Node) -> Terms:
    """The sum of atoms that a graph is; what has no reduction is an atom of its own."""
    return dict(_normal_form(node))


def terms_graph(terms: Terms) -> Node:
    """A graph of a normal form."""
    total: Node | None = None
    for atom, c in terms.items():
        part = _times(build.constant(c), atom_graph(atom))
        total = part if total is None else build.call("add", total, part)
    return build.constant(0.0) if total is None else total


def atom_graph(atom: Atom) -> Node:
    """A graph of one atom."""
    node: Node = build.constant(1)
    if atom.power:
        k = build.constant(atom.power)
        node = SLOT if atom.power == 1 else build.call("pow", SLOT, k)
    if atom.edge == INFINITE:
        node = _times(node, build.call("sign", SLOT))
    elif atom.edge:
        node = _times(node, build.call("erf", _times(build.constant(atom.edge), SLOT)))
    if atom.tilt or atom.slope:
        square = _times(build.constant(-atom.tilt / 2), build.call("square", SLOT))
        straight = _times(build.constant(atom.slope), SLOT)
        exponent = build.call("add", square, straight)
        if atom.tilt == 0 or atom.slope == 0:
            exponent = straight if atom.tilt == 0 else square
        node = _times(node, build.call("exp", exponent))
    if atom.wave:
        node = _times(node, build.call(atom.wave, _times(build.constant(atom.frequency), SLOT)))
    return node if atom.other is None else _times(node, atom.other)


def _times(a: Node, b: Node) -> Node:
    if build.is_number(a, 1):
        return b
    return a if build.is_number(b, 1) else build.call("mul", a, b)


__all__ = ["Atom", "Opaque", "Terms", "normal_form", "terms_graph"]
