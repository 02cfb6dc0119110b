"""The backpropagation program of a straight-line program (Def 2.9.14).

The cotangent of a ket y is d y = n d<1|x>/dy, that of a scalar c is d c = d<1|x>/dc, both of the
sum over i of seed_i <1|x_i>:

* z = W y gives d y += W^T dz;
* c = <1|z> gives dz += dc; c = <y|z> gives dy += dc |z>, dz += dc |y>;
* an entrywise function gives dy += dz * (its partial derivative), and for scalars the average;
* y = E_copies[psi] gives, at the k-th copy of x, the cotangent with the roles of that copy and of
  the ket's own index exchanged: d x_alpha averages over all indices but the one that is alpha.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from nexort.program import build
from nexort.program.nodes import Node, Op, walk, walk_where
from nexort.program.partials import partial
from nexort.program.types import ROOT, Axes, Kind, ket, scalar
from nexort.support.diagnostics import InternalError
from nexort.training.scatter import on_diagonal, rotate_axes, scatter
from nexort.training.task import Gradient, Key


def gradients(
    out: Node, seed: Node, weights: Iterable[Key], sizes: Mapping[str, int] | None = None
) -> dict[Key, Gradient]:
    """The gradient of sum_i seed_i out_i by each weight.

    ``out`` is a scalar node of an unrolled program without operators, ``seed`` a scalar node of its
    axes; ``sizes`` are those of named axes (needed where entries of a family's axis are selected).
    """
    found = Reverse(set(weights), sizes or {})
    found.run([out], {out: [seed]})
    return {key: found.gradient(key) for key in found.weights}


class Reverse:
    """Cotangents, found in reverse order of creation."""

    def __init__(self, weights: set[Key], sizes: Mapping[str, int]) -> None:
        self.weights = weights
        self.sizes = sizes
        self.pairs: dict[Key, list[tuple[Node, Node]]] = {key: [] for key in weights}
        self.leaves: dict[Key, Node] = {}
        self.moves: dict[Node, bool] = {}

    def gradient(self, key: Key) -> Gradient:
        """The gradient by a weight, once :meth:`run` has found it."""
        leaf = self.leaves.get(key)
        if leaf is None:
            return Gradient(tuple(self.pairs[key]))
        if leaf.type.kind is Kind.KET:
            return Gradient(ket=leaf)
        return Gradient(scalar=leaf)

    def run(self, roots: Sequence[Node], parts: dict[Node, list[Node]]) -> None:
        """Go back from roots whose cotangents (lists of summands) are in ``parts``."""
        for x in reversed(_order(roots)):
            summands = parts.pop(x, None)
            if not summands or not self.depends(x):
                continue
            total = reduce(_add, (_fitted(s, x) for s in summands))
            if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
                self.leaves[x.attr] = total
                continue
            for arg, cotangent in self.back(x, total):
                if self.depends(arg):
                    parts.setdefault(arg, []).append(cotangent)

    def depends(self, x: Node) -> bool:
        """Whether a node depends on a weight."""
        known = self.moves.get(x)
        if known is None:
            for y in walk([x]):
                if y not in self.moves:
                    own = y.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and y.attr in self.weights
                    own = own or (y.op is Op.MATMUL and y.attr[:2] in self.weights)
                    self.moves[y] = own or any(self.moves[a] for a in y.args)
            known = self.moves[x]
        return known

    def back(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        """(argument, its part of the cotangent) for a node with cotangent ``g``."""
        match x.op:
            case Op.CALL:
                return self.call(x, g)
            case Op.CONTRACT:
                return _contraction(x, g, self.sizes)
            case Op.INNER:
                left, right = x.args
                joined = len(left.type.axes), len(right.type.axes)
                return [
                    (
                        left,
                        build.contract(g, right, joined[1])
                        if joined[1]
                        else product_node(g, right),
                    ),
                    (
                        right,
                        build.contract(left, g, joined[0]) if joined[0] else product_node(left, g),
                    ),
                ]
            case Op.AVERAGE:
                return [(x.args[0], build.spread(g, ket(g.type.axes)))]
            case Op.MATMUL:
                return self._matmul(x, g)
            case Op.TAKE:
                return [(x.args[0], scatter(g, x.attr, x.args[0].type.axes, self.sizes))]
            case Op.TRANSPOSE:
                return [(x.args[0], build.transpose(g))]
            case Op.DIAGONAL:
                return [(x.args[0], on_diagonal(g, x.args[0].type.axes, self.sizes))]
            case Op.SPREAD:
                return [(x.args[0], undo_broadcast(g, x.args[0]))]
            case Op.STACK:
                parts = [(a, build.take(g, [k])) for k, a in enumerate(x.args)]
                return [(a, undo_broadcast(part, a)) for a, part in parts]
            case Op.MEAN:
                return self._mean(x, g)
            case _:
                raise InternalError(f"the derivative of {x.op.name}")

    def call(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        """The same for an entrywise function."""
        found = []
        for position, arg in enumerate(x.args):
            if self.depends(arg):
                slope = partial(str(x.attr), position, x.args)
                if not build.is_number(slope, 0):
                    found.append((arg, undo_broadcast(product_node(g, slope), arg)))
        return found

    def _matmul(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        name, indices, flipped = x.attr
        [value] = x.args
        if (name, indices) in self.weights:
            self.pairs[name, indices].append((value, g) if flipped else (g, value))
        return [(value, Node(Op.MATMUL, (g,), (name, indices, not flipped), value.type))]

    # ---- expectations over iid copies ----------------------------------------------------------

    def _mean(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        """The kets and scalars that an outer nonlinearity reads."""
        copies = x.attr
        [body] = x.args
        inside = _Inside(self.weights, self.sizes)
        inside.moves = self.moves
        inside.run([body], {body: [g]})
        found = []
        for leaf, cotangent in inside.ends:
            if leaf.op is Op.COPY:
                turned = _exchanged(cotangent, int(leaf.attr))
                found.append((leaf.args[0], _averaged(copies, turned, leaf.args[0])))
            else:
                found.append((leaf, _averaged(copies, cotangent, leaf)))
        return found


class _Inside(Reverse):
    """The same inside an expectation: it ends at what is not on iid copies."""

    def __init__(self, weights: set[Key], sizes: Mapping[str, int]) -> None:
        super().__init__(weights, sizes)
        self.ends: list[tuple[Node, Node]] = []

    def run(self, roots: Sequence[Node], parts: dict[Node, list[Node]]) -> None:
        for x in reversed(_open(roots[0])):
            summands = parts.pop(x, None)
            if not summands or not self.depends(x):
                continue
            total = reduce(_add, summands)
            if x.op is Op.COPY or not x.type.open:
                self.ends.append((x, total))
                continue
            for arg, cotangent in self.back(x, total):
                if self.depends(arg):
                    parts.setdefault(arg, []).append(cotangent)


def _open(body: Node) -> list[Node]:
    """The nodes on iid copies under a body and what they read, arguments first."""
    return walk_where(body, lambda x: x.type.open and x.op is not Op.COPY)


def _order(roots: Sequence[Node]) -> list[Node]:
    """The nodes under the roots outside of expectations, arguments first; what an expectation reads
    counts as its argument."""
    return [x for x in walk(roots) if not x.type.open]


def _exchanged(cotangent: Node, k: int) -> Node:
    """Copy k and the ket's own index exchanged: |y>{k} is |y>, and |y> is |y>{k}."""
    done: dict[Node, Node] = {}
    for x in _open(cotangent):
        if x.op is Op.COPY:
            done[x] = x.args[0] if x.attr == k else x
        elif x.type.kind is Kind.KET and not x.type.open:
            done[x] = build.copy(x, k)
        elif x.type.kind is Kind.SCALAR:
            done[x] = x
        else:
            done[x] = build.local_over(x, tuple(done[a] for a in x.args))
    return done[cotangent]


def _averaged(copies: tuple[int, ...], cotangent: Node, to: Node) -> Node:
    """The average over iid copies, as a cotangent of ``to``: of a scalar over all indices."""
    if cotangent.type.kind is Kind.KET:
        present = [k for k in copies if k in cotangent.type.copies]
        if present:
            cotangent = build.mean(present, cotangent)
    if to.type.kind is Kind.KET:
        return _fitted(cotangent, to)
    return build.average(cotangent) if cotangent.type.kind is Kind.KET else cotangent


# ---- sums and shapes -----------------------------------------------------------------------------


def _add(a: Node, b: Node) -> Node:
    return build.call("add", a, b)


def product_node(a: Node, b: Node) -> Node:
    """The product, less a factor 1."""
    if build.is_number(a, 1):
        return b
    return a if build.is_number(b, 1) else build.call("mul", a, b)


def _fitted(cotangent: Node, x: Node) -> Node:
    """A cotangent of the type of ``x``."""
    if cotangent.type.kind is x.type.kind and cotangent.type.axes == x.type.axes:
        return cotangent
    return build.spread(cotangent, x.type)


def undo_broadcast(cotangent: Node, arg: Node) -> Node:
    """Undo a broadcast: sums over the axes that ``arg`` lacks; of a scalar that became a ket, the
    average over the width (not inside an expectation, which averages at its end)."""
    extra = len(cotangent.type.axes) - len(arg.type.axes)
    if extra > 0:
        lost = cotangent.type.axes[:extra]
        cotangent = build.contract(_ones(lost), cotangent, extra)
    if arg.type.kind is Kind.SCALAR and cotangent.type.kind is Kind.KET:
        if not cotangent.type.open and cotangent.type.copies == ROOT:
            return build.average(cotangent)
        return cotangent
    return cotangent


def _ones(axes: Axes) -> Node:
    return build.spread(build.constant(1), scalar(axes))


def _contraction(x: Node, g: Node, sizes: Mapping[str, int]) -> list[tuple[Node, Node]]:
    """z[a, b] = sum_j l[a, j] r[j, b]: dl[a, j] = sum_b g[a, b] r[j, b], dr[j, b] likewise."""
    left, right = x.args
    joined = int(x.attr)
    a, b = len(left.type.axes) - joined, len(right.type.axes) - joined
    if b == 0:
        to_left = build.contract(g, right, 0)
    elif a == 0:
        to_left = build.contract(right, g, b)
    else:
        to_left = build.contract(g, rotate_axes(right, joined, sizes), b)
    if a == 0:
        to_right = build.contract(left, g, 0)
    elif b == 0:
        to_right = build.contract(g, left, a)
    else:
        to_right = build.contract(rotate_axes(left, a, sizes), g, a)
    return [(left, _mean_for(to_left, left)), (right, _mean_for(to_right, right))]


def _mean_for(cotangent: Node, arg: Node) -> Node:
    """Of a scalar, the average of the cotangent's entries over the width."""
    if arg.type.kind is Kind.SCALAR and cotangent.type.kind is Kind.KET:
        return cotangent if cotangent.type.open else build.average(cotangent)
    return cotangent
