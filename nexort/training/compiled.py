"""One step of an update function as a list of numpy calls on numbered places.

Places hold, in this order: numbers (found once a step), the gradient, the states, the result, and
registers that calls share. A state's new value is written straight to the state where nothing reads
the old one later, and likewise the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nexort import activations
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array

DType = np.dtype[np.generic]
Kernel = Callable[[Array, Sequence[Array], Array], None]
"""A step on a block: the gradient, its states (updated in place), and where the result goes; flat
arrays, the result's apart from the others."""

_Function = Callable[..., object]
_Bound = tuple[_Function, tuple[int, ...], int]
"""A numpy function, the places of its arguments, and that of its result."""


@dataclass(frozen=True, slots=True)
class CompiledCall:
    """A function of places, into a place."""

    name: str
    args: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True)
class Code:
    """The calls of one step. ``numbers`` are the nodes of the first places; ``moves`` are (from,
    to) for final values that no call could write in place."""

    numbers: tuple[Node, ...]
    states: int
    registers: int
    calls: tuple[CompiledCall, ...]
    moves: tuple[tuple[int, int], ...]

    def bound(self, numbers: Mapping[Node, float], dtype: DType) -> BoundStep:
        """The step with its numbers, on arrays of that dtype."""
        values = [float(numbers[x]) for x in self.numbers]
        with np.errstate(all="ignore"):
            constants = [np.asarray(v, dtype) for v in values]
            inverses = [np.asarray(1 / np.float64(v), dtype) for v in values]
        last = len(values) + 2 + self.states + self.registers
        tiny = float(np.finfo(dtype.name).tiny)
        # a product takes half the time of a quotient
        kept = {k: last + k for k, x in enumerate(inverses) if tiny < abs(float(x)) < np.inf}
        calls = [_bound(call, values, kept) for call in self.calls]
        return BoundStep(self, dtype, constants, inverses, calls)


@dataclass(frozen=True, slots=True)
class BoundStep:
    """A step whose numbers are known; threads may share it."""

    code: Code
    dtype: DType
    constants: Sequence[Array]
    inverses: Sequence[Array]
    calls: Sequence[_Bound]

    def kernel(self, size: int) -> Kernel:
        """The step on blocks of at most ``size`` entries. It owns its registers: each thread makes
        its own."""
        constants, inverses, calls = self.constants, self.inverses, self.calls
        scratch = [np.empty(size, self.dtype) for _ in range(self.code.registers)]
        moves = self.code.moves
        first = len(constants) + 1
        result = first + self.code.states

        def run(gradient: Array, states: Sequence[Array], out: Array) -> None:
            count = gradient.size
            registers = scratch if count == size else [r[:count] for r in scratch]
            place = [*constants, gradient, *states, out, *registers, *inverses]
            # what overflows or has no value is found where the weights are checked
            with np.errstate(all="ignore"):
                for function, args, target in calls:
                    function(*[place[a] for a in args], out=place[target])
                if moves:
                    _move(moves, place, first, result)

        return run


def _move(moves: Sequence[tuple[int, int]], place: list[Array], low: int, high: int) -> None:
    """Final values to where they belong; states that move elsewhere are read before any changes."""
    found = [np.array(place[a]) if low <= a < high else place[a] for a, _ in moves]
    for value, (_, b) in zip(found, moves, strict=True):
        place[b][...] = value


# ---- calls ---------------------------------------------------------------------------------------


def _bound(call: CompiledCall, numbers: Sequence[float], inverses: Mapping[int, int]) -> _Bound:
    """The numpy function of a call: of a power with a number as its exponent, a simpler one, of a
    quotient by a number a product by its inverse, where that has a place."""
    name, args = call.name, call.args
    if name == "div" and args[1] in inverses:
        return np.multiply, (args[0], inverses[args[1]]), call.target
    if name == "pow" and args[1] < len(numbers):
        simple = {2.0: np.square, 0.5: np.sqrt}.get(numbers[args[1]])
        if simple is not None:
            return simple, args[:1], call.target
    return _function(name), args, call.target


def _function(name: str) -> _Function:
    """A function of the registry that writes its result into ``out``."""
    evaluate = activations.registry()[name].evaluate
    if isinstance(evaluate, np.ufunc):
        return evaluate

    def function(*args: Array, out: Array) -> None:
        out[...] = evaluate(*args)

    return function


# ---- places --------------------------------------------------------------------------------------


def compile_step(
    gradient: Node, states: Sequence[tuple[Node, Node]], result: Node, known: frozenset[Node]
) -> Code:
    """The calls of a step that gives each state (its slot, its new value) and the result; ``known``
    are the nodes that are numbers."""
    finals = [node for _, node in states]
    order = walk([*finals, result])
    calls = [x for x in order if x.op is Op.CALL and x not in known]
    read = {a for x in calls for a in x.args} | {*finals, result}
    numbers = [x for x in order if x in known and x in read]
    places = {x: k for k, x in enumerate(numbers)}
    places[gradient] = len(places)
    targets = range(len(places), len(places) + len(states) + 1)
    places |= {slot: k for (slot, _), k in zip(states, targets[:-1], strict=True)}
    last = {a: position for position, x in enumerate(calls) for a in x.args}
    last |= dict.fromkeys([*finals, result], len(calls))
    homes = _homes(calls, states, result, last, targets)
    made, registers = _assigned(calls, last, homes, places, targets[-1] + 1)
    moves = [
        (places[node], target)
        for node, target in zip([*finals, result], targets, strict=True)
        if places[node] != target
    ]
    return Code(tuple(numbers), len(states), registers, tuple(made), tuple(moves))


def _homes(
    calls: Sequence[Node],
    states: Sequence[tuple[Node, Node]],
    result: Node,
    last: Mapping[Node, int],
    targets: Sequence[int],
) -> dict[Node, int]:
    """Calls whose value can be written to a state at once: nothing later reads the old one."""
    position = {x: k for k, x in enumerate(calls)}
    homes = {result: targets[-1]} if result in position else {}
    for (slot, node), target in zip(states, targets, strict=False):
        if node in position and last.get(slot, -1) <= position[node]:
            homes[node] = target
    return homes


def _assigned(
    calls: Sequence[Node],
    last: Mapping[Node, int],
    homes: Mapping[Node, int],
    places: dict[Node, int],
    first: int,
) -> tuple[list[CompiledCall], int]:
    """Places for calls: a register is free again after its last reader."""
    free: list[int] = []
    made: list[CompiledCall] = []
    used = first
    for position, x in enumerate(calls):
        args = tuple(places[a] for a in x.args)
        for a in dict.fromkeys(x.args):
            if places[a] >= first and last[a] == position:
                free.append(places[a])
        if x in homes:
            places[x] = homes[x]
        elif free:
            places[x] = free.pop()
        else:
            places[x], used = used, used + 1
        made.append(CompiledCall(str(x.attr), args, places[x]))
    return made, used - first
