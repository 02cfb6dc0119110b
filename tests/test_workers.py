"""Tasks side by side: the same results however they are spread, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing

import numpy as np
import pytest

from nexort.support import workers
from nexort.support.diagnostics import Diagnostic, InternalError, NexortError
from nexort.support.workers import one_blas_thread, run_unordered


def draw(k: int) -> np.ndarray:
    return np.random.default_rng(k).standard_normal(50_000)  # larger than a pipe holds


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_every_item_once(workers: int) -> None:
    items = [7, 3, 5, 11, 2]
    found = dict(run_unordered(draw, items, workers))
    assert sorted(found) == sorted(items)
    for k, value in found.items():
        np.testing.assert_array_equal(value, draw(k))
    assert list(run_unordered(draw, [], workers)) == []


def test_a_thread_does_not_fork() -> None:
    found: list[int] = []

    def body() -> None:
        found.extend(pid for _, pid in run_unordered(lambda _: os.getpid(), range(6), 3))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [os.getpid()] * 6


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_processes() -> None:
    """The caller is one of them; all have ended afterwards."""
    pids = [pid for _, pid in run_unordered(lambda _: os.getpid(), range(6), 3)]
    assert os.getpid() in pids
    assert len(set(pids)) == 3
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("bad", [0, 1])  # by the caller, by a child
def test_errors_keep_their_diagnostics(bad: int) -> None:
    def task(k: int) -> int:
        if k == bad:
            raise NexortError([Diagnostic("some-code", "a message", None)])
        return k

    with pytest.raises(NexortError) as caught:
        list(run_unordered(task, range(4), 2))
    assert caught.value.diagnostics[0].code == "some-code"
    assert not multiprocessing.active_children()


def test_an_interrupt_ends_all() -> None:
    def task(k: int) -> int:
        if k == 2:
            raise KeyboardInterrupt
        return k

    with pytest.raises(KeyboardInterrupt), closing(run_unordered(task, range(8), 2)) as results:
        list(results)
    assert not multiprocessing.active_children()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_process_that_is_killed_is_missed() -> None:
    caller = os.getpid()

    def task(k: int) -> int:
        if os.getpid() != caller:
            os.kill(os.getpid(), signal.SIGKILL)
        return k

    with pytest.raises(NexortError) as caught:
        list(run_unordered(task, range(4), 2))
    assert caught.value.diagnostics[0].code == "worker-lost"


def test_linear_algebra_is_limited_whenever_it_is_loaded() -> None:
    from threadpoolctl import threadpool_info

    with one_blas_thread():
        limits = [x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"]
    assert set(limits) == {1}


class Odd(Exception):
    """One that does not survive being sent: its arguments are not those of its constructor."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__("two")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_an_error_that_cannot_be_sent_is_told_all_the_same() -> None:
    caller = os.getpid()

    def task(k: int) -> int:
        if os.getpid() != caller:
            raise Odd(1, 2)
        return k

    with pytest.raises(InternalError, match="please report: Odd: two"):
        list(run_unordered(task, range(4), 2))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_process_that_is_stopped_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    caller = os.getpid()
    monkeypatch.setattr(workers, "PATIENCE", 0.1)

    def task(k: int) -> int:
        if os.getpid() != caller:
            os.kill(os.getpid(), signal.SIGSTOP)
        return k

    with pytest.raises(NexortError, match="stopped"):
        list(run_unordered(task, range(4), 2))
    assert not multiprocessing.active_children()


SLEEPERS = """
import os, sys, time
from nexort.support.workers import run_unordered
def task(k):
    sys.stdout.write(f"{os.getpid()}\\n"); sys.stdout.flush()
    time.sleep(60)
list(run_unordered(task, range(3), 3))
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_their_parent(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPERS], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(3)}
        assert len(pids) == 3
        parent.send_signal(how)
        assert parent.stdout.read() == b""  # until the last of them has ended
    assert parent.returncode == -how
