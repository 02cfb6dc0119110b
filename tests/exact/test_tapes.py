"""Tapes: compiled code against numpy's steps, which share no formula's text with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import nexort
from nexort.limit.exact import blocks, tape
from nexort.limit.exact.instructions import (
    ADD,
    ARCSINE,
    ARCSINE_AND_BUMP,
    BUMP,
    COMBINE,
    LOAD,
    MULTIPLY,
    MULTIPLY_ROW,
    STORE,
    Instruction,
    allocate_registers,
    combine_sums,
    pair_arcsines,
)  # fmt: skip

PROGRAMS = Path(__file__).parents[2] / "programs"
RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, 90))
X[:, 3] = X[:, 50]
X[:, 4] = X[:, 51] * (1 + 1e-9)
X[:, 5] = 2 * X[:, 52]
X[:, 6] = X[:, 53] + 1e-7 * X[:, 54]
Y = RNG.standard_normal((20, 37))

TWO_LAYERS = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1/20)
vector b, v ~ N(0, 1)
matrix W ~ N(0, 2/n)
fn phi(z) = {f}
|x> = phi(|u> @ xi)
|h> = W |x> + 0.5 * |b>
|y> = phi(|h>)
|dx> = phi'(|h>) * |v>
nngp = <y|y>
ntk = <dx|dx> * <x|x> + nngp
output nngp, ntk
"""

FUNCTIONS = {
    "erf": "erf(z)",
    "two erfs": "erf(z) + 0.5 * erf(1.3 * z)",
    "gelu": "gelu(z)",
    "scaled gelu": "3 * gelu(0.8 * z)",
    "relu": "relu(z)",
    "abs": "abs(z)",
    "leaky relu": "max(z, 0.1 * z)",
}


class Spy:
    """The machine, counting the blocks that its formulas held for."""

    def __init__(self) -> None:
        self.held: list[bool] = []

    def run_code(self, *args: Any) -> bool:
        held = MACHINE.run_code(*args)
        self.held.append(held)
        return bool(held)


MACHINE = tape.machine()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[bool]]]:
    """Kernels by tapes, and which blocks were."""
    spy = Spy()
    monkeypatch.setattr(tape, "machine", lambda: spy)
    monkeypatch.setattr(blocks, "machine", lambda: spy)

    def run(program: Any, *args: Any, **options: Any) -> tuple[Any, list[bool]]:
        monkeypatch.setattr(blocks, "ENOUGH", 0)
        found = program.kernel(*args, **options)
        monkeypatch.setattr(blocks, "ENOUGH", 2**62)
        return found, spy.held

    return run


def close(found: Any, known: Any, roundings: float) -> None:
    assert list(found) == list(known)
    for name, array in known.items():
        bound = roundings * np.finfo(array.dtype).eps * np.abs(array).max()
        assert found[name].dtype == array.dtype
        assert np.abs(found[name] - array).max() <= bound, name
    assert found.methods == known.methods
    assert found.errors == known.errors


def test_numba_is_installed() -> None:
    """The other tests here would compare numpy's steps with themselves."""
    assert MACHINE is not None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_tapes_are_the_steps(f: str, dtype: str, compiled: Any) -> None:
    program = nexort.loads(TWO_LAYERS.format(f=FUNCTIONS[f]))
    for inputs in ((X,), (X, Y)):
        found, held = compiled(program, *inputs, dtype=dtype)
        known = program.kernel(*inputs, dtype=dtype)
        close(found, known, 40)
        assert not known.methods["nngp"].startswith("sampled")
        assert held
        assert all(held)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("mlp", None), ("digits", None), ("perceptron", "erf"), ("perceptron", "relu"),
        ("perceptron", "gelu"), ("residual", "relu"), ("residual", "gelu"),
        ("shared_branch", None), ("layernorm_ntk", "gelu"),
    ],
)  # fmt: skip
def test_programs_have_tapes(name: str, activation: str | None, dtype: str, compiled: Any) -> None:
    text = (PROGRAMS / f"{name}.nxt").read_text()
    lines = [f"fn phi(z) = {activation}(z)" if activation and x.startswith("fn phi") else x
             for x in text.splitlines()]  # fmt: skip
    program = nexort.loads("\n".join(lines))
    found, held = compiled(program, X, dtype=dtype)
    assert held
    assert all(held)
    close(found, program.kernel(X, dtype=dtype), 100)
    for array in found.values():
        np.testing.assert_array_equal(array, array.T)


def test_blocks_do_not_matter_to_tapes(compiled: Any) -> None:
    from nexort.limit.exact.kernel import Inputs, Options, kernels

    program = nexort.load(PROGRAMS / "mlp.nxt", L=4)
    whole, _ = compiled(program, X)
    blocks.ENOUGH = 0  # set back by the fixture
    unrolled = program.unrolled({"xi": X})
    for size, threads in ((16, 1), (24, 3)):
        parts = kernels(unrolled, None, Inputs("xi", 1, X, None),
                        Options(size=size, threads=threads))  # fmt: skip
        for name, array in whole.items():
            np.testing.assert_allclose(parts[name], array, rtol=1e-13)
            assert parts[name][3, 50] == parts[name][3, 3]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("f", ["erf(z)", "gelu(z)", "relu(z)"])
def test_inputs_of_one_number(f: str, dtype: str, compiled: Any) -> None:
    """Nothing is loaded: covariances are products of a row and a column."""
    text = f"""
    dim M
    data t[M]
    vector u ~ N(0, 1)
    fn phi(z) = {f}
    |x> = phi(|u> * t)
    output <x|x>
    """
    program = nexort.loads(text)
    times = np.abs(X[0])  # of one sign: no opposite pairs
    found, held = compiled(program, times, dtype=dtype)
    assert held
    assert all(held)
    close(found, program.kernel(times, dtype=dtype), 40)


def test_deep_tapes(compiled: Any) -> None:
    """Registers are used again: their number does not grow with depth."""
    counts = []
    for depth in (3, 30, 200):
        program = nexort.load(PROGRAMS / "mlp.nxt", L=depth)
        found, held = compiled(program, X[:, :30])
        assert all(held)
        close(found, program.kernel(X[:, :30]), 3 * depth + 20)
        (plan,) = (c.plan for c in program._kernels.values())
        counts.append(plan.tape.registers)
    assert counts[0] == counts[1] == counts[2] <= 8


def test_opposite_inputs_are_left_to_the_steps(compiled: Any) -> None:
    opposite = X.copy()
    opposite[:, 7] = -opposite[:, 60]
    program = nexort.loads(TWO_LAYERS.format(f="relu(z)"))
    found, held = compiled(program, opposite)
    assert not any(held)
    known = program.kernel(opposite)
    for name, array in known.items():
        np.testing.assert_array_equal(found[name], array)


def test_large_variances_are_left_to_the_steps(compiled: Any) -> None:
    program = nexort.loads(TWO_LAYERS.format(f="erf(z)"))
    found, held = compiled(program, 10 * X)
    assert held == []
    close(found, program.kernel(10 * X), 0)


def test_zero_inputs_on_tapes(compiled: Any) -> None:
    data = X.copy()
    data[:, 8] = 0
    for f in ("relu(z)", "gelu(z)"):
        program = nexort.loads(TWO_LAYERS.format(f=f))
        found, held = compiled(program, data)
        assert all(held)
        close(found, program.kernel(data), 40)


@pytest.mark.parametrize("f", ["tanh(z)", "z^2", "relu(z) + erf(z)", "sin(z)"])
def test_what_has_no_instruction_has_no_tape(f: str, compiled: Any) -> None:
    program = nexort.loads(TWO_LAYERS.format(f=f))
    _, held = compiled(program, X[:, :9])
    assert held == []
    (known,) = program._kernels.values()
    assert known.plan.tape is None


def test_bad_data_is_diagnosed_as_by_the_steps(compiled: Any) -> None:
    program = nexort.loads(TWO_LAYERS.format(f="gelu(z)"))
    data = X.copy()
    data[0, 0] = np.inf
    with pytest.raises(nexort.NexortError):
        compiled(program, data)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arcsines_to_rounding(dtype: Any) -> None:
    """Against numpy's in a longer format."""
    x = np.linspace(-1, 1, 40_001).astype(dtype)
    x = np.concatenate([x, RNG.uniform(-1, 1, 1000).astype(dtype) ** 9])
    code, registers = allocate_registers([
        Instruction(LOAD, (0,), (), (0,)), Instruction(ARCSINE, (1,), (0,), (0, 0, 0)),
        Instruction(STORE, (), (1,), (0,)),
    ])  # fmt: skip
    out = np.empty((1, 1, len(x)), dtype)
    one, ones = np.ones((1, 1), dtype), np.ones((1, len(x)), dtype)
    assert MACHINE.run_code(code, one, ones, x.reshape(1, 1, -1), out, registers, dtype)
    known = np.arcsin(x.astype(np.longdouble))
    assert np.abs((out[0, 0] - known) / np.spacing(np.abs(known).astype(dtype))).max() < 2.5


def test_the_series_interpolates_at_chebyshev_points() -> None:
    with mpmath.workdps(50):
        count = len(MACHINE.SERIES)
        points = [(mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) + 1) / 8
                  for k in range(count)]  # fmt: skip
        values = [(mpmath.asin(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z for z in points]
        powers = mpmath.matrix([[z**j for j in range(count)] for z in points])
        found = mpmath.lu_solve(powers, mpmath.matrix(values))
        assert [float(c) for c in found] == list(MACHINE.SERIES)


def test_instructions_are_joined_where_nothing_else_needs_the_parts() -> None:
    load = Instruction(LOAD, (0,), (), (0,))
    arcsine = Instruction(ARCSINE, (1,), (0,), (4, 5, 6))
    bump = Instruction(BUMP, (2,), (0,), (4, 5, 7))
    other = Instruction(BUMP, (3,), (0,), (4, 6, 7))
    assert pair_arcsines([load, arcsine, other, bump]) == [
        load, Instruction(ARCSINE_AND_BUMP, (1, 2), (0,), (4, 5, 6, 7)), other,
    ]  # fmt: skip
    assert pair_arcsines([load, arcsine, other]) == [load, arcsine, other]

    line, product = Instruction(MULTIPLY_ROW, (3,), (0,), (9,)), Instruction(MULTIPLY, (4,), (1, 2))
    total = Instruction(ADD, (5,), (4, 3))
    assert combine_sums([line, product, total]) == [Instruction(COMBINE, (5,), (0, 1, 2), (9,))]
    twice = Instruction(MULTIPLY, (6,), (3, 5))
    assert combine_sums([line, product, total, twice]) == [line, product, total, twice]


def test_no_instruction_writes_to_what_it_reads() -> None:
    program = nexort.loads(TWO_LAYERS.format(f="erf(z) + 0.5 * erf(1.3 * z)"))
    program.kernel(X[:, :4])
    (known,) = program._kernels.values()
    for what, out, second, *reads, _x, _y, _z, _w in known.plan.tape.code:
        if what not in (LOAD, STORE):
            count = {ADD: 2, MULTIPLY: 2, COMBINE: 3}.get(what, 1)
            assert out not in reads[:count]
            assert what != ARCSINE_AND_BUMP or second not in (out, *reads[:count])


def test_without_numba_or_a_place_for_its_cache(tmp_path: Path) -> None:
    """The same kernels, in processes of their own."""
    code = """
import sys
if sys.argv[1] == "absent":
    sys.modules["numba"] = None
else:
    import numba
    njit = numba.njit
    def without(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*args, **options)
    numba.njit = without
import numpy as np
import nexort
from nexort.limit.exact import blocks, tape
blocks.ENOUGH = 0
x = np.random.default_rng(0).standard_normal((5, 8))
np.save(sys.argv[3], nexort.load(sys.argv[2]).kernel(x)["ntk"])
print("absent" if tape.machine() is None else "loaded")
"""
    found = {}
    for how in ("absent", "uncached"):
        out = tmp_path / f"{how}.npy"
        call = [sys.executable, "-c", code, how, str(PROGRAMS / "mlp.nxt"), str(out)]
        said = subprocess.run(call, capture_output=True, text=True, check=True)
        assert said.stdout.split() == ["absent" if how == "absent" else "loaded"]
        found[how] = np.load(out)
    np.testing.assert_allclose(found["absent"], found["uncached"], rtol=1e-13)
