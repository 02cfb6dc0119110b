"""Programs of which an expectation exists for no data."""

from __future__ import annotations

from dataclasses import replace

from nexort.data.given import SMALL, Given, placeholders
from nexort.limit.exact.existing import examine, is_singular
from nexort.limit.exact.solve import check_divisions
from nexort.program.nodes import walk
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError
from nexort.transform.straight import unroll

LOOSE = 3
"""The number of a param that has none, where any will do."""

SIZES = (SMALL, 7, 5)
"""Those of dims that have none, one after another."""


def refuse_divergent(program: Program, given: Given) -> None:
    """Raise NexortError for an expectation that exists for no data: it does not for ones, for
    positive and for other random numbers, nor for several sizes."""
    values = [rule.value for _, rule in program.rules()]
    values += [o.value for o in program.outputs if o.value is not None]
    if not any(map(is_singular, walk(values))):
        return
    loose = {n: LOOSE for n, p in program.params.items() if p.default is None}
    given = replace(given, numbers={**loose, **given.numbers})
    for draw, size in enumerate(SIZES):
        filled = placeholders(program, given, size, draw)
        try:
            unrolled = unroll(program, filled)
        except NexortError:  # sizes that the program does not take
            return
        try:
            examine(unrolled)
            if filled.arrays.keys() == given.arrays.keys():
                check_divisions(unrolled)
            return
        except NexortError as problem:
            found = problem
    raise found
