"""Randomized quasi-Monte Carlo: standard normal coordinates, handed out in order of importance.

Scrambled Sobol points through the normal quantile. Coordinates past ``SOBOL_DIMENSIONS``, where
low-discrepancy points bring nothing, are pseudo-random.
"""

from __future__ import annotations

import numpy as np

from nexort.program.unrolled import Array

FIRST_BLOCK = 32
SOBOL_DIMENSIONS = 1024


class Points:
    """``size`` points (a power of two), one randomization for each ``seed``."""

    def __init__(self, size: int, seed: np.random.SeedSequence) -> None:
        self.size = size
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.used = 0
        self.ready = np.empty((0, size))

    def take(self, count: int) -> Array:
        """The next ``count`` coordinates of every point: shape (count, size), standard normal."""
        parts = []
        while count > 0:
            if not len(self.ready):
                self.ready = self._block(count)
            part, self.ready = self.ready[:count], self.ready[count:]
            parts.append(part)
            count -= len(part)
            self.used += len(part)
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _block(self, wanted: int) -> Array:
        """The next block of coordinates; every Sobol block doubles the dimension."""
        if self.used >= SOBOL_DIMENSIONS:
            return self.rng.standard_normal((wanted, self.size))
        from scipy.special import ndtri
        from scipy.stats import qmc

        end = min(max(FIRST_BLOCK, 2 * self.used), SOBOL_DIMENSIONS)
        engine = qmc.Sobol(end, scramble=True, bits=32, rng=self.rng)
        uniform = engine.random(self.size)[:, self.used :].T
        # a scrambled point can fall on 0: keep it inside the first cell of the 2^-32 grid
        normal: Array = ndtri(np.clip(uniform, 2.0**-33, 1 - 2.0**-33))
        return np.ascontiguousarray(normal)
