"""What operations on arrays read beside their arguments, and what they note."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexort.limit.exact.labels import Index, Label
from nexort.limit.exact.values import Value
from nexort.program.unrolled import Array


@dataclass
class Frame:
    """What operations read beside their arguments: sizes, the range of each label (of a block), a
    source of arrays, and the tolerance. ``errors`` and ``methods`` collect what expectations say:
    errors entry by entry, or the largest as a part of what they are relative to.
    """

    sizes: Callable[[Label], int]
    source: Callable[[Any, tuple[Index, ...]], Array]
    dtype: Any = np.float64
    rtol: float = 1e-8
    ranges: Mapping[Label, slice] = field(default_factory=dict)
    errors: dict[Value, Any] = field(default_factory=dict)
    methods: dict[Value, str] = field(default_factory=dict)
    same: bool = False
    """Whether labels of one axis, with equal ranges, count the same inputs."""
    opposite: set[Value] = field(default_factory=set)
    """The GAPs with pairs near to opposite."""
    entrywise: bool = False
    unsure: dict[Value, Any] = field(default_factory=dict)
    """Estimates of the errors of gaps, where these are more than roundings of themselves."""

    def note(self, gap: Value, error: Any) -> None:
        """Of a gap; in its shape, or a number."""
        if np.any(error):
            self.unsure[gap] = error

    def carried(self, value: Value, change: Callable[[Any], Any] = np.asarray) -> None:
        """What the errors of a value's gaps make of its own."""
        known = [
            self.unsure[a] if a.labels == value.labels else np.max(self.unsure[a])
            for a in value.args
            if a in self.unsure
        ]
        if known:
            self.note(value, change(sum(known)))

    def length(self, label: Label) -> int:
        """How many entries of a label there are here."""
        r = self.ranges.get(label)
        return self.sizes(label) if r is None else len(range(*r.indices(self.sizes(label))))
