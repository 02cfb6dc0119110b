"""max(x, 0)."""

import numpy as np

from nexort.functions import Evaluate, Function


def _relu(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.maximum(x, x.dtype.type(0))


evaluate: Evaluate = _relu
ENTRIES = (Function("relu", evaluate, ("step(x)",), r"\mathrm{{relu}}({x})", "max(x, 0)"),)
