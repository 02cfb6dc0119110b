"""Randomized quasi-Monte Carlo: standard normal coordinates, handed out in order of importance.

Scrambled Sobol points through the normal quantile, in blocks. The first block is used as it comes;
each later one is a fresh scrambling in random order, so that blocks are independent of each other.
A block has as many coordinates as fill every square evenly: two coordinates with primitive
polynomials of degrees d and e are a (t, m, 2)-net in base 2 with t <= d + e - 2, which says nothing
of 2^m points where t >= m. Later pairs can be correlated far more than independent ones; kets that
are made uncorrelated from such pairs have other moments with a bias that outweighs their spread.
Where there are many coordinates those after the ``even`` most important ones are pseudo-random:
averages over all of them gain nothing from evenness in any few.
"""

from __future__ import annotations

import numpy as np

from nexort.program.unrolled import Array

DEGREES = (1, 2, 3, 5, 7, 13, 19, 37, 53, 101)
"""How many Sobol coordinates have primitive polynomials of degree 0, 1, 2, ... at the most."""


def block(size: int) -> int:
    """How many coordinates fill every square evenly at 2^m points: those of the degrees e with
    2 e - 2 < m."""
    m = size.bit_length() - 1
    return DEGREES[min((m + 1) // 2, len(DEGREES) - 1)]


class Points:
    """``size`` points (a power of two), one randomization for each ``seed``."""

    def __init__(
        self,
        size: int,
        seed: np.random.SeedSequence,
        *,
        even: int | None = None,
        most: int | None = None,
    ) -> None:
        """``even``: how many coordinates are quasi-random, None for all; ``most``: how many are
        taken at the most, where that is known."""
        self.size, self.even, self.most = size, even, most
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.used = 0
        self.ready = np.empty((0, size))

    def take(self, count: int) -> Array:
        """The next ``count`` coordinates of every point: shape (count, size), standard normal."""
        from scipy.special import ndtri

        parts = [] if count else [np.empty((0, self.size))]
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
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _block(self) -> Array:
        """Uniform coordinates."""
        from scipy.stats import qmc

        count = block(self.size)
        if self.even is not None:
            count = min(count, self.even - self.used)
        if self.most is not None:
            count = min(count, max(1, self.most - self.used))
        engine = qmc.Sobol(count, scramble=True, bits=32, rng=self.rng)
        uniform = engine.random(self.size).T
        if self.used:
            uniform = uniform[:, self.rng.permutation(self.size)]
        return np.asarray(uniform)
