"""Integrands in z, or x, y, v, w, from texts."""

from __future__ import annotations

import ast

from nexort.gaussian.variable import SLOT
from nexort.program.nodes import Node, Op
from nexort.program.partials import _graph
from nexort.program.types import scalar

LEAVES = {name: Node(Op.SLOT, (), ("z", k), scalar()) for k, name in enumerate("xyvw")}


def graph(text: str) -> Node:
    """The graph of a function."""
    tree = ast.parse(text.replace("^", "**"), mode="eval").body
    return _graph(tree, {"z": SLOT, **LEAVES})
