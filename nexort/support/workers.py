"""Independent tasks side by side: on processes, where they can be forked, else on threads.

Runs over small samples are made of many short numpy calls, each of which gives up the interpreter's
lock and waits for it again: two threads of them take as long as one. A forked process shares the
parent's memory as it is, so that a task may be any function, and only results are copied.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from threadpoolctl import threadpool_limits

from nexort.support.diagnostics import InternalError, fail

T = TypeVar("T")
Results = Generator[tuple[int, T], None, None]

PATIENCE = 2.0
"""Seconds between two looks at whether a process is stopped."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def run_ordered(
    task: Callable[[int], T],
    items: Sequence[int],
    workers: int,
    done: Callable[[int, T], None] | None = None,
) -> dict[int, T]:
    """``task(k)`` of every item k, with linear algebra on one thread; ``done`` is called as they
    come."""
    found: dict[int, T] = {}
    with one_blas_thread(), closing(run_unordered(task, items, workers)) as results:
        for k, result in results:
            found[k] = result
            if done is not None:
                done(k, result)
    return found


def run_unordered(task: Callable[[int], T], items: Sequence[int], workers: int) -> Results[T]:
    """``(k, task(k))`` of every item, as they are done, over at most so many workers; one of them
    is the caller. Where the iteration ends early, or a task raises, the others are stopped."""
    workers = min(workers, len(items))
    if workers > 1 and _forks():
        yield from _forked(task, items, workers)
    elif workers > 1:
        yield from _threaded(task, items, workers)
    else:
        for k in items:
            yield k, task(k)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Linear algebra on one thread, as is right where workers run side by side. scipy, which has a
    BLAS of its own, is loaded first: it would come unlimited, and into every process anew."""
    import scipy.linalg
    import scipy.stats  # noqa: F401

    with threadpool_limits(1):
        yield


def _forks() -> bool:
    """On Linux, and not from a thread: the child has no other than that one."""
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def _threaded(task: Callable[[int], T], items: Sequence[int], workers: int) -> Results[T]:
    pool = ThreadPoolExecutor(workers)
    try:
        yield from zip(items, pool.map(task, items), strict=True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _forked(task: Callable[[int], T], items: Sequence[int], workers: int) -> Results[T]:
    context = multiprocessing.get_context("fork")
    children = []
    suspects: set[int | None] = set()
    pipes: dict[Connection, int] = {}
    try:
        for w in range(1, workers):
            ours, theirs = context.Pipe(duplex=False)
            part = items[w::workers]
            child = context.Process(
                target=_work, args=(task, part, theirs, os.getpid()), daemon=True
            )
            with warnings.catch_warnings():
                # of other threads, whose locks are not used in the child
                warnings.simplefilter("ignore", DeprecationWarning)
                child.start()
            theirs.close()
            children.append(child)
            pipes[ours] = len(part)
        for k in items[::workers]:
            yield k, task(k)
            yield from _received(pipes, timeout=0)
        while pipes:
            yield from _received(pipes, timeout=PATIENCE)
            stopped = {child.pid for child in children if _is_stopped(child.pid)}
            if stopped & suspects:
                message = "a process of this run was stopped"
                raise fail(
                    "worker-lost", message, help="--threads 1 runs everything in one process"
                )
            suspects = stopped
    finally:
        for child in children:
            child.kill()  # also one that is stopped
            child.join()
        for pipe in pipes:
            pipe.close()


def _is_stopped(pid: int | None) -> bool:
    """Whether a process is stopped, by a signal or a debugger. Where all of a group are, as by
    Ctrl-Z, so is who asks, and they go on together."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] in b"Tt"
    except OSError:
        return False


def _received(pipes: dict[Connection, int], timeout: float) -> Iterator[tuple[int, T]]:
    """What has come through the pipes, which are dropped when they are done."""
    while pipes:
        ready = wait(list(pipes), timeout)
        for pipe in ready:
            assert isinstance(pipe, Connection)
            try:
                k, found, problem = pipe.recv()
            except EOFError:
                message = "a process of this run was killed, perhaps for want of memory"
                raise fail("worker-lost", message, help="lower --memory, or --threads 1") from None
            if problem is not None:
                raise problem
            pipes[pipe] -= 1
            if not pipes[pipe]:
                del pipes[pipe]
                pipe.close()
            yield k, found
        if timeout or not ready:
            return


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, in whatever way."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def _work(
    task: Callable[[int], object], items: Sequence[int], pipe: Connection, parent: int
) -> None:
    """In a child: its items one after another. The parent alone is interrupted, and ends it."""
    _end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    k = -1
    try:
        for k in items:
            pipe.send((k, task(k), None))
    except Exception as problem:  # the parent raises it again
        try:
            pickle.loads(pickle.dumps(problem))
        except Exception:  # not one that can be sent
            problem = InternalError(f"{type(problem).__name__}: {problem}")
        pipe.send((k, None, problem))


def cores() -> int:
    """The cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
