"""One replicate of a training run in the maximal update limit (Thm 2.9.25, 2.9.30)."""

from __future__ import annotations

import numpy as np

from nexort.limit.sample.replicates import Trajectory
from nexort.limit.training.maximal.machine import MaximalMachine
from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.limit.training.stopping import Blown, check_finite, signal
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.training.recorder import MomentRecorder
from nexort.training.task import weight_name


def maximal_trajectory(
    plan: MaximalPlan, size: int, seed: np.random.SeedSequence, dtype: str = "float32"
) -> Trajectory:
    """The run on ``size`` points a neuron space, with pairs of points in a dtype. It notes what was
    ``dropped`` from the initial matrices' bases, and their ``rank``."""
    machine = MaximalMachine(plan, size, seed, dtype)
    recorder = MomentRecorder(plan.task, limit=True)
    given = plan.task.given_start()
    shift: Array | float = 0.0
    stopped = None
    with np.errstate(all="ignore"):
        for t in range(plan.task.steps + 1):
            try:
                output = _output(machine, t)
                if t == 0 and given is not None:
                    shift = given - output
                _step(machine, recorder, output + shift, t)
            except Blown as problem:
                stopped = t, problem.what
                break
    matrices = [m.initial for m in machine.matrices.values()]
    dropped = max((m.dropped for m in matrices), default=0.0)
    rank = max((m.rank for m in matrices), default=0)
    notes = {"dropped": dropped, "rank": float(rank)}
    return Trajectory(recorder.results(), stopped, notes)


def _output(machine: MaximalMachine, t: int) -> Array:
    """The network's output, as it comes."""
    machine.next()
    machine.run(machine.plan.forward[t])
    return machine.ket(machine.plan.task.out)


def _step(machine: MaximalMachine, recorder: MomentRecorder, output: Array, t: int) -> None:
    """What is read at step t, at which f is ``output``, and the move to the next."""
    plan = machine.plan
    task = plan.task
    check_finite(output, "the output")
    found: dict[Node, Array] = {task.out: output}
    for x in recorder.wanted(t):
        if x is not task.out:
            found[x] = machine.ket(x)
            check_finite(found[x], "a value that an output reads")
    recorder.record(t, found)
    if t == task.steps or not plan.gradients:
        return
    chi = signal(task, t, output)
    machine.seed(chi)
    machine.run(plan.backward)
    machine.move(t)
    for key, entries in machine.entries.items():
        check_finite(entries.value, f"'{weight_name(key)}' after the update")
    for key, matrix in machine.matrices.items():
        if matrix.moved is not None and not matrix.moved.finite():
            raise Blown(f"'{weight_name(key)}' after the update")
