"""What an expression may stand for while it is elaborated."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.program.nodes import Node


@dataclass(frozen=True, slots=True)
class BraValue:
    """``<x|`` on its own, waiting for what stands to its right; ``ket`` None is ``<1|``."""

    ket: Node | None


Value = Node | BraValue


class Skip(Exception):
    """The expression uses a name whose own error is already reported."""
