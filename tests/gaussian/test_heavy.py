"""Integrands that no panels resolve: a bounded time, and an error that covers what is left."""

from __future__ import annotations

import time

import numpy as np

import nexort


def test_waves_that_gather_at_a_point() -> None:
    """E sin(1/z)^2 = 2 int_0^inf sin(u)^2 density(1 / u) / u^2 du."""
    start = time.process_time()
    found = nexort.loads("vector v ~ N(0, 1)\n|x> = sin(1 / |v>)^2\noutput <1|x>").limit()["<1|x>"]
    assert time.process_time() - start < 10
    step, end = 1e-3, 4000.0
    u = np.arange(step / 2, end, step)
    density = np.exp(-0.5 / u**2) / np.sqrt(2 * np.pi)
    expected = 2 * float(np.sum(np.sin(u) ** 2 * density / u**2)) * step
    expected += 1 / (np.sqrt(2 * np.pi) * end)
    assert abs(float(found) - expected) < float(found.error) + 1e-7 < 1e-3
