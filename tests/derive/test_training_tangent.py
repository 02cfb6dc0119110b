"""The neural tangent limit, derived: its operator at a width, decay, closed recursions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from derivation_values import evaluate
from training_networks import CASES, DATA, INPUTS, MASK, TARGETS, Case, Weights
from training_runs import (
    OPTIMIZERS,
    SIZES,
    STEPS,
    WIDTH,
    adam,
    derived,
    draw,
    program,
    read,
    slopes,
)

from nexort.data.given import Given
from nexort.driver import compile_source, emit
from nexort.limit.derive.derivation import Derivation, Equation, KetDefinition
from nexort.limit.derive.formula import Bracket, Ket, Symbol
from nexort.limit.derive.training.derive import read_training
from nexort.program.index import Affine
from nexort.support.diagnostics import NexortError, Source

# ---- the neural tangent limit --------------------------------------------------------------------


def kernel(case: Case, how: Callable[[list[Any]], Any], errors: list[Any]) -> Any:
    """K_Q at a width, by Def 2.9.18 in words: sum over weights of d f_i/dw Q(n^d dw) n^-c, with
    f = n^(-1/2) sum, W = n^(-1/2) w for matrices."""
    weights, _ = draw(case)
    total: Any = 0
    for key, slope in slopes(case, weights).items():
        if key[0] in case.fixed:
            continue
        matrix = case.weights[key][0] == "matrix"
        # d f / d w, and what the update function sees: n^d times the gradient
        scale = WIDTH ** (-1.0 if matrix else -0.5)
        seen = WIDTH ** (1.0 if matrix else 0.5)
        own = scale * slope
        past = [seen * np.tensordot(own, chi, axes=chi.ndim) for chi in errors]
        moved = how(past) / seen
        total = total + np.tensordot(moved, own, axes=moved.ndim)
    return total


TANGENT = [name for name in CASES if name != "residual"]
"""All without scalar weights."""


def raw(text: str, **numbers: float) -> Derivation:
    """The lines of a neural tangent limit, no expectation evaluated."""
    read = read_training(compile_source(Source("test.nxt", text)), numbers)
    assert read.told.regime == "tangent"
    system = read.system
    kets = []
    for x in (x for lines in system.kets.values() for x in lines):
        hat = replace(x.ket, part="hat")
        value = x.value if x.matrix is None else hat
        kets.append(KetDefinition(x.ket, x.ranges, x.labels, value, x.matrix, x.value, hat))
    equations = [
        Equation(Symbol(x.name, x.indices, x.axes), x.value, x.ranges, x.labels, False)
        for x in (x for lines in system.scalars.values() for x in lines)
    ]
    return Derivation(
        "",
        (),
        tuple(equations),
        tuple(kets),
        (),
        (),
        False,
        "tangent",
        (),
        tuple(x for x in system.updates.values() if x.states),
    )


@pytest.mark.parametrize("name", TANGENT)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_neural_tangent_operator_is_that_of_a_width(name: str, optimizer: str) -> None:
    """Before the rules of expectations, which hold in the limit alone (independence, symmetry)."""
    case = CASES[name]
    derivation = raw(program(case, optimizer, "ntp", "centre"), **case.numbers)
    outputs = case.forward(draw(case)[0], WIDTH).shape[1:]
    rng = np.random.default_rng(5)
    errors = [rng.standard_normal(outputs) for _ in range(STEPS)]
    given = {("chi", (t,)): e for t, e in enumerate(errors)}
    reading = read(derivation, case, given)
    for t in range(STEPS):
        expected = kernel(case, OPTIMIZERS[optimizer][1], errors[: t + 1])
        found = np.array([reading.scalar("K_Q", (t,), at) for at in np.ndindex(*outputs)])
        assert found.reshape(outputs) == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_the_neural_tangent_limit_with_decay() -> None:
    """K_t pairs the slopes of the weights that decay left at t with the decayed sum of updates."""
    case = CASES["mlp"]
    more = "decay 0.1 * (t + 1) for W\n  decay 0.2 for u"
    derivation = derived(program(case, "adam", "ntp", more), **case.numbers)
    assert derivation.regime == "decayed"
    rng = np.random.default_rng(5)
    errors = [rng.standard_normal(3) for _ in range(STEPS)]
    given = {("chi", (t,)): e for t, e in enumerate(errors)}
    reading = read(derivation, case, given)
    weights, _ = draw(case)

    def kept(name: str, first: int, last: int) -> float:
        factors = {"W": [0.9, 0.8, 0.7], "u": [0.8, 0.8, 0.8], "v": [1.0, 1.0, 1.0]}[name]
        return float(np.prod(factors[first:last]))

    def at(t: int) -> Weights:
        return {k: kept(k[0], 0, t) * w for k, w in weights.items()}

    past_slopes = [slopes(case, at(t)) for t in range(STEPS + 1)]
    for t in range(1, STEPS + 1):
        expected: Any = 0
        for s in range(t):
            for key in weights:
                seen = WIDTH ** (1.0 if case.weights[key][0] == "matrix" else 0.5)
                past = [past_slopes[r][key] @ errors[r] for r in range(s + 1)]
                moved = 0.3 * kept(key[0], s + 1, t) * adam(past) / seen**2
                expected = expected + np.tensordot(moved, past_slopes[t][key], axes=moved.ndim)
        found = [reading.scalar("K_Q", (t,), (a,)) for a in range(3)]
        assert found == pytest.approx(expected, rel=1e-9)
    [process] = [g for g in derivation.gaussians if g.reason == "output"]
    variables = [r.var for r in process.ranges]
    labels = [x.label for x in process.labels]
    for t, s in np.ndindex(STEPS + 1, STEPS + 1):
        sums = [case.forward(at(q), WIDTH) for q in (t, s)]
        env = {**dict(zip(variables, (t, s), strict=True)), labels[0]: 0, labels[1]: 2}
        product = np.mean(sums[0][:, 0] * sums[1][:, 2])
        assert float(reading.value(process.covariance, env)) == pytest.approx(product, rel=1e-9)


# ---- closed recursions ---------------------------------------------------------------------------


def arccos_kernels(p: Any, c: Any, q: Any) -> tuple[Any, Any]:
    """E relu relu and E step step of centred Gaussians (Cho & Saul 2009)."""
    angle = np.arccos(np.clip(c / np.sqrt(p * q), -1, 1))
    root = np.sqrt(np.maximum(p * q - c**2, 0))
    return (root + c * (np.pi - angle)) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_linear_update_functions_give_the_recursion_of_the_tangent_kernel(optimizer: str) -> None:
    """No expectation is left: f_t by the derived equations, and by the kernel written once more."""
    case = CASES["mlp"]
    text = program(case, optimizer, "ntp", "centre").replace("tanh", "relu")
    derivation = derived(text.replace("lr=0.3", "lr=0.03"), L=3)
    assert derivation.closed
    found = evaluate(derivation, {"L": 3}, SIZES, {k: np.asarray(v) for k, v in DATA.items()})
    inputs = INPUTS.T @ INPUTS
    values, slopes_ = [], []
    kernel_ = inputs
    for _ in range(3):
        diagonal = np.diag(kernel_)
        x, step = arccos_kernels(diagonal[:, None], kernel_, diagonal[None, :])
        values.append(x)
        slopes_.append(step)
        kernel_ = 2 * x
    tangent = values[2]
    back = slopes_[2]
    for layer in (1, 0):
        tangent = tangent + back * values[layer]
        back = 2 * back * slopes_[layer]
    tangent = tangent + back * inputs
    f = np.zeros(3)
    moment = np.zeros(3)
    assert found["f"].shape == (STEPS + 1, 3)
    for t in range(STEPS + 1):
        assert found["f"][t] == pytest.approx(f, rel=1e-9)
        moment = (0.9 * moment if optimizer == "momentum" else 0) + (f - TARGETS) * MASK
        f = f - 0.03 * tangent @ moment


def test_a_closed_recursion_is_emitted() -> None:
    """SGD in the neural tangent limit as a numpy module; what is not closed is refused."""
    case = CASES["mlp"]
    text = program(case, "sgd", "ntp", "centre").replace("tanh", "relu")
    compiled = compile_source(Source("test.nxt", text))
    space: dict[str, Any] = {}
    exec(emit(compiled, Given({"L": 3}, {})), space)
    data = {k: np.asarray(v) for k, v in DATA.items()}
    found = space["limit"](**data, L=3)
    expected = evaluate(derived(text, L=3), {"L": 3}, SIZES, data)
    assert found["f"] == pytest.approx(expected["f"], rel=1e-10)
    for more in (program(case, "sgd", "ntp"), program(case, "momentum", "ntp", "centre")):
        with pytest.raises(NexortError) as refused:
            emit(compile_source(Source("test.nxt", more)), Given({"L": 3}, {}))
        assert refused.value.diagnostics[0].code == "not-closed"


def test_the_output_at_the_start() -> None:
    """A Gaussian process where nothing is said, 0 where it vanishes, or what is given."""
    case = CASES["mlp"]
    derivation = derived(program(case, "sgd", "ntp"), L=3)
    [start] = [g for g in derivation.gaussians if g.reason == "output"]
    last = Affine.variable("L")
    sides = [Ket("x", (last,), (Affine.variable(a),)) for a in "ab"]
    assert start.covariance == Bracket(sides[0], sides[1])
    assert not derivation.closed
    given = derived(program(case, "sgd", "ntp", "start y"), L=3)
    assert given.closed
    data = {k: np.asarray(v) for k, v in DATA.items()}
    assert evaluate(given, {"L": 3}, SIZES, data)["f"][0].tolist() == TARGETS.tolist()
