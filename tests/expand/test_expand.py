"""``nexort expand``: what is printed is a program of the core language with the same outputs.

The training is evaluated by its own route (nexort.limit.training.maximal,
nexort.limit.training.tangent), the core program by the generic one, which knows nothing of
trainings. ``pytest --update-golden`` writes the golden files.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from expansion_cases import CASES, HEAD, MLP, TWO, training
from printed import comes_back
from random_networks import program

import nexort
from nexort.cli import main
from nexort.data.given import Given
from nexort.elaborate.source import compile_source
from nexort.expand import expand
from nexort.expand.module import written_out
from nexort.program.printer import print_program
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError, Source
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "expand"
PROGRAMS = ROOT / "programs"
NAMES = sorted(
    path.stem for path in PROGRAMS.glob("*.nxt") if "\ntrain " in path.read_text("utf-8")
)


def expanded(text: str, **numbers: float) -> Program:
    return expand(compile_source(Source("case.nxt", text)), Given(numbers, {}))


def core(text: str, **numbers: float) -> str:
    return print_program(expanded(text, **numbers))


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as done:
        main(["expand", *options])
    shown = capsys.readouterr()
    assert done.value.code == 0, shown.err
    assert shown.err == ""
    return shown.out


def same(text: str, found: str, limit: float = 4.5) -> None:
    """Every output within some standard errors, and of the same shape."""
    one = nexort.loads(text).limit(samples=1024, replicates=16)
    two = nexort.loads(found).limit(samples=512, replicates=16, seed=1)
    for (name, a), (other, b) in zip(one.items(), two.items(), strict=True):
        assert np.asarray(a).shape == np.asarray(b).shape, (name, other)
        error = np.maximum(np.hypot(a.error, b.error), 1e-12)
        far = np.abs(np.asarray(a) - np.asarray(b)) / error
        assert far.max() < limit, (name, far)
        assert error.max() < 0.1 * np.abs(np.asarray(a)).max() + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, update_golden: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, str(PROGRAMS / f"{name}.nxt"))
    expected = GOLDEN / f"{name}.nxt"
    if update_golden:
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")


@pytest.mark.parametrize("name", CASES)
def test_golden_cases(name: str, update_golden: bool) -> None:
    found = core(CASES[name])
    expected = GOLDEN / "cases" / f"{name.replace(' ', '_')}.nxt"
    if update_golden:
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")


def test_nothing_is_left_over() -> None:
    assert {p.stem for p in GOLDEN.glob("*.nxt")} == set(NAMES)
    wanted = {name.replace(" ", "_") for name in CASES}
    assert {p.stem for p in (GOLDEN / "cases").iterdir()} == wanted


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.nxt")), ids=lambda p: p.stem)
def test_an_expansion_is_a_core_program_in_canonical_form(path: Path) -> None:
    text = path.read_text("utf-8")
    assert format_module(parse(Source(path.name, text))) == text
    assert core(text) == text
    assert nexort.loads(text).program.training is None


@pytest.mark.parametrize("name", CASES)
def test_the_text_of_an_expansion_gives_the_expansion(name: str) -> None:
    comes_back(expanded(CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_the_outputs_are_those_of_the_training(name: str) -> None:
    same(CASES[name], core(CASES[name]))


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(k, marks=pytest.mark.slow) for k in range(4, 40))]
)
def test_random_networks(seed: int) -> None:
    text = program(seed)
    same(text, core(text), limit=5.5)


@pytest.mark.parametrize("name", ["mup_mlp_adam", "ntp_mlp_adam"])
def test_programs_have_the_outputs_of_their_training(name: str) -> None:
    text = (PROGRAMS / f"{name}.nxt").read_text("utf-8").replace("steps 8", "steps 3")
    same(text, core(text))


@pytest.mark.parametrize("name", ["skips", "dense", "recurrent", "tangent tied"])
def test_loops_run_by_hand_give_the_same(name: str) -> None:
    """Loops kept against loops run: the rules of both are found in different ways."""
    given = compile_source(Source("case.nxt", CASES[name]))
    loops, run = (
        print_program(written_out(given, Given({}, {}), symbolic=s)) for s in (True, False)
    )
    assert "for l in" in loops or "for k in" in loops
    assert "for l in" not in run
    one, two = (nexort.loads(text).limit(samples=256, replicates=4) for text in (loops, run))
    for a, b in zip(one.values(), two.values(), strict=True):
        # the same samples: only the order of operations differs
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=2e-3)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_kept_loops_hold_at_other_depths(depth: int) -> None:
    text = CASES["skips"].replace("sgd(lr=0.2)", "adam(lr=0.1, eps=0.01)")
    found = core(text)
    other = nexort.loads(found, L=depth)
    assert "param L = 3" in found
    own = nexort.loads(core(text, L=depth))
    assert f"param L = {depth}" in own.program.source.text
    assert [o.name for o in other.program.outputs] == ["f"]
    same(text.replace("L = 3", f"L = {depth}"), found.replace("L = 3", f"L = {depth}"))


def test_an_expansion_trains_like_a_network_of_finite_width() -> None:
    """At width n the core program is the training loop itself (Thm 2.9.30)."""
    text = training(TWO, "optimizer adam(lr=0.1, eps=0.01)")
    runs = nexort.loads(text).runs(32, 200, seed=3)["f"]
    loop = nexort.loads(core(text)).runs(32, 200, seed=4)["f"]
    error = np.sqrt((runs.var(axis=0, ddof=1) + loop.var(axis=0, ddof=1)) / 200)
    far = np.abs(runs.mean(axis=0) - loop.mean(axis=0)) / error
    assert far.max() < 4.5
    np.testing.assert_allclose(runs.std(axis=0), loop.std(axis=0), rtol=0.35)


def test_the_command_writes_a_file_with_given_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "core.nxt"
    path = str(PROGRAMS / "mup_mlp_adam.nxt")
    assert printed(capsys, path, "--set", "L=4", "-o", str(target)) == ""
    assert "param L = 4" in target.read_text("utf-8")
    assert nexort.load(target).program.params["L"].default is not None


def test_imports_are_put_in_place(tmp_path: Path) -> None:
    network, rest = training(TWO, "optimizer sgd(lr=0.2)").split("train f {")
    (tmp_path / "network.nxt").write_text(network)
    (tmp_path / "main.nxt").write_text(f'import "network.nxt"\ntrain f {{{rest}')
    path = tmp_path / "main.nxt"
    found = nexort.load(path).expand().program.source.text
    assert "import" not in found
    assert "|x2[t]> = tanh(|h2[t]>)" in found


def test_a_program_without_a_training_stays_with_its_comments() -> None:
    text = (PROGRAMS / "mlp.nxt").read_text("utf-8")
    assert core(text) == print_program(compile_source(Source("mlp.nxt", text)))
    assert "param L = 7  # hidden layers" in core(text, L=7)
    assert "# forward\n|h[1]> =" in core(text)


def test_graphs_of_trainings_are_those_of_the_core_program() -> None:
    g = nexort.load(PROGRAMS / "mup_mlp_adam.nxt").graph()
    assert g.nodes["chi[t] for t in 0..T"]["kind"] == "scalar"
    assert g.number_of_edges("chi[t] for t in 0..T", "W[l, t + 1] for t in 0..T for l in 2..L") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (training(MLP, "parametrization ntp\noptimizer sgd(lr=0.1)"), "Gaussian process"),
        (
            training(TWO, "parametrization ntp\noptimizer sgd(lr=0.1)\ncentre\ndecay 0.1"),
            "random part",
        ),
    ],
)  # fmt: skip
def test_what_the_core_language_has_no_words_for(text: str, words: str) -> None:
    with pytest.raises(NexortError, match=words) as caught:
        core(text)
    [problem] = caught.value.diagnostics
    assert problem.code == "not-expandable"
    assert problem.span is not None
    assert problem.help


NAMED = training(
    """
    weight u : vector[d]
    weight W[2..L] : matrix
    weight v : vector
    |x[1]> = tanh(|u> @ xi)
    for l in 2..L { |x[l]> = tanh(W[l] |x[l-1]>) }
    return <v|x[L]>
    """,
    "optimizer adam(lr=0.1, eps=0.1)",
    head=f"param L = 3\n{HEAD}",
)


@pytest.mark.parametrize(("name", "other"), [("M", "T"), ("L", "t"), ("W", "adam"), ("v", "s")])
def test_names_that_the_expansion_would_take(name: str, other: str) -> None:
    text = re.sub(rf"\b{name}\b", other, NAMED)
    same(text, core(text))
    nexort.loads(text).derive().text()


def test_a_bias_of_the_output() -> None:
    """d<1|b> = <1|1> is a number."""
    text = training(
        """
        weight u : vector[d]
        weight v : vector
        weight b : scalar = 0
        return |v> * tanh(|u> @ xi) + b
        """,
        "optimizer adam(lr=0.1, eps=0.1)",
    )
    assert "db[t] = one @ chi[t]" in core(text)
    same(text, core(text))
