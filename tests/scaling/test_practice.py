"""Scaling tables, against Tensor Programs V."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from networks import NETWORKS, mlp, network

from nexort.cli import main
from nexort.parametrization.layers import Layer
from nexort.parametrization.optimizers import optimizer_of
from nexort.parametrization.practice import GAUGES, TensorRow, practice
from nexort.parametrization.subject import in_regime, under
from nexort.parametrization.theorem import table_verdict

PROGRAMS = Path(__file__).parents[2] / "programs"
H = Fraction(1, 2)


def rows(name: str, gauge: str, regime: str = "mup", depth: int = 3) -> dict[str, TensorRow]:
    """The table of a perceptron by tensor."""
    by = optimizer_of(name)
    found = in_regime(under(mlp(depth, "tanh", name), by), regime)
    return {row.name: row for row in practice(found, by, gauge).rows}  # type: ignore[arg-type]


# Tensor Programs V, arXiv 2203.03466: Table 8 (mup package) and Table 3 (no multipliers); powers of
# n of the initial standard deviation, the multiplier, the learning rates of SGD and of Adam
TABLE_8 = {"u": (0, 0, 1, 0), "W[2..3]": (-H, 0, 0, -1), "v": (0, -1, 1, 0)}
TABLE_3 = {"u": (0, 0, 1, 0), "W[2..3]": (-H, 0, 0, -1), "v": (-1, 0, -1, -1)}


@pytest.mark.parametrize(("gauge", "known"), [("mup-package", TABLE_8), ("init", TABLE_3)])
def test_tables_of_tensor_programs_v(
    gauge: str, known: dict[str, tuple[Fraction | int, ...]]
) -> None:
    sgd, adam = rows("sgd", gauge), rows("adam", gauge)
    assert list(sgd) == list(adam) == list(known)
    for name, (std, multiplier, by_sgd, by_adam) in known.items():
        for found in (sgd[name], adam[name]):
            assert (found.std, found.multiplier) == (std, multiplier)
        assert (sgd[name].rate, adam[name].rate) == (by_sgd, by_adam)
        # decoupled decay times the learning rate does not depend on the width
        assert (sgd[name].decay, adam[name].decay) == (-by_sgd, -by_adam)


def test_epsilon_goes_with_gradients() -> None:
    """Remark 2.2.6: the gradients of muP by W in this gauge are of size 1/n, and so is epsilon."""
    assert {name: row.epsilon for name, row in rows("adam", "mup-package").items()} == {
        "u": -1, "W[2..3]": -1, "v": -1,
    }  # fmt: skip
    assert rows("adam", "init")["v"].epsilon == 0
    assert rows("adam(eps=0)", "init")["v"].epsilon is None
    assert rows("sgd", "init")["v"].epsilon is None


@pytest.mark.parametrize(
    ("name", "degree", "epsilon"),
    [
        ("sgd", 1, None), ("momentum", 1, None), ("sign_sgd", 0, None), ("lion", 0, None),
        ("adam", None, (1, 0)), ("adam_outside", None, (1, 0)), ("adam(eps=0)", 0, None),
        ("adagrad", None, (1, 0)), ("rmsprop", None, (1, 0)), ("adadelta", None, (2, 1)),
        ("adamax", None, (1, 0)), ("nadam", None, (1, 0)), ("amsgrad", None, (1, 0)),
        ("adafactor", None, (1, 0)), ("lamb", None, (1, 0)), ("lars", 1, None),
    ],
)  # fmt: skip
def test_answers_to_the_size_of_gradients(
    name: str, degree: int | None, epsilon: tuple[int, int] | None
) -> None:
    found = optimizer_of(name)
    assert (found.degree, found.epsilon) == (degree, epsilon)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("name", ["sgd", "adam", "lamb", "lars", "adafactor", "adadelta"])
@pytest.mark.parametrize("regime", ["mup", "ntp", "ups(1/4)"])
def test_every_gauge_is_the_same_parametrization(gauge: str, name: str, regime: str) -> None:
    """Prop 2.2.3: what the rows say is classified as the regime."""
    by = optimizer_of(name)
    found = in_regime(under(mlp(2, "tanh", name), by), regime)
    made = practice(found, by, gauge)  # type: ignore[arg-type]
    from nexort.parametrization.layers import Table

    layers = tuple(Layer(r.name, r.part, by.degree, by.normalization) for r in made.rows)
    table = Table(layers, tuple(r.exponents for r in made.rows))
    assert table_verdict(table) == ("feature learning" if regime == "mup" else "operator regime")
    assert made.output == 0
    if gauge == "init":
        assert all(r.multiplier == 0 for r in made.rows)
    if gauge == "multiplier":
        assert all(r.std == 0 for r in made.rows)


def test_what_tables_say_without_n_to_the_d_is_the_same_update() -> None:
    """n^-c Q(n^d g; eps) = n^rate Q(g; n^epsilon eps) in numbers, at n = 1024, n^d g = 1."""
    from nexort.parametrization.optimizers import _update

    n = 1024.0
    draws = np.random.default_rng(3).standard_normal((4, 6))
    for name in ("adam", "adam_outside", "rmsprop", "adagrad", "adadelta", "nadam", "sgd"):
        for row in rows(name, "multiplier").values():
            c, d = float(row.exponents.c), float(row.exponents.d)
            update = _update(name, {})
            states = update.start(draws.shape[1:])
            eps = update.hyperparameters.get("eps", 0.0)
            scaled = {"eps": eps * n ** float(row.epsilon)} if row.epsilon is not None else {}
            other = _update(name, scaled)
            others = other.start(draws.shape[1:])
            for t, g in enumerate(draws):
                meant = n**-c * update.step(t, g, states)
                said = n ** float(row.rate) * other.step(t, n**-d * g, others)
                np.testing.assert_allclose(said, meant, rtol=1e-9)


def test_tied_weights_keep_the_output_multiplier() -> None:
    by = optimizer_of("adam")
    made = practice(network(NETWORKS["tied embedding"]), by, "mup-package")
    assert made.output == -1
    assert {r.name: r.multiplier for r in made.rows} == {"u": 0, "W": 0}
    assert practice(network(NETWORKS["two heads"]), by, "mup-package").output == 0


def test_members_of_a_family_are_one_row() -> None:
    assert list(rows("adam", "init", depth=4)) == ["u", "W[2..4]", "v"]


def test_clipping() -> None:
    """n^-c n^d g min(1, clip n^e / |n^d g|) = n^(d - c) g min(1, clip n^(e - d) / |g|), and
    n^-c n^d g / min(|n^d g|, clip n^e) = n^-c g / min(|g|, clip n^(e - d))."""
    found = under(mlp(2, "tanh", "sgd"), optimizer_of("sgd", "paper-clipping"))
    made = practice(in_regime(found, "mup"), optimizer_of("sgd", "paper-clipping"), "mup-package")
    assert [(r.rate, r.threshold) for r in made.rows] == [(H, -H), (0, 0), (H, -H)]
    found = under(mlp(2, "tanh", "sgd"), optimizer_of("sgd", "clipping"))
    made = practice(in_regime(found, "mup"), optimizer_of("sgd", "clipping"), "mup-package")
    assert [(r.rate, r.threshold) for r in made.rows] == [(1, -H), (0, 0), (1, -H)]


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)

    def run(*args: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as exit_:
            main(["scaling", "mup_mlp_adam.nxt", *args])
        assert exit_.value.code == code
        return capsys.readouterr().out

    assert "n^(-1/2)  1           lr * n^-1" in run("--optimizer", "adam")
    shown = run("--optimizer", "adam", "--gauge", "init", "--base-width", "256")
    assert "std * (n/256)^-1" in shown
    assert "tuned there" in shown
    assert "lr * 0.25" in run("--base-width", "256", "--width", "1024")
    assert r"$\eta \, n^{-1}$" in run("--format", "latex")
    assert "| lr * n^-1 |" in run("--format", "markdown")
    found = json.loads(run("--format", "json", "--base-width", "64", "--width", "256"))
    row = next(r for r in found["tensors"] if r["tensor"] == "W[2]")
    assert row["powers"]["rate"] == "-1"
    assert row["factors"]["std"] == 0.5
    assert found["verdict"] == "feature learning"
    assert "classified as: unstable" in run("--regime", "sp", "--optimizer", "sgd", code=1)
