"""Which dots can arise, told from the graph alone.

dot(Wx) is a sum over earlier applications W^T y of |y> E[d|x>/d hat(W^T y)] (Def 2.6.5, MatMul);
it can differ from zero only where |x> depends on hat(W^T y). A ket depends on the hats that its
own graph reaches through kets; scalars are deterministic and cut the dependence, and so does an
iid copy inside an expectation. And it vanishes where |x> hat(W^T y) is odd under a sign symmetry:
by Stein's lemma the expectation is that of their product over a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexort.limit.symmetry import is_odd, parities
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind


def sources_of_dots(roots: Iterable[Node]) -> Mapping[Node, tuple[Node, ...]]:
    """For every MATMUL Wx, the applications W^T y whose hats |x> depends on; () means no dot."""
    roots = tuple(roots)
    nodes = walk(roots)
    parity = parities(roots)
    order: list[Node] = []
    place: dict[Node, int] = {}
    same: dict[tuple[object, object, object], int] = {}
    depends: dict[Node, int] = {}
    found: dict[Node, tuple[Node, ...]] = {}
    for node in nodes:
        if node.op is Op.MATMUL:
            name, indices, flipped = node.attr
            argument = depends[node.args[0]]
            mask = argument & same.get((name, indices, not flipped), 0)
            sources = tuple(
                source
                for source in _members(mask, order)
                if not is_odd(parity[node.args[0]], parity[source])
            )
            found[node] = sources
            place[node] = len(order)
            order.append(node)
            bit = 1 << place[node]
            same[name, indices, flipped] = same.get((name, indices, flipped), 0) | bit
            depends[node] = bit
            for source in sources:
                depends[node] |= depends[source.args[0]]
        elif node.type.kind is not Kind.KET or node.op is Op.COPY:
            depends[node] = 0
        else:
            depends[node] = 0
            for arg in node.args:
                depends[node] |= depends[arg]
    return found


def _members(mask: int, order: list[Node]) -> Iterable[Node]:
    while mask:
        low = mask & -mask
        yield order[low.bit_length() - 1]
        mask ^= low
