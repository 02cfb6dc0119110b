"""Random syntax trees, and trees compared up to parentheses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import strategies as st

from nexort.support.diagnostics import Source, Span
from nexort.syntax import tree as t

NOWHERE = Span(Source("made", ""), 0, 0)

# ---- comparing -----------------------------------------------------------------------------------


def strip(node: Any) -> Any:
    """A tree without Paren nodes."""
    if isinstance(node, t.Paren):
        return strip(node.value)
    return _map(strip, node)


def products(node: Any) -> Any:
    """A tree in which ``f(x)`` and ``f x``, and products of products, are the same."""
    node = _map(products, node)
    if isinstance(node, t.Call) and len(node.args) == 1:
        [argument] = node.args
        if argument.keyword is None and not argument.loops:
            node = t.Juxtaposed((node.callee, argument.value), NOWHERE)
    if isinstance(node, t.Juxtaposed):
        nested = [x.factors if isinstance(x, t.Juxtaposed) else (x,) for x in node.factors]
        node = t.Juxtaposed(sum(nested, ()), NOWHERE)
    return node


def _map(function: Any, node: Any) -> Any:
    if isinstance(node, tuple):
        return tuple(map(function, node))
    if not is_dataclass(node) or isinstance(node, Span):
        return node
    names = [field.name for field in fields(node) if field.name not in ("span", "comments")]
    return replace(node, **{name: function(getattr(node, name)) for name in names})


# ---- making --------------------------------------------------------------------------------------

WORDS = ["a", "W", "x1", "phi", "T", "E", "sum", "n", "state", "output", "_b"]
NUMBERS = ["0", "1", "2.", "0.5", ".5", "1e-4", "12E5"]
OPERATORS = ["+", "-", "*", "/", "@", "^"]
POSTFIXES = ["index", "call", "copied", "prime", "transpose"]
KINDS = [*POSTFIXES, "average", "beside", "binary", "binary", "negative", "sum", "list", "paren"]


class _Maker:
    """Draws syntax trees; ``free`` puts any factors side by side, not only what can be written."""

    def __init__(self, draw: st.DrawFn, free: bool) -> None:
        self.draw, self.free = draw, free

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def many(self, make: Callable[[], Any], least: int = 0, most: int = 2) -> tuple[Any, ...]:
        return tuple(make() for _ in range(self.draw(st.integers(least, most))))

    def maybe(self, make: Callable[[], Any]) -> Any:
        return make() if self.draw(st.booleans()) else None

    # expressions

    def short(self) -> t.Expr:
        if self.draw(st.booleans()):
            return t.Name(self.pick(WORDS), NOWHERE)
        return t.Number(self.pick(NUMBERS), NOWHERE)

    def label(self) -> t.Label:
        if self.draw(st.integers(0, 5)) == 0:
            return t.Label("1", (), NOWHERE)
        return t.Label(self.pick(WORDS), self.label_items(), NOWHERE)

    def label_items(self, depth: int = 3) -> tuple[t.Item, ...]:
        return self.many(lambda: self.label_item(depth)) if depth else ()

    def label_item(self, depth: int) -> t.Item:
        match self.pick(["full", "range", "binary", "index", "short"]):
            case "full":
                return t.FullSlice(NOWHERE)
            case "range":
                return t.Range(self.short(), self.short(), self.maybe(self.short), NOWHERE)
            case "binary":
                return t.Binary(self.pick(OPERATORS), self.short(), self.short(), NOWHERE)
            case "index":
                items = self.label_items(depth - 1)
                return t.Index(self.short(), items, NOWHERE) if items else self.short()
            case _:
                return self.short()

    def atom(self) -> t.Expr:
        match self.pick(["short", "short", "ket", "bra", "braket"]):
            case "ket":
                return t.Ket(self.label(), NOWHERE)
            case "bra":
                return t.Bra(self.label(), NOWHERE)
            case "braket":
                return t.BraKet(self.label(), self.label(), NOWHERE)
            case _:
                return self.short()

    def expr(self, depth: int = 3) -> t.Expr:
        if depth == 0 or self.draw(st.integers(0, 4)) == 0:
            return self.atom()
        return self.made(self.pick(KINDS), depth - 1)

    def made(self, kind: str, depth: int) -> t.Expr:
        def inner() -> t.Expr:
            return self.expr(depth)

        match kind:
            case "average":
                copies = self.many(lambda: self.draw(st.integers(0, 12)), 1)
                return t.Expectation(copies, inner(), NOWHERE)
            case "beside":
                return self.beside(depth)
            case "binary":
                return t.Binary(self.pick(OPERATORS), inner(), inner(), NOWHERE)
            case "negative":
                return t.Negative(inner(), NOWHERE)
            case "sum":
                return t.Sum(self.many(lambda: self.binder(depth), 1), inner(), NOWHERE)
            case "list":
                return t.ListLiteral(self.many(inner, 1, 3), NOWHERE)
            case "paren":
                return t.Paren(inner(), NOWHERE)
            case _:
                return self.postfixed(kind, inner(), depth)

    def postfixed(self, kind: str, base: t.Expr, depth: int) -> t.Expr:
        match kind:
            case "index":
                return t.Index(base, self.many(lambda: self.item(depth), 1), NOWHERE)
            case "call":
                return t.Call(base, self.many(lambda: self.argument(depth), 0, 3), NOWHERE)
            case "copied":
                return t.Copied(base, self.draw(st.integers(0, 12)), NOWHERE)
            case "prime":
                return t.Prime(base, NOWHERE)
            case _:
                return t.Transpose(base, NOWHERE)

    def beside(self, depth: int) -> t.Expr:
        if self.free:
            return t.Juxtaposed(self.many(lambda: self.expr(depth), 2, 3), NOWHERE)
        first = self.expr(depth)
        return t.Juxtaposed((first, *self.many(lambda: self.follower(depth), 1)), NOWHERE)

    def follower(self, depth: int) -> t.Expr:
        """A factor whose text does not start with a bracket."""
        factor = self.atom()
        for _ in range(self.draw(st.integers(0, 2))):
            kind = self.pick(POSTFIXES)
            if factor == t.Name("E", NOWHERE) and kind == "copied":
                kind = "prime"  # E{1}[x] is an average
            factor = self.postfixed(kind, factor, max(0, depth - 1))
        if self.draw(st.integers(0, 3)) == 0:
            factor = t.Binary("^", factor, self.expr(max(0, depth - 1)), NOWHERE)
        return factor

    def item(self, depth: int) -> t.Item:
        match self.pick(["expr", "expr", "range", "full"]):
            case "range":
                return self.range(depth)
            case "full":
                return t.FullSlice(NOWHERE)
            case _:
                return self.expr(depth)

    def range(self, depth: int) -> t.Range:
        step = self.maybe(lambda: self.expr(depth))
        return t.Range(self.expr(depth), self.expr(depth), step, NOWHERE)

    def binder(self, depth: int = 1) -> t.Binder:
        return t.Binder(self.pick(WORDS), self.range(depth), NOWHERE)

    def argument(self, depth: int) -> t.Argument:
        keyword = self.maybe(lambda: self.pick(WORDS))
        loops = () if keyword else self.many(lambda: self.binder(depth))
        return t.Argument(self.expr(depth), keyword, loops, NOWHERE)

    # statements

    def declared(self, value: bool) -> t.Declared:
        items = self.many(lambda: self.item(1))
        default = self.maybe(lambda: self.expr(2)) if value else None
        return t.Declared(self.pick(WORDS), items, default, NOWHERE)

    def parameters(self) -> tuple[t.Parameter, ...]:
        return self.many(
            lambda: t.Parameter(self.pick(WORDS), self.maybe(lambda: self.expr(1)), NOWHERE)
        )

    def statement(self, depth: int = 2) -> t.Statement:
        kinds = ["import", "declaration", "random", "function", "binding", "binding", "output"]
        match self.pick([*kinds, "update", *(["for", "for"] if depth else [])]):
            case "import":
                return t.Import(self.pick(["layers.nxt", "a b/ü.nxt", ""]), NOWHERE)
            case "declaration":
                keyword = self.pick(["param", "dim", "data"])
                names = self.many(lambda: self.declared(True), 1)
                return t.Declaration(keyword, names, NOWHERE)
            case "random":
                keyword = self.pick(["vector", "matrix", "scalar"])
                joint, arrow = self.draw(st.booleans()), self.draw(st.booleans())
                names = self.many(lambda: self.declared(False), 1)
                law = self.expr(2)
                return t.Random(keyword, names, law, joint, arrow and keyword == "scalar", NOWHERE)
            case "function":
                return t.Function(self.pick(WORDS), self.parameters(), self.expr(), NOWHERE)
            case "output":
                return t.Output(self.many(self.output, 1, 3), NOWHERE)
            case "update":
                body = self.many(
                    lambda: t.Assign(
                        self.pick(WORDS), self.expr(2), self.draw(st.booleans()), NOWHERE
                    )
                )
                return t.Update(self.pick(WORDS), self.parameters(), body, self.expr(2), NOWHERE)
            case "for":
                return t.For(self.binder(), self.many(lambda: self.statement(depth - 1)), NOWHERE)
            case _:
                ket = self.draw(st.booleans())
                target = t.Target(self.pick(WORDS), self.label_items(), ket, NOWHERE)
                return t.Binding(target, self.expr(), self.many(self.binder), NOWHERE)

    def output(self) -> t.OutputItem:
        return t.OutputItem(self.expr(), self.maybe(lambda: self.pick(WORDS)), NOWHERE)


@st.composite
def expressions(draw: st.DrawFn, free: bool = False) -> t.Expr:
    """Expressions; with ``free`` also factors side by side that have no text of their own."""
    return _Maker(draw, free).expr()


@st.composite
def modules(draw: st.DrawFn) -> t.Module:
    """Modules without comments."""
    maker = _Maker(draw, False)
    return t.Module(maker.many(maker.statement, 0, 3), (), NOWHERE)
