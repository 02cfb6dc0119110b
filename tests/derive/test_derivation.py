"""What derivations say: recursions with symbolic indices, dots, reasons, and the trace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nexort.data.given import Given
from nexort.driver import compile_source, read
from nexort.driver import derive as driven
from nexort.limit.derive.arithmetic import mul, number
from nexort.limit.derive.derivation import Derivation, Equation
from nexort.limit.derive.derive import derive
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    AxisSum,
    Bracket,
    Formula,
    GaussianPair,
    Ket,
    LoopSum,
    Power,
    Product,
    Response,
    Symbol,
)
from nexort.limit.derive.trace import CITATIONS
from nexort.limit.derive.walking import walk_formula
from nexort.program.index import Affine
from nexort.support.diagnostics import NexortError, Source

PROGRAMS = Path(__file__).parents[2] / "programs"
A, B, ENTRY, L = (Affine.variable(x) for x in ("a", "b", "i", "L"))
LAYER = Affine.variable("l")
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.nxt"))


def derived(name: str) -> Derivation:
    return driven(compile_source(read(PROGRAMS / f"{name}.nxt")), Given({}, {}))


def written(text: str) -> Derivation:
    return derive(compile_source(Source("test.nxt", text)))


def bracket(name: str, index: Affine) -> Bracket:
    return Bracket(Ket(name, (index,), (A,)), Ket(name, (index,), (B,)))


def equation(derivation: Derivation, left: Formula) -> Equation:
    [found] = [e for e in derivation.equations if e.left == left]
    return found


def ends(equation: Equation) -> list[tuple[str, str, str]]:
    return [(r.var, str(r.first), str(r.last)) for r in equation.ranges]


def test_the_recursion_of_a_perceptron() -> None:
    """Cho & Saul's recursion in l, valid for every L, forward and backward."""
    d = derived("mlp")
    assert d.closed
    first = equation(d, bracket("h", Affine(1)))
    xi = [Symbol("xi", (), (ENTRY, x), "data") for x in (A, B)]
    assert first.right == AxisSum("i", "d", mul(*xi))
    step = equation(d, bracket("h", LAYER))
    assert step.right == bracket("x", LAYER - Affine(1))
    assert ends(step) == [("l", "2", "L")]
    forward = equation(d, bracket("x", LAYER))
    assert ends(forward) == [("l", "1", "L")]
    pair = forward.right
    assert isinstance(pair, GaussianPair)
    assert pair.left is pair.right
    assert pair.left.attr == "relu"
    a, b = Ket("h", (LAYER,), (A,)), Ket("h", (LAYER,), (B,))
    assert pair.left_variance == Bracket(a, a)
    assert pair.covariance == Bracket(a, b)
    assert pair.right_variance == Bracket(b, b)
    last = equation(d, bracket("dh", L))
    backward = equation(d, bracket("dh", LAYER))
    assert ends(backward) == [("l", "1", "L - 1")]
    assert isinstance(last.right, GaussianPair)
    assert isinstance(backward.right, Product)
    dual, gradient = backward.right.factors
    assert isinstance(dual, GaussianPair)
    assert dual.left.attr == "step"
    assert isinstance(gradient, Bracket)
    assert equation(d, gradient).right == bracket("dh", LAYER + Affine(1))


def test_the_tangent_kernel_is_a_sum_over_layers() -> None:
    [nngp, ntk] = derived("mlp").outputs
    assert nngp.value == bracket("x", L)
    [total] = [x for x in walk_formula(ntk.value) if isinstance(x, LoopSum)]
    assert (str(total.first), str(total.last)) == ("2", "L")
    assert total.body == mul(bracket("dh", LAYER), bracket("x", LAYER - Affine(1)))


def test_a_dot_that_vanishes_says_why() -> None:
    d = derived("mlp")
    applications = [k for k in d.kets if k.matrix is not None]
    assert {k.matrix.name for k in applications if k.matrix} == {"W"}
    assert all(k.dot == ZERO and k.why for k in applications)
    [backward] = [k for k in applications if k.matrix is not None and k.matrix.transposed]
    assert "odd in v" in str(backward.why)


def test_without_the_output_vector_the_dot_stays() -> None:
    """dh is not odd in an independent vector: the parity argument fails, and the dot is kept."""
    d = written("""
        matrix W ~ N(0, 1/n)
        vector x ~ N(0, 1)
        |h> = W |x>
        |g> = W^T (1 - tanh(|h>)^2 + 0.5 * |h>)
        output <x|g>
    """)
    [application] = [k for k in d.kets if k.ket.name == "g"]
    assert application.dot != ZERO
    assert application.why is None


def test_dots_are_sums_over_earlier_applications() -> None:
    d = derived("symmetric_tanh")
    t = Affine.variable("t")
    dots = [k.dot for k in d.kets if k.matrix is not None]
    assert len(dots) == 2
    for dot in dots:
        assert isinstance(dot, LoopSum)
        assert (str(dot.first), str(dot.last)) == ("1", "t - 1")
        [response] = [x for x in walk_formula(dot) if isinstance(x, Response)]
        assert response.ket == Ket("x", (t - Affine(1),))
        assert response.by.part == "hat"


def test_the_autoencoders_dot() -> None:
    """<x|y> = E tanh'(z), <y|y> = E tanh(z)^2 + (E tanh'(z))^2."""
    d = derived("autoencoder")
    y = Ket("y")
    right = equation(d, Bracket(Ket("x"), y)).right
    assert isinstance(right, Response)
    square = equation(d, Bracket(y, y)).right
    assert Power(right, number(2)) in list(walk_formula(square))


def test_time_is_symbolic_in_a_recurrent_network() -> None:
    d = derived("recurrent")
    pairs = [e for e in d.equations if isinstance(e.right, GaussianPair)]
    assert [len(e.ranges) for e in pairs] == [2]
    assert all(e.closed for e in d.equations)


def test_tied_and_nonlinear_operators_stay_explicit() -> None:
    d = derived("outer_order2")
    assert not d.closed
    assert all(not e.closed for e in d.equations)


@pytest.mark.parametrize("name", NAMES)
def test_every_program_derives(name: str) -> None:
    """And in no time; every step names a rule and its place."""
    start = time.process_time()
    d = derived(name)
    assert time.process_time() - start < 10
    assert d.outputs
    for step in d.steps:
        assert step.citation == CITATIONS[step.rule]
        assert step.before != step.after or step.before is None


def test_the_trace_has_the_rules() -> None:
    rules = {s.rule for s in derived("mlp").steps}
    assert {
        "definition", "independence", "dual activation", "covariance of hats", "vanishing dot",
        "initial vectors",
    } <= rules  # fmt: skip


def test_more_layers_take_no_longer() -> None:
    """The equations are those of a rule, not of a round: L enters as a symbol."""
    text = (PROGRAMS / "mlp.nxt").read_text("utf-8")
    deep = derive(compile_source(Source("mlp.nxt", text.replace("param L = 3", "param L = 100"))))
    shallow = derive(compile_source(Source("mlp.nxt", text)))
    assert deep.equations == shallow.equations


def test_rules_of_one_form_are_one() -> None:
    d = written("""
        param L = 3
        vector x ~ N(0, 1)
        matrix W[1..L] ~ N(0, 1/n)
        |y[0]> = |x>
        for l in 1..L { |y[l]> = erf(W[l] |y[l-1]>) }
        output <y[L]|y[L]>
    """)
    [family] = [e for e in d.equations if e.left == _square("y", LAYER)]
    assert ends(family) == [("l", "1", "L")]
    assert equation(d, _square("y", Affine(0))).right == ONE


def _square(name: str, index: Affine) -> Bracket:
    return Bracket(Ket(name, (index,)), Ket(name, (index,)))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("for l in 1..4 by 2 { |y[l]> = |x> }\noutput <y[1]|x>", "loop by 2"),
        (
            "A[0] = W\nfor t in 1..3 { A[t] = A[t-1] + |x> <x| }\n|z> = A[3] |x>\noutput <z|z>",
            "form a family",
        ),
    ],
)
def test_what_has_no_symbolic_form_is_refused(rule: str, words: str) -> None:
    text = f"matrix W ~ N(0, 1/n)\nvector x ~ N(0, 1)\n{rule}\n"
    program = compile_source(Source("test.nxt", text))
    with pytest.raises(NexortError) as refused:
        derive(program)
    [diagnostic] = refused.value.diagnostics
    assert diagnostic.code == "not-derivable"
    assert words in diagnostic.message
    assert diagnostic.span is not None
