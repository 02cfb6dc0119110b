"""Sizes counted: every vector's and scalar's power of n, step after step of training.

Over the network's graph and its backpropagation program. A value is its value at the start and its
change since; a weight's change is the sum of its updates. With sizes n^-order:

* a product by an initial matrix, W = n^-a w, w ~ N(0, n^-2b): a + b - 1/2 more than its argument (a
  sum of n independent terms), and odd where that is even by the flip of W;
* a product by an update Q(n^d sum_i |y_i> <x_i|): n times the average over the second index, which
  is a law of large numbers where x and the argument are correlated;
* a scalar <x|y>: an average, likewise; f = n^(1 - a_out) <1|x>.

The gradient by a matrix is n^-(a_out + a) times the sum of outer products, by a vector n^-(a_out +
a) dv, by a scalar n^(1 - a_out - a) dc. Update functions are odd; they see gradients times n^d. The
error signal has size 1.

A step is a map of the weights' changes: what they are makes gradients, these make updates, which
are added. Changes only grow, so that the map has a fixed point, or some size outgrows every bound;
from the fixed point on sizes stay, however many steps follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nexort.parametrization.graph import Key, NetworkGraph, Slope
from nexort.parametrization.layers import Layer
from nexort.parametrization.orders import (
    HALF,
    ONE,
    OUT,
    ZERO,
    Exponents,
    Order,
    most,
    order_inverse,
    order_of_sum,
)
from nexort.parametrization.sizes import (
    Size,
    average_size,
    change_size,
    plain_size,
    power_size,
    product_size,
    sum_size,
    value_size,
)
from nexort.program.nodes import DRAWN, Node, Op, walk
from nexort.program.types import Kind


@dataclass(frozen=True)
class CountedUpdate:
    """An update of a matrix: the sizes of Q(n^d sum_i left_i right_i^T), by its two sides, and what
    it is multiplied by."""

    pairs: Sequence[tuple[Size, Size]]
    scale: Order
    linear: bool

    def same(self, other: CountedUpdate) -> Order:
        """On which tables two updates are equal."""
        found = np.asarray(self.scale == other.scale)
        if len(self.pairs) != len(other.pairs):
            return np.zeros_like(found)
        for (a, b), (c, d) in zip(self.pairs, other.pairs, strict=True):
            found = found & a.same(c) & b.same(d)
        return found


def nodes(graph: NetworkGraph) -> list[Node]:
    """The nodes whose sizes are counted, arguments first."""
    roots = [graph.out, *graph.features, *graph.bounded, *graph.named.values()]
    return walk([*roots, *(n for s in graph.slopes.values() for n in s.nodes)])


def flips(graph: NetworkGraph, order: Sequence[Node]) -> tuple[list[Key], int]:
    """The initial objects whose sign may change, those of mean 0, and of how many copies."""
    keys = dict.fromkeys(x.attr[:2] for x in order if x.op in (Op.INIT_VECTOR, Op.MATMUL))
    known = graph.parameters
    copies = max((int(x.attr) for x in order if x.op is Op.COPY), default=0)
    return [k for k in keys if k not in known or known[k].random], copies + 1


CONSTANT = frozenset((Op.DATA, Op.SLOT, Op.PARAM, Op.SIZE, Op.INDEX))


class Counting:
    """The sizes of a graph's nodes on tables of ``exponents``: at the start, and after every
    :meth:`step`.

    ``only`` lets those weights alone move. ``generic``: no average is 0 by symmetry, and scalars do
    not start at 0. ``second``: changes are counted to the second order in the weights' changes,
    else to the first, which leads where learning rates are small. ``settled`` has the tables on
    which the last step changed nothing.
    """

    def __init__(
        self,
        graph: NetworkGraph,
        exponents: Exponents,
        only: frozenset[Key] | None = None,
        *,
        generic: bool = False,
        second: bool = True,
    ) -> None:
        self.graph = graph
        self.exponents = exponents
        self.only = only
        self.generic = generic
        self.second = second
        self.order = nodes(graph)
        objects, several = flips(graph, self.order)
        self.stride, self.flips = len(objects), len(objects) * several
        self.flip = {key: k for k, key in enumerate(objects)}
        self.own = slice(0, self.stride)
        self.first: dict[Node, Size] = {}
        self.change: dict[Node, Size] = {}
        self.vectors: dict[Key, Size] = {}
        self.matrices: dict[Key, list[CountedUpdate]] = {}
        self.seen: dict[Key, Size] = {}
        self.fresh: set[Key] = set()
        self.settled = np.zeros(1, bool)
        for x in self.order:
            self.first[x] = self._value(x)

    def step(self) -> Order:
        """A step of training: updates by the gradients at hand, and the changes that follow.
        Returns on which tables it changed nothing."""
        made = [self.update(key, slope) for key, slope in self.graph.slopes.items()]
        before = self.change
        self.change = {}
        for x in self.order:
            if before and all(self.change[a] is before[a] for a in x.args) and self._still(x):
                self.change[x] = before[x]
            else:
                self.change[x] = self.moved(x)
        self.fresh = set()
        self.settled = reduce(np.logical_and, made, np.ones(1, bool))
        return self.settled

    def _still(self, x: Node) -> bool:
        return x.op not in DRAWN or (x.attr[:2] not in self.fresh)

    def now(self, x: Node) -> Size:
        """The size at present."""
        return sum_size(self.first[x], self.change[x]) if x in self.change else self.first[x]

    def symbol(self, owner: str, exponent: str) -> Order:
        """An exponent's values."""
        return self.exponents[owner, exponent]

    def output(self, size: Size) -> Order:
        """Of f, or its change."""
        return size.total + self.exponents[OUT] - 1

    # ---- values --------------------------------------------------------------------------------

    def plain(self, total: Order) -> Size:
        """Of what no flip changes."""
        return plain_size(total, self.flips)

    def _value(self, x: Node) -> Size:
        args = [self.first[a] for a in x.args]
        match x.op:
            case Op.CONST:
                return self.plain(ZERO if x.attr == 0 else ONE)
            case _ if x.op in CONSTANT:
                return self.plain(ONE)
            case Op.INIT_VECTOR | Op.INIT_SCALAR:
                return self._leaf(x)
            case Op.CALL:
                return self._typed(x, value_size(x, args))
            case Op.MATMUL:
                return self.applied(x, args[0])
            case _:
                return self._joined(x, args, args)

    def moved(self, x: Node) -> Size:
        """The change of a value by the changes of what it is made of."""
        args = [self.first[a] for a in x.args]
        moves = [self.change[a] for a in x.args]
        match x.op:
            case Op.INIT_VECTOR | Op.INIT_SCALAR:
                return self.vectors.get(x.attr, self.plain(ZERO))
            case Op.MATMUL:
                now = self.argument(x)
                updates = self.matrices.get(x.attr[:2], ())
                return sum_size(
                    self.applied(x, moves[0]), *(self.acted(u, x, now) for u in updates)
                )
            case _ if all(m.is_zero for m in moves):
                return self.plain(ZERO)
            case Op.CALL:
                return self._typed(x, change_size(x, args, moves, second=self.second))
            case Op.INNER | Op.CONTRACT:
                pairs = [[moves[0], args[1]], [args[0], moves[1]], moves]
                return sum_size(*(self._joined(x, p, args) for p in pairs[: 2 + self.second]))
            case _:
                return self._joined(x, moves, args)

    def argument(self, x: Node) -> Size:
        """What updates of a matrix act on in a product."""
        [value] = x.args
        return sum_size(self.first[value], self.change[value]) if self.second else self.first[value]

    def _joined(self, x: Node, args: Sequence[Size], values: Sequence[Size]) -> Size:
        """An instruction that is linear in each argument."""
        match x.op:
            case Op.CONTRACT:
                return self._typed(x, product_size(*args))
            case Op.INNER:
                return self.plain(self._average(product_size(*args), self.own))
            case Op.AVERAGE:
                return self.plain(self._average(args[0], self.own))
            case Op.COPY:
                return self._copied(args[0], int(x.attr))
            case Op.MEAN:
                return self._averaged(x, args[0])
            case Op.FACTOR:
                return power_size(args[0], HALF) if args == values else args[0]
            case _:
                return self._typed(x, sum_size(*args))

    def _typed(self, x: Node, size: Size) -> Size:
        """Scalars are numbers: no flip of a ket's law changes them."""
        return self.plain(size.total) if x.type.kind is Kind.SCALAR else size

    def _of(self, k: int) -> slice:
        """The flips of copy k."""
        return slice(k * self.stride, (k + 1) * self.stride)

    def _copied(self, size: Size, k: int) -> Size:
        parts = self.plain(size.total).parts
        parts[:, self._of(k)] = size.parts[:, self.own]
        return Size(size.total, parts)

    def _average(self, size: Size, flips: slice) -> Order:
        return size.total if self.generic else average_size(size, flips)

    def _averaged(self, x: Node, size: Size) -> Size:
        whole = size.total
        for k in x.attr:
            whole = most(whole, self._average(size, self._of(k)))
        if x.type.kind is Kind.SCALAR:
            return self.plain(whole)
        found = size + (whole + order_inverse(size.total))
        for k in x.attr:
            found.parts[0, self._of(k)], found.parts[1, self._of(k)] = whole, np.inf
        return found

    # ---- weights -------------------------------------------------------------------------------

    def numbers(self, key: Key) -> tuple[Order, Order, Order, Order]:
        """A weight's exponents."""
        name = self.graph.parameters[key].layer.name
        a, b, c, d = (self.symbol(name, e) for e in "abcd")
        return a, b, c, d

    def _leaf(self, x: Node) -> Size:
        key: Key = x.attr
        known = self.graph.parameters.get(key)
        if x.op is Op.INIT_SCALAR:
            if known is None:
                # initial scalars of a program go to 0 like n^-1/2
                return self.plain(ONE if self.generic else ONE + HALF)
            return self.plain(self.numbers(key)[0] if known.mean or self.generic else ZERO)
        if known is None:
            return self.plain(ONE).flipped(self.flip[key])
        a, b, _, _ = self.numbers(key)
        parts = [self.plain(ZERO)]
        if known.random:
            parts.append(self.plain(a + b).flipped(self.flip[key]))
        if known.mean:
            parts.append(self.plain(a))
        return sum_size(*parts)

    def applied(self, x: Node, size: Size) -> Size:
        """A product by a matrix as it is at the start."""
        key: Key = x.attr[:2]
        known = self.graph.parameters.get(key)
        if known is None:
            return size.flipped(self.flip[key])
        a, b, _, _ = self.numbers(key)
        parts = [self.plain(ZERO)]
        if known.random:
            parts.append(size.flipped(self.flip[key]) + (a + b - HALF))
        if known.mean:
            parts.append(self.plain(self._average(size, self.own) + a - 1))
        return sum_size(*parts)

    def acted(self, update: CountedUpdate, x: Node, size: Size) -> Size:
        """A product by an update of a matrix."""
        pairs = [(right, left) for left, right in update.pairs] if x.attr[2] else update.pairs
        if not pairs or size.is_zero:
            return self.plain(ZERO)
        scale = update.scale - 1
        if update.linear:
            found = [
                left + (self._average(product_size(right, size), self.own) + scale)
                for left, right in pairs
            ]
            return sum_size(*found)
        # Q's entries: parts by the flips of one index, whole in the other
        near = sum_size(*(left + right.total for left, right in pairs))
        far = sum_size(*(right + left.total for left, right in pairs))
        inside = self._average(product_size(far, size), self.own)
        gain: Order = inside + order_inverse(near.total) + scale
        return near + gain

    def gradient(self, key: Key, slope: Slope) -> Size:
        """The gradient of W = n^-a w by the entries of w, at present."""
        a = self.numbers(key)[0]
        scale = np.asarray(a + self.exponents[OUT])
        if slope.ket is not None:
            return self.now(slope.ket) + scale
        if slope.scalar is not None:
            return self.now(slope.scalar) + (scale - 1)
        pairs = [self.now(left) + self.now(right).total for left, right in slope.pairs]
        return sum_size(self.plain(ZERO), *pairs) + scale

    def heard(self, key: Key) -> Order:
        """The order of what the update function sees."""
        seen: Order = self.gradient(key, self.graph.slopes[key]).total - self.numbers(key)[3]
        return seen

    def update(self, key: Key, slope: Slope) -> Order:
        """Add the update of a weight. Returns on which tables it is none that was not known."""
        size, made = self.updated(key, slope)
        if self.only is not None and key not in self.only:
            return np.ones(1, bool)
        if isinstance(made, CountedUpdate):
            known = self.matrices.setdefault(key, [])
            same = reduce(np.logical_or, (u.same(made) for u in known), np.isinf(size.total))
            if not same.all():
                known.append(made)
                self.fresh.add(key)
            return same
        before = self.vectors.get(key, self.plain(ZERO))
        after = sum_size(before, size)
        same = before.same(after)
        if not same.all():
            self.vectors[key] = after
            self.fresh.add(key)
        return same

    def updated(self, key: Key, slope: Slope) -> tuple[Size, CountedUpdate | None]:
        """The size of a weight's next update, and of a matrix its sides."""
        if self.graph.parameters[key].stuck:
            return self.plain(ZERO), None
        a, _, c, d = self.numbers(key)
        layer = self.graph.parameters[key].layer
        gradient = self.gradient(key, slope)
        known = self.seen.get(key)
        whole = self.seen[key] = gradient if known is None else sum_size(known, gradient)
        # what brings the gradient to the size of Q
        match layer.homogeneous:
            case 0:
                gain = order_inverse(whole.total)
            case 1:
                gain = -d
            case _:
                # large arguments saturate, small ones are linear; the other way round where Q is
                # divided by min(|Q|, theta)
                bound = order_of_sum if layer.normalization == "paper-clipping" else most
                gain = bound(order_inverse(whole.total), -d)
        scale = a + c + self._shift(layer) + gain
        if not slope.pairs:
            return whole + scale, None
        sides = scale + a + self.exponents[OUT]
        return whole + scale, CountedUpdate(self.pairs(slope), sides, layer.homogeneous == 1)

    def pairs(self, slope: Slope) -> list[tuple[Size, Size]]:
        """The outer products of a matrix's gradient."""
        return [(self.now(left), self.now(right)) for left, right in slope.pairs]

    def _shift(self, layer: Layer) -> Order:
        b = self.symbol(layer.name, "b")
        norm = ONE + float(layer.norm)
        match layer.normalization:
            case "none" | "clipping":
                return ONE
            case "weight":
                return norm - b
            case "trust":
                return b
            case _:
                return norm
