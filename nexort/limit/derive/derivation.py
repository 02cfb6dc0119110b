"""What a derivation is made of: definitions, Gaussian families, equations, outputs, trace."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.limit.derive.formula import Formula, Indices, Ket, Matrix, Symbol
from nexort.program.index import Affine


@dataclass(frozen=True, slots=True)
class IndexRange:
    """``var = first..last``, both ends included; the values of an index for which a line holds."""

    var: str
    first: Affine
    last: Affine

    def forward(self) -> tuple[dict[str, Affine], IndexRange]:
        """The variable plus one, and the range of values that then has: x_t by x_{t-1} for
        t = 1..T as x_{t+1} by x_t for t = 0..T-1."""
        one = Affine(1)
        return {self.var: Affine.variable(self.var) + one}, IndexRange(
            self.var, self.first - one, self.last - one
        )


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """``label`` runs over the axis of that name (``a`` over ``M``)."""

    label: str
    axis: str


@dataclass(frozen=True, slots=True)
class KetDefinition:
    """One rule of a ket family in the limit: ``ket = value`` over ``ranges``.

    A plain rule has ``matrix`` None and ``value`` a formula of kets. An application ``W |x>`` has
    ``matrix``, ``argument`` (the formula of the ket it acts on), ``hat`` (the Ket with part
    'hat') and ``dot``: the formula of the dot, or the number 0, and then ``why`` says why it
    vanishes. ``value`` is then hat + dot, and in a training the moves of the matrix on top.
    ``note`` says something more. ``auxiliary`` marks a name that the program does not have: a part
    of a rule that got one, such as ``W |x[t-1]>`` inside of a function.
    """

    ket: Ket
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    value: Formula
    matrix: Matrix | None = None
    argument: Formula | None = None
    hat: Ket | None = None
    dot: Formula | None = None
    why: str | None = None
    auxiliary: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class GaussianFamily:
    """Jointly Gaussian kets of mean zero: ``Cov(left, right) = covariance``.

    Initial vectors have ``reason`` 'initial', hats 'hat', linear combinations of these 'linear';
    outputs of a training at the start, which are Symbols, 'output'.
    """

    left: Ket | Symbol
    right: Ket | Symbol
    covariance: Formula
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Equation:
    """``left = right`` for all values of ``ranges`` and ``labels``: one line of the recursion.

    ``left`` is a Bracket, Average, Response or scalar Symbol; ``right`` has others, closer to the
    start of the program. A system has one equation or more (base cases, steps) for a left side.
    ``closed`` says that no explicit Expectation is left in ``right``.
    """

    left: Formula
    right: Formula
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class WeightUpdate:
    """``weight = value`` for all values of ``ranges``: a weight of a training after a step. The
    weight is a Ket, a Symbol, or an Operator, of which ``value`` is then a sum of Operators and
    update functions of Outers."""

    weight: Formula
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    value: Formula


HISTORY = "g"
"""The name of an update function's arguments."""


@dataclass(frozen=True, slots=True)
class UpdateState:
    """``name_t = value``, a state of an update function, ``start`` before the first step; None for
    what a step finds anew. Values read states that come before at t, others at t - 1."""

    name: str
    value: Formula
    start: Formula | None


@dataclass(frozen=True, slots=True)
class UpdateFunction:
    """``name_t(g_0, ..., g_t) = result`` over the Symbols ``g`` (the arguments) and the states,
    of kind 'state', all with the step ``t`` for an axis; ``linear`` in the arguments or not."""

    name: str
    states: tuple[UpdateState, ...]
    result: Formula
    linear: bool = False


@dataclass(frozen=True, slots=True)
class OutputFormula:
    """``name[indices]_axes = value``; for a family that is put out, ``value`` is of each member.
    ``given`` is what the program puts out under that name, before any rule."""

    name: str
    indices: Indices
    axes: Indices
    value: Formula
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    given: Formula | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite: the rule's name, its place in the paper, and the formula before and after.

    ``before`` and ``after`` are None for a step that is about a statement, told by ``note``.
    """

    rule: str
    citation: str
    before: Formula | None
    after: Formula | None
    note: str = ""


@dataclass(frozen=True)
class Derivation:
    """The limit of a program. ``closed`` says that every equation is, and that every symbol has
    one; ``undefined`` are symbols that have none, one of a family.

    Of a training, ``regime`` is 'maximal', 'tangent' or 'decayed' (tangent,
    with weight decay), ``weights`` has what every step does to the
    weights, and ``updates`` the update functions.
    """

    name: str
    outputs: tuple[OutputFormula, ...]
    equations: tuple[Equation, ...]
    kets: tuple[KetDefinition, ...]
    gaussians: tuple[GaussianFamily, ...]
    steps: tuple[Rewrite, ...]
    closed: bool
    regime: str = ""
    weights: tuple[WeightUpdate, ...] = ()
    updates: tuple[UpdateFunction, ...] = ()
    undefined: tuple[Formula, ...] = ()
