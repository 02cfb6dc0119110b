"""E{1,..,r}[body] as sums over n: which factors of the body are averaged together.

At width n, y_alpha = n^-r sum over beta_1..beta_r of the body (OuterNonlin, Def 2.6.1). A product
is averaged as a product of independent averages where its factors share no beta:
E{1,2}[f(x_0, x_1) g(x_0, x_2)] = E{1}[f] E{2}[g], so that its cost is n^2 and not n^3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from nexort.finite.arrays import is_mixed
from nexort.program.nodes import Node, Op
from nexort.program.types import ROOT, Kind


@dataclass(frozen=True, slots=True)
class Component:
    """A product of factors to be averaged over its own copies.

    ``pairs`` depend on several copies, ``weights`` on one averaged copy each. ``copies`` are all
    of them; 0 among them means that the average is a ket. With neither, ``plain`` factors (ordinary
    kets and scalars) only multiply.
    """

    pairs: tuple[Node, ...]
    weights: tuple[Node, ...]
    plain: tuple[Node, ...]
    copies: tuple[int, ...]

    @property
    def averaged(self) -> tuple[int, ...]:
        """The copies that are summed, beta_1, beta_2, ..."""
        return tuple(k for k in self.copies if k)

    @property
    def factors(self) -> tuple[Node, ...]:
        """All factors."""
        return self.pairs + self.weights + self.plain


def components(mean: Node, uses: Counter[Node]) -> list[Component]:
    """The independent averages whose product is a MEAN node. ``uses`` counts the users of nodes:
    a product that others use too is computed anyway, and stays one factor."""
    groups: list[tuple[set[int], list[Node]]] = []
    for factor in _factors(mean.args[0], uses):
        averaged = _copies(factor) - ROOT
        together = [factor]
        rest = []
        for copies, members in groups:
            if copies & averaged or not (copies or averaged):
                averaged |= copies
                together = members + together
            else:
                rest.append((copies, members))
        groups = [*rest, (set(averaged), together)]
    return [_component(members) for _, members in groups]


def _component(members: Iterable[Node]) -> Component:
    members = tuple(members)
    copies = frozenset[int]().union(*(_copies(f) for f in members))
    pairs = tuple(f for f in members if is_mixed(f))
    weights = tuple(f for f in members if not is_mixed(f) and _copies(f) - ROOT)
    plain = tuple(f for f in members if not _copies(f) - ROOT)
    return Component(pairs, weights, plain, tuple(sorted(copies)))


def _copies(node: Node) -> frozenset[int]:
    return node.type.copies if node.type.kind is Kind.KET else frozenset()


def _factors(body: Node, uses: Counter[Node]) -> Iterator[Node]:
    """The factors of a product, in the order written."""
    stack = [(body, True)]
    while stack:
        node, own = stack.pop()
        if own and is_mixed(node) and node.op is Op.CALL and node.attr == "mul":
            stack.extend((a, uses[a] <= 1) for a in reversed(node.args))
        else:
            yield node


def mixed_nodes(roots: Iterable[Node], known: Collection[Node] = ()) -> set[Node]:
    """The functions of several copies that some nodes are made of, themselves included, down to
    those already known."""
    seen: set[Node] = set()
    stack = [node for node in roots if is_mixed(node) and node not in known]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(a for a in node.args if is_mixed(a) and a not in known)
    return seen
