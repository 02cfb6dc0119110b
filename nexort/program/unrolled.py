"""The unrolled program: a straight-line graph, with numbers for indices, sizes and data.

This is what evaluators read. All initial objects in it are standard: initial vectors are
independent N(0, 1), initial matrices have independent entries of mean 0 and variance 1/n, initial
scalars have limit 0; every other mean, variance, covariance or law is a function of these
(Setup 2.6.3: absorbed into the nonlinearity).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.nodes import Node
from nexort.program.types import Axes
from nexort.support.diagnostics import Span

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class UnrolledOutput:
    """One output. ``members`` are scalar nodes; ``indices`` their family indices in the same
    order; the result has shape ``family_shape + axes``, where family_shape is () for a single
    member and the member grid for a family."""

    name: str
    members: tuple[Node, ...]
    indices: tuple[tuple[int, ...], ...]
    family_shape: tuple[int, ...]
    axes: Axes
    span: Span | None


@dataclass(frozen=True)
class Unrolled:
    """The straight-line program.

    ``data`` maps a DATA name to its array, ``sizes`` an axis name to its size. ``matrix_laws`` maps
    an initial matrix's name to the function f (a graph over one SLOT node, attr ('z',)) such that
    sqrt(n) times an entry is distributed as f(z), z ~ N(0, 1); names that are absent are Gaussian.
    ``spans`` says where a node was first written.
    """

    outputs: tuple[UnrolledOutput, ...]
    data: Mapping[str, Array]
    sizes: Mapping[str, int]
    matrix_laws: Mapping[str, Node]
    spans: Mapping[Node, Span]

    def shape(self, axes: Axes) -> tuple[int, ...]:
        """The sizes of some axes."""
        return tuple(a.size if a.size is not None else self.sizes[a.name] for a in axes)
