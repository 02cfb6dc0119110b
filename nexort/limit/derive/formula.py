"""The language of derivations: immutable, hashable formulas with symbolic indices.

Every formula is a number of the limit or, if it contains a :class:`Ket`, a random variable. Indices
of families (``l - 1``) and labels of axes (``a``, ``b``, ``i``) are both
:class:`~nexort.program.index.Affine`; a label is the Affine of one variable, and a fixed entry,
as in ``xi[0]``, a constant. Axes are explicit everywhere, so nothing here broadcasts:
``|u> @ xi`` is ``sum_i xi_ia |u_i>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from nexort.program.index import Affine
from nexort.program.nodes import Node

Indices = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number: exact where the program's is (integers, fractions), else a float.

    Raises OverflowError for what is none.
    """

    value: Fraction | float

    def __post_init__(self) -> None:
        if isinstance(self.value, float) and not isfinite(self.value):
            raise OverflowError(f"a number of the formulas is {self.value}")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A deterministic symbol: a param, a size, an entry of data, or a member of a scalar family.

    ``kind`` is 'param', 'size', 'data', 'scalar' (a family that the program names, such as the
    output ``ntk``) or 'covariance' (an entry of a declared covariance).
    """

    name: str
    indices: Indices = ()
    axes: Indices = ()
    kind: str = "scalar"


@dataclass(frozen=True, slots=True)
class IndexNumber:
    """An index used as a number (``t + 1`` in a formula)."""

    index: Affine


@dataclass(frozen=True, slots=True)
class Ket:
    """``|x^l_a>``: a member of a ket family at labels of its axes.

    ``part`` is 'ket' for the whole, 'hat' for its Gaussian part where the family is ``W |x>``.
    ``copy`` k > 0 is the k-th iid copy.
    """

    name: str
    indices: Indices = ()
    axes: Indices = ()
    part: str = "ket"
    copy: int = 0


@dataclass(frozen=True, slots=True)
class Matrix:
    """An initial matrix, W^l or its transpose. Not a formula by itself; part of definitions."""

    name: str
    indices: Indices = ()
    transposed: bool = False


@dataclass(frozen=True, slots=True)
class Bracket:
    """``<x^l_a|y^m_b>`` = E |x^l_a> |y^m_b>, an unknown of the recursion."""

    left: Ket
    right: Ket


@dataclass(frozen=True, slots=True)
class Average:
    """``<1|x^l_a>`` = E |x^l_a>."""

    ket: Ket


@dataclass(frozen=True, slots=True)
class Response:
    """``E[d|x> / d hat(y)]``: the coefficient of a dot. ``by`` is a Ket with part 'hat'."""

    ket: Ket
    by: Ket


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of two terms or more."""

    terms: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product of two factors or more; a literal coefficient comes first."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """``base ^ exponent``; a quotient is a product with a power -1 (or -1/2 for a root)."""

    base: Formula
    exponent: Formula


@dataclass(frozen=True, slots=True)
class Apply:
    """An entrywise function of the registry, applied: ``relu(...)``, ``max(..., ...)``."""

    function: str
    args: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """``Q_last(body(0), ..., body(last))``: an update function with memory over a history, of which
    ``var`` is the index. The derivation defines the function (``updates``); averages move
    through one that is ``linear``."""

    function: str
    var: str
    last: Affine
    body: Formula
    linear: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """A matrix as an operator: ``W^l``, or a trained one at a step, ``W^{l,t}``."""

    matrix: Matrix


@dataclass(frozen=True, slots=True)
class Outer:
    """``|left><right|``, an operator; sums of such are the gradients by matrices."""

    left: Ket
    right: Ket


@dataclass(frozen=True, slots=True)
class LoopSum:
    """``sum over var = first..last of body`` (both ends included, empty where last < first)."""

    var: str
    first: Affine
    last: Affine
    body: Formula


@dataclass(frozen=True, slots=True)
class AxisSum:
    """``sum over a label of an axis of body``; ``axis`` is the axis's name (its size)."""

    label: str
    axis: str
    body: Formula


@dataclass(frozen=True, slots=True)
class Delta:
    """Kronecker's delta: 1 where the indices are equal, else 0."""

    left: Affine
    right: Affine


@dataclass(frozen=True, slots=True)
class CopyMean:
    """``E{copies}[body]``: the average over iid copies only; kets with copy 0 stay random."""

    copies: tuple[int, ...]
    body: Formula


@dataclass(frozen=True, slots=True)
class Expectation:
    """``E[body]`` over everything random in it, left explicit: no rule makes it simpler.

    The law of its kets is in the derivation (``kets`` and ``gaussians``).
    """

    body: Formula


@dataclass(frozen=True, slots=True)
class GaussianPair:
    """``E f(z_a) g(z_b)``, centred Gaussians with variances ``left_variance`` and
    ``right_variance`` and covariance ``covariance``: a dual activation.

    ``left`` and ``right`` are f and g as scalar graphs over the node SLOT ('z',), the argument of
    ``nexort.gaussian``'s Univariate. ``left_ket`` and ``right_ket`` are the Gaussian kets z_a, z_b
    of the derivation, for printing where no closed form is known.
    """

    left: Node
    right: Node
    left_variance: Formula
    covariance: Formula
    right_variance: Formula
    left_ket: Ket
    right_ket: Ket


@dataclass(frozen=True, slots=True)
class GaussianMean:
    """``E f(z)``, z centred Gaussian with that variance; see :class:`GaussianPair`."""

    function: Node
    variance: Formula
    ket: Ket


Formula = (
    Number
    | Symbol
    | IndexNumber
    | Ket
    | Bracket
    | Average
    | Response
    | Sum
    | Product
    | Power
    | Apply
    | Fold
    | Operator
    | Outer
    | LoopSum
    | AxisSum
    | Delta
    | CopyMean
    | Expectation
    | GaussianPair
    | GaussianMean
)

ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))
