"""Whether rules of a general form stay apart at a program's own numbers."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.limit.derive.lines import System
from nexort.limit.derive.matching import grid
from nexort.limit.derive.unsupported import Unsupported


def check_apart(system: System, numbers: Mapping[str, int | float]) -> None:
    """Ranges that are apart for large params must be so at the program's numbers. Raises
    Unsupported."""
    known = {k: v for k, v in numbers.items() if isinstance(v, int)}
    for name, lines in (*system.kets.items(), *system.scalars.items()):
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
                    shown = f"{name}[{', '.join(map(str, at))}]"
                    message = f"at these numbers '{shown}' is in two ranges of a general form"
                    raise Unsupported(message)
                seen.add(at)
