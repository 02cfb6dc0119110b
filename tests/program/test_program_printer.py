"""Programs as text: what is elaborated from the text of a program is the program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from generate import program as generated
from printed import comes_back

from nexort import activations
from nexort.elaborate.source import compile_source
from nexort.program.printer import print_program
from nexort.program.program import Program
from nexort.support.diagnostics import NexortError, Source

ROOT = Path(__file__).parents[2]
PATHS = sorted((*ROOT.glob("programs/*.nxt"), *ROOT.glob("tests/**/*.nxt")))


def compiled(name: str, text: str) -> Program | None:
    """A program without a training; None for any other text."""
    try:
        program = compile_source(Source(name, text))
    except NexortError:
        return None
    return program if program.training is None else None


def test_the_texts_of_files_give_the_files_programs() -> None:
    found = [compiled(str(path), path.read_text("utf-8", "replace")) for path in PATHS]
    programs = [x for x in found if x is not None]
    assert len(programs) > 150
    for x in programs:
        comes_back(x)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_come_back(seed: int) -> None:
    program = compiled("random.nxt", generated(seed, second_order=seed % 3 == 0).text)
    assert program is not None
    comes_back(program)


@pytest.mark.parametrize("name", [n for n, f in activations.registry().items() if f.arity == 1])
def test_derivatives_are_those_of_functions(name: str) -> None:
    """1 - tanh(z)^2 is tanh'(z), and comes back as what it was."""
    primes = f"|x> = {name}(|u>)\n|y> = {name}'(|u>)\n|z> = {name}''(0.5 * |u>)"
    program = compiled("prime.nxt", f"vector u ~ N(0, 1)\n{primes}\noutput <x|y>, <y|z>")
    assert program is not None
    comes_back(program)


HEAD = """param a = 2
dim d = 3
vector u, w ~ N(0, 1)
vector p[d] ~ N(0, 1)
matrix W, V ~ N(0, 1/n)
"""

FORMS = {
    "operators": "|x> = (W + 2 * V)^T(W |u>) - W((V - W) |w>) + (W V)^T |u>\noutput <x|(W - V)|u>",
    "bras": "output <u|W V^T|w>, (2 * <u|)W |w>, (<u| - <w|)|u>, <1|(W |u>)",
    "outer": "A = |u> <w| - 2 * |w> a <u|\n|x> = tanh(A) |u> + (|u> <w|W) |w>\noutput <x|x>",
    "nonlinear": (
        "fn q(r, s) = tanh(r * s) + 1 / a\nfn c(z) = tanh(z) + a\n"
        "s = <u|w>^2\n|x> = q(|u> <w|, s) |w>\nA = |u> c(s) <w|\noutput <x|A|x>"
    ),
    "signs": "|x> = |u> / -(|w> * 2) - (-|w>) - ((|u> - |w>)^2)^2\noutput <x|x>, -(1 + <u|u>)^-2",
    "axes": (
        "|x> = |p>[1] + |p[0]> * (<p|p>^T @ diag(<p|p>))[2]\noutput <x|x>, [[1, -2], [0.5, 1e-7]]"
    ),
    "laws": (
        "fn f(z) = tanh(z) * a\nvector r ~ law(f, 2)\nvector q ~ N(a, 0.5)\n"
        "s = <q|q>\nvector (b, c) ~ N([1, 2], [[2, 1], [1, s]])\nmatrix M ~ uniform(a/n)\n"
        "scalar k ~ N(1, 2/n)\nscalar o[d], j[2] -> 1\n|x> = M |r> * k + |p> @ o\n"
        "output <x|b>, <c|q>"
    ),
    "updates": (
        "update mean(g, b=0.9) {\n state m = b\n k = m + t\n m = k * g\n return m / (t + 1)\n}\n"
        "optimizer mine(lr, g0=1) {\n state m = 0\n update sign(m) * a\n m = m + g * g0\n}\n"
        "|x> = mean[2](|u>, |w> * k for k in 1..2, b=a)\nA = mine(|u> k <w| for k in 1..2)\n"
        "output <x|A|x>"
    ),
    "copies": (
        "|x> = E{1,2}[tanh(|u> * |w>{1} + (|u> * a){2}) * |u>{1}]\noutput <x|E{1}[|u>{1}^2]|x>"
    ),
    "loops": (
        "|x[0, 0]> = |u>\nfor i in 1..4 by 3 { |x[i, j]> = |x[0, 0]> * i for j in 3..i-2 by -1 }\n"
        "m[k] = sum(i in 1..2, j in 1..i) (k - i) * j for k in 2..1\noutput <u|x[1, 3]>"
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_comes_back(name: str) -> None:
    comes_back(compile_source(Source(f"{name}.nxt", HEAD + FORMS[name])))


def test_what_has_no_words_is_refused() -> None:
    """A name of the program stands before the function that a graph applies."""
    program = compiled("hidden.nxt", "vector u ~ N(0, 1)\n|x> = exp(|u>)\nexp = 1\noutput <x|x>")
    assert program is not None
    with pytest.raises(NexortError, match="exp is hidden"):
        print_program(program)


def test_comments_and_functions_stay() -> None:
    text = (ROOT / "programs" / "mlp.nxt").read_text("utf-8")
    found = print_program(compile_source(Source("mlp.nxt", text)))
    for line in text.splitlines():
        assert line.partition("#")[2] in found
    assert "fn phi(z) = relu(z)" in found
    assert "|x[l]> = phi(|h[l]>)" in found
    assert "|dh[L]> = |v> * phi'(|h[L]>)" in found


def test_functions_are_read_where_their_form_is() -> None:
    text = """fn f(z, a=2) = tanh(a * z) + 1
fn g(z) = f(z, 3)^2
fn minus(z) = tanh(-z)
vector u ~ N(0, 1)
|x> = f(|u>) * g(|u>) + f'(|u>) * minus(3)
output <x|f(|u> <u|)|u>
"""
    program = compile_source(Source("functions.nxt", text))
    found = print_program(program)
    assert "fn g(z) = f(z, 3)^2" in found
    assert "f(|u>, 2) * g(|u>) + f'(|u>, 2)" in found
    comes_back(program)


def test_a_text_that_would_be_endless_is_refused() -> None:
    """Graphs share their parts: without its name, d(d(d(z))) has 27 times z."""
    nested = "d(" * 30 + "|u>" + ")" * 30
    text = f"fn d(z) = z + z * z\nvector u ~ N(0, 1)\n|x> = {nested}\noutput <x|x>"
    program = compile_source(Source("long.nxt", text))
    assert nested in print_program(program)
    with pytest.raises(NexortError, match="more than 100000 parts"):
        print_program(replace(program, functions={}))


def test_a_training_is_refused() -> None:
    path = ROOT / "programs" / "mup_mlp_adam.nxt"
    with pytest.raises(NexortError, match="has a training"):
        print_program(compile_source(Source(path.name, path.read_text("utf-8"))))
