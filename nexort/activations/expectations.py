"""What is known of Gaussian expectations of the functions of ``nexort.activations``.

Apart from the functions themselves: a program at width n shares nothing of this with its limit.
"""

from __future__ import annotations

from functools import cache

from nexort.activations import KnownExpectations, modules


@cache
def known_expectations() -> dict[str, KnownExpectations]:
    """Every entry by the name of its function."""
    listed = (getattr(module, "EXPECTATIONS", ()) for module in modules())
    return {entry.name: entry for entries in listed for entry in entries}
