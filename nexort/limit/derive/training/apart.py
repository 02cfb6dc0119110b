"""Whether rules of a general form stay apart at a program's own numbers."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.limit.derive.lines import System
from nexort.limit.derive.matching import grid


def are_apart(system: System, numbers: Mapping[str, int | float]) -> bool:
    """Whether ranges that are apart for large params are so at the program's numbers."""
    known = {k: v for k, v in numbers.items() if isinstance(v, int)}
    for lines in (*system.kets.values(), *system.scalars.values()):
        seen: set[tuple[int, ...]] = set()
        for line in lines:
            try:
                members = [
                    tuple(i.value({**known, **env}) for i in line.indices)
                    for env in grid(line.ranges, known)
                ]
            except KeyError:
                continue
            for at in members:
                if at in seen:
                    return False
                seen.add(at)
    return True
