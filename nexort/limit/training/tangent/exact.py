"""The neural tangent limit without sampling, where the update functions are linear.

With Q_t = sum_{s <= t} c[t, s] g_s the output moves by rates times sum_s c[t, s] K chi_s, and
K[o, p] = sum over terms i of o and j of p of <left_i|left_j> <right_i|right_j> for every weight
(Thm 2.9.19: for gradient descent their sum is the neural tangent kernel). The planner of exact
limits finds the bra-kets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.exact.solve import solve
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.sample import sampled_coefficients
from nexort.program import build
from nexort.program.nodes import Node, Op, Role, rewrite, walk
from nexort.program.unrolled import Array, UnrolledOutput
from nexort.training.task import Key, moment


@dataclass(frozen=True)
class WeightKernels:
    """``weights``: K of every weight that moves, shape (O, O) with O the entries of f, and the
    coefficients c of its updates. ``covariance`` is that of f_0 where it is drawn. ``members``: the
    run's outputs over f and over slots of ``known`` value. ``error`` is relative."""

    weights: Mapping[Key, tuple[Array, Array]]
    covariance: Array | None
    members: Mapping[Node, Node]
    known: Mapping[Node, Array]
    error: float
    method: str


def weight_kernels(plan: TangentPlan, rtol: float, memory: int) -> WeightKernels | None:
    """The kernels of a run whose weights all move linearly and do not decay; None where the run is
    another, or has an expectation without exact value.

    Raises NexortError for what has no value, and where the arrays do not fit into the memory.
    """
    if len(plan.steps) > 1 or any(w.norm is not None for w in plan.moving):
        return None
    linear = {w.key: w.update.coefficients(plan.task.steps) for w in plan.moving}
    if any(c is None for c in linear.values()):
        return None
    found = _Program(plan).solved(rtol, memory)
    if found is None:
        return None
    pairs = {k: (_kernel(plan, k, found), c) for k, c in linear.items() if c is not None}
    covariance, out = None, plan.steps[0].out
    if plan.drawn and out is not None:
        covariance = found.array(build.inner(out, out))
    return WeightKernels(pairs, covariance, found.members, found.known, found.error, found.method)


@dataclass(frozen=True)
class _Solved:
    """The numbers of scalar nodes."""

    arrays: Mapping[Node, Array]
    members: Mapping[Node, Node]
    known: Mapping[Node, Array]
    error: float
    method: str

    def array(self, gram: Node) -> Array:
        """A bra-ket's numbers as a matrix, rows those of the bra."""
        left, right = gram.args
        full = self.arrays[gram]
        rows = int(np.prod(full.shape[: len(left.type.axes)], dtype=int))
        columns = int(np.prod(full.shape[len(left.type.axes) :], dtype=int))
        assert full.ndim == len(left.type.axes) + len(right.type.axes)
        return full.reshape(rows, columns)


class _Program:
    """A program whose outputs are all the numbers that a run needs."""

    def __init__(self, plan: TangentPlan) -> None:
        self.plan = plan
        [step] = plan.steps
        self.step = step
        roots: list[Node] = []
        for w in plan.moving:
            pieces = step.pieces[w.key]
            if w.kind == "scalar":
                roots += [p.left for p in pieces]
            else:
                roots += [build.inner(p.left, q.left) for p in pieces for q in pieces]
            if w.kind == "matrix":
                roots += [build.inner(p.right, q.right) for p in pieces for q in pieces]
            else:
                roots += [x for _, x in step.tails[w.key].scalars]
        if step.out is not None and plan.drawn:
            roots.append(build.inner(step.out, step.out))
        self.members = self._members()
        self.slots = {
            x: moment(f"known {x.serial}", (), 0, x)
            for x in walk(self.members.values())
            if x.op.role is Role.AVERAGE
        }
        self.roots = list(dict.fromkeys([*roots, *self.slots]))

    def _members(self) -> dict[Node, Node]:
        """The run's outputs with values at initialization in place of all moments but f's."""
        moments, out = self.plan.task.moments, self.plan.task.out
        wanted = self.step.wanted

        def placed(x: Node) -> Node:
            return wanted[moments[x][0]] if x in moments and moments[x][0] is not out else x

        members = [m for output in self.plan.task.outputs for m in output.members]
        return rewrite(members, placed)

    def solved(self, rtol: float, memory: int) -> _Solved | None:
        """The numbers, None where some are not exact."""
        if any(x.op is Op.SLOT for x in walk(self.roots)):
            return None  # an expectation that reads f
        names = {f"number {k}": x for k, x in enumerate(self.roots)}
        outputs = tuple(
            UnrolledOutput(name, (x,), ((),), (), x.type.axes, None) for name, x in names.items()
        )
        program = replace(self.plan.graph.step, outputs=outputs)
        solution = solve(program, rtol, memory)
        if set(solution.outputs) != set(names):
            return None
        arrays = {x: solution.outputs[name].value for name, x in names.items()}
        error = 0.0
        for name in names:
            found = solution.outputs[name]
            scale = float(np.max(np.abs(found.value), initial=0.0)) or 1.0
            error = max(error, float(np.max(found.error, initial=0.0)) / scale)
        texts = {s.method for s in solution.outputs.values() if not s.method.startswith("exact")}
        used = {part for text in texts for part in text.rsplit(" to ", 1)[0].split(" and ")}
        method = f"{' and '.join(sorted(used))} to {error:.0e}" if used else "exact: closed form"
        members = {m: _replaced(x, self.slots) for m, x in self.members.items()}
        values = {slot: arrays[x] for x, slot in self.slots.items()}
        return _Solved(arrays, members, values, error, method)


def _replaced(root: Node, into: Mapping[Node, Node]) -> Node:
    """A graph with some nodes replaced."""
    done: dict[Node, Node] = {}
    for x in walk([root]):
        done[x] = into[x] if x in into else x.with_args(tuple(done[a] for a in x.args))
    return done[root]


def _kernel(plan: TangentPlan, key: Key, found: _Solved) -> Array:
    """K of one weight."""
    [step] = plan.steps
    pieces, kind = step.pieces[key], plan.task.weights[key].kind
    size = int(np.prod(plan.task.step.shape(plan.task.out.type.axes), dtype=int))
    total = np.zeros((size, size))
    tail = step.tails.get(key)
    right = [
        None if tail is None else sampled_coefficients(plan.graph.step, tail, p.right, found.arrays)
        for p in pieces
    ]
    for p, a in zip(pieces, right, strict=True):
        for q, b in zip(pieces, right, strict=True):
            if a is None or b is None:
                product = found.array(build.inner(p.right, q.right))[np.ix_(p.rights, q.rights)]
            else:
                product = a @ b.T
            if kind == "scalar":
                ends = [found.arrays[x.left].reshape(-1)[x.lefts] for x in (p, q)]
                product = product * np.outer(*ends)
            else:
                gram = found.array(build.inner(p.left, q.left))
                product = product * gram[np.ix_(p.lefts, q.lefts)]
            np.add.at(total, np.ix_(p.outs, q.outs), product)
    return total
