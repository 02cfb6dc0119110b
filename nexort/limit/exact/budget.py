"""What planning may take, and what has no exact route."""

from __future__ import annotations

import math

from nexort.program.nodes import Node


class NotExact(Exception):
    """An expectation that has no exact route; says why, and at which node."""

    def __init__(self, reason: str, node: Node | None = None) -> None:
        super().__init__(reason)
        self.reason, self.node = reason, node


LEAST = 2_000_000
"""Steps that planning may take for any program: some seconds."""

EACH = 2_000
"""And more, for each of its nodes."""


class PlanningBudget:
    """Steps of planning, of which there is a number that grows with the program and no faster."""

    def __init__(self, nodes: int = 0) -> None:
        self.most = LEAST + EACH * nodes
        self.left: float = self.most

    def spend(self, steps: int) -> None:
        """Take some. Raises NotExact where they are used up."""
        self.left -= steps
        if self.left < 0:
            raise NotExact(f"planning would take more than {self.most} steps")

    def end(self) -> None:
        """What follows is no part of planning: it is linear in what has been found."""
        self.left = math.inf
