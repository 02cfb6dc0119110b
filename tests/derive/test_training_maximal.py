"""The maximal update limit, derived: read at a finite width it is the loop of that width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training_networks import CASES, mlp
from training_runs import (
    OPTIMIZERS,
    STEPS,
    WIDTH,
    adam,
    derived,
    loop,
    program,
    read,
    sgd,
)

from nexort import optimizers
from nexort.derive.formula import Fold, Ket, Operator, Symbol
from nexort.derive.walking import walk
from nexort.diagnostics import Source
from nexort.driver import compile_source
from nexort.program.index import Affine
from nexort.training.update import Update


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_maximal_update_limit_is_the_loop_at_a_width(name: str, optimizer: str) -> None:
    case = CASES[name]
    derivation = derived(program(case, optimizer, "mup"), **case.numbers)
    assert derivation.regime == "maximal"
    for whole in (False, True):  # by expressions of kets, and by the matrices
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(loop(case, OPTIMIZERS[optimizer][1])):
            assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_a_wrong_move_is_seen() -> None:
    """The comparison has teeth: with another learning rate the loop ends elsewhere."""
    case = CASES["mlp"]
    text = program(case, "adam", "mup").replace("lr=0.3", "lr=0.301")
    reading = read(derived(text, L=3), case)
    last = loop(case, adam)[-1]
    assert np.abs(reading.output("f", STEPS) - last).max() > 1e-4


def test_rates_and_decays_that_change_from_step_to_step() -> None:
    case = CASES["residual"]
    text = program(case, "adam", "mup", "decay 0.1 * (t + 1)")
    derivation = derived(text.replace("lr=0.3", "lr=0.3 / (t + 1)"))
    found = loop(case, adam, lambda t: 1 - 0.1 * (t + 1), lambda t: 0.3 / (t + 1))
    for whole in (False, True):
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(found):
            assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("lines", ["normalize updates", "clip 0.4", "normalize weights"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_updates_divided_by_norms(name: str, optimizer: str, lines: str) -> None:
    """Eq 2.54 at a width; the norm of a trained matrix is that of its initial values."""
    case = CASES[name]
    derivation = derived(program(case, optimizer, "mup", lines), **case.numbers)
    how = OPTIMIZERS[optimizer][1]

    def size(kind: str, x: Any) -> float:
        n = {"matrix": WIDTH, "vector": np.sqrt(WIDTH), "scalar": 1.0}[kind]
        return float(np.sqrt(np.sum(np.abs(x) ** 2)) / n)

    def divided(key: Any, w: Any, history: list[Any]) -> Any:
        kind, q = case.weights[key][0], how(history)
        if lines == "normalize weights":
            matrix = case.deviations.get(key[0], 1.0)
            return q / (matrix if kind == "matrix" else size(kind, w))
        return q / (max(size(kind, q), 0.4) if lines == "clip 0.4" else size(kind, q))

    for whole in (False, True):
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(loop(case, how, divided=divided)):
            assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_lines_for_single_members() -> None:
    """W[2] moves by SGD and W[L] decays: a range of layers is cut up where that is so."""
    case = replace(CASES["mlp"], numbers={"L": 4}, forward=lambda w, n: mlp(w, n, 4))
    weights = {**case.weights, ("W", (4,)): ("matrix", ())}
    case = replace(case, weights=weights)
    more = "optimizer sgd(lr=0.3) for W[2]\n  decay 0.1 for W[L]"
    derivation = derived(program(case, "adam", "mup", more), L=4)
    own = {("W", (2,)): (sgd, 1.0), ("W", (4,)): (adam, 0.9)}
    for whole in (False, True):
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(loop(case, adam, own=own)):
            assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)
    ranges = [
        [(str(r.first), str(r.last)) for r in w.ranges[:-1]]
        for w in derivation.weights
        if isinstance(w.weight, Operator) and str(w.weight.matrix.indices[-1]) != "0"
    ]
    assert ranges == [[], [("3", "L - 1")], []]


def test_decay_centre_and_several_optimizers() -> None:
    """f_t less f_0; W keeps 0.9^t of itself, u moves by another function."""
    case = CASES["mlp"]
    more = "decay 0.1\n  centre"
    reading = read(derived(program(case, "adam", "mup", more), L=3), case)
    for t, expected in enumerate(loop(case, adam, lambda t: 0.9, centre=True)):
        assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)
    more = "optimizer sgd(lr=0.3) for u, v"
    derivation = derived(program(case, "adam", "mup", more), L=3)
    assert [u.name for u in derivation.updates] == ["adam"]
    assert abs(read(derivation, case).output("f", STEPS) - loop(case, adam)[-1]).max() > 1e-3


@pytest.mark.parametrize("name", optimizers.registry())
def test_every_optimizer_is_written_out(name: str) -> None:
    """Its states and result as formulas give what its update function gives."""
    case = CASES["mlp"]
    parameters = compile_source(Source("t.nxt", optimizers.registry()[name].source)).updates[name]
    needed = "".join(f", {p}=0.5" for p, default in parameters.parameters if default is None)
    text = program(case, "adam", "mup").replace("adam(lr=0.3, eps=0.1)", f"{name}(lr=0.3{needed})")
    derivation = derived(text, L=3)
    values = {p: 0.5 if d is None else d.attr for p, d in parameters.parameters}
    update = Update(parameters, values)
    history = np.random.default_rng(1).standard_normal((4, 1))
    states = update.start((1,))
    expected = [float(update.step(t, g, states)[0]) for t, g in enumerate(history)]
    given = {("g", (t,)): g for t, g in enumerate(history)}
    reading = read(derivation, case, given)
    move = next(w for w in derivation.weights if isinstance(w.weight, Ket))
    for t, value in enumerate(expected):
        argument = Symbol("g", (Affine.variable("r"),), (Affine(),))
        if derivation.updates:
            found: Any = Fold(derivation.updates[0].name, "r", Affine(t), argument)
        else:  # without memory the function is written in: at 1 for every gradient
            assert name in ("sgd", "sign_sgd")
            assert not any(isinstance(x, Fold) for x in walk(move.value))
            continue
        assert reading.value(found, {}) == pytest.approx(value, rel=1e-12)
