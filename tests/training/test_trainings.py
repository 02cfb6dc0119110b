"""Networks and trainings as they are declared: what a program's text says is what the run is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nexort
from nexort import driver
from nexort.cli import main
from nexort.data.given import Given
from nexort.support.diagnostics import NexortError
from nexort.training.prepare import prepare
from nexort.training.task import Task

HEAD = """
dim d, M
data xi[d, M], y[M], train[M], rates[5], batch[5, M]
network f(xi) {
  weight u : vector[d] ~ N(0.5, 2)
  weight W[2..3] : matrix ~ N(0, 2)
  weight c : scalar = 0.7
  weight v : vector
  |x[1]> = tanh(|u> @ xi)
  for l in 2..3 { |x[l]> = c * tanh(W[l] |x[l-1]>) }
  return <v|x[3]>
}
"""
DATA = {
    "xi": np.random.default_rng(0).standard_normal((2, 3)),
    "y": np.ones(3),
    "train": np.array([1.0, 1, 0]),
    "rates": np.array([1.0, 2, 3, 4, 5]),
    "batch": np.arange(15.0).reshape(5, 3),
}


def task(lines: str, outputs: str = "f", **numbers: float) -> Task:
    """The run of the network under some lines of ``train``."""
    given = "parametrization mup" if "parametrization" not in lines else ""
    error = "error (f - y) * train" if "error" not in lines else ""
    text = f"{HEAD}train f {{\n{given}\n{error}\nsteps 5\n{lines}\n}}\noutput {outputs}\n"
    program = nexort.loads(text)
    return driver.training(program.program, program._given(DATA))


def test_laws_and_exponents_of_weights() -> None:
    found = task("optimizer sgd(lr=0.1)").weights
    assert sorted(found) == [("W", (2,)), ("W", (3,)), ("c", ()), ("u", ()), ("v", ())]
    u, w, c = found["u", ()], found["W", (2,)], found["c", ()]
    assert (u.mean, u.scale, u.shape) == (0.5, np.sqrt(2), (2,))
    assert (w.mean, w.scale, w.kind) == (0, np.sqrt(2), "matrix")
    assert (c.mean, c.scale, c.kind) == (0.7, 0, "scalar")
    assert w.exponents.b == Fraction(1, 2)
    assert (u.exponents.c, u.exponents.d) == (0, 1)


def test_the_most_particular_optimizer_wins() -> None:
    lines = """
    optimizer sgd(lr=0.1)
    optimizer momentum(lr=0.2, beta=0.5) for W, u
    optimizer adam(lr=0.3) for W[3]
    decay 0.1
    decay 0.2 for W[2]
    """
    found = task(lines).weights
    assert {k: w.update.name for k, w in found.items()} == {
        ("u", ()): "momentum",
        ("W", (2,)): "momentum",
        ("W", (3,)): "adam",
        ("c", ()): "sgd",
        ("v", ()): "sgd",
    }
    assert found["u", ()].update.hyperparameters == {"beta": 0.5}
    assert [found[k].decay[0] for k in (("W", (2,)), ("W", (3,)))] == pytest.approx([0.2, 0.1])


def test_schedules_of_rates_and_decoupled_decay() -> None:
    found = task("optimizer adamw(lr=0.1 * rates[t] / (t + 1), weight_decay=0.5)").weights
    w = found["v", ()]
    np.testing.assert_allclose(w.rates, 0.1 * DATA["rates"] / np.arange(1, 6))
    np.testing.assert_allclose(w.decay, 0.5 * w.rates)


def test_normalization_of_updates_shifts_the_rates_of_a_named_parametrization() -> None:
    lines = "optimizer adam(lr=0.1)\nnormalize updates\nclip 0.5 * (t + 1) for v, c\n"
    found = task(f"{lines}normalize weights for W[3]").weights
    plain = task("optimizer adam(lr=0.1)").weights
    kinds = {key: w.norm.kind for key, w in found.items() if w.norm is not None}
    assert kinds == {("u", ()): "updates", ("W", (2,)): "updates", ("W", (3,)): "weights",
                     ("c", ()): "clip", ("v", ()): "clip"}  # fmt: skip
    assert found["v", ()].norm is not None
    np.testing.assert_allclose(found["v", ()].norm.thresholds, [0.5, 1, 1.5, 2, 2.5])
    moved = {key: plain[key].exponents.c - w.exponents.c for key, w in found.items()}
    half = Fraction(1, 2)
    assert moved == {("u", ()): half, ("W", (2,)): 1, ("W", (3,)): half, ("c", ()): 0,
                     ("v", ()): 0}  # fmt: skip
    table = "u: a=0, b=0, c=-1/2, d=1; W: a=0, b=1/2, c=0, d=1; c: a=0, b=0, c=0, d=0"
    table = f"{{ {table}; v: a=0, b=0, c=-1/2, d=1; out: a=1 }}"
    explicit = task(
        f"parametrization {table}\noptimizer adam(lr=0.1)\nnormalize updates for u, W, v"
    )
    assert explicit.regime == "maximal"
    assert {e.exponents.c for e in explicit.weights.values()} == {-half, 0}


def test_error_signals_read_the_step_data_and_f() -> None:
    run = task("optimizer sgd(lr=0.1)\nerror (tanh(f) - y) * batch[t] / (t + 1)")
    f = np.array([0.1, 0.2, 0.3])
    for t in range(5):
        wanted = (np.tanh(f) - 1) * DATA["batch"][t] / (t + 1)
        np.testing.assert_allclose(run.signal(t, f), wanted)


def test_an_optimizer_of_the_program_is_that_of_the_registry() -> None:
    own = """
optimizer mine(lr, beta1=0.9, beta2=0.99) {
  state m = 0
  update sign(beta1 * m + (1 - beta1) * g)
  m = beta2 * m + (1 - beta2) * g
}
"""
    text = (
        "train f {\nparametrization mup\nerror f - y\nsteps 3\noptimizer NAME(lr=0.1)\n}\noutput f"
    )
    gradients = np.random.default_rng(1).standard_normal((4, 6))
    paths = []
    for name in ("mine", "lion"):
        program = nexort.loads(HEAD + own + text.replace("NAME", name))
        # at width n: there is no limit, c is moved by signs of what vanishes
        task = prepare(program.program, program._given(DATA))
        update = task.weights["v", ()].update
        states = update.start((6,))
        paths.append([update.step(t, g, states) for t, g in enumerate(gradients)])
    np.testing.assert_array_equal(*paths)


def test_outputs_over_every_step_and_between_steps() -> None:
    run = task("optimizer sgd(lr=0.1)", "f, <x[3]|x[3, 0]> as moved, <u[2]|v[1]> as cross, f[5]")
    shapes = [(o.name, o.family_shape, len(o.members)) for o in run.outputs]
    assert shapes == [
        ("f", (6,), 6), ("moved", (6,), 6), ("cross", (), 1), ("f[5]", (), 1)
    ]  # fmt: skip
    steps = {slot.attr[1:]: t for slot, (_, t) in run.moments.items()}
    assert steps["x", (3,), 4] == 4
    assert steps["u", (), 2] == 2


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ("sp", "unfaithful", "for 'u', d = 0, expected 1/2"),
        ("{ u: a=0, b=1, c=0, d=1; W: a=0, b=1/2, c=1, d=1; c: a=0, b=0, c=0, d=0; "
         "v: a=0, b=0, c=0, d=1; out: a=1 }", "no-limit", "a + b = 1, expected 0"),
        ("{ u: a=0, b=0, c=0, d=1; W: a=0, b=1/2, c=0, d=1; c: a=0, b=0, c=0, d=0; "
         "v: a=0, b=0, c=0, d=1; out: a=1 }", "unstable", "r = a + c - 1 = -1"),
        ("{ u: a=0, b=0, c=1, d=1; W: a=0, b=1/2, c=2, d=1; c: a=0, b=0, c=1, d=0; "
         "v: a=0, b=0, c=1, d=1; out: a=1 }", "trivial", "nothing moves the output"),
    ],
)  # fmt: skip
def test_a_parametrization_without_limit_names_the_condition(
    table: str, code: str, words: str
) -> None:
    with pytest.raises(NexortError) as caught:
        task(f"parametrization {table}\noptimizer adam(lr=0.1)")
    [problem] = caught.value.diagnostics
    assert problem.code == code
    assert words in problem.message


def test_sizes_of_dims_in_the_text_change_nothing() -> None:
    """All that is known is checked before the data are read."""
    lines = "train f {\nparametrization mup\nerror (f - y) * train\nsteps 2\noptimizer sgd(lr=1)\n}"
    found = []
    for head in (HEAD, HEAD.replace("dim d, M", "dim d = 2\ndim M = 3")):
        program = nexort.loads(f"{head}{lines}\noutput f")
        found.append(program.limit(samples=128, replicates=2, data=DATA)["f"])
    np.testing.assert_array_equal(*found)


def test_a_redundant_exponent_of_sgd_is_put_right() -> None:
    """mup with d = 0 and c lowered by 1 is the same training under SGD (2.1)."""
    table = (
        "{ u: a=0, b=0, c=-1, d=0; W: a=0, b=1/2, c=0, d=0; c: a=0, b=0, c=0, d=0; "
        "v: a=0, b=0, c=-1, d=0; out: a=1 }"
    )
    run = task(f"parametrization {table}\noptimizer sgd(lr=0.1)")
    assert run.regime == "maximal"
    assert all(w.active for w in run.weights.values())


def test_regimes_of_named_parametrizations() -> None:
    found = {p: task(f"parametrization {p}\noptimizer adam(lr=0.1) for u, W, v\n"
                     "optimizer sgd(lr=0.1)") for p in ("mup", "ups(0)")}  # fmt: skip
    assert {p: run.regime for p, run in found.items()} == {"mup": "maximal", "ups(0)": "maximal"}


def test_hyperparameters_out_of_range_point_at_their_place() -> None:
    with pytest.raises(NexortError) as caught:
        task("optimizer adam(lr=0.1, beta1=1)")
    [problem] = caught.value.diagnostics
    assert "'beta1' of 'adam' is 1" in problem.message
    assert problem.span is not None
    assert problem.span.text == "beta1=1"


def test_the_number_of_steps_may_be_a_param() -> None:
    text = (
        HEAD + "param T = 4\ntrain f {\nparametrization mup\noptimizer sgd(lr=0.1)\nerror f - y\n"
    )
    program = nexort.loads(text + "steps T\n}\noutput f", T=2)
    given = Given({"T": 2}, program._given(DATA).arrays)
    assert driver.training(program.program, given).steps == 2


def test_what_is_for_core_programs_says_so() -> None:
    text = HEAD + "train f {\nparametrization mup\noptimizer sgd(lr=0.1)\nerror f - y\n"
    program = nexort.loads(text + "steps 2\n}\noutput f, <x[3]|x[3]> as features")
    for action in (lambda: program.kernel(DATA["xi"]), program.explain, program.emit):
        with pytest.raises(NexortError) as caught:
            action()
        [problem] = caught.value.diagnostics
        assert problem.code in ("bad-training", "not-closed")


def test_explain_names_the_route_of_every_output(tmp_path: Path) -> None:
    text = HEAD.replace(", rates[5], batch[5, M]", "") + (
        "train f {\nparametrization mup\noptimizer sgd(lr=0.1)\nerror (f - y) * train\n"
        "steps 2\n}\noutput f, <x[3]|x[3]> as features"
    )
    path, data = tmp_path / "run.nxt", tmp_path / "data.npz"
    path.write_text(text)
    np.savez(data, **{name: DATA[name] for name in ("xi", "y", "train")})
    options = ["--data", str(data), "--samples", "128", "--replicates", "2", "--explain"]
    found = CliRunner().invoke(main, ["eval", str(path), *options])
    assert found.exit_code == 0, found.output
    rows = [line.split() for line in found.output.splitlines()[-2:]]
    assert [row[:5] for row in rows] == [
        [name, "sampled:", "2", "x", "128"] for name in ("f", "features")
    ]  # fmt: skip
    assert all(0 < float(row[-1]) < 0.5 for row in rows)
