"""An update function at given numbers, applied to arrays (2.1: w_t - w_{t-1} = -eta Q_t).

The function's graph is compiled once to a list of numpy calls on numbered registers. What depends
on hyperparameters and the step alone is a number, found once a step; the rest runs block by block,
so that a block's states and temporaries stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nexort import functions
from nexort.diagnostics import InternalError
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import UpdateRule
from nexort.program.unrolled import Array

BLOCK = 2**14
"""Entries of a block: a dozen float32 registers of it take less than 1 MiB."""

_UFUNCS: dict[str, np.ufunc] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "sqrt": np.sqrt, "abs": np.abs, "max": np.maximum, "min": np.minimum, "exp": np.exp,
    "tanh": np.tanh, "square": np.square, "sign": np.sign,
}  # fmt: skip


@dataclass(frozen=True)
class Update:
    """An update function with its hyperparameters."""

    rule: UpdateRule
    hyperparameters: Mapping[str, float]

    @property
    def name(self) -> str:
        """The optimizer's name."""
        return self.rule.name

    @property
    def states(self) -> int:
        """How many states it keeps for every entry."""
        return len(self._states)

    def start(self, shape: tuple[int, ...], dtype: str = "float64") -> list[Array]:
        """The states before the first step. Those that do not depend on the gradients are numbers,
        and stay out of the list."""
        numbers = self._numbers(0, [])
        return [np.full(shape, float(numbers[node]), dtype) for _, node in self._states]

    def step(self, t: int, gradient: Array, states: Sequence[Array]) -> Array:
        """Q_t(g_0, ..., g_t), entry by entry, a new array of the gradient's shape and dtype; the
        states are brought up to date in place. Steps come in order from 0 on.

        Safe to call from several threads on parts of the same arrays.
        """
        result = np.empty_like(gradient)
        flat = gradient.reshape(-1)
        known = [s.reshape(-1) for s in states]
        if any(not np.shares_memory(a, b) for a, b in zip(known, states, strict=True) if a.size):
            raise InternalError("the states of an update function are not contiguous")
        run = self.runner(t, min(BLOCK, max(1, flat.size)), gradient.dtype)
        out = result.reshape(-1)
        for first in range(0, flat.size, BLOCK):
            part = slice(first, first + BLOCK)
            run(flat[part], [s[part] for s in known], out[part])
        return result

    def runner(
        self, t: int, size: int, dtype: np.dtype[np.generic]
    ) -> Callable[[Array, Sequence[Array], Array], None]:
        """The step t for blocks of at most ``size`` entries: a function of a gradient, its states
        (updated in place) and where the result goes; flat arrays. Not shared between threads."""
        code = self._code
        numbers = self._numbers(t, self._pasts(t))
        scratch = np.empty((code.registers, size), dtype)
        constants = {x: np.asarray(numbers[x], dtype) for x in code.numbers}

        def run(gradient: Array, states: Sequence[Array], out: Array) -> None:
            count = gradient.size
            place: dict[Node, Array] = dict(constants)
            place[code.gradient] = gradient
            for slot, state in zip(code.inputs, states, strict=True):
                place[slot] = state
            for call in code.calls:
                args = [place[a] for a in call.args]
                target = scratch[call.register, :count]
                _apply(call.name, args, target)
                place[call.node] = target
            out[...] = place[code.result]
            finals = [place[node] for node in code.finals.values()]
            # a new value that is another state's old one must not be overwritten first
            finals = [np.array(v) if any(v is s for s in states) else v for v in finals]
            for state, value in zip(states, finals, strict=True):
                state[...] = value

        return run

    def coefficients(self, steps: int) -> Array | None:
        """c, shape (steps, steps), with Q_t = sum_{s <= t} c[t, s] g_s where the update function is
        linear in the gradients (SGD, momentum, ...), else None."""
        if not self._linear:
            return None
        found = np.zeros((steps, steps))
        states = self.start((steps,))
        for t in range(steps):
            impulse = np.zeros(steps)
            impulse[t] = 1.0
            found[t] = self.step(t, impulse, states)
        return found

    # ---- the graph -----------------------------------------------------------------------------

    @cached_property
    def _chain(self) -> tuple[dict[str, Node], Node]:
        """The states after a step and the result, as graphs over the states before it."""
        values: dict[str, Node] = {}

        def placed(root: Node) -> Node:
            done: dict[Node, Node] = {}
            for x in walk([root]):
                if x.op is Op.SLOT and x.attr[0] == "state" and x.attr[1] in values:
                    done[x] = values[x.attr[1]]
                else:
                    done[x] = x.with_args(tuple(done[a] for a in x.args))
            return done[root]

        for name, node in self.rule.assigns:
            values[name] = placed(node)
        return values, placed(self.rule.result)

    @cached_property
    def _moving(self) -> frozenset[str]:
        """The states that depend on the gradients."""
        after = self._chain[0]
        moving: set[str] = set()
        while True:
            new = {
                name
                for name, _ in self.rule.states
                if name in after and _reads(after[name], moving) and name not in moving
            }
            if not new:
                return frozenset(moving)
            moving |= new

    @property
    def _states(self) -> list[tuple[str, Node]]:
        return [(name, node) for name, node in self.rule.states if name in self._moving]

    def _pasts(self, t: int) -> list[float]:
        """The values before step t of the states that are numbers, in the rule's order."""
        names = [name for name, _ in self.rule.states if name not in self._moving]
        starts = self._numbers(0, None)
        values = [float(starts[node]) for name, node in self.rule.states if name in names]
        after = self._chain[0]
        for s in range(t):
            numbers = self._numbers(s, values)
            values = [
                float(numbers[after[name]]) if name in after else value
                for name, value in zip(names, values, strict=True)
            ]
        return values

    def _numbers(self, t: int, values: list[float] | None) -> dict[Node, float]:
        """Every node that is a number at step t; ``values`` are the states that are numbers."""
        names = [name for name, _ in self.rule.states if name not in self._moving]
        slots: dict[tuple[str, ...], float] = {("step",): float(t)}
        slots |= {("parameter", name): float(v) for name, v in self.hyperparameters.items()}
        found: dict[Node, float] = {}
        if values:
            known = zip(names, values, strict=True)
            slots |= {("state", name): value for name, value in known}
        after, result = self._chain
        starts = [node for _, node in self.rule.states]
        for x in walk([*starts, *after.values(), result]):
            if x.op is Op.SLOT and x.attr in slots:
                found[x] = slots[x.attr]
            elif x.op is Op.CONST:
                found[x] = float(x.attr)
            elif x.op is Op.CALL and all(a in found for a in x.args):
                evaluate = functions.registry()[str(x.attr)].evaluate
                with np.errstate(all="ignore"):
                    found[x] = float(evaluate(*(np.float64(found[a]) for a in x.args)))
            if x in starts and values is None and x in found:
                position = starts.index(x)
                slots["state", self.rule.states[position][0]] = found[x]
        return found

    @cached_property
    def _code(self) -> Code:
        """The calls of one step, numbers left out."""
        after, result = self._chain
        names = [name for name, _ in self._states]
        finals = {
            name: after.get(name, Node(Op.SLOT, (), ("state", name), result.type)) for name in names
        }
        roots = [*finals.values(), result]
        numbers = self._numbers(0, [0.0] * (len(self.rule.states) - len(names)))
        order = walk(roots)
        calls = [x for x in order if x not in numbers and x.op is Op.CALL]
        read = {a for x in calls for a in x.args} | set(roots)
        return _compiled(
            calls, roots, finals, result, [x for x in order if x in numbers and x in read]
        )

    @cached_property
    def _linear(self) -> bool:
        """Whether the result and the states are linear in the gradient and the states."""
        after, result = self._chain
        if any(node.op is not Op.CONST or node.attr != 0 for _, node in self._states):
            return False
        degree: dict[Node, int | None] = {}
        moving: set[tuple[str, ...]] = {("state", name) for name in self._moving}
        moving.add(("history",))
        for x in walk([*(after[name] for name in self._moving), result]):
            parts = [degree[a] for a in x.args]
            degree[x] = _degree(x, parts, moving)
        return all(degree[x] == 1 for x in (*(after[name] for name in self._moving), result))


def _degree(x: Node, parts: list[int | None], moving: set[tuple[str, ...]]) -> int | None:
    """1 where linear and homogeneous, 0 where a number, None otherwise; 0 is of every degree."""
    if x.op is not Op.CALL:
        return 1 if x.op is Op.SLOT and x.attr in moving else 0
    if None in parts:
        return None
    match str(x.attr):
        case "add" | "sub":
            zeros = [a.op is Op.CONST and a.attr == 0 for a in x.args]
            kept = {p for p, zero in zip(parts, zeros, strict=True) if not zero} or {0}
            return kept.pop() if len(kept) == 1 else None
        case "mul":
            total = sum(p for p in parts if p is not None)
            return total if total < 2 else None
        case "div":
            return parts[0] if parts[1] == 0 else None
        case "neg":
            return parts[0]
        case _:
            return 0 if not any(parts) else None


def _reads(root: Node, states: set[str]) -> bool:
    return any(
        x.op is Op.SLOT
        and (x.attr == ("history",) or (x.attr[0] == "state" and x.attr[1] in states))
        for x in walk([root])
    )


# ---- compiled ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A function of registers, numbers and inputs, into a register."""

    node: Node
    name: str
    args: tuple[Node, ...]
    register: int


@dataclass(frozen=True, slots=True)
class Code:
    """The calls of one step; ``inputs`` are the slots of states, ``finals`` their new values."""

    gradient: Node
    inputs: tuple[Node, ...]
    numbers: tuple[Node, ...]
    calls: tuple[Call, ...]
    finals: Mapping[str, Node]
    result: Node
    registers: int


def _compiled(
    calls: list[Node],
    roots: list[Node],
    finals: Mapping[str, Node],
    result: Node,
    numbers: list[Node],
) -> Code:
    """Registers for calls: one is free again after its last reader."""
    last: dict[Node, int] = {}
    for position, x in enumerate(calls):
        for a in x.args:
            last[a] = position
    for x in roots:
        last[x] = len(calls)
    register: dict[Node, int] = {}
    free: list[int] = []
    made: list[Call] = []
    used = 0
    for position, x in enumerate(calls):
        for a in dict.fromkeys(x.args):
            if a in register and last[a] == position:
                free.append(register[a])
        if free:
            place = free.pop()
        else:
            place, used = used, used + 1
        register[x] = place
        made.append(Call(x, str(x.attr), x.args, place))
    scalar_type = result.type
    gradient = Node(Op.SLOT, (), ("history",), scalar_type)
    inputs = tuple(Node(Op.SLOT, (), ("state", name), scalar_type) for name in finals)
    return Code(gradient, inputs, tuple(numbers), tuple(made), finals, result, used)


def _apply(name: str, args: list[Array], out: Array) -> None:
    """One function of arrays and numbers into ``out``, which may be one of the arguments."""
    if name == "pow" and args[1].ndim == 0 and float(args[1]) == 2.0:
        np.multiply(args[0], args[0], out=out)
    elif name in _UFUNCS:
        _UFUNCS[name](*args, out=out)
    else:
        out[...] = functions.registry()[name].evaluate(*args)
