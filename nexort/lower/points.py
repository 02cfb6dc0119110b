"""Randomized quasi-Monte Carlo: standard normal coordinates, handed out in order of importance.

Scrambled Sobol points through the normal quantile, in blocks of ``BLOCK`` coordinates. The first
block is used as it comes; each later one is a fresh scrambling in random order: pairs of high Sobol
coordinates fill the square badly at a few thousand points, and would bias what is quadratic in an
average, while randomly paired blocks keep the low discrepancy within and are independent across.
Where there are many coordinates those after the ``even`` most important ones are pseudo-random:
averages over all of them gain nothing from evenness in any few.
"""

from __future__ import annotations

import numpy as np

from nexort.program.unrolled import Array

BLOCK = 64


class Points:
    """``size`` points (a power of two), one randomization for each ``seed``."""

    def __init__(self, size: int, seed: np.random.SeedSequence, *, even: int | None = None) -> None:
        """``even``: how many coordinates are quasi-random, None for all."""
        self.size, self.even = size, even
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.used = 0
        self.ready = np.empty((0, size))

    def take(self, count: int) -> Array:
        """The next ``count`` coordinates of every point: shape (count, size), standard normal."""
        from scipy.special import ndtri

        parts = []
        while count > 0:
            if not len(self.ready) and self.even is not None and self.used >= self.even:
                parts.append(self.rng.standard_normal((count, self.size)))
                self.used += count
                break
            if not len(self.ready):
                self.ready = self._block()
            part, self.ready = self.ready[:count], self.ready[count:]
            # a scrambled point can fall on 0: keep it inside the first cell of the 2^-32 grid
            normal: Array = ndtri(np.clip(part, 2.0**-33, 1 - 2.0**-33))
            parts.append(np.ascontiguousarray(normal))
            count -= len(part)
            self.used += len(part)
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _block(self) -> Array:
        """Uniform coordinates."""
        from scipy.stats import qmc

        count = BLOCK if self.even is None else min(BLOCK, self.even - self.used)
        engine = qmc.Sobol(count, scramble=True, bits=32, rng=self.rng)
        uniform = engine.random(self.size).T
        if self.used:
            uniform = uniform[:, self.rng.permutation(self.size)]
        return np.asarray(uniform)
