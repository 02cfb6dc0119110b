"""Functions of one Gaussian variable z, as graphs over one slot.

A :class:`Univariate` is a scalar graph of CALL and CONST nodes over the leaf ``SLOT ('z',)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.pointwise import array_evaluator, kinks, patches, singularities
from nexort.gaussian.variable import SLOT, slope
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import substitute_definitions


class NotUnivariate(Exception):
    """A graph with a leaf other than z and numbers, or a node that is not entrywise."""


@dataclass(frozen=True, slots=True)
class Univariate:
    """A real function of one variable z; equal graphs are equal functions."""

    node: Node

    def __post_init__(self) -> None:
        """Functions with a definition are what it says."""
        object.__setattr__(self, "node", substitute_definitions(self.node))

    @staticmethod
    def of(node: Node) -> Univariate:
        """The function with this graph. Raises NotUnivariate."""
        for x in walk([node]):
            known = x.op is Op.CALL and activations.lookup(str(x.attr)) is not None
            number = x.op is Op.CONST and isinstance(x.attr, int | float)
            if not (known or number or x is SLOT):
                raise NotUnivariate(f"{x!r} is not a function of z")
        return Univariate(node)

    def __call__(self, z: Any) -> Array:
        """f(z), entry by entry; float32 stays float32."""
        z = np.asarray(z)
        if not np.issubdtype(z.dtype, np.floating):
            z = z.astype(float)
        with np.errstate(all="ignore"):
            return array_evaluator(self.node)(z)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The points where f is not smooth (kinks, jumps), sorted."""
        return kinks(self.node)

    @property
    def singularities(self) -> tuple[float, ...]:
        """The kinks where f may be infinite or have a branch, but for those that are removable."""
        smooth = {x.place for x in patches(self.node)}
        return tuple(p for p in singularities(self.node) if p not in smooth)

    def derivative(self) -> Univariate:
        """f', right almost everywhere: jumps contribute nothing."""
        return Univariate(slope(self.node))

    @property
    def parity(self) -> str | None:
        """'odd', 'even' or None, as far as the graph shows it."""
        return _parity(self.node)

    def times_power(self, k: int) -> Univariate:
        """z^k f(z)."""
        node = self.node
        if k == 0:
            return self
        power = SLOT if k == 1 else build.call("pow", SLOT, build.constant(k))
        return Univariate(power if build.is_number(node, 1) else build.call("mul", power, node))


IDENTITY = Univariate(SLOT)


def function(name: str, *constants: float) -> Univariate:
    """The registry's function of z (and further constant arguments)."""
    return Univariate(build.call(name, SLOT, *map(build.constant, constants)))


@lru_cache(4096)
def _parity(node: Node) -> str | None:
    found: dict[Node, str | None] = {}
    for x in walk([node]):
        if x is SLOT:
            found[x] = "odd"
        elif x.op is Op.CONST:
            found[x] = "even"
        elif (inner := _clamped(x)) is not None and found[inner] == "odd":
            found[x] = "odd"
        else:
            found[x] = _parity_of_call(x, [found[a] for a in x.args])
    return found[node]


def _clamped(x: Node) -> Node | None:
    """f of max(min(f, c), -c) or min(max(f, -c), c), which is odd with f."""
    opposite = {"max": "min", "min": "max"}.get(str(x.attr))
    if opposite is None or x.args[0].op is not Op.CALL or x.args[0].attr != opposite:
        return None
    inner, bound = x.args[0].args
    numbers = bound.op is Op.CONST and x.args[1].op is Op.CONST
    return inner if numbers and bound.attr == -x.args[1].attr else None


def _parity_of_call(x: Node, args: list[str | None]) -> str | None:
    name = str(x.attr)
    if all(p == "even" for p in args):
        return "even"
    if None in args:
        return None
    if name in ("add", "sub"):
        return args[0] if args[0] == args[1] else None
    if name in ("mul", "div"):
        return "even" if args[0] == args[1] else "odd"
    if name == "pow":
        k = x.args[1].attr
        if x.args[1].op is not Op.CONST or k != int(k):
            return None
        return "odd" if int(k) % 2 else "even"
    function = activations.registry()[name]
    return function.parity if len(args) == 1 else None
