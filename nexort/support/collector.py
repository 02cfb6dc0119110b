"""Python's cyclic collector, paused while graphs are built.

Compiling makes many objects and next to no cycles; the collector would only rescan them, which
makes compile time grow faster than linearly.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """No cyclic collection inside the block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
