"""Every route to a program's limit, compared: exact, sampled, finite widths, the emitted module,
and kernels in blocks. A disagreement is a word for its kind and a sentence.

Two routes with error bars differ by at most ``SUSPECT`` of them, else they are asked again with
other randomness and more of it, and disagree beyond ``WRONG`` (see ``agreement``: false alarms in
some thousand programs have a probability below 1e-3).
"""

from __future__ import annotations

import math
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

from nexort.api import TensorProgram, loads
from nexort.support.diagnostics import NexortError

SUSPECT, WRONG = 4.5, 7.0
WIDTHS = (128, 256)
RUNS = (24, 24)
MORE_WIDTHS = (256, 512)
MORE_RUNS = (192, 192)
UNSEEN = 12
ROUNDING = 1e-9
"""Of an entry's own size, for routes that round differently."""

NOTHING = 1e-30
"""What squares of roundings are."""

KERNEL = 2e-8
"""Of kernels' own scale: twice the tolerance that they have where no other is asked for."""

SECONDS = 60
"""A program of a few lines that takes longer is a disagreement of its own."""


@dataclass(frozen=True)
class Disagreement:
    """``kind`` names the routes, ``what`` says what they say."""

    kind: str
    what: str


class TooLong(BaseException):
    """The time is over: no error that a command could answer to."""


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TooLong after so many seconds of processor time (in the main thread)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def ratio(difference: Any, error: Any, size: Any) -> Any:
    """In errors, beyond roundings of ``size``; entries where either is not finite do not count."""
    beyond = np.maximum(np.abs(difference) - ROUNDING * np.abs(size) - NOTHING, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(beyond > 0, beyond / error, 0.0)
    return np.where(np.isfinite(difference), found, np.inf)


def worst(found: Any) -> tuple[float, tuple[int, ...]]:
    if not np.size(found):
        return 0.0, ()
    at = np.unravel_index(int(np.argmax(found)), np.shape(found))
    return float(found[at]), tuple(int(i) for i in at)


def outcome(action: Callable[[], Any]) -> tuple[Any, NexortError | None]:
    """A value or a refusal; anything else is raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return action(), None
    except NexortError as error:
        return None, error


def judged(
    route: Callable[[], Disagreement | None], seconds: float = SECONDS
) -> Disagreement | None:
    """What a route finds; that it takes too long, or raises what is no refusal, are findings."""
    try:
        with bounded(seconds):
            return route()
    except TooLong:
        return Disagreement("too long", f"more than {seconds} s")
    except Exception as error:
        return Disagreement("crash", f"{type(error).__name__}: {error}"[:500])


def code(error: NexortError) -> str:
    return error.diagnostics[0].code


# ---- the routes ----------------------------------------------------------------------------------


def exact_and_sampled(p: TensorProgram, exact: Any) -> Disagreement | None:
    """Each entry in errors of both."""
    for samples, seed, bound in ((512, 1, SUSPECT), (8192, 2, WRONG)):
        sampled, refused = outcome(
            lambda n=samples, s=seed: p.limit(exact=False, samples=n, seed=s)
        )  # type: ignore[misc]
        if refused is not None:
            return Disagreement("sampled refuses", str(refused))
        found = None
        for name in exact:
            a, b = np.asarray(exact[name]), np.asarray(sampled[name])
            if a.shape != b.shape:
                return Disagreement("exact, sampled", f"{name}: shapes {a.shape}, {b.shape}")
            error = np.hypot(exact[name].error, sampled[name].error)
            by, at = worst(ratio(a - b, error, np.maximum(np.abs(a), np.abs(b))))
            if by > bound:
                found = Disagreement(
                    "exact, sampled",
                    f"{name}{list(at)}: {a[at]!r} ± {exact[name].error[at]:.2g} "
                    f"({exact[name].method}), sampled {b[at]!r} ± {sampled[name].error[at]:.2g}",
                )
        if found is None:
            return None
    return found


def limit_and_widths(p: TensorProgram, limit: Any) -> Disagreement | None:
    """2 m(2n) - m(n) has hardly any bias of order 1/n left."""
    looks = (
        (WIDTHS, RUNS, 3, SUSPECT),
        (MORE_WIDTHS, MORE_RUNS, 4, WRONG),
    )
    for widths, counts, seed, bound in looks:
        small, large = (
            p.runs(n, count, seed=seed) for n, count in zip(widths, counts, strict=True)
        )
        found = None
        rare = set(p.jumping())
        for name in limit:
            a, b = small[name], large[name]
            value, error = np.asarray(limit[name]), limit[name].error
            if a.shape[1:] != value.shape:
                return Disagreement("limit, width", f"{name}: {value.shape}, {a.shape[1:]}")
            change = a.mean(axis=0) - b.mean(axis=0)
            extrapolated = b.mean(axis=0) - change
            spread = np.sqrt(4 * b.var(axis=0, ddof=1) / len(b) + a.var(axis=0, ddof=1) / len(a))
            size = np.sqrt(np.mean(b**2, axis=0))
            allowed = 0.15 * np.abs(change)
            if name in rare:  # (1 - UNSEEN / N)^N = 1e-5 is the chance not to see a change by 2
                allowed = allowed + 2 * UNSEEN / (widths[1] * counts[1]) * size
            off = np.maximum(np.abs(extrapolated - value) - allowed, 0)
            by, at = worst(ratio(off, np.hypot(spread, error), size))
            if by > bound:
                found = Disagreement(
                    "limit, width",
                    f"{name}{list(at)}: {value[at]!r} ± {error[at]:.2g} ({limit[name].method}), "
                    f"widths {widths} give {extrapolated[at]!r} ± {spread[at]:.2g}"
                    f" (allowed {allowed[at]:.2g})",
                )
        if found is None:
            return None
    return found


def emitted(p: TensorProgram, limit: Any, close: float = 1e-7) -> Disagreement | None:
    """The module runs without nexort, on the data of the program."""
    source, refused = outcome(p.emit)
    if refused is not None:
        return None  # it has no closed form, or says why not
    space: dict[str, Any] = {"__name__": "emitted"}
    try:
        exec(compile(source, "emitted.py", "exec"), space)
        with np.errstate(all="ignore"):
            values = space["limit"]()
    except Exception as error:
        if type(error) is ArithmeticError:  # of its quadrature: a refusal, which says why
            return None
        return Disagreement("emitted fails", f"{type(error).__name__}: {error}")
    for name in limit:
        value, error = np.asarray(limit[name]), limit[name].error
        other = np.asarray(values[name])
        if other.shape != value.shape:
            return Disagreement("emitted", f"{name}: shapes {value.shape}, {other.shape}")
        scale = scales(value)
        off = np.abs(other - value) - close * max(np.max(scale, initial=0.0), 1e-5)
        by, at = worst(np.where(np.isfinite(other), off / np.maximum(error, 1e-300), np.inf))
        if by > WRONG:
            return Disagreement("emitted", f"{name}{list(at)}: {value[at]!r}, {other[at]!r}")
    return None


def in_blocks(p: TensorProgram, limit: Any) -> Disagreement | None:
    """``p.kernel`` of the program's own inputs, square and rectangular."""
    entry, refused = outcome(p.kernel_input)
    if refused is not None:
        return None
    name, axis = entry
    default = p.program.data[name].default
    assert default is not None
    x = np.asarray(default.attr, dtype=float)
    cut = max(1, x.shape[axis] - 1)
    few = np.take(x, range(cut), axis)
    for others, wanted in ((None, slice(None)), (few, slice(cut))):
        kernels, refused = outcome(lambda y=others: p.kernel(x, y))  # type: ignore[misc]
        if refused is not None:
            return None  # not every output has an exact form
        for output in kernels:
            value, error = np.asarray(limit[output]), limit[output].error
            found = np.asarray(kernels[output])
            room = KERNEL * scales(value)[:, wanted]
            off = np.maximum(np.abs(found - value[:, wanted]) - room, 0)
            by, at = worst(ratio(off, np.maximum(error[:, wanted], 1e-300), 0.0))
            if by > WRONG:
                kind = "kernel, limit"
                return Disagreement(kind, f"{output}{list(at)}: {found[at]!r}, {value[at]!r}")
    return None


SHOWN = "existence not shown"


def existence(text: str, truth: float | None) -> Disagreement | None:
    """A value that exists is printed, another refused, by every route."""
    p = loads(text)
    routes: dict[str, Callable[[], Any]] = {
        "exact": p.limit,
        "sampled": lambda: p.limit(exact=False, samples=512),
        "derive": p.derive,
        "emit": p.emit,
    }
    for name, route in routes.items():
        found, refused = outcome(route)
        if truth is None and refused is None:
            if name in ("exact", "sampled") and SHOWN in found["o"].method:
                continue
            return Disagreement("does not exist", f"{name}: {found if name == 'exact' else ''}")
        if truth is not None and name in ("exact", "sampled"):
            if refused is not None:
                return Disagreement("exists", f"{name} refuses {truth}: {refused}")
            value, error = float(found["o"]), float(found["o"].error)
            if abs(value - truth) > WRONG * error + 1e-9 * abs(truth) and name == "exact":
                return Disagreement("known value", f"{name}: {value!r} ± {error:.2g}, {truth!r}")
    return None


def singular_disagreement(text: str, truth: float | None) -> Disagreement | None:
    """As :func:`disagreement`, of a program whose value is known."""
    return judged(lambda: existence(text, truth))


def scales(value: Any) -> Any:
    """Of an entry of a square table, over an axis or several, the root of the product of its two
    diagonal entries."""
    half = value.ndim // 2
    if not half or value.shape[:half] != value.shape[half:]:
        return np.abs(value)
    count = math.prod(value.shape[:half])
    own = np.sqrt(np.abs(np.diag(value.reshape(count, count))))
    return np.maximum(np.outer(own, own).reshape(value.shape), np.abs(value))


def disagreement(text: str, *, finite: bool = True) -> Disagreement | None:
    """The first disagreement between routes to the limit of a program; None where all agree or
    all refuse."""
    return judged(lambda: _disagreement(text, finite))


def _disagreement(text: str, finite: bool) -> Disagreement | None:
    p, refused = outcome(lambda: loads(text))
    if refused is not None:
        return Disagreement("does not load", str(refused))
    limit, refused = outcome(p.limit)
    if refused is not None:
        _, also = outcome(lambda: p.limit(exact=False, samples=512))
        if also is None:
            return Disagreement("exact refuses", str(refused))
        return None
    found = exact_and_sampled(p, limit)
    if found is None:
        found = emitted(p, limit)
    if found is None:
        found = in_blocks(p, limit)
    if found is None and finite:
        found = limit_and_widths(p, limit)
    return found
