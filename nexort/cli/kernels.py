"""``nexort eval`` of kernels between two sets of inputs, or into files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nexort.cli.progress import pairs, progress
from nexort.cli.streams import say
from nexort.data.given import Given
from nexort.program.program import Program
from nexort.report.schema import with_schema
from nexort.support.diagnostics import fail

if TYPE_CHECKING:
    from nexort.api import TensorProgram
    from nexort.data.arrays import LoadedArray

SECOND = "2"
"""xi2 holds the second set of inputs where the program has data xi."""


def second_of(program: Program, arrays: Mapping[str, LoadedArray]) -> str | None:
    """The data entry of which a second set is given, as NAME2, or None. Raises NexortError."""
    found = [
        name[: -len(SECOND)]
        for name, loaded in arrays.items()
        if loaded.asked
        and name not in program.data
        and name.endswith(SECOND)
        and name[: -len(SECOND)] in program.data
    ]
    if len(found) > 1:
        raise fail("kernel-data", f"second sets are given of {' and '.join(found)}, expected one")
    return found[0] if found else None


def show(
    program: TensorProgram, given: Given, second: str | None, *, as_json: bool, **choices: Any
) -> None:
    """Compute kernels, print them or write them to ``-o``."""
    arrays = dict(given.arrays)
    name, _ = program.kernel_input()
    if second not in (None, name):
        raise fail("kernel-data", f"the inputs of the kernel are {name}, not {second}")
    Y = arrays.pop(name + SECOND).array if second else None
    if name not in arrays:
        raise fail("data-missing", f"no numbers are given for data {name}",
                   help=f"--data {name}=FILE")  # fmt: skip
    X = arrays.pop(name).array
    output = choices.pop("output")
    path = output if output and output.endswith(".npy") else None
    with progress("kernel") as bar:
        found = program.kernel(X, Y, out=path, progress=pairs(bar), data=arrays, **choices)
    if path:
        for key, array in found.items():
            size = " x ".join(map(str, array.shape))
            where = getattr(array, "filename", path)
            say(f"{key}: {size} in {where} ({found.methods[key]})")
        return
    from nexort.report.results import Estimate, Results, results_text

    results = Results({k: Estimate(*v, k) for k, v in found.results().items()})

    say(json.dumps(with_schema(results.as_json()), indent=2) if as_json else results_text(results))
    if output:
        results.save(output)
