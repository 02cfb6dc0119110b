"""An update function at given numbers, applied to arrays (2.1: w_t - w_{t-1} = -eta Q_t).

The function's graph is compiled once to a list of numpy calls on numbered registers. What depends
on hyperparameters and the step alone is a number, found once a step; the rest runs block by block,
so that a block's states and temporaries stay in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nexort import activations
from nexort.program.declarations import UpdateRule
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError
from nexort.training.compiled import BoundStep, Code, DType, Kernel, compile_step

BLOCK = 2**14
"""Entries of a block: a dozen float32 registers of it take less than 1 MiB."""


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
        return [np.full(shape, self._starts[name], dtype) for name, _ in self._states]

    def step(self, t: int, gradient: Array, states: Sequence[Array]) -> Array:
        """Q_t(g_0, ..., g_t), entry by entry, a new array of the gradient's shape and dtype; the
        states are brought up to date in place. Steps come in order from 0 on.

        Safe to call from several threads on parts of the same arrays.
        """
        result = np.empty(gradient.shape, gradient.dtype)
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

    def runner(self, t: int, size: int, dtype: DType) -> Kernel:
        """The step t for blocks of at most ``size`` entries: a function of a gradient, its states
        (updated in place) and where the result goes; flat arrays. Not shared between threads."""
        if (t, dtype) not in self._bound:
            self._bound[t, dtype] = self._code.bound(self._at(t), dtype)
        return self._bound[t, dtype].kernel(size)

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

    @cached_property
    def _parameters(self) -> dict[tuple[str, ...], float]:
        return {("parameter", name): float(v) for name, v in self.hyperparameters.items()}

    @cached_property
    def _starts(self) -> dict[str, float]:
        """Every state's value before the first step."""
        slots = dict(self._parameters)
        for name, node in self.rule.states:
            slots["state", name] = _numbers([node], slots)[node]
        return {name: slots["state", name] for name, _ in self.rule.states}

    @cached_property
    def _found(self) -> dict[int, dict[Node, float]]:
        """What :meth:`_at` found before, by step."""
        return {}

    def _at(self, t: int) -> dict[Node, float]:
        """Every node that is a number at step t. Threads may find the same twice."""
        if t in self._found:
            return self._found[t]
        after, result = self._chain
        fixed = {name: v for name, v in self._starts.items() if name not in self._moving}
        first = max((s for s in list(self._found) if s <= t), default=-1)
        for s in range(first + 1 if fixed else t, t + 1):
            if s > 0 and fixed:
                past = self._found[s - 1]
                fixed = {
                    name: past[after[name]] if name in after else v for name, v in fixed.items()
                }
            slots = {**self._parameters, ("step",): float(s)}
            slots |= {("state", name): value for name, value in fixed.items()}
            self._found[s] = _numbers([*after.values(), result], slots)
        return self._found[t]

    @cached_property
    def _bound(self) -> dict[tuple[int, DType], BoundStep]:
        """What :meth:`runner` made before."""
        return {}

    @cached_property
    def _code(self) -> Code:
        """The calls of one step, numbers left out."""
        after, result = self._chain

        def slot(*attr: str) -> Node:
            return Node(Op.SLOT, (), attr, result.type)

        slots = [slot("state", name) for name, _ in self._states]
        finals = [after.get(name, s) for (name, _), s in zip(self._states, slots, strict=True)]
        pairs = list(zip(slots, finals, strict=True))
        return compile_step(slot("history"), pairs, result, frozenset(self._at(0)))

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


def _numbers(roots: Sequence[Node], slots: Mapping[tuple[str, ...], float]) -> dict[Node, float]:
    """The value of every node that is a number, given those of some slots."""
    found: dict[Node, float] = {}
    for x in walk(roots):
        if x.op is Op.SLOT and x.attr in slots:
            found[x] = slots[x.attr]
        elif x.op is Op.CONST:
            found[x] = float(x.attr)
        elif x.op is Op.CALL and all(a in found for a in x.args):
            evaluate = activations.registry()[str(x.attr)].evaluate
            with np.errstate(all="ignore"):
                found[x] = float(evaluate(*(np.float64(found[a]) for a in x.args)))
    return found


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
