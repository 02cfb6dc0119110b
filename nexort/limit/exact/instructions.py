"""Instructions of tapes: what they are, two made one, and their registers.

An instruction reads and writes parts of rows of a block, which registers hold; as a row of numbers
it is

    what, out, second out, register, register, register, x, y, z, w,

the last four being vectors over rows, over columns, or an array's place, as the instruction wants.
It never writes to a register that it reads, so that compiled loops can take many entries at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.unrolled import Array

(LOAD, LOAD_COLUMN, STORE, MULTIPLY, MULTIPLY_ROW, MULTIPLY_COLUMN, ADD, ADD_ROW, ADD_COLUMN,
 COMBINE, COMPLEMENT, RATIO, ARCSINE, BUMP, ARCSINE_AND_BUMP, GELU, AFTER) = range(17)  # fmt: skip
"""What an instruction does; ``nexort.limit.exact.machine`` has them all."""


@dataclass(frozen=True)
class Instruction:
    """With registers that are each written once."""

    what: int
    outs: tuple[int, ...]
    registers: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


def pair_arcsines(code: Sequence[Instruction]) -> list[Instruction]:
    """An arcsine and a bump of the same arguments made one, where the first stands."""
    parts: dict[Any, dict[int, Instruction]] = {}
    for x in code:
        if x.what in (ARCSINE, BUMP):
            parts.setdefault((x.registers, x.others[:2]), {}).setdefault(x.what, x)
    found = []
    for x in code:
        pair = parts.get((x.registers, x.others[:2]), {}) if x.what in (ARCSINE, BUMP) else {}
        if len(pair) < 2 or pair[x.what] is not x:
            found.append(x)
        elif x is next(iter(pair.values())):
            first, second = pair[ARCSINE], pair[BUMP]
            outs, others = (*first.outs, *second.outs), (*first.others, second.others[2])
            found.append(Instruction(ARCSINE_AND_BUMP, outs, x.registers, others))
    return found


def combine_sums(code: Sequence[Instruction]) -> list[Instruction]:
    """a x + b c made one instruction, x over rows, where nothing else needs the products."""
    uses = Counter(r for x in code for r in x.registers)
    made = {r: x for x in code for r in x.outs if uses[r] == 1}
    found: list[Instruction] = []
    inside: set[int] = set()
    for x in code:
        terms = {made[r].what: made[r] for r in x.registers if r in made}
        a, b = terms.get(MULTIPLY_ROW), terms.get(MULTIPLY)
        if x.what == ADD and a is not None and b is not None:
            found.append(Instruction(COMBINE, x.outs, (*a.registers, *b.registers), a.others))
            inside.update((*a.outs, *b.outs))
        else:
            found.append(x)
    return [x for x in found if not inside.intersection(x.outs)]


def allocate_registers(code: Sequence[Instruction]) -> tuple[Array, int]:
    """The instructions as rows of numbers, registers used again once nothing reads them; and how
    many there are."""
    last = {r: k for k, x in enumerate(code) for r in (*x.outs, *x.registers)}
    free: list[int] = []
    places: dict[int, int] = {}
    count = 0
    table = np.zeros((len(code), 10), np.int64)
    for k, x in enumerate(code):
        for r in x.outs:
            if not free:
                free.append(count)
                count += 1
            places[r] = free.pop()
        registers = [places[r] for r in x.registers]
        outs = [places[r] for r in x.outs]
        for at, part in ((1, outs), (3, registers), (6, x.others)):
            table[k, at : at + len(part)] = part
        table[k, 0] = x.what
        free.extend(places[r] for r in dict.fromkeys((*x.outs, *x.registers)) if last[r] == k)
    return table, max(count, 1)
