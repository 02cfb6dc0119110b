"""A training run at given numbers: what the evaluators of limits and of finite widths read.

``Task.step`` is the network as a straight-line graph over one step. In it a weight is its initial
object's leaf: ``INIT_VECTOR (name, indices)``, ``INIT_SCALAR (name, indices)``, and for a matrix
``MATMUL (name, indices, transposed)``; an evaluator puts the weight's current value there. Leaves
that are no weights keep their initial value throughout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from nexort.program.network import Exponents, NormKind, Start, WeightKind
from nexort.program.nodes import Node, Op
from nexort.program.types import Axes, ket, scalar
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import Span, fail
from nexort.training.scalars import LOOK, first_singular, scalar_value
from nexort.training.update import Update

Key = tuple[str, tuple[int, ...]]
"""A weight: its name and its family's indices."""


def weight_name(key: Key) -> str:
    """``W[2]``."""
    return key[0] + (f"[{', '.join(map(str, key[1]))}]" if key[1] else "")


@dataclass(frozen=True)
class Norm:
    """What a weight's updates Q are divided by at every step (Eq 2.54): 'updates', their Frobenius
    norm |Q|; 'weights', |w| of the weight before the step; 'clip', max(1, |Q| / theta); 'clip
    paper', min(|Q|, theta), with theta = thresholds[t] n^e."""

    kind: NormKind
    thresholds: Array | None = None
    """Of each step, shape (steps,), of the two that clip."""

    def divisor(self, t: int, size: float) -> float:
        """What updates are divided by in the limit, ``size`` the norm over n^e (Def 2.10.7);
        infinite where that is 0, so that updates of 0 stay 0."""
        if self.thresholds is not None:
            threshold = float(self.thresholds[t])
            if self.kind == "clip":
                return max(1.0, size / threshold)
            size = min(size, threshold)
        return size or math.inf


SIZES: dict[WeightKind, Fraction] = {
    "scalar": Fraction(0),
    "vector": Fraction(1, 2),
    "matrix": Fraction(1),
}
"""e: a weight with entries of size 1 has norm n^e (Eq 2.55)."""


@dataclass(frozen=True)
class Weight:
    """One trained parameter.

    At width n the entries start as w = mean + scale n^-b z, z standard normal (a scalar starts at
    ``mean``), and move by w <- (1 - decay[t]) w - rates[t] n^-c Q_t(n^d g_0, ..., n^d g_t), g the
    gradient of sum_i chi_i f_i by w; with a ``norm`` Q_t is divided by it.
    """

    key: Key
    kind: WeightKind
    shape: tuple[int, ...]
    """Sizes of the axes: (d,) for a ``vector[d]``, () for a matrix."""
    mean: float
    scale: float
    exponents: Exponents
    update: Update
    rates: Array
    """Learning rate of each step, shape (steps,)."""
    decay: Array
    """Decoupled weight decay of each step, shape (steps,)."""
    active: bool = True
    """Whether the weight's updates are seen in the limit (theta = 1): n^-r with r = 0."""
    norm: Norm | None = None

    @property
    def shift(self) -> Fraction:
        """The power of n in what updates are divided by: with it c + shift is what c is without
        (Def 2.10.6); none where they are multiplied by min(1, theta n^e / |Q|)."""
        if self.norm is None or self.norm.kind == "clip":
            return Fraction(0)
        size = SIZES[self.kind]
        if self.norm.kind == "weights" and self.kind != "scalar":
            return size - self.exponents.b
        return size


@dataclass(frozen=True)
class Gradient:
    """The gradient of sum_i chi_i <1|x_i> by a weight (Def 2.9.14), as nodes of the step's graph.

    ``pairs`` (matrix): the operator sum_i |left_i> <right_i|, axes of left and right joined (they
    are equal, after broadcasting). ``ket`` (vector, with the weight's axes): d v. ``scalar``
    (scalar, with its axes): d c. The one that does not apply is empty or None.
    """

    pairs: tuple[tuple[Node, Node], ...] = ()
    ket: Node | None = None
    scalar: Node | None = None

    @property
    def is_zero(self) -> bool:
        """Whether the output does not depend on the weight."""
        return not self.pairs and self.ket is None and self.scalar is None


@dataclass(frozen=True)
class Task:
    """A training run. Its outputs are scalar nodes over *moments*: SLOT nodes ('moment', name,
    indices, t) that stand for the value at step t of ``moments[slot][0]``, a node of the step's
    graph. The network's own output f at step t is the moment of ``out`` times n^(1 - a_out), less
    its value at step 0 where ``start`` is 'centre'.
    """

    step: Unrolled
    """The network; its only output is ``out``."""
    out: Node
    """The scalar <1|x>, with the axes of f; f = n^(1 - a_out) times it."""
    errors: tuple[Node, ...]
    """chi_t of each step t < steps, with the axes of f: a graph over ``output_slot`` (f_t) and
    data. Evaluate it by :meth:`signal`."""
    gradients: Mapping[Key, Gradient]
    """Over ``seed_slot`` (chi_t)."""
    weights: Mapping[Key, Weight]
    steps: int
    output_exponent: Fraction
    start: Start
    """'plain': f_0 as it comes; 'centre': f_0 is subtracted; or f_0 given (data and numbers)."""
    outputs: tuple[UnrolledOutput, ...]
    moments: Mapping[Node, tuple[Node, int]]
    regime: Literal["maximal", "tangent"]
    """Which limit the parametrization has."""
    vanishes: bool = False
    """Whether f_0 is 0 in the limit, where it starts as it comes; not so at any width."""
    spans: Mapping[Node, Span] = field(default_factory=dict)
    """Where the outputs' nodes were first written."""
    places: Mapping[str, Span] = field(default_factory=dict)
    """Where the values of the 'error' and the others are written."""

    def given_start(self) -> Array | None:
        """The f_0 of the limit, of the axes of f: 0 where it is centred or vanishes; None where it
        stays as it comes."""
        axes = self.out.type.axes
        if not isinstance(self.start, Node):
            drawn = self.start == "plain" and not self.vanishes
            return None if drawn else np.zeros(self.step.shape(axes))
        return scalar_value(self.start, {}, self.step.data, lambda x: self.step.shape(x.type.axes))

    def signal(self, t: int, output: Array) -> Array:
        """The error signal chi_t at f_t = ``output``, of the axes of f."""
        axes = self.out.type.axes

        def shape(x: Node) -> tuple[int, ...]:
            return self.step.shape(x.type.axes)

        chi = scalar_value(self.errors[t], {output_slot(axes): output}, self.step.data, shape)
        return np.broadcast_to(chi, self.step.shape(axes))

    def refuse_signal(self, output: Array) -> None:
        """Raise NexortError for a first error signal, at f_0 = ``output``, that is not finite."""
        found = first_singular(
            self.step, self.errors[0], {output_slot(self.out.type.axes): output}, grown=True
        )
        reason = "" if found is None else f": {found[1]}"
        message = f"the error signal is infinite or not a number at step 0{reason}"
        raise fail("not-finite", message, self.places.get("error"), help=LOOK)


def output_slot(axes: Axes) -> Node:
    """f in an error signal."""
    return Node(Op.SLOT, (), ("output",), scalar(axes))


def seed_slot(axes: Axes) -> Node:
    """chi in the gradients."""
    return Node(Op.SLOT, (), ("chi",), scalar(axes))


def moment(name: str, indices: tuple[int, ...], step: int, node: Node) -> Node:
    """The value of ``node``, a ket or a scalar of the step's graph, at a step."""
    kind = ket(node.type.axes) if node.type.copies else scalar(node.type.axes)
    return Node(Op.SLOT, (), ("moment", name, indices, step), kind)
