"""Real training at width n, over several seeds and threads within a memory budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexort.finite.arrays import DType
from nexort.finite.crew import Crew, available_threads
from nexort.finite.streams import Law, Streams, gaussian_draw, graph_law, named_law
from nexort.finite.training.plan import FinitePlan, plan
from nexort.finite.training.run import TrainingRun, Watch
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.support.checkpoint import Store
from nexort.support.diagnostics import fail
from nexort.training.task import Task

COPIES = 4
"""How many copies of every weight whoever watches a run may keep."""


def train(  # noqa: PLR0913 - the options of a command
    task: Task,
    width: int,
    seeds: int,
    *,
    seed: int = 0,
    dtype: str = "float32",
    threads: int | None = None,
    memory: int = 2 * 2**30,
    entries: str | None = None,
    progress: Callable[[int], None] | None = None,
    checkpoint: Store | None = None,
    watch: Callable[[int], Watch] | None = None,
) -> dict[str, Array]:
    """Train a network of width n, ``seeds`` times from independent draws.

    Returns output name -> float64 array of shape ``(seeds, *family_shape, *axes)``; steps after the
    first at which an output overflows are nan. Run k depends on ``seed``, k and the width only:
    ``threads`` (None: all processors) and ``memory`` (bytes) change no bit of it. ``dtype`` is that
    of weights and vectors. ``entries`` replaces the law of all initial matrices: 'gaussian',
    'rademacher' or 'uniform'. ``progress`` is called with the number of runs finished so far; runs
    that ``checkpoint`` has are not run again. ``watch`` gives what sees run k.

    Raises NexortError for an unknown dtype or law, and where one run does not fit the memory.
    """
    kind = _dtype(dtype)
    planned = plan(task, width, kind)
    laws = _laws(planned, entries)
    one = planned.bytes(0 if watch is None else COPIES)
    workers, helpers = _share(planned, one, seeds, threads or available_threads(), memory)
    keys = [f"finite/{width}/{dtype}/{entries or ''}/{seed}/{k}" for k in range(seeds)]
    known = {k: checkpoint.get(key) for k, key in enumerate(keys)} if checkpoint else {}
    done = {k: found for k, found in known.items() if found is not None}
    missing = [k for k in range(seeds) if k not in done]
    with Crew(workers, helpers) as crew:

        def run(number: int) -> dict[str, Array]:
            streams = Streams(seed, missing[number], width, kind)
            watching = None if watch is None else watch(missing[number])
            return TrainingRun(planned, streams, laws, crew, watching).outputs()

        for number, found in crew.runs(run, len(missing)):
            done[missing[number]] = found
            if checkpoint is not None:
                checkpoint.put(keys[missing[number]], found)
            if progress is not None:
                progress(len(done))
    return {
        output.name: np.stack([np.asarray(done[k][output.name]) for k in range(seeds)])
        for output in task.outputs
    }


def first_nonfinite_step(
    task: Task,
    width: int,
    *,
    seed: int = 0,
    run: int = 0,
    dtype: str = "float32",
    entries: str | None = None,
) -> tuple[int, Node] | None:
    """The step at which one run of :func:`train` overflowed, and the first value (a node of the
    step's graph or the error signal) that did; None where all is finite."""
    kind = _dtype(dtype)
    planned = plan(task, width, kind)
    with Crew(1, available_threads()) as crew, np.errstate(all="ignore"):
        streams = Streams(seed, run, width, kind)
        one = TrainingRun(planned, streams, _laws(planned, entries), crew)
        one.outputs()
    return one.stopped


def _dtype(name: str) -> DType:
    if name not in ("float32", "float64"):
        message = f"found the dtype '{name}', expected float32 or float64"
        raise fail("unknown-dtype", message, help="--dtype float32")
    return np.dtype(name)


def _laws(planned: FinitePlan, entries: str | None) -> dict[str, Law]:
    """The law of every matrix's entries by the matrix's name."""
    names = {name for name, _ in planned.matrices}
    if entries is not None:
        return dict.fromkeys(names, named_law(entries))
    roots = planned.task.step.matrix_laws
    return {name: graph_law(roots[name]) if name in roots else gaussian_draw for name in names}


def _share(planned: FinitePlan, one: int, seeds: int, threads: int, memory: int) -> tuple[int, int]:
    """Runs at a time, of ``one`` byte count each, and the threads of each. Raises NexortError."""
    if one > memory:
        message = f"one run takes {one / 2**30:.2g} GiB at width {planned.width}"
        message += f", more than the memory limit of {memory / 2**30:.2g} GiB"
        raise fail("memory-limit", message, help="raise the limit, or lower the width")
    workers = max(1, min(threads, seeds, memory // one))
    return workers, max(1, threads // workers)
