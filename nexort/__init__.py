"""nexort: a symbolic compiler for Tensor Programs.

``load("mlp.nxt").limit(xi=X)`` is the infinite-width limit of a program in bra-ket notation,
``.simulate(width=1024, xi=X)`` the same program at finite width.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexort.api import TensorProgram, load, loads
    from nexort.parametrization import classify
    from nexort.support.diagnostics import Diagnostic, NexortError

__version__ = "0.1.0"
__all__ = ["Diagnostic", "NexortError", "TensorProgram", "__version__", "classify", "load", "loads"]

# Loaded at first use, so that the command line starts without numpy.
_HOMES = {
    "Diagnostic": "nexort.support.diagnostics",
    "NexortError": "nexort.support.diagnostics",
    "TensorProgram": "nexort.api",
    "classify": "nexort.parametrization",
    "load": "nexort.api",
    "loads": "nexort.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nexort' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
