"""Text to tree: the shape of every construct, line breaks and spellings; any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syntax_examples import PROGRAMS, expr_of, tree_of
from syntax_trees import NOWHERE

from nexort.support.diagnostics import NexortError
from nexort.syntax import tree as t
from nexort.syntax.printer import format_module


def name(text: str) -> t.Name:
    return t.Name(text, NOWHERE)


def num(text: str) -> t.Number:
    return t.Number(text, NOWHERE)


def label(text: str, *items: t.Item) -> t.Label:
    return t.Label(text, items, NOWHERE)


def ket(text: str, *items: t.Item) -> t.Ket:
    return t.Ket(label(text, *items), NOWHERE)


def bra(text: str) -> t.Bra:
    return t.Bra(label(text), NOWHERE)


def binary(left: t.Expr, op: str, right: t.Expr) -> t.Binary:
    return t.Binary(op, left, right, NOWHERE)


def beside(*factors: t.Expr) -> t.Juxtaposed:
    return t.Juxtaposed(factors, NOWHERE)


def index(base: t.Expr, *items: t.Item) -> t.Index:
    return t.Index(base, items, NOWHERE)


def span(first: t.Expr, last: t.Expr, step: t.Expr | None = None) -> t.Range:
    return t.Range(first, last, step, NOWHERE)


def loop(var: str, first: t.Expr, last: t.Expr) -> t.Binder:
    return t.Binder(var, span(first, last), NOWHERE)


def arg(value: t.Expr, *loops: t.Binder, keyword: str | None = None) -> t.Argument:
    return t.Argument(value, keyword, loops, NOWHERE)


def call(callee: t.Expr, *args: t.Argument) -> t.Call:
    return t.Call(callee, args, NOWHERE)


def copied(base: t.Expr, copy: int) -> t.Copied:
    return t.Copied(base, copy, NOWHERE)


def paren(value: t.Expr) -> t.Paren:
    return t.Paren(value, NOWHERE)


def minus(value: t.Expr) -> t.Negative:
    return t.Negative(value, NOWHERE)


def transpose(base: t.Expr) -> t.Transpose:
    return t.Transpose(base, NOWHERE)


def total(body: t.Expr, *loops: t.Binder) -> t.Sum:
    return t.Sum(loops, body, NOWHERE)


a, b, c, k, x, W = map(name, ["a", "b", "c", "k", "x", "W"])
one, two = num("1"), num("2")


# ---- expressions ---------------------------------------------------------------------------------

EXPRESSIONS = {
    "2.5e-3": num("2.5e-3"),
    "a - b - c": binary(binary(a, "-", b), "-", c),
    "a + b * c": binary(a, "+", binary(b, "*", c)),
    "a * b @ c / x": binary(binary(binary(a, "*", b), "@", c), "/", x),
    "-a^2": minus(binary(a, "^", two)),
    "-a * b": binary(minus(a), "*", b),
    "a * -b": binary(a, "*", minus(b)),
    "a^-2": binary(a, "^", minus(two)),
    "a^k[1]": binary(a, "^", index(k, one)),
    "a^(k + 1)": binary(a, "^", paren(binary(k, "+", one))),
    "W^T W |x>": beside(transpose(W), W, ket("x")),
    "a W^T^2 b": beside(a, binary(transpose(W), "^", two), b),
    "a / b c": binary(a, "/", beside(b, c)),
    "|x[k-1]>": ket("x", binary(k, "-", one)),
    "|x[a[1], :]>": ket("x", index(a, one), t.FullSlice(NOWHERE)),
    "<1|x>": t.BraKet(label("1"), label("x"), NOWHERE),
    "<a|W|x>": beside(bra("a"), W, ket("x")),
    "|x> a <b|": beside(ket("x"), a, bra("b")),
    "<a| |x>": beside(bra("a"), ket("x")),
    "|x>{2}": copied(ket("x"), 2),
    "E{1,2}[a]": t.Expectation((1, 2), a, NOWHERE),
    "W(a)": call(W, arg(a)),
    "W (a)(b)": call(call(W, arg(a)), arg(b)),
    "a W(b)": beside(a, call(W, arg(b))),
    "W()": call(W),
    "W(a, k=1)": call(W, arg(a), arg(one, keyword="k")),
    "W(a for k in 1..2)": call(W, arg(a, loop("k", one, two))),
    "W(a for k in 1..2, x in 1..k, b, c=1)": call(
        W, arg(a, loop("k", one, two), loop("x", one, k)), arg(b), arg(one, keyword="c")
    ),
    "W(a, b for k in 1..2, c for k in 1..2)": call(
        W, arg(a), arg(b, loop("k", one, two)), arg(c, loop("k", one, two))
    ),
    "a'(x)": call(t.Prime(a, NOWHERE), arg(x)),
    "x[1..2 by 2, :]": index(x, span(one, two, two), t.FullSlice(NOWHERE)),
    "sum(k in 1..2) a * b + c": binary(
        total(binary(a, "*", b), loop("k", one, two)), "+", c
    ),
    "a * sum(k in 1..2, x in 1..k) b": binary(
        a, "*", total(b, loop("k", one, two), loop("x", one, k))
    ),
    "sum(k in 1..2) (a b)[:]": total(
        index(t.Paren(t.Juxtaposed((a, b), NOWHERE), NOWHERE), t.FullSlice(NOWHERE)),
        loop("k", one, two),
    ),
    "-sum(k in 1..2) a": minus(total(a, loop("k", one, two))),
    "sum(a)": call(name("sum"), arg(a)),
    "[a, [b]]": t.ListLiteral((a, t.ListLiteral((b,), NOWHERE)), NOWHERE),
    "(a b) c": beside(paren(beside(a, b)), c),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS.items())
def test_expressions(text: str, expected: t.Expr) -> None:
    assert expr_of(text) == expected


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("⟨x|y⟩ + |ξ⟩", "<x|y> + |xi>"),
        ("〈x∣y〉", "<x|y>"),
        ("Wᵀ W⊤ W^⊤ W^{T} |x>", "W^T W^T W^T W^T |x>"),
        ("a · b × c ⋅ x − 1", "a * b * c * x - 1"),
        ("∑(k ∈ 1…2) a", "sum(k in 1..2) a"),
        ("Σ(k in 1..2) a", "sum(k in 1..2) a"),
        ("𝔼{1}[φ′(|z⟩{1})]", "E{1}[phi'(|z>{1})]"),
        ("Α Ω µ ϕ ς x_1α", "Alpha Omega mu phi sigma x_1alpha"),
        ("x^Tα", "x^Talpha"),
    ],
)
def test_unicode_spellings(text: str, ascii_text: str) -> None:
    assert expr_of(text) == expr_of(ascii_text)


# ---- statements ----------------------------------------------------------------------------------


def declared(text: str, *items: t.Item, value: t.Expr | None = None) -> t.Declared:
    return t.Declared(text, items, value, NOWHERE)


def bound(target: str, value: t.Expr, *loops: t.Binder) -> t.Binding:
    return t.Binding(t.Target(target, (), False, NOWHERE), value, loops, NOWHERE)


NORMAL = call(name("N"), arg(num("0")), arg(one))
STATEMENTS = {
    'import "a/b.nxt"': t.Import("a/b.nxt", NOWHERE),
    "param a, b = 2": t.Declaration(
        "param", (declared("a"), declared("b", value=two)), NOWHERE
    ),
    "data x[a, 2]": t.Declaration("data", (declared("x", a, two),), NOWHERE),
    "matrix W[1..2] ~ N(0, 1)": t.Random(
        "matrix", (declared("W", span(one, two)),), NORMAL, False, False, NOWHERE
    ),
    "vector (a, b) ~ N(0, 1)": t.Random(
        "vector", (declared("a"), declared("b")), NORMAL, True, False, NOWHERE
    ),
    "scalar (a) ~ N(0, 1)": t.Random(
        "scalar", (declared("a"),), NORMAL, True, False, NOWHERE
    ),
    "scalar a -> 1": t.Random("scalar", (declared("a"),), one, False, True, NOWHERE),
    "fn a(x, k=1) = x": t.Function(
        "a", (t.Parameter("x", None, NOWHERE), t.Parameter("k", one, NOWHERE)), x, NOWHERE
    ),
    "fn a() = 1": t.Function("a", (), one, NOWHERE),
    "update a(x) { state k = 1; k = x; return k }": t.Update(
        "a",
        (t.Parameter("x", None, NOWHERE),),
        (t.Assign("k", one, True, NOWHERE), t.Assign("k", x, False, NOWHERE)),
        k,
        NOWHERE,
    ),
    "|a[k]> = |x>": t.Binding(t.Target("a", (k,), True, NOWHERE), ket("x"), (), NOWHERE),
    "a = b for k in 1..2 for x in 1..k": bound(
        "a", b, loop("k", one, two), loop("x", one, k)
    ),
    "for k in 1..2 { a = b; for x in 1..k { } }": t.For(
        loop("k", one, two), (bound("a", b), t.For(loop("x", one, k), (), NOWHERE)), NOWHERE
    ),
    "output a as b, (c)": t.Output(
        (t.OutputItem(a, "b", NOWHERE), t.OutputItem(paren(c), None, NOWHERE)), NOWHERE
    ),
    "state = 1": bound("state", one),
    "output[k] = 1": t.Binding(t.Target("output", (k,), False, NOWHERE), one, (), NOWHERE),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), STATEMENTS.items())
def test_statements(text: str, expected: t.Statement) -> None:
    assert tree_of(text).statements == (expected,)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_parse_and_spans_cover_their_text(program: str) -> None:
    module = tree_of(program)
    for statement in module.statements:
        [again] = tree_of(statement.span.text).statements
        assert again == statement
    assert [x.span.text for x in module.comments] == [x.text for x in module.comments]


def test_comments_know_whether_they_stand_alone() -> None:
    module = tree_of("# one\na = 1 # two\n  # three")
    assert [(x.text, x.alone) for x in module.comments] == [
        ("# one", True),
        ("# two", False),
        ("# three", True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a +\n b",
        "a\n + b",
        "a\n\n # note\n # ------- - note\n + b",
        "a + # note\n b",
        "a +\r\n b",
    ],
)
def test_lines_are_continued_at_operators(text: str) -> None:
    assert expr_of(text) == binary(a, "+", b)


def test_lines_are_continued_in_brackets_and_after_commas() -> None:
    assert expr_of("W(\na,\n\nk\n=1\n)") == call(W, arg(a), arg(one, keyword="k"))
    assert len(tree_of("output a,\n b\nx[\n1\n] = 2").statements) == 2


@pytest.mark.parametrize("text", ["a = 1\nb = 2", "a = 1;;\n\n;b = 2;", "a = 1\n# + 1\nb = 2"])
def test_other_line_breaks_end_statements(text: str) -> None:
    assert tree_of(text).statements == (bound("a", one), bound("b", two))


def test_rows_of_comments_take_no_time() -> None:
    bars = "\n".join(["#" * 98, "# " * 49] * 2000)
    assert len(tree_of(f"a = 1\n{bars}\n+ 2\n{bars}\nb = 2").statements) == 2


# ---- any text ------------------------------------------------------------------------------------

PIECES = [
    *"()[]{}<>|'=~,:;+-*/@^#.$\"\n\\ET1a",
    *["..", "->", "{1}", "E{1}[", "sum(k in ", "for k in 1..2", "for", " in ", " by ", " as "],
    *["vector ", "matrix", "param", "output ", "update f(x) {", "return ", "state", "import"],
    *["fn f(", "\r\n", "|x>", "<x|", "|x[", "^T", "⟩", "ᵀ", "\u0000", "1.", ".5", "1e"],
    *["\n#", "\n+"],
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A program with pieces cut out, copied and put in."""
    text = draw(st.sampled_from(PROGRAMS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text


def check_any_text(text: str) -> None:
    """A text is a tree, which prints and parses back, or an error that can be shown."""
    try:
        module = tree_of(text)
    except NexortError as error:
        shown = [(x.render(), x.as_json()) for x in error.diagnostics]
    else:
        shown = []
        check_round_trip(module)
    assert all(text for text, _ in shown)


def check_round_trip(module: t.Module) -> None:
    printed = format_module(module)
    again = tree_of(printed)
    assert again == module
    assert len(again.comments) == len(module.comments)
    assert format_module(again) == printed


@pytest.mark.parametrize("space", ["", " ", "\t", "\x1f", "\u2003"])
def test_any_white_space_around_the_number_of_a_copy(space: str) -> None:
    assert tree_of(f"|y> = |x>{{{space}2{space}}}") == tree_of("|y> = |x>{2}")


@settings(deadline=None, derandomize=True, max_examples=200)
@given(mutated())
def test_mutated_programs(text: str) -> None:
    check_any_text(text)


@pytest.mark.slow
@settings(deadline=None, max_examples=5000)
@given(mutated())
def test_many_mutated_programs(text: str) -> None:
    check_any_text(text)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_arbitrary_texts(text: str) -> None:
    check_any_text(text)
