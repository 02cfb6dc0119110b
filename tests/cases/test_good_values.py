"""Good programs keep their limits, and what is exact stays exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from good_values import FILE, evaluated, paths

SLOW = {"kernel-cnn-gap.nxt", "kernel-ntk-transformer.nxt", "kernel-ntk-batchnorm.nxt"}
STORED = json.loads(FILE.read_text("utf-8"))


def test_every_program_has_values() -> None:
    assert {f"{p.parent.name}/{p.name}" for p in paths()} == set(STORED)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=[pytest.mark.slow] if p.name in SLOW else [], id=p.stem)
        for p in paths()
    ],
)
def test_limits_stay(path: Path) -> None:
    stored = STORED[f"{path.parent.name}/{path.name}"]
    found = evaluated(path)
    assert found.keys() == stored.keys()
    for name, was in stored.items():
        now = found[name]
        assert was["sampled"] or not now["sampled"], f"{name} is sampled"
        a, b = np.array(was["values"]), np.array(now["values"])
        errors = np.hypot(was["errors"], now["errors"])
        scale = np.maximum(np.abs(a), np.max(np.abs(a), initial=0.0) if was["sampled"] else 0.0)
        allowed = 6 * errors + 1e-12 * scale
        assert np.all(np.abs(a - b) <= allowed), f"{name}: {a} {b} {allowed}"
