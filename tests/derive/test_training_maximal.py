"""The maximal update limit, derived: read at a finite width it is the loop of that width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_networks import CASES, INPUTS, VECTORS, Case, mlp
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
from nexort.data.given import Given
from nexort.driver import compile_source, derive
from nexort.driver import read as read_file
from nexort.limit.derive.formula import ZERO, Fold, Formula, Ket, Operator, Symbol
from nexort.limit.derive.printing.notation import Notation
from nexort.limit.derive.printing.text_boxes import text_inline
from nexort.limit.derive.walking import walk_formula
from nexort.program.index import Affine
from nexort.support.diagnostics import Source
from nexort.training.update import Update

PROGRAMS = Path(__file__).parents[2] / "programs"


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


@pytest.mark.parametrize(
    "lines", ["normalize updates", "clip 0.4", "clip paper 0.4", "normalize weights"]
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_updates_divided_by_norms(name: str, optimizer: str, lines: str) -> None:
    """Eq 2.54 at a width; the norm of a trained matrix is that of its initial values. A scalar's
    gradient vanishes at the start: divided by its norm it has no limit."""
    case = CASES[name]
    which = f"{lines} for u, W, b, v" if name == "residual" else lines
    derivation = derived(program(case, optimizer, "mup", which), **case.numbers)
    how = OPTIMIZERS[optimizer][1]

    def size(kind: str, x: Any) -> float:
        n = {"matrix": WIDTH, "vector": np.sqrt(WIDTH), "scalar": 1.0}[kind]
        return float(np.sqrt(np.sum(np.abs(x) ** 2)) / n)

    def divided(key: Any, w: Any, history: list[Any]) -> Any:
        kind, q = case.weights[key][0], how(history)
        if kind == "scalar":
            return q
        if lines == "normalize weights":
            matrix = case.deviations.get(key[0], 1.0)
            return q / (matrix if kind == "matrix" else size(kind, w))
        clipped = {
            "clip 0.4": max(1, size(kind, q) / 0.4),
            "clip paper 0.4": min(size(kind, q), 0.4),
        }
        norm = clipped.get(lines, size(kind, q))
        return q / norm if norm else q

    for whole in (False, True):
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(loop(case, how, divided=divided)):
            assert reading.output("f", t) == pytest.approx(expected, rel=1e-9, abs=1e-11)


def wide(w: Any, n: int) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    return w["v", ()][:, None] * (np.sin(w["W", (3,)] @ x) + x)


def gated(w: Any, n: int) -> Any:
    z = np.log(1 + np.exp(w["W", ()] @ (w["u", ()] @ INPUTS)))
    h = w["A", ()] @ z
    return w["v", ()][:, None] * np.tanh(h / np.sqrt((h**2).mean(axis=0) + 0.1))


OTHERS = {
    "members that run": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W[1..L] : matrix
  weight v : vector
  |x[0]> = tanh(|u> @ xi)
  for l in 1..L { |x[l]> = sin(W[l] |x[0]>) + |x[0]> }
  return <v|x[L]>
}
""",
        wide,
        {**VECTORS, **{("W", (layer,)): ("matrix", ()) for layer in (1, 2, 3)}},
        {"L": 3},
    ),
    "a weight of 0": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W : matrix ~ N(0, 0)
  weight A : matrix
  weight v : vector
  |z> = softplus(W(|u> @ xi))
  |h> = A |z>
  return |v> * tanh(|h> / sqrt(diag(<h|h>) + 0.1))
}
""",
        gated,
        {**VECTORS, ("W", ()): ("matrix", ()), ("A", ()): ("matrix", ())},
        deviations={"W": 0.0},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_members_and_kets_that_are_only_moves(name: str) -> None:
    """W[3] of W[1..3] moves where no other does; softplus(W |x>) has a mean where W is 0."""
    case = OTHERS[name]
    derivation = derived(program(case, "adam", "mup"), **case.numbers)
    for whole in (False, True):
        reading = read(derivation, case, whole=whole)
        for t, expected in enumerate(loop(case, adam)):
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


@pytest.mark.parametrize("name", optimizers.optimizer_registry())
def test_every_optimizer_is_written_out(name: str) -> None:
    """Its states and result as formulas give what its update function gives."""
    case = CASES["mlp"]
    parameters = compile_source(
        Source("t.nxt", optimizers.optimizer_registry()[name].source)
    ).updates[name]
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
            assert not any(isinstance(x, Fold) for x in walk_formula(move.value))
            continue
        assert reading.value(found, {}) == pytest.approx(value, rel=1e-12)


# ---- Theorem 2.7.3 -------------------------------------------------------------------------------

THEOREM = {
    "h^1": "Σ_i ξ_ia |u^t_i⟩",
    "h^l": "|ĥ^{l,t}_a⟩ + Σ_{s<t} Σ_i E[∂|x^{l−1,t}_a⟩/∂|dx̂^{l−1,s}_i⟩] |dh^{l,s}_i⟩"
    " − 0.1 Σ_{s<t} E_1[adam_s(Σ_i χ^0_i |dh^{l,0}_i⟩ |x^{l−1,0}_i⟩^[1], …,"
    " Σ_i χ^s_i |dh^{l,s}_i⟩ |x^{l−1,s}_i⟩^[1]) |x^{l−1,t}_a⟩^[1]]",
    "x^l": "tanh(|h^{l,t}_a⟩)",
    "dx^l": "|dx̂^{l,t}_a⟩ + Σ_{s=0..t} Σ_i E[∂|dh^{l+1,t}_a⟩/∂|ĥ^{l+1,s}_i⟩] |x^{l,s}_i⟩"
    " − 0.1 Σ_{s<t} E_1[adam_s(Σ_i χ^0_i |dh^{l+1,0}_i⟩^[1] |x^{l,0}_i⟩, …,"
    " Σ_i χ^s_i |dh^{l+1,s}_i⟩^[1] |x^{l,s}_i⟩) |dh^{l+1,t}_a⟩^[1]]",
    "dx^L": "|v^t⟩",
    "dh^l": "(1 − tanh(|h^{l,t}_a⟩)²) |dx^{l,t}_a⟩",
}
WEIGHTS = {
    "|u^{t+1}_a⟩": "|u^t_a⟩"
    " − 0.1 adam_t(Σ_i χ^0_i ξ_ai |dh^{1,0}_i⟩, …, Σ_i χ^t_i ξ_ai |dh^{1,t}_i⟩)",
    "W^{l,0}": "W^l",
    "W^{l,t+1}": "W^{l,t} − 0.1 adam_t(Σ_i χ^0_i |dh^{l,0}_i⟩⟨x^{l−1,0}_i|, …,"
    " Σ_i χ^t_i |dh^{l,t}_i⟩⟨x^{l−1,t}_i|)",
    "|v^{t+1}⟩": "|v^t⟩ − 0.1 adam_t(Σ_i χ^0_i |x^{L,0}_i⟩, …, Σ_i χ^t_i |x^{L,t}_i⟩)",
}


def shown(formula: Formula) -> str:
    return text_inline(Notation().box(formula))


def test_the_recursion_of_theorem_2_7_3() -> None:
    """mup_mlp_adam line by line: propagation, dots over s < t and s <= t, updates with memory."""
    derivation = derive(compile_source(read_file(PROGRAMS / "mup_mlp_adam.nxt")), Given({}, {}))
    found = {f"{k.ket.name}^{k.ket.indices[0]}": shown(k.value) for k in derivation.kets}
    assert found == THEOREM
    assert {shown(w.weight): shown(w.value) for w in derivation.weights} == WEIGHTS
    assert {shown(e.left): shown(e.right) for e in derivation.equations} == {
        "f^t_a": "⟨v^t|x^{L,t}_a⟩",
        "χ^t_a": "train_a (f^t_a − y_a)",
    }
    hats = [g for g in derivation.gaussians if g.reason == "hat"]
    assert [shown(g.covariance) for g in hats] == [
        "⟨x^{l−1,t}_a|x^{l−1,s}_b⟩",
        "⟨dh^{l+1,t}_a|dh^{l+1,s}_b⟩",
    ]
    notes = {k.ket.name: k.note for k in derivation.kets if k.note}
    assert "Only earlier steps" in notes["h"]
    assert "vanishes at the first step" in notes["dx"]


def test_the_operator_of_equation_2_10() -> None:
    """ntp_mlp_adam: K_Q has a term of the first layer, a sum over the hidden ones, the last."""
    derivation = derive(compile_source(read_file(PROGRAMS / "ntp_mlp_adam.nxt")), Given({}, {}))
    found = {shown(e.left): shown(e.right) for e in derivation.equations}
    assert found["K_Q^t_a"] == (
        "Σ_i ξ_ia E[adam_t(Σ_j χ^0_j ξ_ij |dh^1_j⟩, …, Σ_j χ^t_j ξ_ij |dh^1_j⟩) |dh^1_a⟩]"
        " + Σ_{l=2..L} E[adam_t(Σ_i χ^0_i |dh^l_i⟩ |x^{l−1}_i⟩^[1], …,"
        " Σ_i χ^t_i |dh^l_i⟩ |x^{l−1}_i⟩^[1]) |dh^l_a⟩ |x^{l−1}_a⟩^[1]]"
        " + E[adam_t(Σ_i χ^0_i |x^L_i⟩, …, Σ_i χ^t_i |x^L_i⟩) |x^L_a⟩]"
    )
    assert found["f^0_a"] == "0"
    assert found["f^t_a"] == "f^{t−1}_a − 0.1 K_Q^{t−1}_a"
    assert all(k.dot is None or k.dot == ZERO for k in derivation.kets)
