"""nexort: a symbolic compiler for Tensor Programs.

``load("mlp.nxt").limit(xi=X)`` is the infinite-width limit of a program in bra-ket notation,
``.simulate(width=1024, xi=X)`` the same program at finite width.
"""

from nexort.api import TensorProgram, load, loads
from nexort.diagnostics import Diagnostic, NexortError

__version__ = "0.1.0"
__all__ = ["Diagnostic", "NexortError", "TensorProgram", "__version__", "load", "loads"]
