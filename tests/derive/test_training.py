"""Derived trainings are right: read at a finite width they are the loop of a finite width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from reading import Reading

from nexort import optimizers
from nexort.derive.derivation import Derivation, Equation, KetDefinition
from nexort.derive.evaluate import evaluate
from nexort.derive.formula import Bracket, Fold, Ket, Operator, Symbol
from nexort.derive.training.common import read as run_of
from nexort.derive.training.tangent import tangent_lines
from nexort.derive.walking import walk
from nexort.diagnostics import NexortError, Source
from nexort.driver import Given, compile_source, derive, emit
from nexort.program.index import Affine
from nexort.training.update import Update

WIDTH = 7
STEPS = 3
Weights = dict[tuple[str, tuple[int, ...]], Any]
INPUTS = np.random.default_rng(3).standard_normal((2, 3))
TARGETS = np.array([0.5, -1.0, 0.3])
MASK = np.array([1.0, 1.0, 0.0])
DATA = {"xi": INPUTS, "y": TARGETS, "train": MASK}
SIZES = {"d": 2, "M": 3, "e": 2, "T": 3}


def derived(text: str, **numbers: float) -> Derivation:
    return derive(compile_source(Source("test.nxt", text)), Given(numbers, {}))


# ---- optimizers, written once more ---------------------------------------------------------------


def adam(history: list[Any], beta1: float = 0.9, beta2: float = 0.999, eps: float = 0.1) -> Any:
    m: Any = 0
    v: Any = 0
    for g in history:
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
    t = len(history)
    return m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps**2)


def momentum(history: list[Any]) -> Any:
    return sum(0.9 ** (len(history) - 1 - s) * g for s, g in enumerate(history))


def sgd(history: list[Any]) -> Any:
    return history[-1]


def sign_sgd(history: list[Any]) -> Any:
    return history[-1] / np.sqrt(history[-1] ** 2 + 0.1**2)


# ---- networks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A network twice: as a program, and as a function of weights and inputs to the kets whose
    average is the output (axes behind the width)."""

    network: str
    forward: Callable[[Weights, Any], Any]
    weights: Mapping[tuple[str, tuple[int, ...]], tuple[str, Any]]
    """Key to kind and shape of the axes, or the start of a scalar."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    error: str = "(f - y) * train"
    signal: Callable[[Any, int], Any] = lambda f, t: (f - TARGETS) * MASK
    data: Mapping[str, Any] = field(default_factory=lambda: DATA)
    fixed: frozenset[str] = frozenset()
    """Initial objects that are not trained."""


def mlp(w: Weights, n: int, depth: int = 3) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    for layer in range(2, depth + 1):
        x = np.tanh(w["W", (layer,)] @ x)
    return w["v", ()][:, None] * x


def residual(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    for layer in range(1, 3):
        h = w["W", (layer,)] @ x + w["b", (layer,)][:, None]
        x = x + w["c", ()] * np.tanh(h)
    return w["v", ()][:, None] * x


def tied(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    for _ in range(2):
        x = np.tanh(w["W", ()] @ x)
    r = np.tanh(w["W", ()].T @ x)
    return w["v", ()][:, :, None] * r[:, None, :]


def normalized(w: Weights, n: int) -> Any:
    h = w["W", ()] @ np.tanh(w["u", ()] @ INPUTS)
    k = h - h.mean(axis=0)
    s = np.sqrt((k**2).mean(axis=0) + 0.01)
    return w["v", ()][:, None] * np.tanh(w["g", ()][:, None] * k / s)


def attention(w: Weights, n: int) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    q, k = w["Q", ()] @ x, w["P", ()] @ x
    scores = np.tanh(k.T @ q / len(x))
    return w["v", ()][:, None] * (x @ scores)


def outer(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    pair = np.tanh(x[:, None, :] * x[None, :, :] + w["p", ()][None, :, None])
    return w["v", ()][:, None] * pair.mean(axis=1)


def skip(w: Weights, n: int) -> Any:
    x = [np.tanh(w["u", ()] @ INPUTS)]
    x.append(np.tanh(x[0]))
    for layer in range(2, 6):
        x.append(x[layer - 2] + np.tanh(w["W", (layer,)] @ x[layer - 1]))
    return w["v", ()][:, None] * (x[5] + x[1])


def recurrent(w: Weights, n: int) -> Any:
    h = w["u", ()] @ SEQUENCE[0]
    for xi in SEQUENCE[1:]:
        h = np.tanh(w["W", ()] @ h + w["u", ()] @ xi)
    return w["v", ()][:, None] * h


def copies(w: Weights, n: int) -> Any:
    x = w["u", ()] @ INPUTS
    p, q, r = x[:, None, None, :], x[None, :, None, :], x[None, None, :, :]
    return w["v", ()][:, None] * np.tanh(p * q + r).mean(axis=(1, 2))


def two_indices(w: Weights, n: int) -> Any:
    total: Any = 0
    for k in (1, 2):
        x = w["u", ()] @ INPUTS
        for layer in (1, 2):
            x = np.tanh(w["W", (k, layer)] @ x)
        total = total + x
    return w["v", ()][:, None] * total


def functions(w: Weights, n: int) -> Any:
    a, b = w["u", ()] @ INPUTS, w["w", ()] @ INPUTS
    x = a * np.sin(w["W", ()] @ b) + np.exp(-(b**2)) / (1 + a**2)
    return w["v", ()][:, None] * x


def partly(w: Weights, n: int) -> Any:
    x = np.tanh(w["B", ()] @ np.tanh(w["u", ()] @ INPUTS) + w["s", ()][:, None])
    return w["v", ()][:, None] * (w["B", ()].T @ x)


def symmetric(w: Weights, n: int) -> Any:
    x = np.tanh(w["u", ()] @ INPUTS)
    return w["v", ()][:, None] * np.tanh(w["W", ()] @ x + w["W", ()].T @ x)


SEQUENCE = np.random.default_rng(8).standard_normal((3, 2, 3))
HEAD = "param L = 2\ndim d, M, e\ndata xi[d, M], y[M], train[M]\n"
MLP = """
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix ~ N(0, 2)
  weight v : vector
  |h[1]> = |u> @ xi
  |x[1]> = tanh(|h[1]>)
  for l in 2..L {
    |h[l]> = W[l] |x[l-1]>
    |x[l]> = tanh(|h[l]>)
  }
  return <v|x[L]>
}
"""
VECTORS = {("u", ()): ("vector", (2,)), ("v", ()): ("vector", ())}
TARGETS_2 = np.array([[0.5, -1.0, 0.3], [0.1, 0.2, -0.7]])

CASES = {
    "mlp": Case(
        MLP, mlp, {**VECTORS, ("W", (2,)): ("matrix", ()), ("W", (3,)): ("matrix", ())},
        {"L": 3}, {"W": np.sqrt(2)},
    ),
    "residual": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W[1..L] : matrix
  weight b[1..L] : vector
  weight v : vector
  weight c : scalar = 0.7
  |x[0]> = |u> @ xi
  for l in 1..L {
    |h[l]> = W[l] |x[l-1]> + |b[l]>
    |x[l]> = |x[l-1]> + c * tanh(|h[l]>)
  }
  return |v> * |x[L]>
}
""",
        residual,
        {
            **VECTORS, ("W", (1,)): ("matrix", ()), ("W", (2,)): ("matrix", ()),
            ("b", (1,)): ("vector", ()), ("b", (2,)): ("vector", ()), ("c", ()): ("scalar", 0.7),
        },
    ),
    "tied": Case(
        """
data y2[e, M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector[e]
  |x[0]> = |u> @ xi
  for l in 1..L { |x[l]> = tanh(W |x[l-1]>) }
  |r> = tanh(W^T |x[L]>)
  return <v|r>
}
""",
        tied,
        {("u", ()): ("vector", (2,)), ("W", ()): ("matrix", ()), ("v", ()): ("vector", (2,))},
        error="f - y2 + 0.1 * t",
        signal=lambda f, t: f - TARGETS_2 + 0.1 * t,
        data={**DATA, "y2": TARGETS_2},
    ),
    "normalized": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight g : vector ~ N(1, 0.25)
  weight v : vector
  |h> = W tanh(|u> @ xi)
  m = <1|h>
  |k> = |h> - m
  |q> = |k>^2
  s = sqrt(<1|q> + 0.01)
  return |v> * tanh(|g> * |k> / s)
}
""",
        normalized,
        {**VECTORS, ("W", ()): ("matrix", ()), ("g", ()): ("vector", ())},
        deviations={"g": 0.5},
    ),
    "attention": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight Q, P : matrix
  weight v : vector
  |x> = tanh(|u> @ xi)
  |q> = Q |x>
  |k> = P |x>
  return |v> * (|x> @ tanh(<k|q>))
}
""",
        attention,
        {**VECTORS, ("Q", ()): ("matrix", ()), ("P", ()): ("matrix", ())},
    ),
    "outer": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight p, v : vector
  |x> = |u> @ xi
  return |v> * E{1}[tanh(|x> * |x>{1} + |p>{1})]
}
""",
        outer,
        {**VECTORS, ("p", ()): ("vector", ())},
    ),
    "skip": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[0]> = tanh(|u> @ xi)
  |x[1]> = tanh(|x[0]>)
  for l in 2..L { |x[l]> = |x[l-2]> + tanh(W[l] |x[l-1]>) }
  return <v|x[L]> + <v|x[1]>
}
""",
        skip,
        {**VECTORS, **{("W", (layer,)): ("matrix", ()) for layer in range(2, 6)}},
        {"L": 5},
    ),
    "recurrent": Case(
        """
dim T
data zeta[T, d, M]
network f(zeta) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |h[0]> = |u> @ zeta[0]
  for t in 1..T-1 { |h[t]> = tanh(W |h[t-1]> + |u> @ zeta[t]) }
  return <v|h[T-1]>
}
""",
        recurrent,
        {**VECTORS, ("W", ()): ("matrix", ())},
        data={**DATA, "zeta": SEQUENCE},
    ),
    "copies": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = |u> @ xi
  return |v> * E{1,2}[tanh(|x> * |x>{1} + |x>{2})]
}
""",
        copies,
        VECTORS,
    ),
    "two indices": Case(
        """
param K = 2
network f(xi) {
  weight u : vector[d]
  weight W[1..K, 1..L] : matrix
  weight v : vector
  for k in 1..K {
    |x[k,0]> = |u> @ xi
    for l in 1..L { |x[k,l]> = tanh(W[k,l] |x[k,l-1]>) }
  }
  return sum(k in 1..K) <v|x[k,L]>
}
""",
        two_indices,
        {**VECTORS, **{("W", (k, m)): ("matrix", ()) for k in (1, 2) for m in (1, 2)}},
        {"K": 2},
    ),
    "functions": Case(
        """
network f(xi) {
  weight u, w : vector[d]
  weight W : matrix
  weight v : vector
  |a> = |u> @ xi
  |b> = |w> @ xi
  return |v> * (|a> * sin(W |b>) + exp(-1 * |b>^2) / (1 + |a>^2))
}
""",
        functions,
        {**VECTORS, ("w", ()): ("vector", (2,)), ("W", ()): ("matrix", ())},
    ),
    "partly": Case(
        """
matrix B ~ N(0, 1/n)
vector s ~ N(0, 1)
network f(xi) {
  weight u : vector[d]
  weight v : vector
  return |v> * (B^T tanh(B tanh(|u> @ xi) + |s>))
}
""",
        partly,
        {**VECTORS, ("B", ()): ("matrix", ()), ("s", ()): ("vector", ())},
        fixed=frozenset("Bs"),
    ),
    "symmetric": Case(
        """
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  A = W + W^T
  return |v> * tanh(A tanh(|u> @ xi))
}
""",
        symmetric,
        {**VECTORS, ("W", ()): ("matrix", ())},
    ),
}  # fmt: skip
MEANS = {"g": 1.0}

OPTIMIZERS = {
    "adam": ("optimizer adam(lr=0.3, eps=0.1)", adam),
    "momentum": ("optimizer momentum(lr=0.3, beta=0.9)", momentum),
    "sgd": ("optimizer sgd(lr=0.3)", sgd),
    "sign_sgd": ("optimizer sign_sgd(lr=0.3, eps=0.1)", sign_sgd),
}


def program(case: Case, optimizer: str, parametrization: str, more: str = "") -> str:
    line = OPTIMIZERS[optimizer][0]
    return f"""{HEAD}{case.network}
train f {{
  parametrization {parametrization}
  {line}
  error {case.error}
  steps {STEPS}
  {more}
}}
output f
"""


def draw(case: Case) -> tuple[Weights, Weights]:
    """The initial weights, and the standard Gaussians of vectors that have a mean."""
    rng = np.random.default_rng(11)
    weights: Weights = {}
    noise: Weights = {}
    for (name, key), (kind, shape) in case.weights.items():
        deviation = case.deviations.get(name, 1.0)
        if kind == "matrix":
            weights[name, key] = deviation * rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
        elif kind == "vector":
            z = rng.standard_normal((WIDTH, *shape))
            weights[name, key] = MEANS.get(name, 0.0) + deviation * z
            if name in MEANS:
                noise["z" + name, key] = z
        else:
            weights[name, key] = np.float64(shape)
    return weights, noise


def slopes(case: Case, weights: Weights) -> dict[tuple[str, tuple[int, ...]], Any]:
    """d(sum of entries)/dw of every output, axes of the output last: by complex steps."""
    found: dict[tuple[str, tuple[int, ...]], Any] = {}
    for key, w in weights.items():
        w = np.asarray(w)  # noqa: PLW2901
        rows = []
        for at in np.ndindex(*w.shape):
            moved = w.astype(complex)
            moved[at] += 1e-30j
            rows.append(case.forward({**weights, key: moved}, WIDTH).sum(axis=0).imag / 1e-30)
        rows = np.array(rows)
        found[key] = rows.reshape(*w.shape, *rows.shape[1:])
    return found


def loop(
    case: Case,
    how: Callable[[list[Any]], Any],
    keep: Callable[[int], float] = lambda t: 1.0,
    rate: Callable[[int], float] = lambda t: 0.3,
    centre: bool = False,
    own: Mapping[Any, tuple[Callable[[list[Any]], Any], float]] | None = None,
    divided: Callable[[Any, Any, list[Any]], Any] | None = None,
) -> list[Any]:
    """f_t of a training in muP at a width: f = (1/n) sum; matrices move by 1/n, and update
    functions see n times the gradients of matrices and vectors. ``own``: update functions and what
    decay keeps of single weights; ``divided``: an update from the weight and the history."""
    weights, _ = draw(case)
    history: dict[Any, list[Any]] = {key: [] for key in weights}
    outputs: list[Any] = []
    first: Any = 0.0
    for t in range(STEPS + 1):
        f = case.forward(weights, WIDTH).mean(axis=0)
        if t == 0 and centre:
            first = f
        f = f - first
        outputs.append(f)
        chi = case.signal(f, t)
        for key, slope in slopes(case, weights).items():
            kind = case.weights[key][0]
            if key[0] in case.fixed:
                continue
            g = np.tensordot(slope, chi, axes=chi.ndim)
            history[key].append(g if kind != "scalar" else g / WIDTH)
            c = WIDTH if kind == "matrix" else 1
            function, left = (own or {}).get(key, (how, keep(t)))
            moved = function(history[key])
            if divided is not None:
                moved = divided(key, weights[key], history[key])
            weights[key] = left * weights[key] - rate(t) / c * moved
    return outputs


def read(derivation: Derivation, case: Case, given: Any = None, whole: bool = False) -> Reading:
    weights, noise = draw(case)
    matrices = {k: v for k, v in weights.items() if case.weights[k][0] == "matrix"}
    vectors = {k: v for k, v in weights.items() if case.weights[k][0] == "vector"}
    numbers = {"L": 2, **case.numbers}
    kets = {**{k: v for k, v in vectors.items() if k[0] not in MEANS}, **noise}
    return Reading(derivation, WIDTH, numbers, SIZES, case.data, matrices, kets, given, whole)


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
    run = run_of(compile_source(Source("test.nxt", text)), numbers)
    assert run.regime.name == "tangent"
    system = tangent_lines(run)
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
        "", (), tuple(equations), tuple(kets), (), (), False, "tangent", (), run.functions
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
    """K_{t,s} pairs the slopes of the weights that decay left at t with the updates of s."""
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
        for s in range(t):
            expected: Any = 0
            for key in weights:
                seen = WIDTH ** (1.0 if case.weights[key][0] == "matrix" else 0.5)
                past = [past_slopes[r][key] @ errors[r] for r in range(s + 1)]
                moved = 0.3 * kept(key[0], s + 1, t) * adam(past) / seen**2
                expected = expected + np.tensordot(moved, past_slopes[t][key], axes=moved.ndim)
            found = [reading.scalar("K_Q", (t, s), (a,)) for a in range(3)]
            assert found == pytest.approx(expected, rel=1e-9)
    [process] = [g for g in derivation.gaussians if g.reason == "output"]
    variables = [r.var for r in process.ranges]
    labels = [x.label for x in process.labels]
    for t, s in np.ndindex(STEPS + 1, STEPS + 1):
        sums = [case.forward(at(q), WIDTH) for q in (t, s)]
        env = {**dict(zip(variables, (t, s), strict=True)), labels[0]: 0, labels[1]: 2}
        product = np.mean(sums[0][:, 0] * sums[1][:, 2])
        assert float(reading.value(process.covariance, env)) == pytest.approx(product, rel=1e-9)


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


# ---- dots ----------------------------------------------------------------------------------------

DOTS = {
    "mlp": """
param L = 2
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..L {
    |h[l]> = W[l] |x[l-1]>
    |x[l]> = tanh(|h[l]>)
  }
  return <v|x[L]>
}
""",
    "skip": """
param L = 3
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W[1..L] : matrix
  weight v : vector
  |x[0]> = |u> @ xi
  for l in 1..L { |x[l]> = |x[l-1]> + tanh(W[l] |x[l-1]>) }
  return <v|x[L]>
}
""",
    "symmetric": """
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  A = W + W^T
  return |v> * tanh(A tanh(A tanh(|u> @ xi)))
}
""",
    "fixed": """
dim d, M
data xi[d, M], y[M]
matrix W ~ N(0, 1/n)
network f(xi) {
  weight u : vector[d]
  weight v : vector
  return |v> * (W^T tanh(W tanh(|u> @ xi)))
}
""",
    "tied": """
dim d, M
data xi[d, M], y[M]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |x[0]> = |u> @ xi
  for l in 1..2 { |x[l]> = tanh(W |x[l-1]>) }
  |r> = tanh(W^T |x[2]>)
  return <v|r>
}
""",
}


@pytest.mark.parametrize("name", DOTS)
def test_hats_have_the_covariances_of_the_derivation(name: str) -> None:
    """W_0 x less its dot is Gaussian with the covariance that is said; the dots are large."""
    text = (
        DOTS[name]
        + """
train f {
  parametrization mup
  optimizer sgd(lr=0.4)
  error f - y
  steps 3
}
output f
"""
    )
    derivation = derived(text)
    width = 2000
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((width, width)) / np.sqrt(width)
    kets = {("u", ()): rng.standard_normal((width, 1)), ("v", ()): rng.standard_normal(width)}
    sizes = {"d": 1, "M": 1}
    data = {"xi": [[1.0]], "y": [2.0]}
    matrices = {("W", ()): matrix}
    for layer in (1, 2, 3):
        drawn = np.random.default_rng(layer).standard_normal((width, width))
        matrices["W", (layer,)] = drawn / np.sqrt(width)
    layers = {"L": 3 if name == "skip" else 2}
    reading = Reading(derivation, width, layers, sizes, data, matrices, kets)
    found, plain = {}, {}
    for k in derivation.kets:
        if k.matrix is None:
            continue
        for env in reading.grid(k.ranges):
            at = {**env, **{x.label: 0 for x in k.labels}}
            key = k.ket.name, reading.indices(k.ket, env)
            found[key] = reading.hat(k, at)
            plain[key] = reading.applied(k, at)
    errors, without, lengths = [], [], []
    for family in derivation.gaussians:
        if family.reason != "hat":
            continue
        for env in reading.grid(family.ranges):
            at = {**env, **{x.label: 0 for x in family.labels}}
            keys = [(s.name, reading.indices(s, env)) for s in (family.left, family.right)]
            expected = float(reading.value(family.covariance, at))
            lengths.append(np.sqrt(np.prod([np.mean(found[k] ** 2) for k in keys])))
            errors.append(abs(np.mean(found[keys[0]] * found[keys[1]]) - expected))
            without.append(abs(np.mean(plain[keys[0]] * plain[keys[1]]) - expected))
    assert max(np.array(errors) / lengths) < 5 / np.sqrt(width)
    assert max(np.array(without) / lengths) > 5 / np.sqrt(width)
    assert sum(without) > 3 * sum(errors)


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
