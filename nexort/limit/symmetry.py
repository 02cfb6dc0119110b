"""Sign symmetries: what vanishes in the limit because it is odd.

Initial vectors and matrices are symmetric about zero, so the joint law of all kets is unchanged
when one of them changes its sign, or all initial vectors do. A ket that changes its sign with it
is odd, one that stays is even; the expectation of an odd ket is zero. W x is odd in W and linear
in x, hat and dot alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nexort import activations
from nexort.program.linearity import Linearity, linearity
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind


@dataclass(frozen=True, slots=True)
class Parity:
    """Bit sets over the symmetries: those under which the ket is odd, and those where it is
    neither odd nor even as far as its graph tells."""

    odd: int = 0
    unknown: int = 0


EVEN = Parity()


def parities(roots: Iterable[Node]) -> Mapping[Node, Parity]:
    """The parity of every node under every symmetry; scalars are numbers and even."""
    bits: dict[object, int] = {"all vectors": 1}
    found: dict[Node, Parity] = {}
    for node in walk(roots):
        if node.type.kind is not Kind.KET:
            found[node] = EVEN
        else:
            found[node] = _parity(node, [found[a] for a in node.args], bits)
    return found


def vanishing(roots: Iterable[Node]) -> frozenset[Node]:
    """The bra-kets and averages that are zero because their ket is odd."""
    roots = tuple(roots)
    found = parities(roots)
    zero = set()
    for node in walk(roots):
        if node.op in (Op.INNER, Op.AVERAGE) and is_odd(*(found[a] for a in node.args)):
            zero.add(node)
    return frozenset(zero)


def is_even_throughout(roots: Iterable[Node], dots: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether all bra-kets and averages are of kets that do not change where every Gaussian ket,
    initial vectors and hats alike, changes its sign; ``dots`` are the sources of dots."""
    found: dict[Node, Parity] = {}
    for node in walk(roots):
        if node.type.kind is not Kind.KET:
            found[node] = EVEN
            if node.op in (Op.INNER, Op.AVERAGE):
                whole = _product(found[a] for a in node.args)
                if whole.unknown and not is_odd(whole):
                    return False
        elif node.op is Op.INIT_VECTOR:
            found[node] = Parity(1)
        elif node.op is Op.MATMUL:
            # a hat, and the arguments that a dot is made of
            found[node] = _sum([Parity(1), *(found[x.args[0]] for x in dots[node])])
        else:
            found[node] = _parity(node, [found[a] for a in node.args], {})
    return True


def is_odd(*factors: Parity) -> bool:
    """Whether the product of kets with these parities is odd under some symmetry."""
    product = _product(factors)
    return bool(product.odd & ~product.unknown)


def _parity(node: Node, args: list[Parity], bits: dict[object, int]) -> Parity:
    match linearity(node):
        case Linearity.SUM:
            return _sum(args)
        case Linearity.PRODUCT | Linearity.QUOTIENT:
            return _product(args)
    match node.op:
        case Op.INIT_VECTOR:
            return Parity(1 | _bit(bits, node.attr))
        case Op.MATMUL:
            name, indices, _ = node.attr
            return _product((args[0], Parity(_bit(bits, (name, indices, "matrix")))))
        case Op.CALL:
            return _call(str(node.attr), node, args)
        case Op.SLOT:  # a ket of any law
            return Parity(0, -1)
        case _:
            # MEAN too: the copies' law has the same symmetry, so that flipping the copies along
            # with the free ket changes nothing in the expectation
            return args[0] if args else EVEN


def _bit(bits: dict[object, int], symbol: object) -> int:
    return bits.setdefault(symbol, 1 << len(bits))


def _product(args: Iterable[Parity]) -> Parity:
    odd = unknown = 0
    for a in args:
        odd ^= a.odd
        unknown |= a.unknown
    return Parity(odd & ~unknown, unknown)


def _sum(args: list[Parity]) -> Parity:
    unknown = 0
    for a in args:
        unknown |= a.unknown | (a.odd ^ args[0].odd)
    return Parity(args[0].odd & ~unknown, unknown)


def _call(name: str, node: Node, args: list[Parity]) -> Parity:
    if name == "pow" and isinstance(node.args[1].attr, int):
        return args[0] if node.args[1].attr % 2 else Parity(0, args[0].unknown)
    parity = activations.registry()[name].parity
    if len(args) == 1 and parity == "odd":
        return args[0]
    if len(args) == 1 and parity == "even":
        return Parity(0, args[0].unknown)
    unknown = 0
    for a in args:
        unknown |= a.odd | a.unknown
    return Parity(0, unknown)
