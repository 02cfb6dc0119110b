"""Sizes counted: every vector's and scalar's power of n, through two steps of training.

Over the network's graph and its backpropagation program at steps 0, 1, 2. A value is its value at
the start and its change since; a weight's change is the sum of its updates. With sizes n^-order:

* a product by an initial matrix, W = n^-a w, w ~ N(0, n^-2b): a + b - 1/2 more than its argument (a
  sum of n independent terms), and odd where that is even by the flip of W;
* a product by an update Q(n^d sum_i |y_i> <x_i|): n times the average over the second index, which
  is a law of large numbers where x and the argument are correlated;
* a scalar <x|y>: an average, likewise; f = n^(1 - a_out) <1|x>.

The gradient by a matrix is n^-(a_out + a) times the sum of outer products, by a vector n^-(a_out +
a) dv, by a scalar n^(1 - a_out - a) dc. Update functions are odd; they see gradients times n^d. The
error signal has size 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.scaling.graph import Graph, Key, Slope
from nexort.scaling.layers import Layer
from nexort.scaling.orders import (
    HALF,
    ONE,
    ZERO,
    Number,
    Order,
    Symbol,
    constant,
    forget,
    least,
    most,
    symbol,
)
from nexort.scaling.sizes import (
    Size,
    added,
    applied,
    average,
    moved,
    nonlinear,
    plain,
    power,
    product,
)

STEPS = 2


@dataclass(frozen=True)
class Sizes:
    """Orders: ``start[name]`` at the start, ``change[name][t - 1]`` of the change until step t.

    ``output`` and ``output_change`` are of f, ``gradients[name][t]`` of what an update function
    sees at step t, times n^d, ``generic[name]`` of that at the start if no average vanished and
    scalars did not start at 0; ``updates[name][t]`` of the entries of the update of W at step t.
    ``arguments`` are those of nonlinear functions, at the start and their changes.
    """

    start: Mapping[str, Order]
    change: Mapping[str, tuple[Order, ...]]
    features: tuple[str, ...]
    output: Order
    output_change: tuple[Order, ...]
    gradients: Mapping[str, tuple[Order, ...]]
    generic: Mapping[str, Order]
    updates: Mapping[str, tuple[Order, ...]]
    arguments: tuple[tuple[Order, tuple[Order, ...]], ...]


def count(
    graph: Graph, only: frozenset[Key] | None = None, at: Mapping[Symbol, Number] | None = None
) -> Sizes:
    """The sizes in a network as expressions of its exponents. ``only`` lets those weights alone
    move. The symbols are (layer's name, 'a'), ..., and ('out', 'a'); ``at`` gives them numbers,
    which takes far less time in deep networks: every order is a number at once."""
    return Counting(graph, only, at).run()


@dataclass
class _Update:
    """An update of a matrix: the sizes of Q(n^d sum_i left_i right_i^T), by its two sides, and what
    it is multiplied by."""

    pairs: list[tuple[Size, Size]]
    scale: Order
    linear: bool


class Counting:
    """The sizes of a graph's nodes, one after another; coordinate checks count more of them."""

    def __init__(
        self,
        graph: Graph,
        only: frozenset[Key] | None = None,
        at: Mapping[Symbol, Number] | None = None,
    ) -> None:
        forget()
        self.graph = graph
        self.only = only
        self.at = at
        self.generic = False
        slopes = graph.slopes.values()
        roots = [graph.out, *graph.features.values(), *graph.kets.values(), *graph.scalars.values()]
        roots += [n for s in slopes for n in (s.ket, s.scalar) if n is not None]
        roots += [n for s in slopes for pair in s.pairs for n in pair]
        self.order = walk(roots)
        initial = [x.attr for x in self.order if x.op is Op.INIT_VECTOR]
        matrices = [x.attr[:2] for x in self.order if x.op is Op.MATMUL]
        copies = max((int(x.attr) for x in self.order if x.op is Op.COPY), default=0)
        objects = list(dict.fromkeys([*initial, *matrices]))
        self.stride = len(objects)
        self.flips = len(objects) * (copies + 1)
        self.flip = {key: k for k, key in enumerate(objects)}
        self.own = range(self.stride)
        self.first: dict[Node, Size] = {}
        self.change: dict[Node, Size] = {}
        self.vectors: dict[Key, list[Size]] = {}
        self.matrices: dict[Key, list[_Update]] = {}
        self.seen: dict[Key, list[Size]] = {}
        self.history: dict[Key, list[list[tuple[Size, Size]]]] = {}

    def run(self) -> Sizes:
        """All steps."""
        named = {**self.graph.features, **self.graph.kets, **self.graph.scalars}
        gradients: dict[str, list[Order]] = {}
        updates: dict[str, list[Order]] = {}
        self.generic = True
        self._forward(start=True)
        generic = {
            self.graph.parameters[key].layer.name: self._seen(key, slope).total
            for key, slope in self.graph.slopes.items()
        }
        self.generic = False
        self._forward(start=True)
        change: dict[str, list[Order]] = {name: [] for name in named}
        moves: list[Order] = []
        calls = [
            a
            for x in self.order
            if x.op is Op.CALL and nonlinear(str(x.attr))
            for a in x.args
            if a.type.kind is Kind.KET
        ]
        arguments: dict[Node, list[Order]] = {x: [] for x in calls}
        for _ in range(STEPS):
            for key, slope in self.graph.slopes.items():
                name = self.graph.parameters[key].layer.name
                seen, update = self._update(key, slope)
                gradients.setdefault(name, []).append(seen)
                updates.setdefault(name, []).append(update)
            self._forward(start=False)
            for name, node in named.items():
                change[name].append(self.change[node].total)
            moves.append(self._output(self.change[self.graph.out]))
            for x, found in arguments.items():
                found.append(self.change[x].total)
        for key, slope in self.graph.slopes.items():
            gradients[self.graph.parameters[key].layer.name].append(self._seen(key, slope).total)
        return Sizes(
            {name: self.first[node].total for name, node in named.items()},
            {name: tuple(found) for name, found in change.items()},
            tuple(self.graph.features),
            self._output(self.first[self.graph.out]),
            tuple(moves),
            {name: tuple(found) for name, found in gradients.items()},
            generic,
            {name: tuple(found) for name, found in updates.items()},
            tuple((self.first[x].total, tuple(found)) for x, found in arguments.items()),
        )

    def _symbol(self, owner: str, exponent: str) -> Order:
        return symbol(owner, exponent) if self.at is None else constant(self.at[owner, exponent])

    def _output(self, size: Size) -> Order:
        return size.total + self._symbol("out", "a") + -1

    # ---- values --------------------------------------------------------------------------------

    def _forward(self, *, start: bool) -> None:
        """The sizes of all values at the start, or of their changes."""
        for x in self.order:
            if start:
                self.first[x] = self._value(x)
            else:
                self.change[x] = self._change(x)

    def _plain(self, total: Order) -> Size:
        return plain(total, self.flips)

    def _value(self, x: Node) -> Size:
        args = [self.first[a] for a in x.args]
        match x.op:
            case Op.CONST:
                return self._plain(ZERO if x.attr == 0 else ONE)
            case Op.DATA | Op.SLOT | Op.PARAM | Op.SIZE | Op.INDEX:
                return self._plain(ONE)
            case Op.INIT_VECTOR | Op.INIT_SCALAR:
                return self._leaf(x)
            case Op.CALL:
                return self._typed(x, applied(x, args))
            case Op.MATMUL:
                return self._applied(x, args[0])
            case _:
                return self._joined(x, args, args)

    def _change(self, x: Node) -> Size:
        args = [self.first[a] for a in x.args]
        moves = [self.change[a] for a in x.args]
        match x.op:
            case Op.CONST | Op.DATA | Op.SLOT | Op.PARAM | Op.SIZE | Op.INDEX:
                return self._plain(ZERO)
            case Op.INIT_VECTOR | Op.INIT_SCALAR:
                return added(self._plain(ZERO), *self.vectors.get(x.attr, ()))
            case Op.CALL:
                return self._typed(x, moved(x, args, moves))
            case Op.MATMUL:
                now = added(args[0], moves[0])
                return added(
                    self._applied(x, moves[0]),
                    *(self._acted(u, x, now) for u in self.matrices.get(x.attr[:2], ())),
                )
            case Op.INNER | Op.CONTRACT:
                return added(
                    self._joined(x, [moves[0], args[1]], args),
                    self._joined(x, [args[0], moves[1]], args),
                    self._joined(x, moves, args),
                )
            case _:
                return self._joined(x, moves, args)

    def _joined(self, x: Node, args: Sequence[Size], values: Sequence[Size]) -> Size:
        """An instruction that is linear in each argument."""
        match x.op:
            case Op.CONTRACT:
                return self._typed(x, product(*args))
            case Op.INNER:
                return self._plain(self._average(product(*args), self.own))
            case Op.AVERAGE:
                return self._plain(self._average(args[0], self.own))
            case Op.COPY:
                return self._copied(args[0], int(x.attr))
            case Op.MEAN:
                return self._averaged(x, args[0])
            case Op.FACTOR:
                return power(args[0], HALF) if args == values else args[0]
            case _:
                return self._typed(x, added(*args))

    def _typed(self, x: Node, size: Size) -> Size:
        """Scalars are numbers: no flip of a ket's law changes them."""
        return self._plain(size.total) if x.type.kind is Kind.SCALAR else size

    def _copied(self, size: Size, k: int) -> Size:
        even, odd = [size.total] * self.flips, [ZERO] * self.flips
        for f in self.own:
            even[f + k * self.stride], odd[f + k * self.stride] = size.even[f], size.odd[f]
        return Size(size.total, tuple(even), tuple(odd))

    def _average(self, size: Size, flips: Sequence[int]) -> Order:
        return size.total if self.generic else average(size, flips)

    def _averaged(self, x: Node, size: Size) -> Size:
        flips = [f + k * self.stride for k in x.attr for f in self.own]
        whole = self._average(size, flips)
        if x.type.kind is Kind.SCALAR:
            return self._plain(whole)
        gain = whole + size.total.times(-1)
        even, odd = list(size.even), list(size.odd)
        for f in flips:
            even[f], odd[f] = size.total, ZERO
        return Size(size.total, tuple(even), tuple(odd)) + gain

    # ---- weights -------------------------------------------------------------------------------

    def _symbols(self, key: Key) -> tuple[Order, Order, Order, Order]:
        name = self.graph.parameters[key].layer.name
        a, b, c, d = (self._symbol(name, e) for e in "abcd")
        return a, b, c, d

    def _leaf(self, x: Node) -> Size:
        key: Key = x.attr
        known = self.graph.parameters.get(key)
        if x.op is Op.INIT_SCALAR:
            if known is None:
                # initial scalars of a program go to 0 like n^-1/2
                return self._plain(ONE if self.generic else ONE + HALF)
            return self._plain(self._symbols(key)[0] if known.mean or self.generic else ZERO)
        if known is None:
            return self._plain(ONE).flipped(self.flip[key])
        a, b, _, _ = self._symbols(key)
        parts = []
        if known.random:
            parts.append(self._plain(a + b).flipped(self.flip[key]))
        if known.mean:
            parts.append(self._plain(a))
        return added(*parts) if parts else self._plain(ZERO)

    def _applied(self, x: Node, size: Size) -> Size:
        """A product by a matrix as it is at the start."""
        key: Key = x.attr[:2]
        flipped = size.flipped(self.flip[key])
        known = self.graph.parameters.get(key)
        if known is None:
            return flipped
        a, b, _, _ = self._symbols(key)
        parts = []
        if known.random:
            parts.append(flipped + (a + b + -HALF))
        if known.mean:
            parts.append(self._plain(self._average(size, self.own) + a + -1))
        return added(*parts) if parts else self._plain(ZERO)

    def _acted(self, update: _Update, x: Node, size: Size) -> Size:
        """A product by an update of a matrix."""
        pairs = [(right, left) for left, right in update.pairs] if x.attr[2] else update.pairs
        if not pairs or size.is_zero:
            return self._plain(ZERO)
        scale = update.scale + -1
        if update.linear:
            found = [
                left + (average(product(right, size), self.own) + scale) for left, right in pairs
            ]
            return added(*found)
        # Q's entries: parts by the flips of one index, whole in the other
        near = added(*(left + right.total for left, right in pairs))
        far = added(*(right + left.total for left, right in pairs))
        inside = average(product(far, size), self.own)
        return near + (inside + near.total.times(-1) + scale)

    def _gradient(self, key: Key, slope: Slope) -> Size:
        """The gradient of W = n^-a w by the entries of w, at present."""
        a = self._symbols(key)[0]
        scale = a + self._symbol("out", "a")
        if slope.ket is not None:
            return self._now(slope.ket) + scale
        if slope.scalar is not None:
            return self._now(slope.scalar) + (scale + -1)
        pairs = [self._now(left) + self._now(right).total for left, right in slope.pairs]
        return added(self._plain(ZERO), *pairs) + scale

    def _seen(self, key: Key, slope: Slope) -> Size:
        """What the update function sees."""
        return self._gradient(key, slope) + self._symbols(key)[3].times(-1)

    def _now(self, x: Node) -> Size:
        return added(self.first[x], self.change[x]) if x in self.change else self.first[x]

    def _update(self, key: Key, slope: Slope) -> tuple[Order, Order]:
        """Add the update of a weight; the orders of its gradient, times n^d, and of the update."""
        a, _, c, d = self._symbols(key)
        layer = self.graph.parameters[key].layer
        gradient = self._gradient(key, slope)
        seen = gradient.total + d.times(-1)
        history = self.seen.setdefault(key, [])
        history.append(gradient)
        whole = added(*history)
        c = c + self._shift(layer)
        # what brings the gradient to the size of Q
        match layer.homogeneous:
            case 0:
                gain = whole.total.times(-1)
            case 1:
                gain = d.times(-1)
            case _:
                # large arguments saturate, small ones are linear; the other way round where Q is
                # divided by min(|Q|, theta)
                bound = least if layer.normalization == "paper-clipping" else most
                gain = d.times(-1) + bound((whole.total + d.times(-1)).times(-1), ONE)
        moves = self.only is None or key in self.only
        if whole.is_zero or not moves:
            if slope.pairs:
                self.history.setdefault(key, []).append(self._pairs(slope))
            return seen, ZERO
        scale = a + c + gain
        if slope.pairs:
            past = self.history.setdefault(key, [])
            past.append(self._pairs(slope))
            pairs = list(dict.fromkeys(p for step in past for p in step))
            scale = scale + a + self._symbol("out", "a")
            self.matrices.setdefault(key, []).append(_Update(pairs, scale, layer.homogeneous == 1))
        else:
            self.vectors.setdefault(key, []).append(whole + scale)
        return seen, whole.total + (a + c + gain)

    def _pairs(self, slope: Slope) -> list[tuple[Size, Size]]:
        return [(self._now(left), self._now(right)) for left, right in slope.pairs]

    def _shift(self, layer: Layer) -> Order:
        b = self._symbol(layer.name, "b")
        norm = ONE + layer.norm
        match layer.normalization:
            case "none" | "clipping":
                return ONE
            case "weight":
                return norm + b.times(-1)
            case "trust":
                return b
            case _:
                return norm
