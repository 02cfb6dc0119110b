"""Independent replicates of a limit on samples, several at a time, as many and as large as an
accuracy takes; finished ones are kept in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nexort.limit.estimate import LimitValue, Summary, mark_missed, met
from nexort.limit.sample.matrices import FULL
from nexort.limit.settings import Progress, Settings
from nexort.program.unrolled import Array, UnrolledOutput
from nexort.support.checkpoint import Store
from nexort.support.diagnostics import Diagnostic, NexortError
from nexort.support.workers import cores, run_ordered

LEAST = 64
"""Points of the smallest sample."""

Stop = tuple[int, str]
"""A step of a training, and what of it is not finite."""


@dataclass(frozen=True)
class Trajectory:
    """One replicate: every output, nan beyond the step at which something ceased to be finite,
    which ``stopped`` says; ``notes`` are numbers that tell of a run, ``measured`` arrays."""

    outputs: Mapping[str, Array]
    stopped: Stop | None = None
    notes: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """The replicates of one sample size; ``draws[name]`` and ``measured[name]`` have shape
    (R, *shape), ``notes`` are the largest of all, ``roundings[name]`` is what single precision
    changes in one of them."""

    size: int
    draws: Mapping[str, Array]
    stopped: Stop | None
    notes: Mapping[str, float]
    measured: Mapping[str, Array] = field(default_factory=dict)
    roundings: Mapping[str, Array] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many replicates there are."""
        return len(next(iter(self.draws.values()), ()))

    @property
    def points(self) -> str:
        """``16 x 4096 points``."""
        return f"{self.count} x {self.size} points"

    def method(self, *more: str) -> str:
        """How values were found, with what ``more`` is to be said of it, and where runs ended."""
        whole = self.notes.get("rank", 0) > FULL * self.size
        drawn = [f"matrices of {self.size} x {self.size} numbers"] * whole
        text = ", ".join([f"sampled: {self.points}", *drawn, *more])
        if self.stopped is not None:
            text += f"; {self.stopped[1]} not finite at step {self.stopped[0]}"
        return text

    def summary(
        self,
        half: Stage,
        output: UnrolledOutput,
        *,
        floor: float = 0.0,
        least: float = 0.0,
        settles: bool = True,
    ) -> Summary:
        """What these replicates and those of ``half`` the points say of an output; ``floor``,
        ``least`` and ``settles`` as :class:`Summary` has them."""
        coarse, fine = half.draws[output.name], self.draws[output.name]
        own = fine.ndim - 1 - len(output.family_shape)
        narrow = half.rounding(output.name, own)
        return Summary.of(
            coarse, fine, own, floor=floor, least=least, narrow=narrow, settles=settles
        )

    def rounding(self, name: str, axes: int) -> Array:
        """Of an output, the largest over its last ``axes``, those of one entry of its family: what
        one replicate has of it by chance is small in some entries."""
        if name not in self.roundings:
            return np.zeros(self.draws[name].shape[1:])
        found = self.roundings[name]
        over = tuple(range(found.ndim - axes, found.ndim))
        most = found.max(axis=over, keepdims=True, initial=0.0)
        return np.asarray(np.broadcast_to(most, found.shape))


TWIN = -1
"""The first replicate in double precision, among others that are not."""


class Replicates:
    """Runs replicates, or finds them in the checkpoint under ``name``. ``simulate`` runs one of a
    sample size, with pairs of points in a dtype, which takes ``cost`` bytes.

    Pairs of points are in float32 as long as that is seen to change less than what is sampled does:
    of N/2 points the first replicate is run in float64 too, and the difference is part of the
    error. Without ``pairs`` all is in float64.
    """

    def __init__(
        self,
        name: str,
        simulate: Callable[[int, np.random.SeedSequence, str], Trajectory],
        cost: Callable[[int, str], float],
        settings: Settings,
        progress: Progress | None = None,
        store: Store | None = None,
        *,
        pairs: bool,
    ) -> None:
        self.name, self.simulate, self.cost = name, simulate, cost
        self.settings, self.progress, self.store = settings, progress, store
        self.dtype = "float32" if pairs else "float64"
        self.known: dict[tuple[int, str], list[Trajectory]] = {}
        self.twins: dict[int, Trajectory] = {}

    def stages(self, size: int, count: int) -> tuple[Stage, Stage]:
        """At least ``count`` replicates of N/2 and of N points."""
        half = self.run(size // 2, count, twin=self.dtype == "float32")
        return half, self.run(size, count)

    def run(self, size: int, count: int, *, twin: bool = False) -> Stage:
        """At least the first ``count`` replicates of ``size`` points, and where asked for the
        ``twin`` in float64 of the first."""
        runs = self.known.setdefault((size, self.dtype), [])
        wanted = list(range(len(runs), count))
        if twin and size not in self.twins:
            wanted.append(TWIN)
        found = {k: run for k in wanted if (run := self._stored(size, k)) is not None}

        def one(index: int) -> Trajectory:
            seeds = np.random.SeedSequence([self.settings.seed, size]).spawn(count)
            twin = index == TWIN
            return self.simulate(size, seeds[max(index, 0)], "float64" if twin else self.dtype)

        def done(index: int, run: Trajectory) -> None:
            found[index] = run
            if self.store is not None:
                self.store.put(self._key(size, index), _packed(run))
            if self.progress is not None and index != TWIN:
                self.progress(len(runs) + len(found.keys() - {TWIN}), count)

        if self.progress is not None:
            self.progress(len(runs) + len(found.keys() - {TWIN}), count)
        run_ordered(one, [k for k in wanted if k not in found], self.workers(size), done)
        if TWIN in found:
            self.twins[size] = found.pop(TWIN)
        runs.extend(found[k] for k in sorted(found))
        return Stage(
            size,
            {name: np.stack([r.outputs[name] for r in runs]) for name in runs[0].outputs},
            min((r.stopped for r in runs if r.stopped), default=None),
            {name: max(r.notes[name] for r in runs) for name in runs[0].notes},
            {name: np.stack([r.measured[name] for r in runs]) for name in runs[0].measured},
            self._roundings(size) if twin else {},
        )

    def _roundings(self, size: int) -> dict[str, Array]:
        """What single precision changes in a replicate, infinite where it ends another way."""
        narrow, wide = self.known[size, self.dtype][0], self.twins[size]
        return {
            name: np.where(np.isnan(x) & np.isnan(wide.outputs[name]), 0.0, np.nan_to_num(
                np.abs(x - wide.outputs[name]), nan=np.inf, posinf=np.inf))
            for name, x in narrow.outputs.items()
        }  # fmt: skip

    def widen(self, size: int) -> int:
        """Go on in float64, in samples of at most ``size`` points: their size."""
        self.dtype = "float64"
        return min(size, self.room())

    def _key(self, size: int, index: int) -> str:
        wide = "float64/" if self.dtype == "float64" or index == TWIN else ""
        return f"{self.name}/{wide}{size}/{max(index, 0)}"

    def _stored(self, size: int, index: int) -> Trajectory | None:
        known = None if self.store is None else self.store.get(self._key(size, index))
        return None if known is None else _unpacked(known)

    def workers(self, size: int) -> int:
        """Replicates at a time."""
        threads = self.settings.threads or cores()
        return max(1, min(threads, int(self.settings.memory / self.cost(size, self.dtype))))

    def room(self) -> int:
        """The largest sample, a power of two, of which one replicate fits into the memory."""
        size = LEAST
        if self.cost(size, self.dtype) > self.settings.memory:
            raise _too_large(size)
        while size < 2**20 and self.cost(2 * size, self.dtype) <= self.settings.memory:
            size *= 2
        return size

    def size(self, default: int) -> int:
        """The sample's size to begin with: what is asked for, or the default where that fits."""
        room = self.room()
        if self.settings.samples:
            size = max(LEAST, 1 << (self.settings.samples - 1).bit_length())
            if size > room:
                raise _too_large(size)
            return size
        return max(LEAST, min(default, room))


@dataclass(frozen=True)
class ReplicateBudget:
    """An accuracy to reach, None for none; the most replicates, the largest sample; and whether
    samples as large again are worth more than more replicates."""

    goal: float | None
    most: int
    largest: int
    pays: bool


def refine_replicates(
    runs: Replicates,
    size: int,
    budget: ReplicateBudget,
    summaries: Callable[[Stage, Stage], Mapping[str, Summary]],
    text: Callable[[Stage], str],
) -> tuple[Stage, Mapping[str, Summary], dict[str, LimitValue]]:
    """Replicates of N/2 and of N points, as many and as large as the goal takes: those of N, what
    is found of every output, and its value with ``text`` as its method."""
    settings = runs.settings
    count, largest = max(2, settings.replicates), budget.largest
    while True:
        half, full = runs.stages(size, count)
        found = summaries(half, full)
        if any(x.rounded for x in found.values()):
            size = runs.widen(size)
            largest = min(largest, runs.room())
            continue
        values = {name: LimitValue(x.mean, x.error, text(full)) for name, x in found.items()}
        if budget.goal is None or all(met(v, budget.goal) for v in values.values()):
            break
        pays = budget.pays or any(x.biased for x in found.values())
        asked = settings.rtol is not None and count >= budget.most
        if 2 * size <= largest and (pays or asked):
            size *= 2
        elif not pays and count < budget.most:
            count = more(count, budget.most, values, budget.goal)
        else:
            if settings.rtol is not None:
                values = {k: mark_missed(v, settings.rtol) for k, v in values.items()}
            break
    return full, found, values


def more(count: int, most: int, values: Mapping[str, LimitValue], rtol: float) -> int:
    """How many replicates will do for an accuracy: errors fall with the root of their number."""
    ratio = 2.0
    for x in values.values():
        good = np.isfinite(x.value) & np.isfinite(x.error)
        scale = np.abs(x.value[good]).max(initial=0.0)
        if scale > 0:
            ratio = max(ratio, 1.1 * float(x.error[good].max() / (rtol * scale)) ** 2)
    return int(min(most, np.ceil(min(ratio, most) * count)))


def _too_large(size: int) -> NexortError:
    message = f"a sample of {size} points does not fit into the memory"
    return NexortError([Diagnostic("memory-limit", message, None, (), "raise --memory")])


def _packed(run: Trajectory) -> dict[str, Array]:
    t, what = run.stopped or (-1, "")
    found = {f"output.{name}": value for name, value in run.outputs.items()}
    found |= {f"measured.{name}": value for name, value in run.measured.items()}
    found |= {f"note.{name}": np.asarray(value) for name, value in run.notes.items()}
    return {**found, "stopped": np.asarray(t), "what": np.asarray(what)}


def _unpacked(arrays: Mapping[str, Array]) -> Trajectory:
    def part(kind: str) -> dict[str, Array]:
        return {k.removeprefix(kind): v for k, v in arrays.items() if k.startswith(kind)}

    t, what = int(arrays["stopped"]), str(arrays["what"])
    return Trajectory(
        part("output."),
        (t, what) if t >= 0 else None,
        {name: float(value) for name, value in part("note.").items()},
        part("measured."),
    )
