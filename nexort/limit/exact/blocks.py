"""Values over rows and columns of inputs, block by block.

What depends on rows alone, or on columns alone, is found once, as vectors; the rest in blocks that
stay in the cache, on all cores. Of a symmetric result only the blocks on and above the diagonal are
computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import local
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from nexort.gaussian.expectation import CLOSED
from nexort.gaussian.scratch import Pool, empty
from nexort.limit.exact.assemble import tape_of
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import Label
from nexort.limit.exact.operations import NotFiniteError, Operation, operation
from nexort.limit.exact.schedule import schedule_values
from nexort.limit.exact.sizes import Sides, sizes
from nexort.limit.exact.symmetric import is_symmetric, twins
from nexort.limit.exact.tape import Tables, Tape, machine
from nexort.limit.exact.values import Value, What
from nexort.program.unrolled import Array
from nexort.support.workers import cores

BYTES = 2**20
"""Of an array of a block at the most: they stay in the caches that the cores share, and steps are
long enough for what Python takes between them."""

ALONE = 2**15
"""A block's own time, which threads of Python take in turns, as a number of entries."""

SMALLEST = 8
"""Rows and columns of a block."""

PRECISE = (What.ARRAY, What.SUM, What.GAP, What.EYE, What.STACK, What.ROOT)
"""Found in float64 also where the result is float32: what is made from the data directly."""

PLAIN = (What.ARRAY, What.SUM)
"""Of these, what is found in float32 where no gap is taken from it."""

APART = 0.25
"""A block of gaps above this is found in float32 altogether: their rounding is no larger than that
of what follows."""

ENOUGH = 2**23
"""Expectations of pairs, an array's entry each, from which tapes are run: numpy takes some 0.1 s of
a core for them, and loading the machine 0.3 s, once in a process."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Step:
    """One operation of a block: places of its arguments, its own, and those free after it."""

    value: Value
    run: Operation
    args: tuple[int, ...]
    place: int
    free: tuple[int, ...]


@dataclass(frozen=True)
class Blocks:
    """The compiled plan of some values with the labels ``row`` and ``column``."""

    roots: tuple[Value, ...]
    row: Label
    column: Label
    before: tuple[Value, ...]
    """What does not depend on both labels, in order."""
    outside: Mapping[Value, int]
    """The place of each of these that blocks read."""
    steps: tuple[_Step, ...]
    places: int
    live: int
    """How many arrays of a block are held at a time."""
    symmetric: tuple[bool, ...]
    twins: Mapping[Value, Value]
    """Sums over a row's entries, and the same over a column's, in both directions."""
    precise: frozenset[What]
    """The kinds of values that are found in float64."""
    tape: Tape | None
    """The steps for compiled code, where it has them all."""

    @staticmethod
    def of(roots: Sequence[Value], row: Label, column: Label) -> Blocks:
        """The plan."""
        order = dependency_order(roots)
        both = [v for v in order if row in v.labels and column in v.labels]
        both = schedule_values(both, frozenset(roots), _weight)
        inside = set(both)
        # the roots are read at the end, also those that are the same along rows or columns
        outside: dict[Value, int] = {}
        for v in [a for x in both for a in x.args] + list(roots):
            if v not in inside:
                outside.setdefault(v, len(outside))
        places = {**outside, **{v: len(outside) + k for k, v in enumerate(both)}}
        last = {a: x for x in both for a in x.args if a in inside}
        kept = set(roots)
        steps = []
        live = most = 0
        for v in both:
            free = {a for a in v.args if a in inside and last[a] is v and a not in kept}
            steps.append(_Step(v, operation(v), tuple(places[a] for a in v.args), places[v],
                               tuple(places[a] for a in free)))  # fmt: skip
            live += _weight(v)
            most = max(most, live)
            live -= sum(_weight(a) for a in free)
        before = tuple(v for v in dependency_order(outside) if v not in inside)
        symmetric = tuple(is_symmetric(r, row, column) for r in roots)
        sums = [v for v in before if v.what is What.SUM]
        return Blocks(tuple(roots), row, column, before, outside, tuple(steps), len(places),
                      most + 4, symmetric, twins(sums, row, column), _precise(order),
                      tape_of(both, roots, row, column))  # fmt: skip


def _precise(values: Sequence[Value]) -> frozenset[What]:
    gaps = any(v.what is What.GAP for v in values)
    return frozenset(PRECISE).difference(() if gaps else PLAIN)


def _weight(value: Value) -> int:
    """How many arrays a value holds: a covariance keeps what its expectations share."""
    return 4 if value.what is What.COV else 1


def block_size(plan: Blocks, itemsize: int, memory: int, threads: int) -> int:
    """Rows of a square block: its arrays in the caches, and those of all threads in the memory."""
    room = min(BYTES, memory // (2 * threads) // plan.live) // itemsize
    size = math.isqrt(max(room, 1))
    return max(SMALLEST, size - size % SMALLEST)


def balance_blocks(size: int, rows: int, threads: int) -> int:
    """A size not much below, with which the blocks of a triangle keep all threads busy."""
    if rows <= size:
        return size
    fewest = -(-rows // size)
    costs = {}
    for count in range(fewest, fewest + 3):
        found = -(-rows // (count * SMALLEST)) * SMALLEST
        costs[found] = -(-count * (count + 1) // (2 * threads)) * (found * found + ALONE)
    return min(size, min(costs, key=lambda k: (costs[k], -k)))


def evaluate_blocks(
    plan: Blocks,
    frame: Frame,
    results: Sequence[Array],
    *,
    symmetric: bool,
    threads: int | None = None,
    memory: int = 2**31,
    progress: Progress | None = None,
    size: int | None = None,
) -> list[Sides | None]:
    """Fill ``results``, arrays of shape (rows, columns), one a root. ``symmetric`` says that the
    columns are the same inputs as the rows. Their sizes, where they are known."""
    count = threads or cores()
    rows, columns = frame.sizes(plan.row), frame.sizes(plan.column)
    mirrored = [symmetric and s for s in plan.symmetric]
    if size is None:
        size = block_size(plan, np.dtype(frame.dtype).itemsize, memory, count)
        size = balance_blocks(size, rows, cores()) if all(mirrored) else size
    with np.errstate(all="ignore"), _libraries().limit(limits=1):
        vectors = _vectors(plan, frame, plan.twins if symmetric else {})
        short = _short(plan, frame, vectors)
        tables = _tables(plan, frame, vectors, rows * columns // (1 + all(mirrored)))
        # the smaller ones at the edges last: they fill the threads' ends
        blocks = sorted(_blocks(rows, columns, size, all(mirrored)), key=_entries, reverse=True)
        frames: list[Frame] = []
        pools = local()

        def one(block: tuple[slice, slice]) -> None:
            same = symmetric and block[0] == block[1]
            own = replace(frame, ranges={plan.row: block[0], plan.column: block[1]},
                          errors={}, methods={}, opposite=set(frame.opposite),
                          unsure=dict(frame.unsure), same=same)  # fmt: skip
            if not hasattr(pools, "own"):
                pools.own = Pool()
            with np.errstate(all="ignore"), pools.own:
                found = None
                if short is not None and not same:
                    found = _block(plan, own, short, tables, apart=True)
                if found is None:
                    found = _block(plan, own, vectors, tables)
                if found is None:
                    found = _block(plan, own, vectors, None)
                assert found is not None
                for root, result, value, mirror in zip(
                    plan.roots, results, found, mirrored, strict=True
                ):
                    if not np.isfinite(value.sum()) and not np.isfinite(value).all():
                        raise NotFiniteError(root)
                    _write(result, value, block, mirror, all(mirrored))
            frames.append(own)

        _all(one, blocks, count, progress)
    for own in frames:
        frame.methods.update(own.methods)
        for v, error in own.errors.items():
            frame.errors[v] = max(error, frame.errors.get(v, 0.0))
    outside = {v: vectors[place] for v, place in plan.outside.items()}
    known = sizes([s.value for s in plan.steps], outside, plan.row, plan.column, frame.rtol)
    return [known.get(root) for root in plan.roots]


def _write(
    result: Array, value: Array, block: tuple[slice, slice], mirror: bool, upper: bool
) -> None:
    """A block into its place; with ``upper`` also its mirror image."""
    result[block] = value
    if mirror and block[0] == block[1]:
        # equal to the last bit, whatever the order of roundings
        np.copyto(result[block], value.T, where=_below(len(value)))
    elif upper:
        result[block[1], block[0]] = value.T


@lru_cache(2)
def _below(size: int) -> Array:
    """Where a square matrix is below its diagonal."""
    return np.tri(size, k=-1, dtype=bool)


@lru_cache(1)
def _libraries() -> ThreadpoolController:
    """Of numpy's linear algebra, each product of which stays on the core of its block."""
    return ThreadpoolController()


def _all(
    work: Callable[[tuple[slice, slice]], None],
    blocks: Sequence[tuple[slice, slice]],
    threads: int,
    progress: Progress | None,
) -> None:
    """Every block; an interrupt, or an exception in one, ends the others."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(work, b) for b in blocks]
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                if progress is not None:
                    progress(done, len(blocks))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _blocks(rows: int, columns: int, size: int, upper: bool) -> Iterable[tuple[slice, slice]]:
    """Row and column ranges; with ``upper`` those on and above the diagonal."""
    for i in range(0, rows, size):
        for j in range(i if upper else 0, columns, size):
            yield slice(i, min(i + size, rows)), slice(j, min(j + size, columns))


def _entries(block: tuple[slice, slice]) -> int:
    """How many entries a block has; equal ones are of one shape next to each other."""
    rows, columns = (len(range(x.stop - x.start)) for x in block)
    return 2 * rows * columns + (rows > columns)


def _vectors(plan: Blocks, frame: Frame, twins: Mapping[Value, Value]) -> list[Any]:
    """What blocks read of numbers, rows and columns; ``twins`` are equal arrays."""
    arrays: dict[Value | None, Any] = {}
    precise = replace(frame, dtype=np.float64, errors=frame.errors, methods=frame.methods)
    for v in plan.before:
        known = arrays.get(twins.get(v))
        arrays[v] = operation(v)(precise, [arrays[a] for a in v.args]) if known is None else known
    found = [arrays[v] for v in plan.outside]
    return found if frame.dtype == np.float64 else _casts(plan, found, frame.dtype, plan.precise)


def _short(plan: Blocks, frame: Frame, vectors: list[Any]) -> list[Any] | None:
    """The same in float32, where gaps are taken from products in float64."""
    if frame.dtype == np.float64 or not any(s.value.what is What.GAP for s in plan.steps):
        return None
    return _casts(plan, vectors, frame.dtype, frozenset())


def _casts(plan: Blocks, found: list[Any], dtype: Any, precise: frozenset[What]) -> list[Any]:
    # rows and columns are often views of the same inputs
    casts: dict[Any, Any] = {}
    cast = list(found)
    for k, (v, x) in enumerate(zip(plan.outside, found, strict=True)):
        if v.what not in precise and isinstance(x, np.ndarray) and x.dtype != dtype:
            key = x.__array_interface__["data"], x.shape, x.strides
            if key not in casts:
                casts[key] = x.astype(dtype)
            cast[k] = casts[key]
    return cast


def _tables(plan: Blocks, frame: Frame, vectors: list[Any], entries: int) -> Tables | None:
    """What the tape reads over rows and columns; None where it is not to be run."""
    tape = plan.tape
    if tape is None or entries * len(tape.expectations) < ENOUGH or not machine():
        return None
    known = {v: vectors[place] for v, place in plan.outside.items()}
    tables = tape.vectors(known, (frame.sizes(plan.row), frame.sizes(plan.column)), frame.dtype)
    if tables is not None:
        frame.methods.update(dict.fromkeys(tape.expectations, CLOSED))
    return tables


def _block(
    plan: Blocks, frame: Frame, vectors: list[Any], tables: Tables | None, *, apart: bool = False
) -> list[Array] | None:
    """The roots' arrays over the frame's ranges, by the tape where its ``tables`` are given; None
    with ``apart`` where a gap is small, and where the tape's formulas do not hold: pairs near to
    opposite."""
    arrays: list[Any] = [None] * plan.places
    for v, place in plan.outside.items():
        found = vectors[place]
        if plan.row in v.labels or plan.column in v.labels:
            found = found[tuple(frame.ranges.get(x, slice(None)) for x in v.labels)]
        arrays[place] = found
    single = frame.dtype != np.float64 and not apart
    tape = None if tables is None else plan.tape
    steps = plan.steps if tape is None else [s for s in plan.steps if s.value in tape.before]
    for step in steps:
        args = [arrays[k] for k in step.args]
        if single and step.value.what not in plan.precise:
            args = [_cast(x, frame.dtype) for x in args]
        arrays[step.place] = step.run(frame, args)
        gaps = apart and step.value.what is What.GAP
        if gaps and arrays[step.place].min(initial=APART) < APART:
            return None
        for k in step.free if tape is None else ():
            arrays[k] = None
    if tape is not None and (frame.opposite or frame.unsure):
        return None
    if tape is not None and tables is not None:
        ranges = [frame.ranges[x] for x in (plan.row, plan.column)]
        inputs = [arrays[_place(plan, v)] for v in tape.inputs]
        results = tape.run(tables, ranges, inputs, frame.dtype)
        if results is None:
            return None
        for v, x in zip(tape.results, results, strict=True):
            arrays[_place(plan, v)] = x
    shape = tuple(frame.length(x) for x in (plan.row, plan.column))
    found = []
    for root in plan.roots:
        known = plan.outside.get(root)
        value = arrays[_place(plan, root) if known is None else known]
        if known is not None:
            labels = (plan.row, plan.column)
            spread = tuple(slice(None) if x in root.labels else None for x in labels)
            value = np.asarray(value)[spread] if root.labels else np.asarray(value)
        found.append(np.broadcast_to(value, shape))
    return found


def _cast(x: Any, dtype: Any) -> Any:
    if not isinstance(x, np.ndarray) or x.dtype == dtype:
        return x
    found = empty(x.shape, dtype)
    np.copyto(found, x, casting="same_kind")
    return found


def _place(plan: Blocks, root: Value) -> int:
    return next(s.place for s in plan.steps if s.value is root)
