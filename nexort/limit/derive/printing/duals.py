"""Dual activations of a page: ``V_f(p, c, q) = E f(y) f(z)`` for centred Gaussians y, z of
variances p, q and covariance c, and ``M_f(p) = E f(y)``; each is defined once on the page,
with its closed form where one is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import NamedTuple

from nexort.limit.derive import graphs
from nexort.limit.derive.closed import C, Closed, P, Q, closed_mean, closed_pair
from nexort.limit.derive.families import BIVARIATE
from nexort.limit.derive.formula import Apply, Formula, GaussianMean, GaussianPair, Symbol
from nexort.limit.derive.printing import names, text_boxes
from nexort.limit.derive.printing.boxes import (
    COMMA,
    COMMA_TIGHT,
    TIMES,
    Box,
    Glyph,
    Macro,
    Script,
    box_row,
    brackets,
    parens,
    same,
    separate_boxes,
)
from nexort.limit.derive.printing.kets import tight
from nexort.limit.derive.printing.names import escape_latex, spare
from nexort.limit.derive.printing.notation import MEAN, Notation
from nexort.limit.derive.printing.statements import Paragraph, Statement, Words
from nexort.program.nodes import Node, Op, walk


class Formals(NamedTuple):
    """What the definitions call covariances and variables."""

    p: str
    c: str
    q: str
    y: str
    z: str

    @staticmethod
    def without(taken: Set[str]) -> Formals:
        """p, c, q and y, z, or other letters for those that are taken."""
        found: list[str] = []
        for letters in ("psu", "crk", "qtw", "yvo", "zxh"):
            found.append(next(spare(letters, taken | {*found})))
        return Formals(*found)


def _head(letters: str, taken: Set[str]) -> str:
    """The first letter with which no name with a subscript begins."""
    return next(spare(letters, {x[0] for x in taken if re.match(r"[a-zA-Z](_|\d)", x)}))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a dual activation is: its functions, without the covariances it is taken at."""

    left: Node
    right: Node | None
    """None for the mean of one function."""


class Duals:
    """Names dual activations in order of appearance."""

    def __init__(self, taken: Set[str] = frozenset()) -> None:
        """``taken`` are the names of numbers on the page."""
        self.mean, self.pair, self.function = (_head(x, taken) for x in ("MEL", "VUK", "fgh"))
        self.shapes: dict[Shape, Box] = {}
        self.functions: dict[Node, Box] = {}
        self.numbered: list[Node] = []

    def box(self, notation: Notation, formula: GaussianPair | GaussianMean) -> Box:
        """``V_f(k_aa, k_ab, k_bb)``."""
        if isinstance(formula, GaussianMean):
            return box_row(
                self._named(Shape(formula.function, None)), parens(notation.box(formula.variance))
            )
        args = (formula.left_variance, formula.covariance, formula.right_variance)
        listed = separate_boxes([notation.box(a) for a in args], COMMA)
        return box_row(self._named(Shape(formula.left, formula.right)), parens(listed))

    def _named(self, shape: Shape) -> Box:
        if shape not in self.shapes:
            letter = same(self.mean if shape.right is None else self.pair)
            below = self._function(shape.left)
            if shape.right is not None and shape.right is not shape.left:
                below = separate_boxes([below, self._function(shape.right)], tight(COMMA_TIGHT))
            self.shapes[shape] = Script(letter, below, None)
        return self.shapes[shape]

    def _function(self, graph: Node) -> Box:
        """The function's own name, ``f'`` for the derivative of one, or a numbered name."""
        if graph not in self.functions:
            self.functions[graph] = self._new(graph)
        return self.functions[graph]

    def _new(self, graph: Node) -> Box:
        if graph.op is Op.SLOT:
            return Glyph("id", r"\mathrm{id}")
        if graph.op is Op.CALL and len(graph.args) == 1 and graph.args[0].op is Op.SLOT:
            return names.word(str(graph.attr))
        self.numbered.append(graph)
        number = same(str(len(self.numbered)))
        return Script(same(self.function), number, None)

    def items(self) -> Iterator[Statement | Paragraph]:
        """The definitions."""
        plain = Notation()
        if not self.shapes:
            return
        own = Formals.without(self._params())
        if any(k.has_bivariate for k in self._known()):
            yield Paragraph(_of_bivariate(plain))
        yield Paragraph(self._words(own))
        for graph in self.numbered:
            left = box_row(self.functions[graph], parens(same(own.z)))
            yield Statement(left, (plain.box(graphs.at(graph, Symbol(own.z))),))
        for shape, letter in self.shapes.items():
            yield _definition(plain, shape, letter, own)

    def _params(self) -> set[str]:
        """The params that functions have."""
        graphs_ = [g for s in self.shapes for g in (s.left, s.right) if g is not None]
        return {str(x.attr) for x in walk(graphs_) if x.op is Op.PARAM}

    def _words(self, own: Formals) -> tuple[Words, ...]:
        p, c, q, y, z = (same(x) for x in own)
        shown = same(f"[[{own.p}, {own.c}], [{own.c}, {own.q}]]")
        matrix = Macro("covariance", (p, c, q), shown)
        pair = box_row(parens(separate_boxes([y, z], COMMA)), _LAW, parens(_normal(matrix)))
        single = box_row(y, _LAW, parens(_normal(p)))
        some: list[Words] = ["For "]
        if any(s.right is not None for s in self.shapes):
            some.append(pair)
        if any(s.right is None for s in self.shapes):
            some += [" and ", single] if len(some) > 1 else [single]
        zero = ", where 0/0 is 0" if any(k.divides for k in self._known()) else ""
        return (*some, f"{zero}:")

    def _known(self) -> list[Closed]:
        """The closed forms."""
        found = [closed_mean(s.left) if s.right is None else closed_pair(s.left, s.right)
                 for s in self.shapes]  # fmt: skip
        return [x for x in found if x is not None]


def dual_title(formula: GaussianPair | GaussianMean) -> str:
    """A plain name of the dual activation: ``V_relu``, ``V_tanh_id``, ``M_erf``."""
    mean = isinstance(formula, GaussianMean)
    graphs_ = (
        [formula.function] if isinstance(formula, GaussianMean) else [formula.left, formula.right]
    )
    shown = [_title(g) for g in graphs_]
    return "_".join(["M" if mean else "V", *dict.fromkeys(shown)])


def _title(graph: Node) -> str:
    if graph.op is Op.SLOT:
        return "id"
    if graph.op is Op.CALL and len(graph.args) == 1 and graph.args[0].op is Op.SLOT:
        return str(graph.attr)
    plain = text_boxes.text_inline(Notation().box(graphs.at(graph, Symbol("z"))))
    return f"[{plain}]"


def _of_bivariate(plain: Notation) -> tuple[Words, ...]:
    """What the distribution function is."""
    shown = plain.box(Apply(BIVARIATE, tuple(map(Symbol, "xyr"))))
    u, v, x, y, r = (same(letter) for letter in "uvxyr")
    first, second = (box_row(a, Glyph(" < ", " < "), b) for a, b in ((u, x), (v, y)))
    return (
        "For standard Gaussians ", u, ", ", v, " of correlation ", r, ", ", shown,
        " is the probability of ", first, " and ", second, ".",
    )  # fmt: skip


_LAW = Glyph(" ~ N", r" \sim \mathcal{N}")


def _normal(covariance: Box) -> Box:
    return separate_boxes([same("0"), covariance], COMMA)


def _definition(plain: Notation, shape: Shape, letter: Box, own: Formals) -> Statement:
    f: Formula = graphs.at(shape.left, Symbol(own.y))
    if shape.right is None:
        left, body = box_row(letter, parens(same(own.p))), plain.box(f)
        known = closed_mean(shape.left)
    else:
        arguments = separate_boxes([same(x) for x in own[:3]], COMMA)
        left = box_row(letter, parens(arguments))
        factors = [plain.box(x, 2) for x in (f, graphs.at(shape.right, Symbol(own.z)))]
        body = separate_boxes(factors, TIMES)
        known = closed_pair(shape.left, shape.right)
    rights: list[Box] = [box_row(MEAN, brackets(body))]
    if known is not None:
        symbols = zip((P, C, Q), map(Symbol, own[:3]), strict=True)
        places: dict[Formula, Formula] = dict(symbols)
        rights.append(plain.box(known.at(places)))
    tail = None if known is None else Glyph(known.source, rf"\text{{{escape_latex(known.source)}}}")
    return Statement(left, tuple(rights), tail)
