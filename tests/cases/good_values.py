"""The limits of the programs in ``good`` and of ``programs``, as they stand in ``values.json``.

``python tests/cases/good_values.py`` writes the file again: every output's values (the first 32)
and errors, and whether it is sampled. The file was made by a version whose kernels had agreed with
two public tools and with recursions in numpy to 1e-7 or better (see the headers of the programs).
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import nexort
from nexort.api import TensorProgram

HERE = Path(__file__).parent
FILE = HERE / "values.json"
SIZES = {"d": 3, "M": 2, "P": 4, "T": 3, "Q": 2, "R": 2, "G": 4, "H": 2, "B": 2, "K": 5}
FIRST = 32


def paths() -> list[Path]:
    """Programs without a training."""
    found = [*HERE.glob("good/*.nxt"), *(HERE.parents[1] / "programs").glob("*.nxt")]
    return [p for p in sorted(found) if "\ntrain " not in p.read_text("utf-8")]


def filled(program: TensorProgram) -> dict[str, Any]:
    """Numbers for the data that have none: ones, cyclic shifts, normal numbers by the name."""
    found: dict[str, Any] = {}
    for name, data in program.program.data.items():
        if data.default is not None:
            continue
        shape = tuple(a.size or SIZES.get(a.name, 2) for a in data.axes)
        if name.startswith("one"):
            found[name] = np.ones(shape)
        elif name.startswith("S") and len(shape) == 3:
            found[name] = np.stack([np.eye(*shape[1:], k=k % shape[2]) for k in range(shape[0])])
        else:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            found[name] = rng.standard_normal(shape)
    return found


def evaluated(path: Path) -> dict[str, Any]:
    """Of every output its first values and errors, and whether it is sampled."""
    program = nexort.load(path)
    given = {name: SIZES[name] for name in ("K", "H") if name in program.program.dims}
    program = program.with_numbers(**given)
    limit = program.limit(data=filled(program), samples=1024)
    return {
        name: {
            "sampled": "sampled" in limit[name].method,
            "values": np.asarray(limit[name]).ravel()[:FIRST].tolist(),
            "errors": np.asarray(limit[name].error).ravel()[:FIRST].tolist(),
        }
        for name in limit
    }


if __name__ == "__main__":
    table = {}
    for path in paths():
        table[f"{path.parent.name}/{path.name}"] = evaluated(path)
        print(path.name, flush=True)
    FILE.write_text(json.dumps(table, indent=1) + "\n")
