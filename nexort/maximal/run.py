"""One replicate of a training run in the maximal update limit (Thm 2.9.25, 2.9.30)."""

from __future__ import annotations

import numpy as np

from nexort.maximal.machine import Machine
from nexort.maximal.plan import Plan
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.replicates import Trajectory
from nexort.training.recorder import Recorder, scalar_value
from nexort.training.task import Task, weight_name


class _Blown(Exception):
    """Something is not finite."""


def trajectory(plan: Plan, size: int, seed: np.random.SeedSequence) -> Trajectory:
    """The run on ``size`` points a neuron space. It notes what was ``dropped`` from the initial
    matrices' bases, and their ``rank``."""
    machine = Machine(plan, size, seed)
    recorder = Recorder(plan.task)
    start = Start(plan.task)
    stopped = None
    with np.errstate(all="ignore"):
        for t in range(plan.task.steps + 1):
            try:
                _step(machine, recorder, start, t)
            except _Blown as problem:
                stopped = t, str(problem)
                break
    matrices = [m.initial for m in machine.matrices.values()]
    dropped = max((m.dropped for m in matrices), default=0.0)
    rank = max((m.rank for m in matrices), default=0)
    return Trajectory(recorder.results(), stopped, {"dropped": dropped, "rank": float(rank)})


def _step(machine: Machine, recorder: Recorder, start: Start, t: int) -> None:
    plan = machine.plan
    task = plan.task
    machine.next()
    machine.run(plan.forward[t])
    output = start.output(machine.ket(task.out))
    _check(output, "the output")
    found: dict[Node, Array] = {task.out: output}
    for x in recorder.wanted(t):
        if x is not task.out:
            found[x] = machine.ket(x)
            _check(found[x], "a value that an output reads")
    recorder.record(t, found)
    if t == task.steps or not plan.gradients:
        return
    chi = task.signal(t, output)
    _check(chi, "the error signal")
    machine.seed(chi)
    machine.run(plan.backward)
    machine.move(t)
    for key, entries in machine.entries.items():
        _check(entries.value, f"'{weight_name(key)}' after the update")
    for key, matrix in machine.matrices.items():
        if matrix.moved is not None and not matrix.moved.finite():
            raise _Blown(f"'{weight_name(key)}' after the update")


def _check(value: Array, name: str) -> None:
    if not np.isfinite(value).all():
        raise _Blown(name)


class Start:
    """f_t from the values of the network's output: as they come, or moved to a given f_0."""

    def __init__(self, task: Task) -> None:
        self.shift: Array | None = None
        self.given: Array | None = None
        self.plain = isinstance(task.start, str) and task.start == "plain"
        if isinstance(task.start, Node):
            step = task.step
            self.given = scalar_value(
                task.start, {}, step.data, lambda x: step.shape(x.type.axes)
            )  # fmt: skip

    def output(self, value: Array) -> Array:
        """f_t; called once for every step, in order."""
        if self.plain:
            return value
        if self.shift is None:
            self.shift = (0.0 if self.given is None else self.given) - value
        return value + self.shift
