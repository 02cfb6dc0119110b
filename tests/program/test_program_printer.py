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
NO_TEXT = ROOT / "tests" / "golden" / "errors" / "not-printable.nxt"
PATHS = sorted({*ROOT.glob("programs/*.nxt"), *ROOT.glob("tests/**/*.nxt")} - {NO_TEXT})


def compiled(name: str, text: str) -> Program | None:
    """A program; None for any other text."""
    try:
        return compile_source(Source(name, text))
    except NexortError:
        return None


def test_the_texts_of_files_give_the_files_programs() -> None:
    found = [compiled(str(path), path.read_text("utf-8", "replace")) for path in PATHS]
    programs = [x for x in found if x is not None]
    assert len(programs) > 150
    assert sum(x.training is not None for x in programs) > 50
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


TRAINED = """# what is learned
param L = 3, a = 0.5
dim d, M
data xi[d, M], train[M], rates[9]  # on training inputs 1
vector w ~ N(0, a)
s[0] = 2
s[k] = s[k-1] / (1 + k) for k in 1..L
update own(g, r=0.5) {
  state m = 0
  m = r * m + g
  return sign(m)
}

# the network
network f(xi) {
  # first
  weight u, z : vector[d] ~ N(0, 2 * a)
  weight W[2..L], V[0..2, 1..L] : matrix  # and more
  weight v : vector ~ N(a, 0)
  weight c : scalar = a
  weight o : scalar
  |h[1]> = (|u> + |z>) @ xi + c + o
  # layers
  for l in 2..L { |h[l]> = W[l] tanh(|h[l-1]>) * s[L] + |w> }
  for k in 0..2 { |y[k, j]> = V[k, j] tanh(|h[1]>) for j in 1..L }
  return <v|h[L]> + <v|y[2, 3]>  # its output
}

train f {
  PARAMETRIZATION
  optimizer adam(lr=0.1 / (1 + t), eps=a)
  optimizer own(lr=rates[t], r=0.25) for u, W[2], V[1, 2]
  optimizer adamw(lr=0.1) for v
  decay 0.01 * (1 + t) for W, V
  normalize updates for z
  normalize weights for u
  clip 0.5 for W
  clip paper a / 2 for V[0, 1]
  error (f - 1) * train / (1 + t)
  steps 2 * L - 1
  START
}  # trained
t[k] = f[k, 0] * s[k] for k in 0..L
m = <h[2, 1]|u[3]>
output f, f[:, 1], <h[L]|u> as k, <1|h[1]>[0], m, t, f[2, 0] as last, c[1] as c1
"""
SETTINGS = {
    "named": ("parametrization mup", "centre"),
    "uniform": ("parametrization ups(1/4)", ""),
    "explicit": (
        "parametrization {\n" + "".join(
            f"{w}: a=0, b=-1/2, c=0.5, d=1\n" for w in ("u", "z", "W", "V", "v", "c", "o", "W[3]")
        ) + "out: a=1/2\n}",
        "start 2 * train",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_line_of_a_training_comes_back(name: str) -> None:
    parametrization, start = SETTINGS[name]
    text = TRAINED.replace("PARAMETRIZATION", parametrization).replace("START", start)
    program = compile_source(Source("trained.nxt", text))
    comes_back(program)
    found = print_program(program)
    for comment in ("# the network", "# first", "# and more", "# layers", "# trained", "# its out"):
        assert comment in found
    assert "update adam" not in found
    assert "update own(g, r=0.5)" in found


def test_an_optimizer_of_the_file_with_a_name_of_the_registry_is_written() -> None:
    path = ROOT / "programs" / "mup_mlp_adam.nxt"
    text = "update adam(g, eps=1) { return g * eps }\n" + path.read_text("utf-8")
    text = text.replace("{ return", "{\n return").replace("eps }", "eps\n}")
    program = compile_source(Source(path.name, text))
    comes_back(program)
    assert "update adam(g, eps=1)" in print_program(program)
