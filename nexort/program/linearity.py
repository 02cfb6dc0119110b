"""How the value of an instruction depends on its arguments, where it is linear."""

from __future__ import annotations

from enum import Enum, auto

from nexort.program.nodes import Node, Op, Role


class Linearity(Enum):
    """In which arguments an instruction is linear."""

    SUM = auto()
    """In all together."""
    PRODUCT = auto()
    """In each of two."""
    QUOTIENT = auto()
    """In the first of two."""


_FUNCTIONS = {
    "add": Linearity.SUM,
    "sub": Linearity.SUM,
    "neg": Linearity.SUM,
    "mul": Linearity.PRODUCT,
    "div": Linearity.QUOTIENT,
}
_OTHERS = {
    Op.STACK: Linearity.SUM,
    Op.AVERAGE: Linearity.SUM,
    Op.SUM: Linearity.SUM,
    Op.LIST: Linearity.SUM,
    Op.GENERATE: Linearity.SUM,
    Op.CONTRACT: Linearity.PRODUCT,
    Op.INNER: Linearity.PRODUCT,
}


def linearity(x: Node) -> Linearity | None:
    """Of local instructions and averages, None where there is none."""
    if x.op is Op.CALL:
        return _FUNCTIONS.get(str(x.attr))
    return Linearity.SUM if x.op.role is Role.SELECTION else _OTHERS.get(x.op)
