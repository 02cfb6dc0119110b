"""Networks and trainings as they are declared: symbolic, before any number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeVar

from nexort.program.declarations import Block, Family, Initial, Rule, UpdateRule
from nexort.program.index import Affine, Interval
from nexort.program.nodes import Node
from nexort.program.types import Axes
from nexort.support.diagnostics import Span

WeightKind = Literal["matrix", "vector", "scalar"]
NormKind = Literal["updates", "weights", "clip", "clip paper"]
IsMember = Callable[[tuple[Affine, ...], Span], bool]
"""Whether indices, which stand at that place, are those of the member in question."""


@dataclass(frozen=True, slots=True)
class WeightFamily:
    """``weight W[2..L] : matrix ~ N(0, 2)``: one parameter, or a family of them.

    At width n its entries start as w = mean + sqrt(variance) n^-b z; ``mean`` and ``variance`` are
    scalar graphs over params and numbers. In the network's rules a member is the leaf
    INIT_MATRIX, INIT_VECTOR or INIT_SCALAR (name, indices) of its kind.
    """

    name: str
    kind: WeightKind
    ranges: tuple[Interval, ...]
    axes: Axes
    mean: Node
    variance: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Network:
    """``network f(xi) { ... return ... }``. ``body`` and ``families`` as in a Program, without a
    step; ``initial`` has the weights (their value is their leaf); initial objects of the file that
    the rules read are not trained. ``output`` is the scalar graph <1|x> (AVERAGE or INNER, or a sum
    or list of them) with f = n^(1 - a_out) times it."""

    name: str
    data: tuple[str, ...]
    weights: Mapping[str, WeightFamily]
    initial: Mapping[str, Initial]
    families: Mapping[str, Family]
    body: tuple[Rule | Block, ...]
    output: Node
    output_span: Span
    output_refs: tuple[tuple[Node, Span], ...]
    span: Span

    @property
    def axes(self) -> Axes:
        """The axes of f."""
        return self.output.type.axes


@dataclass(frozen=True, slots=True)
class WeightSet:
    """``for u, W[2]``: a weight's name, and the member's indices where one is singled out."""

    name: str
    indices: tuple[Affine, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class OptimizerUse:
    """``optimizer adam(lr=0.1, eps=1e-4) for W``; ``weights`` None: all that no other line names.

    ``rate`` (lr) may depend on the step (INDEX ``t``) and on data; ``weight_decay`` is that of an
    optimizer such as adamw: weights are multiplied by 1 - rate * weight_decay. ``spans`` has the
    place of every argument.
    """

    rule: UpdateRule
    arguments: Mapping[str, Node]
    rate: Node
    weight_decay: Node | None
    weights: tuple[WeightSet, ...] | None
    refs: tuple[tuple[Node, Span], ...]
    spans: Mapping[str, Span]
    span: Span


@dataclass(frozen=True, slots=True)
class Decay:
    """``decay 0.01 for W``: weights are multiplied by 1 - rate at every step."""

    rate: Node
    weights: tuple[WeightSet, ...] | None
    refs: tuple[tuple[Node, Span], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Normalization:
    """``normalize updates for W``, ``normalize weights``, ``clip 0.5``, ``clip paper 0.5``
    (Eq 2.54): by what the updates Q of a weight w are divided, |.| a norm over all entries and
    e = 1 for a matrix, 1/2 for a vector, 0 for a scalar.

    'updates': |Q|; 'weights': |w|; 'clip': max(1, |Q| / (threshold n^e)), so that no update is
    larger than threshold n^e; 'clip paper': min(|Q|, threshold n^e), the paper's.
    """

    kind: NormKind
    threshold: Node | None
    weights: tuple[WeightSet, ...] | None
    refs: tuple[tuple[Node, Span], ...]
    span: Span


Line = TypeVar("Line", OptimizerUse, Decay, Normalization)


def last_of(lines: Iterable[Line], weight: str, is_member: IsMember) -> Line | None:
    """The line that speaks of a member of a family of weights: one that singles it out before one
    that names its family before one for all the others; of several the last."""
    best, found = 1, None
    for line in lines:
        rank = _rank(line.weights, weight, is_member)
        if rank >= best:
            best, found = rank, line
    return found


def _rank(weights: tuple[WeightSet, ...] | None, weight: str, is_member: IsMember) -> int:
    """How particularly a line speaks of a member; 0 where it does not."""
    if weights is None:
        return 1
    return max(
        (
            2 if w.indices is None else 3 * is_member(w.indices, w.span)
            for w in weights
            if w.name == weight
        ),
        default=0,
    )


@dataclass(frozen=True, slots=True)
class Exponents:
    """(a, b, c, d) of a weight (Def 2.2.1): W = n^-a w, w ~ N(0, n^-2b), learning rate n^-c,
    gradients multiplied by n^d before the update function."""

    a: Fraction
    b: Fraction
    c: Fraction
    d: Fraction


@dataclass(frozen=True, slots=True)
class Member:
    """One member W[2] of a family of weights that is singled out, by its indices."""

    name: str
    indices: tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class Parametrization:
    """``mup``, ``ntp``, ``sp``, ``ups(s)``, or explicit exponents; ``out`` is a_out (Def 2.9.7)."""

    name: str
    weights: Mapping[str, Exponents]
    members: Mapping[Member, Exponents]
    """Members that differ from their family."""
    out: Fraction
    span: Span

    def of(self, weight: str, is_member: IsMember) -> Exponents | None:
        """The exponents of a member of a family of weights, None for one that is unknown."""
        for member, exponents in self.members.items():
            if member.name == weight and is_member(member.indices, self.span):
                return exponents
        return self.weights.get(weight)


Start = Node | Literal["plain", "centre"]
"""How outputs start: as they come, at 0, or at what is given."""


@dataclass(frozen=True, slots=True)
class Training:
    """``train f { ... }``.

    ``error`` is chi_t with the axes of f: a graph over SLOT ('output',) (f_t), INDEX ``t`` (the
    step), data, params. ``start`` is 'plain', 'centre', or the given f_0. In a Program with a
    training, the families of its network have the step as one more index, the last; so has f.
    """

    network: Network
    parametrization: Parametrization
    optimizers: tuple[OptimizerUse, ...]
    decays: tuple[Decay, ...]
    normalizations: tuple[Normalization, ...]
    error: Node
    error_refs: tuple[tuple[Node, Span], ...]
    steps: Affine
    start: Start
    spans: Mapping[str, Span]
    """Where the values of the error, the steps and the start are written."""
    span: Span


OUTPUT = ("output",)
"""The attr of the SLOT node that is f in an error signal."""

STEP = "t"
"""The step, as error signals, learning rates and decays write it."""

STEP_VARIABLE = "step t"
"""What INDEX nodes have for it: no name that a parameter can have."""
