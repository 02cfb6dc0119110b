import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from finite_programs import call, data, dense, matmul, number, unrolled, vector, wishart

from nexort.finite import first_nonfinite, simulate
from nexort.finite.crew import Crew, StoppedError
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Axis, scalar
from nexort.support.diagnostics import InternalError, NexortError

K, M = Axis("K"), Axis("M")


def kernel_program():
    """Kernels of a two-layer network on M inputs, in every kind of node."""
    xi = data("xi", (K, M))
    u, v = vector("u", (K,)), vector("v")
    x = call("relu", build.contract(u, xi))
    y = call("tanh", matmul("W", x))
    back = matmul("W", call("mul", v, y), True)
    kernel = build.inner(y, y)
    mixed = build.contract(back, build.factor(kernel))
    return unrolled(
        {
            "kernel": kernel,
            "across": build.inner(x, build.transpose(matmul("W", vector("q", (M, K))))),
            "mean": build.average(mixed),
            "diagonal": build.diagonal(build.inner(back, back)),
            "taken": build.take(kernel, (None, 1)),
            "list": build.stack([number("c"), build.constant(2.5), build.average(v)]),
            "spread": build.spread(number("c", (M,)), scalar((K, M))),
            "many": build.average(
                build.spread(call("mul", number("c", (M,)), v), vector("w", (K, M)).type)
            ),
            "entrywise": build.average(build.contract(x, call("mul", y, x))),
            "from the left": build.average(build.contract(build.transpose(xi), u)),
        },
        {"K": 3, "M": 4},
        {"xi": np.random.default_rng(0).standard_normal((3, 4))},
    )


def test_every_node_is_the_dense_computation():
    program = kernel_program()
    found, expected = simulate(program, 70, 3), dense_with_factor(program, 70, 2)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == (3, *value.shape)
        assert found[name].dtype == np.float64
        assert found[name][2] == pytest.approx(value, abs=1e-11)


def dense_with_factor(program, width, run):
    """FACTOR has no unique value: its MEAN is checked through R^T R below."""
    kept = tuple(o for o in program.outputs if o.name != "mean")
    expected = dense(type(program)(kept, program.data, program.sizes, {}, {}), width, run)
    found = simulate(program, width, run + 1)
    return {"mean": found["mean"][run], **expected}


@pytest.mark.parametrize("matrix", [[[4.0, 2.0], [2.0, 1.0]], [[2.0, 1.0], [1.0, 3.0]]])
def test_factors_are_roots_even_of_singular_matrices(matrix):
    root = build.factor(data("c", (M, M)))
    program = unrolled(
        {"c": build.contract(build.transpose(root), root)}, {"M": 2}, {"c": np.array(matrix)}
    )
    assert simulate(program, 3, 1)["c"][0] == pytest.approx(np.array(matrix), abs=1e-12)


def test_indefinite_covariances_are_user_errors():
    root = build.factor(data("c", (M, M)))
    program = unrolled({"c": root}, {"M": 2}, {"c": np.array([[1.0, 2.0], [2.0, 1.0]])})
    with pytest.raises(NexortError, match="negative eigenvalue"):
        simulate(program, 3, 1)


def test_factors_of_nonfinite_matrices_are_nan():
    root = build.factor(data("c", (M, M)))
    program = unrolled({"c": root}, {"M": 2}, {"c": np.full((2, 2), np.inf)})
    assert np.isnan(simulate(program, 3, 1)["c"]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wishart_moments_are_catalan_numbers(dtype):
    found = simulate(wishart(4), 500, 32, dtype=dtype)["m"]
    error = found.std(axis=0, ddof=1) / np.sqrt(32)
    assert (np.abs(found.mean(axis=0) - [1, 2, 5, 14]) < 5 * error + 0.02).all()
    # Var v^T B v / n = 2 tr(B^2) / n^2 with B = (W^T W)^k: twice the 2k-th moment over n
    spread = np.sqrt(2 * np.array([2, 14, 132, 1430]) / 500)
    assert found.std(axis=0) == pytest.approx(spread, rel=0.5)


def test_the_fluctuations_shrink_with_the_width():
    narrow, broad = (simulate(wishart(2), n, 48)["m"].std(axis=0) for n in (50, 800))
    assert (narrow / broad > 2.5).all()
    assert (narrow / broad < 6.5).all()


@pytest.mark.parametrize("entries", ["rademacher", "uniform"])
def test_other_entries_have_the_same_limit(entries):
    found = simulate(wishart(3), 400, 32, entries=entries)["m"]
    error = found.std(axis=0, ddof=1) / np.sqrt(32)
    assert (np.abs(found.mean(axis=0) - [1, 2, 5]) < 5 * error + 0.03).all()


def test_symmetric_matrices_obey_the_semicircle():
    v = x = vector("v")
    moments = []
    for _ in range(4):
        x = call("div", call("add", matmul("W", x), matmul("W", x, True)), np.sqrt(2))
        moments.append(build.inner(v, x))
    found = simulate(unrolled({"m": moments}), 600, 32)["m"]
    error = found.std(axis=0, ddof=1) / np.sqrt(32)
    assert (np.abs(found.mean(axis=0) - [0, 1, 0, 2]) < 5 * error + 0.02).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_memory_change_no_bit(dtype):
    for program in (kernel_program(), wishart(3)):
        expected = simulate(program, 300, 3, dtype=dtype, threads=1)
        for threads in (1, 2, 5):
            for memory in (2**18, 2**21, 2**32):
                found = simulate(program, 300, 3, dtype=dtype, threads=threads, memory=memory)
                assert all(np.array_equal(found[k], v) for k, v in expected.items())


def test_seeds_give_other_draws_and_runs_are_numbered():
    first, second = (simulate(wishart(2), 60, 4, seed=s)["m"] for s in (0, 1))
    assert not np.intersect1d(first, second).size
    assert np.array_equal(simulate(wishart(2), 60, 2)["m"], first[:2])


def test_progress_counts_finished_runs():
    for threads in (1, 3):
        counted = []
        simulate(wishart(1), 20, 7, threads=threads, progress=counted.append)
        assert counted == list(range(1, 8))


def test_no_runs_give_empty_arrays():
    assert simulate(wishart(2), 20, 0)["m"].shape == (0, 2)


def test_width_one():
    program = kernel_program()
    found, expected = simulate(program, 1, 1), dense_with_factor(program, 1, 0)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-12)


def test_deep_programs():
    x = vector("v")
    for _ in range(10_000):
        x = call("tanh", x)
    for _ in range(300):
        x = matmul("W", x)
    assert simulate(unrolled({"x": build.average(x)}), 8, 1)["x"].shape == (1,)


def test_overflow_is_left_in_the_outputs():
    v = vector("v")
    bad = call("exp", call("mul", 1000.0, call("exp", v)))
    pair = call("mul", call("log", call("mul", v, build.copy(v, 1))), build.copy(v, 1))
    program = unrolled(
        {
            "inf": build.average(bad),
            "nan": build.average(call("sub", matmul("W", bad), bad)),
            "pairs": build.average(build.mean((1,), pair)),
            "fine": build.average(v),
            "scalar": call("log", call("sub", build.average(v), 7.0)),
        }
    )
    for threads in (1, 2):
        found = simulate(program, 50, 2, threads=threads)
        assert not np.isfinite(
            np.stack([found[k] for k in ("inf", "nan", "pairs", "scalar")])
        ).any()
        assert np.isfinite(found["fine"]).all()
    assert first_nonfinite(program, 50) in (bad, program.outputs[4].members[0], bad.args[0])
    assert first_nonfinite(wishart(2), 50) is None


def test_symbolic_nodes_are_defects():
    odd = Node(Op.SIZE, (), "d", scalar())
    with pytest.raises(InternalError, match="SIZE"):
        simulate(unrolled({"d": odd}), 5, 1)


def test_options_are_checked():
    with pytest.raises(NexortError, match="float32 or float64"):
        simulate(wishart(1), 5, 1, dtype="float16")
    with pytest.raises(NexortError, match="unknown law"):
        simulate(wishart(1), 5, 1, entries="cauchy")
    with pytest.raises(NexortError, match="memory limit"):
        simulate(wishart(1), 50_000, 1, memory=2**18)


@pytest.fixture
def interruptible():
    """Python's handler of interrupts, which a run in the background starts without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("threads", "seeds"), [(1, 4), (2, 4), (2, 1)])
def test_an_interrupt_stops_all_threads(threads, seeds):
    before = threading.active_count()
    main = threading.main_thread().ident
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    program = wishart(400)
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        simulate(program, 3000, seeds, threads=threads, memory=2**24)
    assert time.perf_counter() - start < 5
    timer.join()
    assert threading.active_count() == before


def test_errors_in_a_run_end_the_others():
    def fail(number):
        if number == 1:
            raise ValueError(number)
        time.sleep(0.01)
        return number

    with pytest.raises(ValueError, match="1"), Crew(2, 1) as crew:
        list(crew.runs(fail, 50))
    with pytest.raises(StoppedError):
        crew.check()


def test_callers_may_use_threads_of_their_own():
    expected = simulate(wishart(2), 100, 2)["m"]
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: simulate(wishart(2), 100, 2)["m"], range(6)):
            assert np.array_equal(found, expected)
