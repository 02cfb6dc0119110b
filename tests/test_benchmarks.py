"""Every benchmark runs to its end, at tiny sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
ELSEWHERE = {"reference_kernels.py"}
"""What needs neural-tangents."""


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted({p.name for p in BENCHMARKS.glob("*.py")} - ELSEWHERE))
def test_a_quick_run_of_every_benchmark(script: str) -> None:
    """No warning, no error, and something that was measured."""
    command = [sys.executable, "-W", "error::RuntimeWarning", str(BENCHMARKS / script), "--quick"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 1
