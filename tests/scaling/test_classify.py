"""``nexort.classify`` and ``nexort classify``."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from networks import NETWORKS, PERCEPTRON, network

import nexort
from nexort.cli import main
from nexort.support.diagnostics import NexortError

PROGRAMS = Path(__file__).parents[2] / "programs"
MUP = [(0, 0, 0, 1), (0, "1/2", 1, 1), (1, 0, 0, 1)]


def run(*args: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as exit_:
        main([*args])
    code = exit_.value.code
    assert isinstance(code, int)
    return code


def test_a_table() -> None:
    found = nexort.classify(MUP)
    assert isinstance(found, nexort.parametrization.Classification)
    assert found.verdict == "feature learning"
    assert found.learned == ("1", "2")
    assert found.least == 0
    assert found.r == {"1": 0, "2": 0, "3": 0}
    assert all(c.holds for c in found.conditions)
    assert found.changes == ()


def test_features_are_learned_from_the_first_layer_with_r_0_on() -> None:
    """Thm 2.8.19, 3."""
    found = nexort.classify([(0, 0, "1/2", 1), *MUP[1:2], (0, 0.5, 2, 1), MUP[1], MUP[2]])
    assert found.verdict == "feature learning"
    assert found.learned == ("2", "3", "4")
    assert found.r["1"] == Fraction(1, 2)


def test_sides_of_conditions() -> None:
    found = nexort.classify([(0, 0, 0, 1), (0, "1/2", "1/2", 1), (1, 0, 0, 1)])
    assert found.verdict == "unstable"
    failed = {(c.formula, c.left, c.relation, c.right) for c in found.conditions if not c.holds}
    assert failed == {
        ("r = a + c - 1", Fraction(-1, 2), ">=", 0),
        ("a + b + r", Fraction(1, 2), ">=", 1),
        ("a + b + r", Fraction(1, 2), "=", 1),
    }
    [change] = found.changes
    assert (change.layer, change.exponent, change.by) == ("2", "c", Fraction(1, 2))


def test_many_tables() -> None:
    tables = np.array([MUP, [(0, 0, 0, 0), (0, 0.5, 0, 0), (0, 0.5, 0, 0)]], dtype=object)
    assert nexort.classify(tables).tolist() == ["feature learning", "unfaithful"]
    assert nexort.classify(tables, optimizer="adam(eps=0)").tolist() == [
        "feature learning", "unstable",
    ]  # fmt: skip


def test_many_tables_of_any_numbers_are_quick() -> None:
    rng = np.random.default_rng(4)
    halves = rng.integers(-4, 5, (100_000, 3, 4)) / 2
    halves[::7] = [[0, 0, 0, 1], [0, 0.5, 1, 1], [1, 0, 0, 1]]
    start = time.process_time()
    found = nexort.classify(halves, optimizer="adam")
    assert time.process_time() - start < 20
    assert (found[::7] == "feature learning").all()
    some = [[[Fraction(float(x)) for x in row] for row in table] for table in halves[:50]]
    assert nexort.classify(some, optimizer="adam").tolist() == found[:50].tolist()
    # exact also where no integer of the machine holds the numbers
    tiny = Fraction(1, 3**60)
    off = [
        MUP,
        [MUP[0], (0, "1/2", 1 - tiny, 1), MUP[2]],
        [MUP[0], (0, "1/2", 1 + tiny, 1), MUP[2]],
    ]
    assert nexort.classify(off).tolist() == ["feature learning", "unstable", "feature learning"]


def test_homogeneous_updates_are_told() -> None:
    found = nexort.classify("mup", depth=2, optimizer="sign_sgd")
    assert any("d is ignored" in note for note in found.notes)
    assert not any(c.group == "faithful at initialization" for c in found.conditions)
    found = nexort.classify("mup", depth=2, optimizer="momentum")
    assert any("only c - d counts" in note for note in found.notes)
    assert nexort.classify("mup", depth=2, optimizer="adam").notes == ()


def test_normalization_shifts_c() -> None:
    plain = nexort.classify(MUP, optimizer="adam", normalization="update")
    assert plain.verdict == "trivial"
    assert any("c + e" in note for note in plain.notes)
    mup = nexort.classify("mup", depth=2, optimizer="adam", normalization="update")
    assert mup.verdict == "feature learning"
    assert [str(e.c) for e in mup.table.exponents] == ["-1/2", "0", "-1/2"]
    lamb = nexort.classify("mup", depth=2, optimizer="lamb")
    assert [str(e.c) for e in lamb.table.exponents] == ["0", "1/2", "0"]
    assert lamb.verdict == "feature learning"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([(0, 0, 0)], "layer 1 has 3 exponents"),
        ([(0, 0, 0, 0)], "at least 2 layers"),
        ([(0, 0, 0, "x"), (0, 0, 0, 0)], "'d' of layer 1 is 'x'"),
        ([(0, 0, 0, "1/0"), (0, 0, 0, 0)], "'d' of layer 1 is '1/0'"),
        ([(0, 0, 0, None), (0, 0, 0, 0)], "'d' of layer 1 is None"),
        (3, "int is no table"),
        (np.zeros((2, 3, 5)), "shape (2, 3, 5)"),
        ([MUP, MUP[:2]], "found exponents of shape (2,)"),
        ([MUP, [(0, 0, 0, 1), (0, 0, 0, 1), (0, 0, 0, "b")]], "an exponent is 'b'"),
        ([], "at least 2 layers"),
        ([(0, 0, 0, float("nan")), (0, 0, 0, 0)], "'d' of layer 1 is nan"),
    ],
)
def test_bad_tables(table: object, words: str) -> None:
    with pytest.raises(NexortError) as caught:
        nexort.classify(table)
    [problem] = caught.value.diagnostics
    assert problem.code == "bad-exponents"
    assert words in problem.message


def test_a_program_by_the_theorem_and_by_sizes() -> None:
    path = PROGRAMS / "mup_mlp_adam.nxt"
    found = nexort.classify(path)
    assert (found.method, found.verdict) == ("theorem", "feature learning")
    assert found.learned == ("h[1]", "x[1]", "h[2]", "x[2]")
    loaded = nexort.load(path, L=4)
    other = nexort.classify(loaded, optimizer="sgd", parametrization="ntp")
    assert (other.verdict, other.optimizer, len(other.r)) == ("operator regime", "sgd", 5)
    assert "verdict: operator regime" in str(other)


def test_exponents_of_one_member_are_those_of_the_file(tmp_path: Path) -> None:
    text = (PROGRAMS / "mup_mlp_adam.nxt").read_text("utf-8").replace(
        "parametrization mup",
        "parametrization { u: a=0, b=0, c=0, d=1; W: a=0, b=1/2, c=1, d=1; "
        "W[3]: a=0, b=1/2, c=1/2, d=1; v: a=0, b=0, c=0, d=1; out: a=1 }",
    )  # fmt: skip
    path = tmp_path / "odd.nxt"
    path.write_text(text, "utf-8")
    found = nexort.classify(nexort.load(path, L=3))
    assert found.verdict == "unstable"
    [change] = found.changes
    assert (change.layer, change.exponent, str(change.new)) == ("W[3]", "c", "1")


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    assert run("classify", "mup_mlp_adam.nxt") == 0
    shown = capsys.readouterr().out
    assert "verdict: feature learning" in shown
    assert "stable in training (2.27)" in shown
    assert run("classify", "mup_mlp_adam.nxt", "--parametrization", "sp", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "unfaithful"
    assert found["method"] == "theorem"
    assert {"group", "of", "formula", "left", "relation", "right", "holds"} == set(
        found["conditions"][0]
    )
    assert found["repair"]
    for form, words in (("markdown", "| u | vector | 0 | 0 |"), ("latex", r"\begin{tabular}")):
        assert run("classify", "mup_mlp_adam.nxt", "--format", form) == 0
        assert words in capsys.readouterr().out


def test_a_network_without_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.nxt"
    path.write_text(f"dim d, M\ndata xi[d, M]\nnetwork f(xi) {{{NETWORKS['tied']}\n}}\n", "utf-8")
    assert run("classify", str(path), "--optimizer", "adam") == 0
    shown = capsys.readouterr().out
    assert "sizes are counted step by step" in shown
    assert "verdict: feature learning" in shown


def test_sizes_that_are_not_known_do_not_matter() -> None:
    assert network(PERCEPTRON.replace("PHI", "tanh")).task.step.sizes == {"d": 2, "M": 2}


def test_counted_sizes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = nexort.classify(PROGRAMS / "mup_mlp_adam.nxt", parametrization="ntp")
    sizes = {(s.quantity, s.name): s.powers for s in found.sizes}
    assert sizes["size", "h[2]"] == (0,)
    assert sizes["change", "h[2]"] == (Fraction(-1, 2),) * 2
    assert sizes["update", "W[2]"] == (Fraction(-3, 2),) * 2
    assert sizes["gradient, times n^d", "v"] == (0, 0, 0)
    monkeypatch.chdir(PROGRAMS)
    assert run("classify", "mup_mlp_adam.nxt", "--sizes") == 0
    assert "step 2" in capsys.readouterr().out
