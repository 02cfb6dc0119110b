"""Syntax tree to program: names, kinds, axes. ``elaborate(module, load)`` is the entry."""

from nexort.elaborate.statements import elaborate

__all__ = ["elaborate"]
