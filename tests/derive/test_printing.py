"""Printing of formulas: notation, line breaking, letters, LaTeX, JSON, sympy."""

from __future__ import annotations

from fractions import Fraction

import pytest

from nexort.limit.derive.formula import (
    ONE,
    Apply,
    Average,
    AxisSum,
    Bracket,
    CopyMean,
    Delta,
    Expectation,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    Ket,
    LoopSum,
    Matrix,
    Number,
    Power,
    Product,
    Response,
    Sum,
    Symbol,
)
from nexort.limit.derive.printing import latex_boxes, names, text, text_boxes
from nexort.limit.derive.printing.duals import Duals
from nexort.limit.derive.printing.kets import operator_box
from nexort.limit.derive.printing.lines import fill_lines
from nexort.limit.derive.printing.notation import Notation
from nexort.limit.derive.printing.plain import plain_formula as plain
from nexort.limit.derive.printing.symbolic import sympy_expression
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op
from nexort.program.types import scalar

v = Affine.variable
a, b, i, l, s, t = (v(x) for x in "abilst")  # noqa: E741
ONE_INDEX = Affine(1)
Z = Node(Op.SLOT, (), ("z",), scalar())
RELU = Node(Op.CALL, (Z,), "relu", scalar())
TANH = Node(Op.CALL, (Z,), "tanh", scalar())


def half(power: int = 1) -> Number:
    return Number(Fraction(power, 2))


def x(at: Affine, label: Affine, **options: object) -> Ket:
    return Ket("x", (at,), (label,), **options)  # type: ignore[arg-type]


def pair(f: Node, g: Node) -> GaussianPair:
    k = l - ONE_INDEX
    return GaussianPair(
        f,
        g,
        Bracket(x(k, a), x(k, a)),
        Bracket(x(k, a), x(k, b)),
        Bracket(x(k, b), x(k, b)),
        Ket("h", (l,), (a,)),
        Ket("h", (l,), (b,)),
    )


SIGMA = Symbol("sigma_w", kind="param")
RHO = Symbol("rho", kind="param")
ETA = Symbol("eta", (), (i,), "data")
XI = Symbol("xi", (), (i, a), "data")

CASES: list[tuple[Formula, str, str]] = [
    (Bracket(x(l, a), x(l - ONE_INDEX, b)), "⟨x^l_a|x^{l−1}_b⟩",
     r"\braket{x^{l}_{a}}{x^{l-1}_{b}}"),
    (Average(x(l, a)), "⟨1|x^l_a⟩", r"\braket{1}{x^{l}_{a}}"),
    (Ket("h", (l,), (a,), "hat"), "|ĥ^l_a⟩", r"\hatket{h^{l}_{a}}"),
    (Ket("dh", (l,), (a,), "hat"), "|dĥ^l_a⟩", r"\hatket{dh^{l}_{a}}"),
    (Ket("mean", (), (), "hat"), "hat|mean⟩", r"\hatket{\mathrm{mean}}"),
    (Ket("w", (), (), copy=2), "|w⟩^[2]", r"\iid{\ket{w}}{2}"),
    (Response(Ket("x", (t,)), Ket("y", (s,), (), "hat")), "E[∂|x^t⟩/∂|ŷ^s⟩]",
     r"\E\Bigl[\frac{\partial \ket{x^{t}}}{\partial \hatket{y^{s}}}\Bigr]"),
    (Power(SIGMA, Number(Fraction(2))), "σ_w²", r"\sigma^{2}_{w}"),
    (Product((half(), RHO)), "ρ/2", r"\frac{\rho}{2}"),
    (Product((Number(Fraction(-3, 2)), RHO)), "−(3 ρ)/2", r"-\frac{3\, \rho}{2}"),
    (Power(Sum((ONE, Product((Number(Fraction(-1)), RHO)))), half()), "√(1 − ρ)",
     r"\sqrt{1 - \rho}"),
    (Product((RHO, Power(Sum((ONE, RHO)), Number(Fraction(-1))))), "ρ/(1 + ρ)",
     r"\frac{\rho}{1 + \rho}"),
    (Power(RHO, half(-1)), "1/√ρ", r"\frac{1}{\sqrt{\rho}}"),
    (Number(2 / 3.141592653589793), "2/π", r"\frac{2}{\pi}"),
    (Number(0.1), "0.1", "0.1"),
    (Number(0.123), "0.123", "0.123"),
    (Product((Sum((ONE, RHO)), SIGMA)), "(1 + ρ) σ_w", r"(1 + \rho )\, {\sigma_{w}}"),
    (AxisSum("i", "d", Product((ETA, XI))), "Σ_i η_i ξ_ia", r"\sum_{i} \eta_{i}\, \xi_{ia}"),
    (LoopSum("l", Affine(2), v("L"), IndexNumber(l)), "Σ_{l=2..L} l",
     r"\sum_{l = 2}^{L} l"),
    (LoopSum("s", Affine(), t - ONE_INDEX, Ket("y", (s,))), "Σ_{s<t} |y^s⟩",
     r"\sum_{s = 0}^{t-1} \ket{y^{s}}"),
    (Product((LoopSum("s", Affine(), t, RHO), SIGMA)), "(Σ_{s=0..t} ρ) σ_w",
     r"\Bigl(\sum_{s = 0}^{t} \rho \Bigr)\, {\sigma_{w}}"),
    (Delta(l, l - ONE_INDEX), "δ_{l,l−1}", r"\delta_{l,l-1}"),
    (Expectation(Product((Apply("tanh", (Ket("x"),)), Ket("y")))), "E[tanh(|x⟩) |y⟩]",
     r"\E[\tanh(\ket{x})\, \ket{y}]"),
    (CopyMean((1, 2), Apply("cos", (Ket("w", copy=1),))), "E_{1,2}[cos(|w⟩^[1])]",
     r"\E_{1,2}[\cos(\iid{\ket{w}}{1})]"),
    (Apply("step", (Ket("x"),)), "1(|x⟩ > 0)", r"\mathbf{1}(\ket{x} > 0)"),
    (pair(RELU, TANH), "E[relu(|h^l_a⟩) tanh(|h^l_b⟩)]",
     r"\E[\operatorname{relu}(\ket{h^{l}_{a}})\, \tanh(\ket{h^{l}_{b}})]"),
    (GaussianMean(TANH, RHO, Ket("z")), "E[tanh(|z⟩)]", r"\E[\tanh(\ket{z})]"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "shown", "latex"), CASES)
def test_notation(formula: Formula, shown: str, latex: str) -> None:
    box = Notation().box(formula)
    assert text_boxes.text_inline(box) == shown
    assert latex_boxes.latex_inline(box) == latex


def test_matrices() -> None:
    assert text_boxes.text_inline(operator_box(Matrix("W", (l,), True))) == "W^lᵀ"
    assert latex_boxes.latex_inline(operator_box(Matrix("W", (), True))) == r"\transpose{W}{}"


def test_names() -> None:
    assert names.name_text("sigma_w").text == "σ_w"
    assert names.name_text("Sigma").latex.strip() == r"\Sigma"
    assert names.name_text("Alpha") == names.Glyph("Α", r"\mathrm{A}")
    assert names.name_text("dphi").text == "dφ"
    assert names.name_text("nngp").latex == r"\mathrm{nngp}"
    assert names.name_text("x2").latex == "{x_{2}}"
    assert names.name_text("_").text == "_"


def test_dual_activations_are_named_once() -> None:
    duals = Duals()
    notation = Notation(duals.box)
    arguments = "⟨x^{l−1}_a|x^{l−1}_a⟩, ⟨x^{l−1}_a|x^{l−1}_b⟩, ⟨x^{l−1}_b|x^{l−1}_b⟩"
    assert text_boxes.text_inline(notation.box(pair(RELU, RELU))) == f"V_relu({arguments})"
    mixed = Node(Op.CALL, (Z, TANH), "mul", scalar())
    assert text_boxes.text_inline(notation.box(pair(mixed, Z))) == f"V_{{f_1,id}}({arguments})"
    notation.box(pair(RELU, RELU))
    assert len(duals.shapes) == 2
    assert duals.numbered == [mixed]


# ---- lines ---------------------------------------------------------------------------------------


def long_sum(terms: int) -> Formula:
    return Sum(tuple(Product((Symbol(f"c{k}"), Bracket(x(l, a), x(l, b)))) for k in range(terms)))


@pytest.mark.parametrize("width", [30, 40, 100])
@pytest.mark.parametrize("terms", [1, 2, 7, 30])
def test_lines_are_no_wider_than_asked_and_lose_nothing(width: int, terms: int) -> None:
    formula = Expectation(Sum((long_sum(terms), Apply("tanh", (long_sum(terms),)))))
    box = Notation().box(formula)
    lines = fill_lines(text_boxes.text_pieces(box), width, 4)
    shown = ["".join(t.string for t in line.tokens) for line in lines]
    assert "".join(shown) == text_boxes.text_inline(box)
    assert all(line.indent + text_boxes.terminal_columns(line.string()) <= width for line in lines)


def test_lines_break_at_the_outermost_operator() -> None:
    formula = Sum((RHO, Apply("tanh", (long_sum(4),)), SIGMA))
    lines = text.text_formula(Notation().box(formula), 80).split("\n")
    assert lines[0].startswith("ρ + tanh(c0 ⟨x^l_a|x^l_b⟩ + ")
    assert lines[-1].endswith(") + σ_w")
    short = Sum((RHO, long_sum(2), Apply("tanh", (long_sum(2),))))
    lines = text.text_formula(Notation().box(short), 60).split("\n")
    assert lines == [
        "ρ + (c0 ⟨x^l_a|x^l_b⟩ + c1 ⟨x^l_a|x^l_b⟩)",
        "    + tanh(c0 ⟨x^l_a|x^l_b⟩ + c1 ⟨x^l_a|x^l_b⟩)",
    ]


# ---- other forms ---------------------------------------------------------------------------------


def test_plain_data() -> None:
    found = plain(Product((half(), Bracket(x(l - ONE_INDEX, a), x(l, b)))))
    assert found["text"] == "⟨x^{l−1}_a|x^l_b⟩/2"
    assert found["tree"]["type"] == "Product"
    assert found["tree"]["factors"][0] == {"type": "Number", "value": "1/2"}
    assert found["tree"]["factors"][1]["left"]["indices"] == ["l - 1"]


def test_sympy() -> None:
    import sympy

    found = sympy_expression(
        Sum((Product((half(), Power(SIGMA, Number(Fraction(2))))), AxisSum("i", "d", XI)))
    )
    sigma = sympy.Symbol("sigma_w", real=True)
    label, first, d = sympy.symbols("i a d", integer=True)
    total = sympy.Sum(sympy.IndexedBase("xi", real=True)[label, first], (label, 0, d - 1))
    assert found - sigma**2 / 2 - total == 0
    assert sympy_expression(LoopSum("s", Affine(1), Affine(3), IndexNumber(s))).doit() == 6
    dual = sympy_expression(pair(TANH, TANH))
    assert str(dual).startswith("V_tanh(<x|x>[l - 1, a, l - 1, a], ")
    assert sympy_expression(Bracket(x(l, a), x(l, b))).indices == (
        *sympy.symbols("l a l b", integer=True),
    )


def test_sympy_has_the_closed_forms_of_the_registry() -> None:
    import sympy

    square = Node(Op.CALL, (RELU,), "square", scalar())
    found = sympy_expression(pair(square, square))  # arc-cosine kernel of order 2
    one = dict.fromkeys(found.atoms(sympy.Indexed), 1)
    assert sympy.simplify(found.subs(one) - sympy.Rational(3, 2)) == 0
