"""Syntax tree to layout documents, with the parentheses that precedence requires.

One kind of tree has no text of its own: a factor after another one cannot start with a bracket. So
``W`` beside ``a + b`` becomes the product ``W(a + b)``, and a juxtaposition after a factor becomes
its factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from nexort.syntax import tree as t
from nexort.syntax.layout import Doc, bracketed_doc, commas, fill_doc, flat_text, sequence

EXPR, TERM, PRODUCT, UNARY, BESIDE, POWER, POSTFIX = range(7)
"""How tightly an expression binds: the productions of the grammar of these names."""

Atom = t.Number | t.Name | t.Ket | t.Bra | t.BraKet
Postfixed = t.Index | t.Copied | t.Call | t.Prime | t.Transpose
Bracketed = t.Expectation | t.ListLiteral | t.Paren


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where an expression stands: ``tight`` has no spaces around operators, as in ``x[l-1]``;
    ``inside`` brackets a line may be broken anywhere."""

    tight: bool = False
    inside: bool = False

    @property
    def nested(self) -> Surroundings:
        """The place inside a further bracket."""
        return Surroundings(self.tight, inside=True)


OUTSIDE = Surroundings()
INDEX = Surroundings(tight=True, inside=True)


def expression_doc(expr: t.Expr, place: Surroundings = OUTSIDE, level: int = EXPR) -> Doc:
    """An expression where one that binds at least as tightly as ``level`` may stand."""
    if isinstance(expr, t.Juxtaposed):
        expr = _writable(expr.factors)
    if _binds(expr) < level:
        return bracketed_doc("(", [expression_doc(expr, place.nested)], ")")
    match expr:
        case t.Number() | t.Name() | t.Ket() | t.Bra() | t.BraKet():
            return _atom(expr)
        case t.Index() | t.Copied() | t.Call() | t.Prime() | t.Transpose():
            return _postfixed(expr, place)
        case t.Expectation() | t.ListLiteral() | t.Paren():
            return _bracketed(expr, place)
        case t.Negative(value):
            inner = expression_doc(value, place, TERM if isinstance(value, t.Sum) else UNARY)
            return sequence("-", inner)
        case t.Binary("^", left, right):
            return sequence(expression_doc(left, place, POSTFIX), "^", _exponent(right, place))
        case t.Binary():
            return _chain(expr, place)
        case t.Juxtaposed(factors):
            parts = [expression_doc(factor, place, POWER) for factor in factors]
            gaps = _gaps(factors)
            if place.inside:
                return fill_doc(parts, gaps)
            return sequence(
                parts[0], *(x for pair in zip(gaps, parts[1:], strict=True) for x in pair)
            )
        case t.Sum(loops, body):
            binders = bracketed_doc("sum(", [binder_doc(x, place.nested) for x in loops], ")")
            return sequence(binders, " ", expression_doc(body, place, TERM))
        case _:
            assert_never(expr)


def _binds(expr: t.Expr) -> int:
    match expr:
        case t.Binary("+" | "-"):
            return EXPR
        case t.Sum() | t.Negative(t.Sum()) | t.Binary("*", _, t.Sum()):
            return TERM
        case t.Binary("^"):
            return POWER
        case t.Binary():
            return PRODUCT
        case t.Negative():
            return UNARY
        case t.Juxtaposed():
            return BESIDE
        case _:
            return POSTFIX


# ---- the productions -----------------------------------------------------------------------------


def _atom(expr: Atom) -> str:
    match expr:
        case t.Number(text):
            return text
        case t.Name(name):
            return name
        case t.Ket(name):
            return f"|{label_doc(name)}>"
        case t.Bra(name):
            return f"<{label_doc(name)}|"
        case t.BraKet(left, right):
            return f"<{label_doc(left)}|{label_doc(right)}>"
        case _:
            assert_never(expr)


def label_doc(name: t.Label | t.Target) -> str:
    """What stands between bars; it cannot be broken."""
    return flat_text(sequence(name.name, _items(name.items)))


def _postfixed(expr: Postfixed, place: Surroundings) -> Doc:
    if isinstance(expr, t.Call):
        base = expression_doc(expr.callee, place, POSTFIX)
        return sequence(
            base, bracketed_doc("(", [_argument(x, place.nested) for x in expr.args], ")")
        )
    base = expression_doc(expr.base, place, POSTFIX)
    match expr:
        case t.Index(_, items):
            shown = sequence("(", base, ")") if _reads_as_expectation(expr) else base
            return sequence(shown, _items(items))
        case t.Copied(_, copy):
            return sequence(base, f"{{{copy}}}")
        case t.Prime():
            return sequence(base, "'")
        case t.Transpose():
            return sequence(base, "^T")
        case _:
            assert_never(expr)


def _reads_as_expectation(expr: t.Index) -> bool:
    """``E{1}[x]`` where E is a name."""
    return isinstance(expr.base, t.Copied) and expr.base.base == t.Name("E", expr.span)


def _bracketed(expr: Bracketed, place: Surroundings) -> Doc:
    match expr:
        case t.Expectation(copies, body):
            opening = f"E{{{','.join(map(str, copies))}}}["
            return bracketed_doc(opening, [expression_doc(body, place.nested)], "]")
        case t.ListLiteral(items):
            return bracketed_doc("[", [expression_doc(x, place.nested) for x in items], "]")
        case t.Paren(value):
            return bracketed_doc("(", [expression_doc(value, place.nested)], ")")
        case _:
            assert_never(expr)


def _exponent(expr: t.Expr, place: Surroundings, negative: bool = False) -> Doc:
    """An exponent; ``x^(T)`` keeps its parentheses because ``x^T`` is a transpose."""
    match expr:
        case t.Number() | t.Paren():
            return expression_doc(expr, place)
        case t.Name(name) | t.Index(t.Name(name)) if name != "T" or negative:
            return expression_doc(expr, place)
        case t.Negative(value):
            return sequence("-", _exponent(value, place, negative=True))
        case _:
            return bracketed_doc("(", [expression_doc(expr, place.nested)], ")")


def _chain(expr: t.Binary, place: Surroundings) -> Doc:
    """``a + b - c`` or ``a * b / c``: the left operands unwound, however many there are."""
    ours, first, others = ("+-", EXPR, TERM) if expr.op in "+-" else ("*/@", PRODUCT, UNARY)
    operands: list[Doc] = []
    operators: list[str] = []
    left: t.Expr = expr
    while (
        isinstance(left, t.Binary) and left.op in ours and (not operators or _binds(left) == first)
    ):
        after_star = left.op == "*" and not operators and isinstance(left.right, t.Sum)
        operands.append(expression_doc(left.right, place, TERM if after_star else others))
        operators.append(left.op)
        bottom, left = left, left.left
    operands.append(expression_doc(left, place, first))
    operands.reverse()
    operators.reverse()
    alone = len(operators) == 1 or operators[1] != "/"
    if operators[0] == "/" and alone and _is_short(left) and _is_short(bottom.right):
        operands[:2] = [f"{flat_text(operands[0])}/{flat_text(operands[1])}"]
        operators.pop(0)
        if not operators:
            return operands[0]
    return fill_doc(operands, operators if place.tight else [f" {x} " for x in operators])


def _is_short(expr: t.Expr) -> bool:
    """Whether ``expr/n`` needs no spaces: a name or a number, perhaps negative."""
    value = expr.value if isinstance(expr, t.Negative) else expr
    return isinstance(value, t.Number | t.Name)


def _argument(argument: t.Argument, place: Surroundings) -> Doc:
    value = expression_doc(argument.value, place)
    if argument.keyword:
        return sequence(f"{argument.keyword}=", value)
    if not argument.loops:
        return value
    binders = [binder_doc(x, place) for x in argument.loops]
    return fill_doc([value, *binders], [" for ", *(", " for _ in binders[1:])])


def binder_doc(loop: t.Binder, place: Surroundings = OUTSIDE) -> Doc:
    """``k in first..last``."""
    return sequence(f"{loop.var} in ", _range(loop.range, place))


def _range(interval: t.Range, place: Surroundings) -> Doc:
    place = Surroundings(tight=True, inside=place.inside)
    first = expression_doc(interval.first, place)
    last = expression_doc(interval.last, place)
    # `1. ..3` and `1.. .3`: of three dots none would be of a number
    gap, other = (
        " " if dot else "" for dot in (flat_text(first).endswith("."), flat_text(last)[0] == ".")
    )
    parts = [first, f"{gap}..{other}", last]
    if interval.step is not None:
        parts += [" by ", expression_doc(interval.step, place)]
    return sequence(*parts)


def _items(items: tuple[t.Item, ...]) -> Doc:
    """``[i, j..k, :]``, or nothing."""
    return bracketed_doc("[", map(_item, items), "]") if items else ""


def _item(item: t.Item) -> Doc:
    match item:
        case t.FullSlice():
            return ":"
        case t.Range():
            return _range(item, INDEX)
        case _:
            return expression_doc(item, INDEX)


# ---- factors side by side ------------------------------------------------------------------------


def _writable(factors: tuple[t.Expr, ...]) -> t.Expr:
    """Factors side by side as they can be written: what cannot follow a factor is its argument."""
    done: list[t.Expr] = []
    waiting = list(reversed(factors))
    while waiting:
        factor = waiting.pop()
        if done and isinstance(factor, t.Juxtaposed):
            waiting += reversed(factor.factors)
            continue
        done.append(factor)
        while len(done) > 1 and not _may_follow(done[-1]):
            last = done.pop()
            value = last.value if isinstance(last, t.Paren) else last
            argument = t.Argument(value, None, (), last.span)
            done[-1] = t.Call(done[-1], (argument,), last.span)
    return done[0] if len(done) == 1 else t.Juxtaposed(tuple(done), factors[0].span)


def _gaps(factors: tuple[t.Expr, ...]) -> list[str]:
    """What stands between factors: a space, and nothing at the inner bars of ``<x|W|y>``."""
    gaps = [" "] * (len(factors) - 1)
    bra = None
    for k, factor in enumerate(factors):
        if isinstance(factor, t.Ket) and bra is not None and k > bra + 1:
            gaps[bra] = gaps[k - 1] = ""
        if isinstance(factor, t.Bra):
            bra = k
        elif isinstance(factor, t.Ket | t.BraKet):
            bra = None
    return gaps


def _may_follow(expr: t.Expr) -> bool:
    """Whether the text of a factor starts without a bracket."""
    while True:
        match expr:
            case t.Binary("^", first) | t.Index(first) | t.Copied(first):
                if isinstance(expr, t.Index) and _reads_as_expectation(expr):
                    return False
            case t.Call(first) | t.Prime(first) | t.Transpose(first):
                pass
            case _:
                return isinstance(expr, Atom | t.Expectation)
        if _binds(first) < POSTFIX:
            return False
        expr = first


# ---- statements ----------------------------------------------------------------------------------


def statement(node: t.Plain) -> Doc:
    """A statement; of a block, the line that opens it."""
    match node:
        case t.Import(path):
            return f'import "{path}"'
        case t.Declaration(keyword, names):
            return sequence(f"{keyword} ", commas(map(_declared, names)))
        case t.Random():
            return _random(node)
        case t.Function(name, parameters, body):
            return sequence(f"fn {name}", _parameters(parameters), " = ", expression_doc(body))
        case t.Update(name, parameters):
            return sequence(f"update {name}", _parameters(parameters), " {")
        case t.Binding(target, value, loops):
            clauses = [x for loop in loops for x in (" for ", binder_doc(loop))]
            return sequence(_target(target), " = ", expression_doc(value), *clauses)
        case t.For(loop):
            return sequence("for ", binder_doc(loop), " {")
        case t.Network(name, parameters):
            return sequence(f"network {name}", _parameters(parameters), " {")
        case t.Weight():
            return _weight(node)
        case t.Returned(value):
            return sequence("return ", expression_doc(value))
        case t.Train(name):
            return f"train {name} {{"
        case t.Optimizer(name, parameters):
            return sequence(f"optimizer {name}", _parameters(parameters), " {")
        case t.Output(items):
            return sequence("output ", commas(_output(x, k == 0) for k, x in enumerate(items)))
        case _:
            assert_never(node)


def _declared(name: t.Declared) -> Doc:
    head = sequence(name.name, _items(name.items))
    return head if name.value is None else sequence(head, " = ", expression_doc(name.value))


def _random(node: t.Random) -> Doc:
    declared = [_declared(name) for name in node.names]
    names = bracketed_doc("(", declared, ")") if node.joint else commas(declared)
    return sequence(
        f"{node.keyword} ", names, " -> " if node.arrow else " ~ ", expression_doc(node.law)
    )


def _weight(node: t.Weight) -> Doc:
    head = sequence("weight ", commas(map(_declared, node.names)), " : ", _declared(node.kind))
    if node.law is not None:
        return sequence(head, " ~ ", expression_doc(node.law))
    return head if node.value is None else sequence(head, " = ", expression_doc(node.value))


def setting(node: t.Setting) -> Doc:
    """A line of a training; of explicit exponents, the line that opens them."""
    if node.exponents:
        return f"{node.word} {{"
    if node.value is None:
        return node.word
    line = sequence(f"{node.word} ", expression_doc(node.value))
    if not node.targets:
        return line
    return sequence(line, " for ", commas(map(_declared, node.targets)))


def exponents_doc(node: t.Exponents) -> Doc:
    """``u: a=0, b=1/2``."""
    values = commas(_argument(x, OUTSIDE) for x in node.values)
    return sequence(node.name, _items(node.items), ": ", values)


def step(node: t.Assign | t.Updated) -> Doc:
    """A line of an optimizer."""
    if isinstance(node, t.Updated):
        return sequence("update ", expression_doc(node.value))
    return assignment(node)


def _parameters(parameters: tuple[t.Parameter, ...]) -> Doc:
    return bracketed_doc(
        "(",
        [
            x.name
            if x.default is None
            else sequence(f"{x.name}=", expression_doc(x.default, OUTSIDE.nested))
            for x in parameters
        ],
        ")",
    )


def _target(target: t.Target) -> Doc:
    return f"|{label_doc(target)}>" if target.ket else sequence(target.name, _items(target.items))


def _output(item: t.OutputItem, first: bool) -> Doc:
    """An output; ``output [`` would start a binding of a name ``output``."""
    value = expression_doc(item.value)
    if first and flat_text(value).startswith("["):
        value = bracketed_doc("(", [expression_doc(item.value, OUTSIDE.nested)], ")")
    return value if item.alias is None else sequence(value, f" as {item.alias}")


def assignment(node: t.Assign) -> Doc:
    """A line of an update function."""
    return sequence("state " if node.state else "", f"{node.name} = ", expression_doc(node.value))


def result(node: t.Update) -> Doc:
    """The last line of an update function."""
    return sequence("return ", expression_doc(node.result))
