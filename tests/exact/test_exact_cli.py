"""``nexort eval``: exact results, --explain, --sampled, kernels between two sets of inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nexort.cli.main import main

PROGRAMS = Path(__file__).parents[2] / "programs"
MLP = str(PROGRAMS / "mlp.nxt")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(args))
    except SystemExit as done:
        code = int(done.code or 0)
    text = capsys.readouterr()
    return code, text.out, text.err


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    paths = tmp_path / "a.npy", tmp_path / "b.npy"
    for path, count in zip(paths, (5, 3), strict=True):
        np.save(path, rng.standard_normal((4, count)))
    return str(paths[0]), str(paths[1])


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "eval", str(PROGRAMS / "symmetric_tanh.nxt"), "--explain")
    results, table = text.split("\n\nexpectation ")
    assert results.startswith("q (6 x 6")
    assert table.splitlines()[0].split() == ["route", "relative", "error"]
    assert "closed form" in text
    assert "quadrature" in text
    assert "sampled: tanh of a ket that is not a function of one Gaussian ket" in text


def test_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    _, exact, _ = run(capsys, "eval", str(PROGRAMS / "recurrent.nxt"))
    assert "(exact: closed form)" in exact
    args = ("eval", str(PROGRAMS / "recurrent.nxt"), "--sampled", "--samples", "64")
    assert "sampled: 16 x 64 points" in run(capsys, *args)[1]


def test_kernel_between_two_sets(
    capsys: pytest.CaptureFixture[str], inputs: tuple[str, str], tmp_path: Path
) -> None:
    from nexort import load

    a, b = inputs
    known = load(MLP).kernel(np.load(a), np.load(b))
    given = ("eval", MLP, "--data", f"xi={a}", "--data", f"xi2={b}")
    _, text, _ = run(capsys, *given, "--json")
    np.testing.assert_array_equal(json.loads(text)["ntk"]["value"], known["ntk"])
    code, text, _ = run(capsys, *given, "-o", str(tmp_path / "k.npy"))
    assert code == 0
    assert "nngp: 5 x 3" in text
    np.testing.assert_array_equal(np.load(tmp_path / "k.nngp.npy"), known["nngp"])
    run(capsys, *given, "--dtype", "float32", "-o", str(tmp_path / "k.npz"))
    np.testing.assert_allclose(np.load(tmp_path / "k.npz")["ntk"], known["ntk"], rtol=2e-6)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("xi2={b}",), "no numbers are given for data xi"),
        (("xi={a}", "x2={b}"), "no data 'x2'"),
        (("xi={b}", "xi2={missing}"), "missing.npy"),
    ],
)
def test_wrong_data(
    capsys: pytest.CaptureFixture[str], inputs: tuple[str, str], args: tuple[str, ...], words: str
) -> None:
    a, b = inputs
    data = [x.format(a=a, b=b, missing="missing.npy") for x in args]
    code, _, errors = run(capsys, "eval", MLP, *[y for x in data for y in ("--data", x)])
    assert code == 2
    assert words in errors


def test_a_kernel_of_a_program_without_inputs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    args = ("eval", str(PROGRAMS / "wishart.nxt"), "-o", str(tmp_path / "k.npy"))
    code, _, errors = run(capsys, *args)
    assert code == 2
    assert "output m has no axes" in errors


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("|x> = exp(|v>^2)\noutput <1|x>", "not-integrable", "exp(z^2) of a Gaussian"),
        ("|x> = exp(|v>^2 / 3)\noutput <x|x>", "not-integrable", "variance 1"),
        ("|x> = log(|v>)\noutput <x|x>", "not-finite", "|x> = log"),
        ("vector (a, b) ~ N(0, [[1, 2], [2, 1]])\noutput <a|b>", "not-positive", "eigenvalue -1"),
    ],
)
def test_what_has_no_value(text: str, code: str, words: str) -> None:
    from nexort import NexortError, loads

    with pytest.raises(NexortError) as caught:
        loads(f"vector v ~ N(0, 1)\n{text}").limit()
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code == code
    assert words in str(caught.value)
    assert diagnostic.span is not None


def test_explain_names_the_closed_forms(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "eval", MLP, "--set", "xi=[[1, 0], [0, 1]]", "--explain")
    [line] = [x for x in text.splitlines() if x.startswith("<x[1]|x[1]>")]
    assert "closed form: relu (Cho and Saul" in line
