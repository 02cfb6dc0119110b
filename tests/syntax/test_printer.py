"""The canonical printer: what it prints, and that parsing gives the tree back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syntax_examples import EVERYTHING, MLP, PROGRAMS, expr_of, tree_of
from syntax_trees import NOWHERE, expressions, modules, products, strip

from nexort.support.diagnostics import NexortError
from nexort.syntax import layout
from nexort.syntax import tree as t
from nexort.syntax.printer import format_module, print_expr, print_statement


def formatted(text: str) -> str:
    """A program in canonical form, after checking that nothing is lost and that it is stable."""
    module = tree_of(text)
    printed = format_module(module)
    again = tree_of(printed)
    assert again == module
    assert [x.text.rstrip() for x in again.comments] == [x.text.rstrip() for x in module.comments]
    assert format_module(again) == printed
    return printed


# ---- expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a + b - c * d @ e / f",
        "a - (b - c)",
        "1/n",
        "-1/n",
        "1/n * a",
        "a / b / c",
        "2 / n^2",
        "(1 + a)^(b + 1) * x^-2 - x^(T) * x^-T + x^k[l-1]",
        "W[l]^T W |x[l-1]>",
        "|x> chi <w|",
        "sign(|x> chi <w|) |z>",
        "<x| |y> * <x|y> + <x|W|y>",
        "E{1,2}[tanh(|x> * |w>{1}) * |z>{1}]",
        "phi'(z) + phi''(z, a=0.1)",
        "f(x for s in 0..t, k in 1..2, y)",
        "sum(l in 2..L, k in 1..l-1) a[l] * b[k] + c",
        "a * sum(l in 2..L) b - -sum(l in 2..L) b",
        "(sum(l in 2..L) b) * a",
        "[[1, 0.5], [0.5, 1]]",
        "x[:, 1..L by 2, l+1, f(a, b=c*d)]",
        "x[1. ..3]",
        "|x[a[k], <b|c>]>",
        "(E{1})[2]",
        "--a - -b",
        "(a b) c",
    ],
)
def test_canonical_expressions_are_kept(text: str) -> None:
    assert print_expr(expr_of(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a+b*c", "a + b * c"),
        ("1 / n", "1/n"),
        ("x[ l - 1 ]", "x[l-1]"),
        ("|x[ l - 1 ]>", "|x[l-1]>"),
        ("W (|x>)", "W(|x>)"),
        ("<x | y>", "<x|y>"),
        ("W ^ T|x>", "W^T |x>"),
        ("E {1, 2} [x]", "E{1,2}[x]"),
        ("|x> { 01 }", "|x>{1}"),
        ("f(a = 1,b)", "f(a=1, b)"),
        ("sum( l∈1 .. 3)x", "sum(l in 1..3) x"),
        ("λ·⟨x|y⟩ − 𝔼{1}[|ξ⟩{1}]", "lambda * <x|y> - E{1}[|xi>{1}]"),
    ],
)
def test_expressions_are_normalised(text: str, expected: str) -> None:
    assert print_expr(expr_of(text)) == expected


def name(text: str) -> t.Name:
    return t.Name(text, NOWHERE)


def test_a_factor_that_starts_with_a_bracket_becomes_an_argument() -> None:
    total = t.Binary("+", name("a"), name("b"), NOWHERE)
    power = t.Binary("^", name("c"), name("k"), NOWHERE)
    assert print_expr(t.Juxtaposed((name("W"), total), NOWHERE)) == "W(a + b)"
    assert print_expr(t.Juxtaposed((name("W"), t.Paren(total, NOWHERE)), NOWHERE)) == "W(a + b)"
    assert print_expr(t.Juxtaposed((name("W"), power, total), NOWHERE)) == "W((c^k)(a + b))"
    beside = t.Juxtaposed((name("V"), name("U")), NOWHERE)
    assert print_expr(t.Juxtaposed((name("W"), beside), NOWHERE)) == "W V U"


def check_expression(expr: t.Expr) -> None:
    assert strip(expr_of(print_expr(expr))) == strip(expr)


def check_products(expr: t.Expr) -> None:
    again = expr_of(print_expr(expr))
    assert products(strip(again)) == products(strip(expr))
    assert print_expr(again) == print_expr(expr)


def check_module(module: t.Module) -> None:
    """Also with lines so short that they are broken wherever they can be."""
    assert strip(tree_of(format_module(module))) == strip(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "WIDTH", 20)
        assert strip(tree_of(format_module(module))) == strip(module)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(expressions())
def test_expressions_parse_back(expr: t.Expr) -> None:
    check_expression(expr)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(expressions(free=True))
def test_any_factors_parse_back_to_the_same_products(expr: t.Expr) -> None:
    check_products(expr)


def test_long_chains_and_deep_nesting() -> None:
    for text in (" + ".join(["a"] * 5000), " * ".join(["a"] * 5000), "(" * 90 + "a" + ")" * 90):
        expr = expr_of(text)
        assert print_expr(expr) == text
        binding = t.Binding(t.Target("y", (), False, NOWHERE), expr, (), NOWHERE)
        printed = print_statement(binding)
        assert max(map(len, printed.split("\n"))) <= 100
        assert print_expr(expr_of(printed.removeprefix("y = "))) == text


# ---- modules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs(text: str) -> None:
    printed = formatted(text)
    assert re.sub("#.*", "", printed).isascii()
    assert all(line == line.rstrip() for line in printed.split("\n"))
    assert "\n\n\n" not in printed
    assert printed == printed.strip("\n") + ("\n" if text else "")


@settings(deadline=None, derandomize=True, max_examples=100)
@given(modules())
def test_modules_parse_back(module: t.Module) -> None:
    check_module(module)


@st.composite
def rewritten(draw: st.DrawFn) -> str:
    """A program with comments, blank lines and semicolons put in and other line breaks."""
    pieces = []
    for piece in re.split(r"(\n|(?<=[(,+*{]) | (?=[-+*]))", draw(st.sampled_from(PROGRAMS))):
        pieces.append(piece)
        if piece in ("\n", " "):
            extras = ["", "", "", "\n", "\n\n", " # note\n", "\n# alone\n", "; "]
            pieces.append(draw(st.sampled_from(extras)))
    return "".join(pieces)


def check_rewritten(text: str) -> None:
    try:
        tree_of(text)
    except NexortError:
        return
    formatted(text)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(rewritten())
def test_rewritten_programs(text: str) -> None:
    check_rewritten(text)


@pytest.mark.slow
@settings(deadline=None, max_examples=1500)
@given(expressions(), expressions(free=True), modules())
def test_many_trees_parse_back(expr: t.Expr, free: t.Expr, module: t.Module) -> None:
    check_expression(expr)
    check_products(free)
    check_module(module)


@pytest.mark.slow
@settings(deadline=None, max_examples=3000)
@given(rewritten())
def test_many_rewritten_programs(text: str) -> None:
    check_rewritten(text)


def test_blocks_comments_and_blank_lines() -> None:
    assert (
        formatted(EVERYTHING)
        == """\
import "layers.nxt"
param eta = 0.1, L = 2
scalar c, d[3] ~ N(0, 2/n)
scalar e -> -1
vector (u, v[2]) ~ N([0, 0], [[1, 1/2], [1/2, 1]])
matrix R ~ rademacher(1/n)

# a moving average
update adam(g, beta1=0.9, eps=1e-4) {
  state m = 0
  state k = 0
  k = k + 1  # steps
  m = beta1 * m + (1 - beta1) * g

  # the result
  return m / (1 - beta1^k) / (eps + abs(m))
}
for k in 1..3 {                     # outer
  for l in 3..1 by -1 {
    q[k, l] = <u|R|v[k]> / (1 + k)  # inner
    # the end
  }
  |w[k]> = f''(|x[k]>, a=2)^-1
}
A = B[:, 1](x for s in 0..t, k in 1..2, y, b=3)[1..L by 2]
# continued below
# first
z = -sum(l in 1..2, k in l..2) a[l] * b[k] - -c^2 * 3 + adam(x, y)
output q as kernel, <u|v> as overlap, (c + 1)
"""
    )


def test_a_canonical_program() -> None:
    assert (
        formatted(MLP)
        == """\
# mlp.nxt: kernels of a perceptron at initialization
param L = 3            # compile-time; --set L=10
dim d, M               # sizes that never grow with n
data xi[d, M]          # numbers at eval, a symbol in derive
vector u[d] ~ N(0, 1)  # d kets
matrix W[2..L] ~ N(0, 1/n)
vector v ~ N(0, 1)
fn phi(z) = relu(z)

|h[1]> = |u> @ xi             # contraction over d: M kets
|x[1]> = phi(|h[1]>)
for l in 2..L {
  |h[l]> = W[l] |x[l-1]>
  |x[l]> = phi(|h[l]>)
}
nngp = <x[L]|x[L]>            # M × M
|dh[L]> = |v> * phi'(|h[L]>)  # |v> repeated over M
for l in L..2 { |dh[l-1]> = phi'(|h[l-1]>) * (W[l]^T |dh[l]>) }
ntk = nngp + <dh[1]|dh[1]> * (xi^T @ xi) + sum(l in 2..L) <dh[l]|dh[l]> * <x[l-1]|x[l-1]>
output nngp, ntk
"""
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1; b = 2 # two", "a = 1\nb = 2  # two\n"),
        ("\n\n# head\n\n\n\n# next\na = 1\n\n\n", "# head\n\n# next\na = 1\n"),
        ("for k in 1..2 {\n\n a = 1\n\n}\nb = 2", "for k in 1..2 { a = 1 }\nb = 2\n"),
        ("for k in 1..2 { }", "for k in 1..2 {}\n"),
        ("for k in 1..2 { # c\n}", "for k in 1..2 {  # c\n}\n"),
        ("for k in 1..2 { # c\n a = 1 }", "for k in 1..2 {  # c\n  a = 1\n}\n"),
        ("for k in 1..2 { a = 1 # c\n}", "for k in 1..2 {\n  a = 1  # c\n}\n"),
        ("for k in 1..2 { a = 1 } # c\n", "for k in 1..2 { a = 1 }  # c\n"),
        ("for k in 1..2 {\n a = 1\n} # c\n", "for k in 1..2 { a = 1 }  # c\n"),
        (
            "for k in 1..2 { a = 1; b = 2\n\n\n c = 3 }",
            "for k in 1..2 {\n  a = 1\n  b = 2\n\n  c = 3\n}\n",
        ),
        ("for k in (1 # c\n)..2 { a = 1 }", "# c\nfor k in (1)..2 { a = 1 }\n"),
        ("for k in f( # c\n)..2 { # d\n}", "# c\nfor k in f()..2 {  # d\n}\n"),
        ("update f( # c\n g) { # d\n return g }", "# c\nupdate f(g) {  # d\n  return g\n}\n"),
        ("a = 1\n\nb = f(x, # c\n  y) # d\n# e", "a = 1\n\n# c\nb = f(x, y)  # d\n# e\n"),
        ("a = 1 # c  \r\nb = 2\r\n", "a = 1  # c\nb = 2\n"),
    ],
)
def test_layout(text: str, expected: str) -> None:
    assert formatted(text) == expected


LONG = """\
|y> = E{1,2}[tanh(|xxxxxxxxxxxxxxxxxxxxxxx> * |wwwwwwwwwwwwwwwwwwww>{1} + |wwwwwwwwwwwwwwwwww>{2})
  * |zzzzzzzzzzzzzzzzz>{1}]
ntk = nngp + <dh[1]|dh[1]> * (xi^T @ xi) + sum(l in 2..L) <dh[l]|dh[l]> * <x[l-1]|x[l-1]>
  + sum(l in 2..L, k in 1..l-1) <dh[l]|dh[l]> * <x[l-1]|x[l-1]>
A = W - eta * adam[t](|dh[s]> chi[s] <x[s]| for s in 0..t, k in 1..3, lr=0.1, beta1=0.9,
  beta2=0.999, eps=1e-4)
B = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  * ffffffffffffffffffffffffffffff(bbbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccccccccc)
output aaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccc,
  ddddddddddddddddddddddddddd
"""


def test_long_statements_are_broken() -> None:
    assert formatted(LONG) == LONG
    assert formatted(LONG.replace("\n  ", " ")) == LONG


def test_a_loop_that_does_not_fit_one_line_is_a_block() -> None:
    body = "ab = " + " + ".join(["b"] * 20)
    fits = f"for k in 1..2 {{ {body} }}\n"
    assert len(fits) == 101
    assert formatted(fits) == fits
    longer = fits.replace("ab", "aab")
    assert formatted(longer) == f"for k in 1..2 {{\n  a{body}\n}}\n"


def test_print_statement() -> None:
    [loop, output] = tree_of("for k in 1..2 { a[k] = 1; b[k]=2 }\n\noutput  a").statements
    assert print_statement(loop) == "for k in 1..2 {\n  a[k] = 1\n  b[k] = 2\n}"
    assert print_statement(output) == "output a"


def test_an_output_that_starts_with_a_bracket_keeps_its_meaning() -> None:
    item = t.OutputItem(t.ListLiteral((name("a"),), NOWHERE), None, NOWHERE)
    assert print_statement(t.Output((item,), NOWHERE)) == "output ([a])"


def test_statements_of_another_source_are_printed_without_blank_lines() -> None:
    here, there = tree_of("# c\na = 1\n\n\nb = 2"), tree_of("\n\n\n\n\nd = 3")
    module = t.Module((*here.statements, *there.statements), here.comments, here.span)
    assert format_module(module) == "# c\na = 1\n\nb = 2\nd = 3\n"
