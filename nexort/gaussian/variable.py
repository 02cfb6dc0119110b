"""The variable z of graphs of one Gaussian variable, and derivatives by it."""

from __future__ import annotations

from functools import lru_cache

from nexort.program.differentiate import derivative
from nexort.program.nodes import Node, Op
from nexort.program.partials import partial, substitute_definitions
from nexort.program.types import scalar

SLOT = Node(Op.SLOT, (), ("z",), scalar())
"""The variable z."""


@lru_cache(4096)
def slope(node: Node) -> Node:
    """f', right almost everywhere: jumps contribute nothing. Functions with a definition are what
    it says."""
    return substitute_definitions(derivative(substitute_definitions(node), SLOT, partial))
