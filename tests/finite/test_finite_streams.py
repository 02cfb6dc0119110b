import numpy as np
import pytest
from finite_programs import call, matmul, number, unrolled, vector

from nexort.finite import simulate
from nexort.finite.streams import NAMED, Streams, graph_law, named_law
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import ket
from nexort.support.diagnostics import InternalError, NexortError

DOUBLE, SINGLE = np.dtype("float64"), np.dtype("float32")
Z = Node(Op.SLOT, (), ("z",), ket())


def first(seed=0, run=0, kind="vector", symbol=("v", ()), block=0):
    return Streams(seed, run, 8, DOUBLE).generator(kind, symbol, block).random()


def test_a_stream_is_found_by_its_key_alone():
    changes = [
        {}, {"seed": 1}, {"run": 1}, {"kind": "matrix"}, {"symbol": ("w", ())},
        {"symbol": ("v", (0,))}, {"symbol": ("v", (1,))}, {"symbol": ("v", (0, 1))}, {"block": 1},
    ]  # fmt: skip
    drawn = [first(**change) for change in changes]
    assert drawn == [first(**change) for change in changes]
    assert len(set(drawn)) == len(changes)


def test_streams_are_the_same_on_every_machine():
    assert first() == pytest.approx(0.2561961860726626, abs=1e-15)


def test_vectors_and_scalars_are_standard():
    streams = Streams(3, 0, 50_000, DOUBLE)
    v = streams.vector(("v", ()), (2,))
    assert v.shape == (2, 50_000)
    assert np.cov(v) == pytest.approx(np.eye(2), abs=0.03)
    c = streams.scalar(("c", ()), (20_000,))
    assert c.std() * np.sqrt(50_000) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("name", list(NAMED))
def test_named_laws_are_standardized(name, dtype):
    rows = Streams(1, 0, 777, dtype).rows(("W", ()), named_law(name), 0, 129)
    assert rows.dtype == dtype
    assert rows.shape == (129, 777)
    assert rows.mean() == pytest.approx(0, abs=0.015)
    assert rows.var() == pytest.approx(1, abs=0.02)
    if name == "rademacher":
        assert set(np.unique(rows)) == {-1, 1}
    if name == "uniform":
        assert np.abs(rows).max() <= np.sqrt(3) * (1 + 1e-6)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_laws_by_a_function_of_a_normal(dtype):
    law = graph_law(call("div", call("sub", call("mul", Z, Z), 1), np.sqrt(2)))
    rows = Streams(1, 0, 900, dtype).rows(("W", ()), law, 0, 100)
    assert rows.dtype == dtype
    assert rows.min() >= -1 / np.sqrt(2) - 1e-6
    assert rows.var() == pytest.approx(1, abs=0.1)


def test_a_constant_law_fills_the_matrix():
    rows = Streams(0, 0, 5, DOUBLE).rows(("W", ()), graph_law(build.constant(1)), 0, 3)
    assert (rows == np.ones((3, 5))).all()


def test_a_law_has_only_functions_of_its_normal():
    with pytest.raises(InternalError):
        graph_law(build.average(vector("v")))


def test_unknown_laws_are_user_errors():
    with pytest.raises(NexortError, match="rademacher"):
        named_law("rademaker")


def norm_of_product(**options):
    """<Wx|Wx> for a vector of signs x."""
    v, x = vector("v"), matmul("W", call("sign", vector("s")))
    program = unrolled({"x": build.inner(x, x), "v": build.average(v)}, **options.pop("program"))
    return simulate(program, 300, 4, **options)["x"]


def test_programs_and_callers_choose_laws():
    plain = norm_of_product(program={})
    signs = norm_of_product(program={"laws": {"W": call("sign", Z)}})
    assert not np.array_equal(plain, signs)
    assert np.array_equal(norm_of_product(program={}, entries="gaussian"), plain)
    override = norm_of_product(program={"laws": {"W": call("sign", Z)}}, entries="rademacher")
    assert np.array_equal(override, norm_of_product(program={}, entries="rademacher"))
    assert not np.array_equal(override, signs)


def test_draws_do_not_depend_on_other_symbols_or_the_order():
    v, w, c = vector("v"), vector("w"), number("c")
    alone = simulate(unrolled({"a": build.inner(v, matmul("W", v))}), 150, 2)["a"]
    extra = call("mul", matmul("U", w), matmul("W", w, True))
    more = {"b": build.average(extra), "c": c, "a": build.inner(v, matmul("W", v))}
    assert np.array_equal(simulate(unrolled(more), 150, 5)["a"][:2], alone)
