"""Functions of one Gaussian variable z, as graphs over one slot.

A :class:`Univariate` is a scalar graph of CALL and CONST nodes over the leaf ``SLOT ('z',)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.program import build
from nexort.program.differentiate import derivative
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import defined, partial
from nexort.program.types import scalar

SLOT = Node(Op.SLOT, (), ("z",), scalar())
"""The variable z."""


class NotUnivariate(Exception):
    """A graph with a leaf other than z and numbers, or a node that is not entrywise."""


@dataclass(frozen=True, slots=True)
class Univariate:
    """A real function of one variable z; equal graphs are equal functions."""

    node: Node

    def __post_init__(self) -> None:
        """Functions with a definition are what it says."""
        object.__setattr__(self, "node", defined(self.node))

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
            return _compiled(self.node)(z)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The points where f is not smooth (kinks, jumps), sorted."""
        from nexort.gaussian.kinks import kinks

        return kinks(self.node)

    @property
    def singularities(self) -> tuple[float, ...]:
        """The kinks where f may be infinite or have a branch, but for those that are removable."""
        from nexort.gaussian.kinks import singularities
        from nexort.gaussian.removable import patches

        smooth = {x.place for x in patches(self.node)}
        return tuple(p for p in singularities(self.node) if p not in smooth)

    def derivative(self) -> Univariate:
        """f', right almost everywhere: jumps contribute nothing."""
        return Univariate(_derivative(self.node))

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
def _derivative(node: Node) -> Node:
    return derivative(node, SLOT, partial)


@lru_cache(1024)
def _compiled(node: Node) -> Callable[[Array], Array]:
    """The graph as a function of an array: numbers folded, small integer powers as products."""
    from nexort.gaussian.removable import by_polynomials, patched
    from nexort.gaussian.zeros import losing

    values: dict[Node, int | float] = {}
    places: dict[Node, int] = {SLOT: 0}
    steps: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[int | None, ...]]] = []
    places_left = count(1)
    for x in walk([node]):
        if x is SLOT:
            continue
        if x.op is Op.CONST:
            values[x] = x.attr
        elif all(a in values for a in x.args):
            evaluate = activations.registry()[str(x.attr)].evaluate
            with np.errstate(all="ignore"):
                values[x] = float(evaluate(*(float(values[a]) for a in x.args)))
        else:
            evaluate = activations.registry()[str(x.attr)].evaluate
            power = values.get(x.args[-1])
            if x.attr == "pow" and isinstance(power, int | float) and power in range(1, 9):
                evaluate = _power(int(power))
            steps.append(
                (
                    evaluate,
                    tuple(values.get(a) for a in x.args),
                    tuple(places.get(a) for a in x.args),
                )
            )
            places[x] = next(places_left)
    careful = {places[x]: known for x, known in losing(node).items() if x in places}

    def run(z: Array) -> Array:
        found = [z]
        for evaluate, constants, at in steps:
            arguments = [c if p is None else found[p] for c, p in zip(constants, at, strict=True)]
            new = evaluate(*arguments)
            known = careful.get(len(found))
            found.append(by_polynomials(new, z, known) if known else new)
        if node in values:
            return np.full(z.shape, values[node], z.dtype)
        return found[places[node]]

    return patched(node, run)


def _power(k: int) -> Callable[..., Array]:
    def power(x: Array, _: object) -> Array:
        result = x
        for bit in bin(k)[3:]:
            result = result * result
            if bit == "1":
                result = result * x
        return result

    return power


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
