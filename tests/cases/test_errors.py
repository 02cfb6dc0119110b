"""Error bars: what is exact is printed with roundings, what is sampled with its standard error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import nexort

HERE = Path(__file__).parent


def test_a_deterministic_training_is_not_chaotic() -> None:
    value = nexort.load(HERE / "error-not-chaotic.nxt").limit()["f"]
    xi = np.array([[1, 0.6, -0.4], [0, 0.8, 0.3]])
    y = np.array([1, -0.5, 0.3])
    # kets by their coordinates over |u_1>, |u_2>, |v> at the start
    u, v = np.eye(3)[:2], np.eye(3)[2]
    wanted = []
    for _ in range(9):
        x = u.T @ xi
        f = v @ x
        wanted.append(f)
        v, u = v - 0.4 * x @ (f - y), u - 0.4 * np.outer(xi @ (f - y), v)
    assert (np.abs(value.plain - wanted) <= 2 * value.error).all()
    assert value.error.max() < 1e-13
    assert "chaotic" not in value.method
    assert "sampled" not in value.method
