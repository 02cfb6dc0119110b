"""Programs at width n, over several seeds and threads within a memory budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nexort.finite.arrays import DType
from nexort.finite.crew import Crew, available_threads
from nexort.finite.evaluate import ProgramRun
from nexort.finite.matrices import HEIGHT
from nexort.finite.pairs import keep_pairs
from nexort.finite.schedule import MatrixProduct, Schedule, schedule
from nexort.finite.streams import Law, Streams, gaussian_draw, graph_law, named_law
from nexort.program.nodes import Node
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import fail

DRAW_COST = 10
"""Time to draw a matrix, in units of a product with it (measured: 5 to 15)."""

HELP = 0.7
"""What a further thread adds to the speed of a run, which is not parallel throughout."""


def simulate(
    program: Unrolled,
    width: int,
    seeds: int,
    *,
    seed: int = 0,
    dtype: str = "float64",
    threads: int | None = None,
    memory: int = 2 * 2**30,
    entries: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Array]:
    """Run a program at width n, ``seeds`` times with independent draws.

    Returns output name -> float64 array of shape ``(seeds, *family_shape, *axes)``; numbers that
    overflow stay nan or inf. Run k depends on ``seed`` and k only: neither ``threads`` (None: all
    processors) nor ``memory`` (bytes, shared by the threads; matrices that do not fit are drawn
    again at every use) changes a bit of it. ``dtype`` is that of vectors and matrices. ``entries``
    replaces the law of all initial matrices: 'gaussian', 'rademacher' or 'uniform'. ``progress`` is
    called with the number of runs finished so far.

    Raises NexortError for an unknown dtype or law, and for a covariance that is none.
    """
    kind = _dtype(dtype)
    laws = _laws(program, entries)
    share = _share(program, width, kind, threads or available_threads(), (seeds, memory))
    results = {
        output.name: np.empty((seeds, *output.family_shape, *program.shape(output.axes)))
        for output in program.outputs
    }
    with Crew(share.workers, share.helpers) as crew:

        def run(number: int) -> dict[str, Array]:
            streams = Streams(seed, number, width, kind)
            return ProgramRun(program, streams, laws, share.capacity, crew).outputs(share.plan)

        for finished, (number, found) in enumerate(crew.runs(run, seeds), start=1):
            for name, value in found.items():
                results[name][number] = value
            if progress is not None:
                progress(finished)
    return results


def first_nonfinite(
    program: Unrolled,
    width: int,
    *,
    seed: int = 0,
    run: int = 0,
    dtype: str = "float64",
    memory: int = 2 * 2**30,
    entries: str | None = None,
) -> Node | None:
    """The first value of one run of :func:`simulate` that is not finite, or None."""
    kind = _dtype(dtype)
    found: list[Node] = []

    def watch(node: Node, value: Array) -> None:
        if not found and not np.isfinite(value).all():
            found.append(node)

    share = _share(program, width, kind, available_threads(), (1, memory))
    with Crew(1, share.helpers) as crew, np.errstate(all="ignore"):
        laws, streams = _laws(program, entries), Streams(seed, run, width, kind)
        ProgramRun(program, streams, laws, share.capacity, crew, watch).outputs(share.plan)
    return found[0] if found else None


def _dtype(name: str) -> DType:
    if name not in ("float32", "float64"):
        message = f"found the dtype '{name}', expected float32 or float64"
        raise fail("unknown-dtype", message, help="--dtype float32")
    return np.dtype(name)


def _laws(program: Unrolled, entries: str | None) -> Callable[[str], Law]:
    """The law of a matrix's entries by the matrix's name."""
    if entries is not None:
        override = named_law(entries)
        return lambda _: override
    laws = {name: graph_law(root) for name, root in program.matrix_laws.items()}
    return lambda name: laws.get(name, gaussian_draw)


@dataclass(frozen=True, slots=True)
class Share:
    """``workers`` runs at a time, each with ``helpers`` threads, ``capacity`` bytes for matrices;
    ``plan`` has the functions of pairs that fit beside them."""

    workers: int
    helpers: int
    capacity: int
    plan: Schedule


def _share(
    program: Unrolled, width: int, dtype: DType, threads: int, limits: tuple[int, int]
) -> Share:
    """The division of threads and memory; ``limits`` are the runs and the bytes.

    With fewer runs at a time, more of each one's matrices and optimizer states can be kept; the
    threads left over then help inside of the runs.
    """
    runs, memory = limits
    plan = schedule(program, width)
    least = plan.entries * dtype.itemsize
    if least > memory:
        message = f"the vectors of one run take {least / 2**30:.2g} GiB at width {width}"
        message += f", more than the memory limit of {memory / 2**30:.2g} GiB"
        hint = "raise the limit, or lower the width or the number of steps"
        raise fail("memory-limit", message, help=hint)
    products = [step.work for step in plan.steps if isinstance(step.work, MatrixProduct)]
    applied = Counter(p.symbol for p in products)
    matrix = width * width
    needed = matrix * sum(1 for count in applied.values() if count > 1)
    choices = []
    workers = max(1, min(threads, runs))
    while workers:
        helpers = threads // workers
        blocks = helpers * (plan.block_entries + 2 * HEIGHT * width)
        capacity = memory // workers // dtype.itemsize - plan.entries - blocks
        if capacity >= 0 or workers == 1:
            capacity = max(0, capacity)
            kept, pairs = keep_pairs(plan, program, capacity - min(needed, capacity))
            again = (len(products) - len(applied)) * (1 - min(1.0, capacity / max(1, needed)))
            cost = matrix * (DRAW_COST * (len(applied) + again) + len(products)) + kept.work()
            speed = workers * (1 + HELP * (helpers - 1))
            share = Share(workers, helpers, (capacity - pairs) * dtype.itemsize, kept)
            choices.append((cost / speed, share))
        workers //= 2
    return min(choices, key=lambda choice: choice[0])[1]
