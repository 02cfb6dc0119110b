"""Covariances of linear forms whose coefficients are numbers: c^T G d, with G the Gram matrix of
the atoms. Long chains of matrices have forms over many atoms, pair by pair too slow.

With bounds e, E, f on the errors of c, G, d that of the product is, beside its roundings,

    e^T (|G| + E) (|d| + f) + |c|^T E (|d| + f) + |c|^T |G| f.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nexort.limit.exact.forms import Gaussian, GaussianEntry
from nexort.program.roundings import UNIT, ZERO, Known, adds_exactly, known_sum
from nexort.program.unrolled import Array


class _Part(NamedTuple):
    """The atoms of one family: their places in its Gram matrix, and their coefficients, each with
    a bound on its error: shape (2, atoms)."""

    atoms: list[GaussianEntry]
    places: Array
    coefficients: Array


class AtomNumbers:
    """Gram matrices of atoms without axes, family by family, and bounds on their errors: shape
    (2, atoms, atoms); ``of_atoms`` finds an entry, None where it is not a number."""

    def __init__(self, of_atoms: Callable[[GaussianEntry, GaussianEntry], Known | None]) -> None:
        self._of_atoms = of_atoms
        self._places: dict[object, dict[GaussianEntry, int]] = {}
        self._grams: dict[object, Array] = {}
        self._parts: dict[Gaussian, dict[object, _Part] | None] = {}

    def covariance(self, a: Gaussian, b: Gaussian) -> Known | None:
        """Cov(a, b), None where it is not a number known from numbers alone."""
        left, right = self._split(a), self._split(b)
        if left is None or right is None:
            return None
        total = ZERO
        for family in left:
            if family not in right:
                continue
            x, y = left[family], right[family]
            block = self._block(family, x, y)
            if block is None:
                return None
            total = known_sum(total, _product(x.coefficients, block, y.coefficients))
        return total

    def _split(self, z: Gaussian) -> dict[object, _Part] | None:
        if z not in self._parts:
            self._parts[z] = self._parted(z)
        return self._parts[z]

    def _parted(self, z: Gaussian) -> dict[object, _Part] | None:
        groups: dict[object, list[tuple[GaussianEntry, Known]]] = {}
        for item in z.items:
            number = item.coefficient.number
            if number is None or item.bound or item.atom.at:
                return None
            own = number, item.coefficient.error
            groups.setdefault(item.atom.family, []).append((item.atom, own))
        found = {}
        for family, pairs in groups.items():
            known = self._places.setdefault(family, {})
            places = [known.setdefault(atom, len(known)) for atom, _ in pairs]
            coefficients = np.array([c for _, c in pairs]).T
            found[family] = _Part([atom for atom, _ in pairs], np.array(places), coefficients)
        return found

    def _gram(self, family: object) -> Array:
        """The matrix of a family, NaN where an entry is not found yet; it grows."""
        count = len(self._places[family])
        gram = self._grams.get(family, np.empty((2, 0, 0)))
        known = gram.shape[1]
        if known < count:
            grown = np.full((2, 2 * count, 2 * count), np.nan)
            grown[:, :known, :known] = gram
            gram = self._grams[family] = grown
        return gram

    def _block(self, family: object, x: _Part, y: _Part) -> Array | None:
        block: Array = self._gram(family)[:, x.places[:, None], y.places]
        for i, j in np.argwhere(np.isnan(block[0])):
            number = self._of_atoms(x.atoms[i], y.atoms[j])
            if number is None:
                return None
            # finding it may have made the matrix grow
            gram, p, q = self._gram(family), x.places[i], y.places[j]
            gram[:, p, q] = gram[:, q, p] = block[:, i, j] = number
        return block


def _product(x: Array, block: Array, y: Array) -> Known:
    """c^T G d and its error."""
    (c, e), (gram, r), (d, f) = x, block, y
    p, size, q = np.abs(c), np.abs(gram), np.abs(d)
    error = e @ (size + r) @ (q + f) + p @ r @ (q + f) + p @ size @ f
    if not adds_exactly((c, gram, d), float(p @ size @ q)):
        error += UNIT * (len(c) + len(d)) * (p @ size @ q)
    return float(c @ gram @ d), float(error)
