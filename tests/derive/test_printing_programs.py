"""Derivations of every program in ``programs/``: golden text and LaTeX, widths, JSON, pages.

``pytest --update-golden`` writes the golden files; review the diff.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nexort
from nexort.cli import main
from nexort.limit.derive.printing.text_boxes import terminal_columns

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "programs"
GOLDEN = ROOT / "tests" / "golden" / "derive"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.nxt"))
COMPILED = ("mlp", "layernorm_ntk", "outer_order1", "mup_mlp_adam")
"""Programs whose documents are compiled in the quick suite; the slow one compiles all."""


def derived(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> str:
    """What ``nexort derive`` prints."""
    with pytest.raises(SystemExit) as done:
        main(["derive", str(PROGRAMS / f"{name}.nxt"), *options])
    shown = capsys.readouterr()
    assert done.value.code == 0, shown.err
    assert shown.err == ""
    return shown.out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["txt", "tex"])
def test_golden(
    name: str, form: str, update_golden: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = derived(capsys, name, *(("--latex",) if form == "tex" else ()))
    expected = GOLDEN / f"{name}.{form}"
    if update_golden:
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")


def test_nothing_is_left_over() -> None:
    wanted = {f"{name}.{form}" for name in NAMES for form in ("txt", "tex")}
    assert {path.name for path in GOLDEN.iterdir()} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_text_is_at_most_100_columns_wide(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = derived(capsys, name, "--steps").split("\n")
    assert max(map(terminal_columns, lines)) <= 100
    assert "Derivation, step by step" in lines
    assert "%" not in "".join(lines)  # every bound index has a letter


@pytest.mark.parametrize("name", NAMES)
def test_json_is_plain_data(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(derived(capsys, name, "--json"))
    assert found["schema"] == 1
    assert set(found) == {
        "schema", "name", "closed", "outputs", "kets", "gaussians", "equations", "regime",
        "weights", "updates", "undefined", "steps",
    }  # fmt: skip
    limits = nexort.load(PROGRAMS / f"{name}.nxt").derive()
    assert [o["name"] for o in found["outputs"]] == list(limits)
    assert len(found["equations"]) == len(limits.derivation.equations)
    for equation in found["equations"]:
        assert {"text", "latex", "tree"} == set(equation["right"])
        assert "type" in equation["right"]["tree"]
    assert json.loads(json.dumps(found)) == found


# ---- compiled for real ---------------------------------------------------------------------------

PDFLATEX = shutil.which("pdflatex")
needs_pdflatex = pytest.mark.skipif(
    PDFLATEX is None, reason="pdflatex is not installed (Debian: texlive-latex-recommended)"
)


def compiled(text: str, folder: Path) -> str:
    """The log of pdflatex over a document; labels are right after the second run."""
    (folder / "page.tex").write_text(text, "utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "page.log").read_text("utf-8", errors="replace")


def checked(log: str) -> None:
    """No box is overfull, no label doubled or missing."""
    assert "Output written on" in log
    problems = re.findall(r"^(?:Overfull|LaTeX Warning|!).*$", log, re.MULTILINE)
    assert problems == []


@needs_pdflatex
@pytest.mark.parametrize("name", COMPILED)
def test_documents_compile(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(compiled(derived(capsys, name, "--latex", "--document"), tmp_path))


@pytest.mark.slow
@needs_pdflatex
@pytest.mark.parametrize("name", NAMES)
def test_documents_with_steps_compile(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked(compiled(derived(capsys, name, "--latex", "--document", "--steps"), tmp_path))


@needs_pdflatex
def test_a_fragment_compiles_in_a_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fragment = derived(capsys, "mlp", "--latex")
    paper = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
    paper += fragment + "See \\eqref{eq:nngp}.\n\\end{document}\n"
    log = compiled(paper, tmp_path)
    assert "Output written on" in log
    assert "undefined" not in log


# ---- the command ---------------------------------------------------------------------------------


def nexort_derive(*args: str, cwd: Path = PROGRAMS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nexort", "derive", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_latex_needs_no_sympy() -> None:
    code = (
        "import sys, nexort; p = nexort.load('mlp.nxt').derive(); p.latex(); p.text(); p.as_json();"
        "print('sympy' in sys.modules); p['nngp'].sympy; print('sympy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROGRAMS, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    done = nexort_derive("mlp.nxt", "--latex", "-o", str(tmp_path / "mlp.tex"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert r"\label{eq:ntk}" in (tmp_path / "mlp.tex").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("vector x ~ N(0, 1)\n|y> = relu(|x>)\n", (), ["no-output"]),
        ("vector x ~ N(0, 1)\noutput <x|x>\n", ("--set", "L=3"), ["unknown-name", "'L'"]),
        ("vector x ~ N(0, 1)\noutput <x|x>\n", ("--json", "--latex"), ["bad-option"]),
        ("vector x ~ N(0, 1)\noutput <x|x>\n", ("--document",), ["bad-option", "--latex"]),
        ("vector x ~ N(0, 1)\noutput <x|x>\n", ("-o", "nowhere/x.tex"), ["no folder"]),
        ("vector x ~ N(0, 1)\noutput <x|z>\n", (), ["z"]),
        ("param L\nvector v ~ N(0, 1)\n|x[0]> = |v>\nfor l in 1..L { |x[l]> = relu(|x[l-1]>) }\n"
         "output <x[L]|x[L]>\n", ("--unroll",), ["no-value", "--set L=3"]),
        ("dim T\nvector v ~ N(0, 1)\n|x[0]> = |v>\nfor t in 1..T { |x[t]> = relu(|x[t-1]>) }\n"
         "output <x[1]|x[1]>\n", ("--unroll",), ["no-value", "--set T=3"]),
        ("param L = 9\nvector v ~ N(0, 1)\n|x[0]> = |v>\n"
         "for l in 1..L { |x[l]> = relu(|x[l-1]>) }\noutput <x[L]|x[L]>\n",
         ("--unroll", "--max-instructions", "5"), ["too-long"]),
    ],
)  # fmt: skip
def test_user_errors(text: str, options: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "p.nxt").write_text(text, "utf-8")
    done = nexort_derive("p.nxt", *options, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_unrolled(capsys: pytest.CaptureFixture[str]) -> None:
    found = derived(capsys, "mlp", "--unroll", "--set", "L=2")
    assert "⟨h^2_a|h^2_b⟩   = ⟨x^1_a|x^1_b⟩\n" in found
    assert "l−1" not in found
    assert "Σ_{l" not in found


def test_hostile_names_are_printed_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "vector a_b_c, x_1 ~ N(0, 1)\nparam sigma__w = 2\n"
    text += "|_y> = sigma__w * |a_b_c> + relu(|x_1>)\noutput <_y|_y> as n_$\n".replace("$", "9")
    (tmp_path / "p.nxt").write_text(text, "utf-8")
    with pytest.raises(SystemExit) as done:
        main(["derive", str(tmp_path / "p.nxt"), "--latex", "--document"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    if PDFLATEX is not None:
        checked(compiled(shown, tmp_path))


# ---- from Python ---------------------------------------------------------------------------------


def test_an_output_has_every_form() -> None:
    limits = nexort.load(PROGRAMS / "mlp.nxt").derive()
    nngp = limits["nngp"]
    assert nngp.text.startswith("nngp_ab")
    assert "⟨x^{l−1}_a|x^{l−1}_b⟩" in nngp.text
    assert "dh" not in nngp.text  # only what it rests on
    assert r"\braket{x^{L}_{a}}{x^{L}_{b}}" in nngp.latex
    assert str(nngp.sympy) == "<x|x>[L, a, L, b]"
    assert len(nngp.sympy_equations) == len(nngp.equations) >= 3
    assert len(limits.sympy) == len(limits.derivation.equations)
    assert list(limits) == ["nngp", "ntk"]


def test_notebooks_see_no_macros_of_ours() -> None:
    limits = nexort.load(PROGRAMS / "recurrent.nxt").derive()
    for shown in (limits._repr_latex_(), limits["q"]._repr_latex_()):
        assert shown.startswith("$$\\begin{aligned}")
        assert not re.search(r"\\(ket|braket|hatket|dotket|iid|transpose|E|Cov)(?![A-Za-z])", shown)


def test_depth_does_not_matter() -> None:
    p = nexort.load(PROGRAMS / "mlp.nxt")
    assert p.with_numbers(L=100).derive().text() == p.with_numbers(L=3).derive().text()


def test_what_is_given_is_called_so() -> None:
    """A number of the program is nothing that a recursion gives."""
    text = nexort.loads("param T = 3\ndata y[2] = [1, 2]\noutput T, y, 0 * y[0]").derive().text()
    assert text.count("It is given.") == 3
    assert "recursion" not in text


def test_names_of_matrices_in_sentences_are_formulas() -> None:
    start = "matrix W_h2 ~ N(0, 1/n)\nvector v ~ N(0, 1)\n"
    latex = nexort.loads(start + "|x> = W_h2 tanh(W_h2^T |v>)\noutput <v|x>").derive().latex()
    assert r"the hat of ${W_{{h_{2}}}}" in latex
    assert r"\_" not in latex
