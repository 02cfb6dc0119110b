"""Coordinate checks: what is measured, fitted, predicted, and concluded."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coordcheck_programs import MUP, explicit, program, run, shifted, text

from nexort.cli import main
from nexort.coordcheck import core
from nexort.coordcheck.check import check_coordinates
from nexort.coordcheck.fit import fit
from nexort.coordcheck.measure import measure_training
from nexort.coordcheck.outcome import Check
from nexort.coordcheck.picture import plot_check
from nexort.coordcheck.tasks import expecting, shorten_training
from nexort.coordcheck.text import check_json, check_text
from nexort.data.given import Given
from nexort.finite.streams import Streams, gaussian_draw
from nexort.finite.training import parameters
from nexort.program.network import Exponents
from nexort.support.diagnostics import NexortError
from nexort.training.prepare import prepare

HALF = Fraction(1, 2)
FEW = (64, 128, 256)


def predicted(found: Check) -> dict[tuple[str, str, int], Any]:
    """Predictions by what, whose and when."""
    return {
        (r.quantity.what, r.quantity.tensor.label, r.quantity.step): r.predicted for r in found.rows
    }


# ---- fits ----------------------------------------------------------------------------------------

WIDTHS = (64, 128, 256, 512, 1024, 2048)
LAWS: list[tuple[float, Callable[[float], float], Callable[[float], float]]] = [
    (0.5, lambda n: n**0.5, lambda n: 0.5),
    (-1.0, lambda n: 1 / n, lambda n: 2 / n**0.5),
    (0.5, lambda n: (1 + 0.25 * n) ** 0.5, lambda n: 2 / n**0.5),
    (0.0, lambda n: 1 + 1.5 * n**-0.5, lambda n: 1 / n**0.5),
]


@pytest.mark.parametrize(("exponent", "size", "spread"), LAWS)
def test_errors_of_fits_are_honest(
    exponent: float, size: Callable[[float], float], spread: Callable[[float], float]
) -> None:
    draws = np.random.default_rng(1)
    scores, errors = [], []
    for _ in range(200):
        logs = [np.log(size(n)) + spread(n) * draws.standard_normal(8) for n in WIDTHS]
        found = fit(WIDTHS, np.exp(2 * np.array(logs)))
        scores.append((found.exponent - exponent) / found.error)
        errors.append(found.error)
    assert np.mean(np.abs(scores) > 2) < 0.12
    assert np.mean(np.abs(scores) > 4) == 0
    assert np.median(np.abs(scores)) > 0.2  # nor are they too large
    assert np.median(errors) < 0.13


def test_wild_runs_and_lost_runs_do_not_decide() -> None:
    squares = np.tile((np.array(WIDTHS, dtype=float))[:, None], (1, 8))
    squares *= np.exp(0.1 * np.random.default_rng(0).standard_normal(squares.shape))
    plain = fit(WIDTHS, squares)
    squares[0, 0] = np.nan
    squares[1, 1] = np.inf
    squares[2, 2] = 0.0
    found = fit(WIDTHS, squares)
    assert abs(found.exponent - 0.5) < 3 * found.error < 0.2
    assert abs(found.exponent - plain.exponent) < 0.05
    squares[3:] = np.nan
    found = fit(WIDTHS, squares)
    assert np.isnan(found.sizes[3:]).all()
    assert abs(found.exponent - 0.5) < 4 * found.error


def test_what_is_exactly_zero_has_no_exponent() -> None:
    found = fit(WIDTHS, np.zeros((6, 4)))
    assert found.zero
    assert np.isnan(found.exponent)


def test_an_exact_power_has_no_error() -> None:
    found = fit(WIDTHS, np.tile((np.array(WIDTHS, dtype=float) ** -3)[:, None], (1, 4)))
    assert found.exponent == pytest.approx(-1.5, abs=1e-9)
    assert found.error < 1e-4


# ---- what is measured ----------------------------------------------------------------------------


def test_sizes_are_those_of_a_network_trained_by_hand() -> None:
    """A perceptron with one hidden matrix, two steps of SGD, in plain numpy."""
    n, rate = 32, 0.3
    task = shorten_training(
        program(text(optimizer=f"sgd(lr={rate})", phi="relu")), Given({}, {}), 2
    )
    found = measure_training(task, [n], 2, dtype="float64", seed=5)
    size = {(q.what, q.tensor.label, q.step): np.sqrt(s[0, 1]) for q, s in found.squares.items()}
    data = {k: np.asarray(v) for k, v in task.step.data.items()}
    xi, y = data["xi"], data["y"]
    streams = Streams(5, 1, n, np.dtype(np.float64))
    u = streams.vector(("u", ()), (3,)).T
    v = streams.vector(("v", ()), ())
    w = streams.rows(("W", (2,)), gaussian_draw, 0, n) / np.sqrt(n)
    start: dict[str, Any] = {}

    def agree(what: str, label: str, t: int, value: Any) -> None:
        wanted = np.sqrt(np.mean(np.square(value)))
        assert size[what, label, t] == pytest.approx(wanted, rel=1e-9), (what, label, t)

    for t in range(3):
        h1 = u @ xi
        x1 = np.maximum(h1, 0)
        h2 = w @ x1
        x2 = np.maximum(h2, 0)
        f = v @ x2 / n
        now = {"u": u, "W[2]": w, "v": v, "h[1]": h1, "x[1]": x1, "h[2]": h2, "x[2]": x2, "f": f}
        for label, value in now.items():
            agree("size", label, t, value)
            if t:
                agree("change", label, t, value - start[label])
        if t:
            agree("effect", "h[2]", t, (w - start["W[2]"]) @ x1)
        start = start or {k: x.copy() for k, x in now.items()}
        if t == 2:
            break
        chi = f - y
        agree("size", "chi", t, chi)
        by_x2 = np.outer(v, chi) / n
        by_h2 = by_x2 * (h2 > 0)
        by_x1 = w.T @ by_h2
        by_h1 = by_x1 * (h1 > 0)
        gradients = {"v": x2 @ chi / n, "W[2]": by_h2 @ x1.T, "u": by_h1 @ xi.T}
        for label, value in {
            **gradients, "x[2]": by_x2, "h[2]": by_h2, "x[1]": by_x1, "h[1]": by_h1
        }.items():  # fmt: skip
            agree("gradient", label, t, value)
        # a = 0, d = 1, and c = 1 for matrices
        steps = {k: rate * n * g / (n if k == "W[2]" else 1) for k, g in gradients.items()}
        for label, value in steps.items():
            agree("seen", label, t, n * gradients[label])
            agree("update", label, t, value)
        u, w, v = u - steps["u"], w - steps["W[2]"], v - steps["v"]
    assert size["pull", "W[2]", 0] == pytest.approx(n)
    assert size["push", "W[2]", 0] == pytest.approx(1 / n)
    assert size["scale", "f", 0] == pytest.approx(1)


def test_watching_changes_no_bit_of_a_run() -> None:
    from nexort.coordcheck.sizes import SizeWatch
    from nexort.coordcheck.tensors import tensors
    from nexort.finite.training import train

    task = prepare(program(text()), Given({}, {}))
    runs = [SizeWatch(task, tensors(task)) for _ in range(2)]
    plain = train(task, 48, 2)
    watched = train(task, 48, 2, watch=lambda k: runs[k])
    np.testing.assert_array_equal(plain["f"], watched["f"])
    assert all(not r.start and not r.before and r.found for r in runs)


def test_threads_change_no_bit() -> None:
    task = shorten_training(program(text()), Given({}, {}), 2)
    one, two = (measure_training(task, [200], 2, threads=k).squares for k in (1, 2))
    assert one.keys() == two.keys()
    assert all((one[q] == two[q]).all() for q in one)


# ---- what is predicted ---------------------------------------------------------------------------


def test_predictions_of_mup_and_ntp() -> None:
    for table, low in (("mup", 0), ("ntp", -HALF)):
        found = predicted(run(text(table), FEW, 2, steps=2))
        for t in (1, 2):
            for label in ("h[1]", "x[1]", "h[2]", "x[2]"):
                assert found["size", label, t] == 0
                assert found["change", label, t] == low
            assert found["effect", "h[2]", t] == low
            assert found["change", "f", t] == 0
        assert found["size", "f", 0] == -HALF - low
        assert {found["seen", w, t] for w in ("u", "W[2]", "v") for t in (0, 1)} == {0}


def test_predictions_of_the_standard_parametrization() -> None:
    """SGD: f is 1, gradients by hidden vectors n^-1/2; one step moves h[2] by n^1/2 and v by 1, so
    that f is n^3/2; then everything is n^3/2 times larger, squared in f, and so on."""
    found = predicted(run(text("sp", "sgd(lr=0.05)", "relu"), FEW, 2, steps=2))
    wanted = {
        ("size", "v", 0): -HALF, ("gradient", "h[1]", 0): -HALF, ("update", "u", 0): -HALF,
        ("update", "v", 0): 0, ("change", "h[1]", 1): -HALF, ("effect", "h[2]", 1): HALF,
        ("size", "x[2]", 1): HALF, ("size", "f", 1): 3 * HALF, ("size", "chi", 1): 3 * HALF,
        # v moves by chi x[2] = n^2, u by chi W^T v = n^(3/2 + 1/2), W by chi v x[1] = n^(3/2)
        ("update", "v", 1): 2, ("update", "u", 1): 2, ("update", "W[2]", 1): 3 * HALF,
        ("size", "h[2]", 2): 9 * HALF, ("size", "f", 2): 15 * HALF,
    }  # fmt: skip
    assert {k: found[k] for k in wanted} == wanted


@pytest.mark.parametrize("table", ["mup", "ntp"])
def test_weight_decay(table: str) -> None:
    """What decays changes by a part of its size, in any parametrization."""
    source = text(table, "adamw(lr=0.1, weight_decay=2, eps=1e-4)")
    found = run(source, (64, 128, 256, 512), 8, steps=2)
    exponents = predicted(found)
    assert exponents["change", "W[2]", 1] == -HALF
    assert exponents["effect", "h[2]", 1] == exponents["change", "x[1]", 2] == 0
    assert found.holds, check_text(found)


def test_roundings_of_a_decay_are_no_update() -> None:
    """A readout of 0 leaves the first gradient of W exactly 0."""
    source = text("ntp", "sgd(lr=0.2)", "tanh").replace("v : vector", "v : vector ~ N(0, 0)")
    found = run(source.replace("steps 3", "steps 3\n  decay 0.1"), (48, 96, 192), 4, steps=2)
    assert predicted(found)["update", "W[2]", 0] == "zero"
    assert found.holds, check_text(found)


def test_nothing_is_predicted_where_bounded_functions_saturate() -> None:
    found = run(text("sp", "sgd(lr=0.05)", "tanh"), FEW, 2, steps=2)
    assert predicted(found)["size", "h[2]", 0] == 0
    assert predicted(found)["size", "h[2]", 1] is None
    assert "from step 1 on" in found.notes[0]


def test_an_epsilon_that_is_not_felt() -> None:
    """SP's gradients are n^-1/2, far above Adam's epsilon at these widths: updates are signs."""
    far = predicted(run(text("sp", "adam(lr=0.1, eps=1e-12)", "relu"), FEW, 2, steps=1))
    assert far["update", "W[2]", 0] == 0
    near = predicted(run(text("sp", "adam(lr=0.1, eps=1e3)", "relu"), FEW, 2, steps=1))
    assert near["update", "W[2]", 0] == -HALF
    between = run(text("sp", "adam(lr=0.1, eps=0.05)", "relu"), FEW, 2, steps=1)
    assert any("epsilon is felt at some" in note for note in between.notes)


# ---- what is concluded ---------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam(lr=0.1, eps=1e-4)", "sgd(lr=0.1)"])
@pytest.mark.parametrize(
    ("weight", "exponent", "by"), [("u", "a", -HALF), ("W", "c", HALF), ("v", "d", HALF)]
)
def test_wrong_exponents_are_found(
    weight: str, exponent: str, by: Fraction, optimizer: str
) -> None:
    source = text(explicit(shifted(weight, exponent, by)), optimizer)
    found = run(source, (64, 128, 256, 512), 4, steps=1, expect="mup")
    assert found.blame is not None
    assert found.blame.tensor.label == {"W": "W[2]"}.get(weight, weight)
    assert found.blame.exponents == ((exponent, by),)
    assert f"{exponent} of {found.blame.tensor.label} is" in check_text(found)


def test_a_trainer_that_does_not_do_what_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is right, the run is not: the learning rate of matrices misses n^-1/2."""
    step = parameters._step

    def wrong(weight: Any, t: int, width: int) -> tuple[float, float]:
        keep, rate = step(weight, t, width)
        return keep, rate * width**0.5 if weight.kind == "matrix" else rate

    assert run(text(), FEW, 4, steps=1).holds
    monkeypatch.setattr(parameters, "_step", wrong)
    found = run(text(), FEW, 4, steps=1)
    assert found.first is not None
    assert (found.first.quantity.what, found.first.quantity.tensor.label) == ("update", "W[2]")
    assert found.blame is not None
    assert found.blame.exponents == (("c", -HALF),)


def test_two_wrong_exponents_are_both_named() -> None:
    table = {**MUP, "u": {"a": 0, "b": HALF, "c": 0, "d": 1}, "v": {"a": 0, "b": 0, "c": 1, "d": 1}}
    found = run(text(explicit(table)), FEW, 4, steps=1, expect="mup")
    assert [(b.tensor.label, b.exponents) for b in found.blames] == [
        ("u", (("b", HALF),)),
        ("v", (("c", Fraction(1)),)),
    ]
    assert found.blame is found.blames[0]


def test_equal_parametrizations_are_not_told_apart() -> None:
    """(a + t, b - t, c - t, d + t), and a_out against the readout's a."""
    table = {
        "u": {"a": HALF, "b": -HALF, "c": -HALF, "d": 1 + HALF},
        "W": {"a": HALF, "b": 0, "c": HALF, "d": 1 + HALF},
        "v": {"a": 1, "b": 0, "c": 0, "d": 1},
    }
    found = run(text(explicit(table, out=0)), FEW, 4, steps=1, expect="mup")
    assert found.holds
    assert found.blames == ()


def test_redundant_exponents_are_no_fault() -> None:
    both = {w: {**row, "c": row["c"] + HALF, "d": row["d"] + HALF} for w, row in MUP.items()}
    assert run(text(explicit(both), "sgd(lr=0.1)"), FEW, 4, steps=1, expect="mup").holds
    assert not run(text(explicit(both)), FEW, 4, steps=1, expect="mup").holds
    off = {w: {**row, "d": row["d"] + HALF} for w, row in MUP.items()}
    found = run(text(explicit(off), "lion(lr=0.1)"), FEW, 4, steps=1, expect="mup")
    assert found.holds
    assert found.blames == ()


@pytest.mark.parametrize(
    "line", ["normalize updates", "clip 0.5", "clip paper 0.5", "normalize weights"]
)
def test_updates_divided_by_norms(line: str) -> None:
    source = text(optimizer=f"sgd(lr=0.1)\n  {line}")
    found = run(source, (64, 128, 256, 512), 6, steps=1)
    assert found.holds, check_text(found)
    assert found.blames == ()


def test_behaviour() -> None:
    mup = run(text(), FEW, 4, steps=1).behaviour
    assert (mup.grows, mup.learned) == (None, ("h[1]", "x[1]", "h[2]", "x[2]"))
    assert mup.moves
    ntp = run(text("ntp"), WIDTHS[:5], 6, steps=1).behaviour
    assert (ntp.grows, ntp.learned) == (None, ())
    assert ntp.lazy == ("h[1]", "x[1]", "h[2]", "x[2]")
    sp = run(text("sp", "adam(lr=1, eps=1e-12)", "relu"), FEW, 4, steps=1).behaviour
    assert sp.grows is not None
    q = sp.grows.quantity
    assert (q.what, q.tensor.label, q.step) == ("effect", "h[2]", 1)


def test_runs_that_overflow_are_told() -> None:
    found = run(text("sp", "sgd(lr=1e3)", "relu"), FEW, 2, steps=8)
    assert any(note.startswith("runs at n = 64") for note in found.notes)
    assert check_text(found)
    json.dumps(check_json(found), allow_nan=False)


# ---- other programs ------------------------------------------------------------------------------

SCALARS = """\
dim d, M
data xi[d, M] = [[1, 0.5], [-0.4, 0.8]]
network f(xi) {
  weight u : vector[d]
  weight g : scalar = 0.7
  weight W : matrix
  |x> = tanh(|u> @ xi)
  s = <x|x>
  |z> = |x> + g * (W |x>)
  |p> = |u> @ [1, 0]
  |q> = tanh(|z>) * |p>
  return <1|q>
}
train f { parametrization mup
  optimizer sgd(lr=0.1)
  error f - 3
  steps 2 }
output f
"""


def test_scalars_and_products_without_a_name() -> None:
    found = run(SCALARS, FEW, 4)
    labels = [x.label for x in found.tensors]
    assert {"u", "g", "W", "x", "s", "z", "W x", "f", "chi"} <= set(labels)
    exponents = predicted(found)
    assert exponents["size", "g", 0] == 0
    assert exponents["size", "s", 0] == 0
    assert exponents["effect", "W x", 1] is not None


def test_rules_about_steps_that_are_not_run() -> None:
    after = """
g = f[3] - f[0]
k[t] = <x[2, t]|x[2, 0]> + s @ g for t in 0..3
for t in 1..3 { m[t] = k[t] - k[t-1] }
output m"""
    before = "data scale[M] = [1, 1, 1, 1]\ns = scale * 2\nnetwork f"
    source = text().replace("network f", before).replace("output f", after)
    assert run(source, FEW, 4, steps=1).steps == 1
    assert run(source, FEW, 4, steps=5).steps == 5


CORE = """\
dim d, M
data xi[d, M] = [[1, 0.5], [-0.4, 0.8]]
vector u[d], w ~ N(0, 1)
matrix W ~ N(0, 1/n)
|x> = tanh(|u> @ xi)
|y> = W^T W |x> + |x> * <w|x>
odd = <w|x>
even = <x|x>
zero = 0 * even
output odd, even, <y|y>, zero
"""


def test_programs_without_a_training() -> None:
    found = check_coordinates(program(CORE), Given({}, {}), (64, 128, 256, 512), 32)
    exponents = {r.quantity.tensor.label: r.predicted for r in found.rows}
    assert exponents["odd"] == -HALF
    assert [exponents[k] for k in ("u", "w", "x", "y", "even", "<y|y>")] == [0] * 6
    assert exponents["zero"] == "zero"
    assert found.holds, check_text(found)
    assert all(abs(r.difference) < 0.2 for r in found.rows if r.predicted != "zero")
    assert "step" not in check_text(found)


def test_widths_of_core_programs_with_copies() -> None:
    source = "vector x ~ N(0, 1)\n|y> = E{1,2}[|x> * |x>{1} * |x>{2}]\noutput <y|y>\n"
    assert check_coordinates(program(source), Given({}, {}), None, 2).widths == (16, 32, 64, 128)


# ---- expectations --------------------------------------------------------------------------------


def test_expected_parametrizations() -> None:
    own = program(text("ntp"))
    assert own.training is not None
    found = expecting(own, "ups(1/4)").training
    assert found is not None
    table = found.parametrization
    assert table.out == HALF  # the program's own: the readout's a has the rest
    assert table.weights["v"] == Exponents(*map(Fraction, ("1/4", "0", "1/4", "3/4")))
    assert table.weights["W"] == Exponents(*map(Fraction, ("0", "1/2", "5/4", "3/4")))


@pytest.mark.parametrize("name", ["mop", "ups", "ups(2)", "ups(x)", "ups(1/0)", ""])
def test_unknown_parametrizations(name: str) -> None:
    with pytest.raises(NexortError, match=r"expected mup|between 0 and 1/2"):
        expecting(program(text()), name)


def test_a_core_program_without_anything() -> None:
    with pytest.raises(NexortError, match="depends on the width"):
        check_coordinates(program("data x = 1\noutput x\n"), Given({}, {}), (8, 16), 2)
    assert core.core(program(CORE), Given({}, {})).tensors


# ---- the command ---------------------------------------------------------------------------------


def command(*args: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["coordcheck", *args])
    return int(exit_.value.code or 0)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.nxt").write_text(text())
    Path("bad.nxt").write_text(text(explicit(shifted("W", "b", HALF))))
    options = ["--width", "64,128,256", "--seeds", "3", "--steps", "1"]
    assert command("good.nxt", *options, "--plot", "sizes.png") == 0
    shown = capsys.readouterr()
    assert "No size is off" in shown.out
    assert "h[2]" in shown.out
    assert Path("sizes.png").stat().st_size > 10_000
    assert command("bad.nxt", *options, "--expect", "mup", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["blame"] == {"tensor": "W[2]", "exponents": {"b": "1/2"}}
    assert found["first"] == {"what": "size", "tensor": "W[2]", "step": 0}
    assert found["widths"] == [64, 128, 256]
    assert not found["holds"]
    row = next(r for r in found["sizes"] if r["tensor"] == "W[2]" and r["what"] == "size")
    assert row["exponent"] == pytest.approx(-1, abs=0.03)
    assert row["predicted"] == "-1/2"
    assert len(row["sizes"]) == 3


def test_pictures(tmp_path: Path) -> None:
    found = run(text("sp", "sgd(lr=1e3)", "relu"), FEW, 2, steps=8, numbers={"L": 6})
    for name in ("a.png", "a.svg"):
        plot_check(found, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000
    plot_check(check_coordinates(program(CORE), Given({}, {}), (16, 32), 2), tmp_path / "core.svg")
    assert "step" not in (tmp_path / "core.svg").read_text()
