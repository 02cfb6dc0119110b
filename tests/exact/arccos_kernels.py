"""The kernels of deep relu networks by themselves."""

from __future__ import annotations

import numpy as np


def arccos_kernels(a: np.ndarray, b: np.ndarray, depth: int) -> tuple[object, object]:
    """NNGP and NTK of two inputs to 60 digits (Cho & Saul 2009)."""
    from mpmath import acos, mpf, pi, sin, sqrt, workdps

    with workdps(60):
        a, b = ([mpf(float(x)) for x in v] for v in (a, b))
        k = sum(x * y for x, y in zip(a, b, strict=True))
        size = sqrt(sum(x * x for x in a) * sum(x * x for x in b))
        kernels, slopes = [k], []
        for _ in range(depth):
            # equal inputs have correlation 1, which 60 digits may miss by one
            c = min(kernels[-1] / size, mpf(1))
            angle = acos(c)
            slopes.append((pi - angle) / (2 * pi))
            kernels.append(size * (sin(angle) + (pi - angle) * c) / (2 * pi))
            size /= 2
        ntk = kernels[0]
        for kernel, slope in zip(kernels[1:], slopes, strict=True):
            ntk = kernel + slope * ntk
        return kernels[-1], ntk
