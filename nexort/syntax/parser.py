"""Text to syntax tree: ``parse(source)``.

Lark parses one statement at a time. An LALR parser sees only the kinds of tokens, so two statements
with the same kinds have the same parse: the parse is kept by kinds and :class:`_Builder`, whose
methods are the productions of ``grammar/nexort.lark``, replays it over the tokens at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nexort.support import collector
from nexort.support.diagnostics import Report, Source, Span, fail
from nexort.syntax import tree as t
from nexort.syntax.explain import UnexpectedError, explain_unexpected
from nexort.syntax.lexing import Token, scan

Recipe = tuple[int | tuple[str, int], ...]
"""A parse in postfix order: positions of tokens in the statement, and productions, each with how
many of the latest results are its children."""

DEEPEST = 100
"""How many productions may be inside one another; a chain ``a + b + ...`` counts as one."""


LONGEST = 400_000
"""Words and signs of a program, which take some seconds; more is data in the wrong place."""


def grammar_text() -> str:
    """The grammar: beside the package in a wheel, in ``grammar/`` in a checkout."""
    packaged = resources.files("nexort") / "grammar" / "nexort.lark"
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).parents[2] / "grammar" / "nexort.lark").read_text("utf-8")


def parse(source: Source) -> t.Module:
    """The syntax tree of a source. Raises NexortError with the first error of every statement."""
    comments: list[t.Comment] = []
    report = Report()
    builder = _Builder(source)
    statements: list[t.Statement] = []
    with collector.pause_collector():
        for tokens in _statements(_counted(source, scan(source, comments))):
            try:
                statements.append(builder.build(_recipe(tuple(tok.kind for tok in tokens)), tokens))
            except UnexpectedError as error:
                report.add(explain_unexpected(source, tokens, error))
            except _TooDeepError:
                where = Span(source, tokens[0].start, tokens[-1].end)
                report.error("syntax", "this statement is nested too deeply", where)
    report.stop()
    return t.Module(tuple(statements), tuple(comments), Span(source, 0, len(source.text)))


def _counted(source: Source, tokens: Iterable[Token]) -> Iterator[Token]:
    for count, token in enumerate(tokens, 1):
        if count > LONGEST:
            message = f"the program has more than {LONGEST:,} words and signs"
            where = Span(source, token.start, token.end)
            raise fail("too-long", message, where, help="long data go into files: --data xi=xi.npy")
        yield token


def _statements(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The tokens of each top-level statement; braces keep their block together."""
    current: list[Token] = []
    depth = 0
    for token in tokens:
        if token.kind == "SEP" and depth == 0:
            if current:
                yield current
            current = []
            continue
        if token.kind == "LBRACE":
            depth += 1
        elif token.kind == "RBRACE":
            depth = max(0, depth - 1)
        current.append(token)
    if current:
        yield current


# ---- Lark, one statement shape at a time ---------------------------------------------------------


class _TooDeepError(Exception):
    """A statement is nested more than ``DEEPEST`` deep."""


@cache
def _lark() -> Any:
    """Lark's parser over a sequence of token kinds; a token's text is its position."""
    from lark import Lark
    from lark import Token as LarkToken
    from lark.lexer import Lexer

    class Kinds(Lexer):
        def __init__(self, lexer_conf: object) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: object = None) -> Iterator[LarkToken]:
            return (LarkToken(kind, str(k)) for k, kind in enumerate(lexer_state))

    return Lark(
        grammar_text(), parser="lalr", lexer=Kinds, keep_all_tokens=True, maybe_placeholders=False
    )


@cache
def _recipe(kinds: tuple[str, ...]) -> Recipe:
    """The parse of a statement with these token kinds. Raises UnexpectedError or _TooDeepError."""
    from lark.exceptions import UnexpectedToken

    try:
        tree = _lark().parse(kinds)
    except UnexpectedToken as error:
        position = len(kinds) if error.token.type == "$END" else int(error.token)
        expected = frozenset(error.accepts or error.expected)
        raise UnexpectedError(position, expected) from None
    return _as_recipe(tree.children[0])


def _as_recipe(root: Any) -> Recipe:
    """The tree's nodes with children before parents: right to left from the root, reversed."""
    recipe: list[int | tuple[str, int]] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, str):
            recipe.append(int(node))
            continue
        if depth > DEEPEST:
            raise _TooDeepError
        recipe.append((str(node.data), len(node.children)))
        for child in node.children:
            chained = child is node.children[0] and _is_binary(child) and _is_binary(node)
            waiting.append((child, depth if chained else depth + 1))
    recipe.reverse()
    return tuple(recipe)


def _is_binary(node: Any) -> bool:
    return not isinstance(node, str) and node.data == "binary"


# ---- building the tree ---------------------------------------------------------------------------


class _Builder:
    """One method a production; ``c`` holds tokens and finished nodes, in order."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def build(self, recipe: Recipe, tokens: list[Token]) -> Any:
        """Replay a recipe over the statement's tokens."""
        done: list[Any] = []
        for step in recipe:
            if isinstance(step, int):
                done.append(tokens[step])
            else:
                method, count = step
                first = len(done) - count
                children = done[first:]
                del done[first:]
                done.append(getattr(self, method)(children))
        return done[0]

    def _span(self, children: list[Any]) -> Span:
        first, last = children[0], children[-1]
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    # statements

    def import_(self, c: list[Any]) -> t.Import:
        return t.Import(c[1].text[1:-1], self._span(c))

    def declaration(self, c: list[Any]) -> t.Declaration:
        return t.Declaration(c[0].text, _nodes(c[1:]), self._span(c))

    def declared(self, c: list[Any]) -> t.Declared:
        items = c[1].items if len(c) > 1 and isinstance(c[1], _Axes) else ()
        value = c[-1] if len(c) > 2 else None
        return t.Declared(c[0].text, items, value, self._span(c))

    def names(self, c: list[Any]) -> _Names:
        return _Names(_nodes(c), isinstance(c[0], Token), self._span(c))

    def random(self, c: list[Any]) -> t.Random:
        return t.Random(c[0].text, c[1].names, c[3], c[1].joint, False, self._span(c))

    def arrow(self, c: list[Any]) -> t.Random:
        return t.Random(c[0].text, c[1].names, c[3], c[1].joint, True, self._span(c))

    def axes(self, c: list[Any]) -> _Axes:
        return _Axes(_nodes(c), self._span(c))

    def parameters(self, c: list[Any]) -> tuple[t.Parameter, ...]:
        return _nodes(c)

    def parameter(self, c: list[Any]) -> t.Parameter:
        return t.Parameter(c[0].text, c[2] if len(c) > 1 else None, self._span(c))

    def function(self, c: list[Any]) -> t.Function:
        return t.Function(c[1].text, c[3], c[6], self._span(c))

    def update(self, c: list[Any]) -> t.Update:
        body = tuple(x for x in c if isinstance(x, t.Assign))
        result = next(
            c[k + 1] for k, x in enumerate(c) if isinstance(x, Token) and x.kind == "RETURN"
        )
        return t.Update(c[1].text, c[3], body, result, self._span(c))

    def updated(self, c: list[Any]) -> t.Updated:
        return t.Updated(c[1], self._span(c))

    def optimizer(self, c: list[Any]) -> t.Optimizer:
        body = tuple(x for x in c if isinstance(x, t.Assign | t.Updated))
        return t.Optimizer(c[1].text, c[3], body, self._span(c))

    def network(self, c: list[Any]) -> t.Network:
        return t.Network(c[1].text, c[3], _nodes(c[4:]), self._span(c))

    def weight(self, c: list[Any]) -> t.Weight:
        law = c[5] if len(c) > 4 and c[4].kind == "TILDE" else None
        value = c[5] if len(c) > 4 and c[4].kind == "EQUAL" else None
        return t.Weight(c[1].names, c[3], law, value, self._span(c))

    def returned(self, c: list[Any]) -> t.Returned:
        return t.Returned(c[1], self._span(c))

    def train(self, c: list[Any]) -> t.Train:
        return t.Train(c[1].text, _nodes(c[3:]), self._span(c))

    def setting(self, c: list[Any]) -> t.Setting:
        rest = _nodes(c[1:])
        exponents = tuple(x for x in rest if isinstance(x, t.Exponents))
        targets = tuple(x for x in rest if isinstance(x, t.Declared))
        value = rest[0] if rest and not exponents else None
        words = [x.kind.lower() for x in c if isinstance(x, Token) and x.kind in ("CLIP", "PAPER")]
        word = " ".join(words) or c[0].kind.lower()
        return t.Setting(word, value, exponents, targets, self._span(c))

    def exponents(self, c: list[Any]) -> t.Exponents:
        items = c[1].items if isinstance(c[1], _Axes) else ()
        values = tuple(x for x in c if isinstance(x, t.Argument))
        return t.Exponents(c[0].text, items, values, self._span(c))

    def assign(self, c: list[Any]) -> t.Assign:
        return t.Assign(c[-3].text, c[-1], len(c) == 4, self._span(c))

    def target(self, c: list[Any]) -> t.Target:
        return t.Target(c[0].text, c[1].items if len(c) > 1 else (), False, self._span(c))

    def ket_target(self, c: list[Any]) -> t.Target:
        return t.Target(c[1].name, c[1].items, True, self._span(c))

    def binding(self, c: list[Any]) -> t.Binding:
        return t.Binding(c[0], c[2], _nodes(c[3:]), self._span(c))

    def for_(self, c: list[Any]) -> t.For:
        """Several binders are loops inside one another."""
        parts, span = _nodes(c), self._span(c)
        *loops, innermost = (x for x in parts if isinstance(x, t.Binder))
        made = t.For(innermost, tuple(x for x in parts if not isinstance(x, t.Binder)), span)
        for binder in reversed(loops):
            made = t.For(binder, (made,), span)
        return made

    def binder(self, c: list[Any]) -> t.Binder:
        return t.Binder(c[0].text, c[2], self._span(c))

    def output(self, c: list[Any]) -> t.Output:
        return t.Output(_nodes(c), self._span(c))

    def output_item(self, c: list[Any]) -> t.OutputItem:
        return t.OutputItem(c[0], c[2].text if len(c) > 1 else None, self._span(c))

    # expressions

    def full_slice(self, c: list[Any]) -> t.FullSlice:
        return t.FullSlice(self._span(c))

    def range(self, c: list[Any]) -> t.Range:
        return t.Range(c[0], c[2], c[4] if len(c) > 3 else None, self._span(c))

    def binary(self, c: list[Any]) -> t.Binary:
        return t.Binary(_OPERATORS[c[1].kind], c[0], c[2], self._span(c))

    def negative(self, c: list[Any]) -> t.Negative:
        return t.Negative(c[1], self._span(c))

    def sum(self, c: list[Any]) -> t.Sum:
        loops = tuple(x for x in c[:-1] if isinstance(x, t.Binder))
        return t.Sum(loops, c[-1], self._span(c))

    def juxtaposed(self, c: list[Any]) -> t.Juxtaposed:
        return t.Juxtaposed(tuple(c), self._span(c))

    def paren(self, c: list[Any]) -> t.Paren:
        return t.Paren(c[1], self._span(c))

    def list_literal(self, c: list[Any]) -> t.ListLiteral:
        return t.ListLiteral(_nodes(c), self._span(c))

    def index(self, c: list[Any]) -> t.Index:
        return t.Index(c[0], c[1].items, self._span(c))

    def named_index(self, c: list[Any]) -> t.Index:
        return t.Index(self.name(c[:1]), c[1].items, self._span(c))

    def call(self, c: list[Any]) -> t.Call:
        args: list[t.Argument] = []
        for x in _nodes(c[1:]):
            if isinstance(x, t.Binder):
                before = args.pop()
                loops = (*before.loops, x)
                args.append(replace(before, loops=loops, span=before.span.to(x.span)))
            else:
                args.append(x)
        return t.Call(c[0], tuple(args), self._span(c))

    def argument(self, c: list[Any]) -> t.Argument:
        loops = tuple(x for x in c[1:] if isinstance(x, t.Binder))
        return t.Argument(c[0], None, loops, self._span(c))

    def keyword_argument(self, c: list[Any]) -> t.Argument:
        return t.Argument(c[2], c[0].text, (), self._span(c))

    def prime(self, c: list[Any]) -> t.Prime:
        return t.Prime(c[0], self._span(c))

    def transpose(self, c: list[Any]) -> t.Transpose:
        return t.Transpose(c[0], self._span(c))

    def copied(self, c: list[Any]) -> t.Copied:
        return t.Copied(c[0], int(c[1].text[1:-1].strip()), self._span(c))

    def number(self, c: list[Any]) -> t.Number:
        return t.Number(c[0].text, self._span(c))

    def name(self, c: list[Any]) -> t.Name:
        return t.Name(c[0].text, self._span(c))

    def ket(self, c: list[Any]) -> t.Ket:
        return t.Ket(c[1], self._span(c))

    def bra(self, c: list[Any]) -> t.Bra:
        return t.Bra(c[1], self._span(c))

    def braket(self, c: list[Any]) -> t.BraKet:
        return t.BraKet(c[1], c[3], self._span(c))

    def expectation(self, c: list[Any]) -> t.Expectation:
        inside = c[0].text[c[0].text.index("{") + 1 : -1]
        return t.Expectation(tuple(int(k) for k in inside.split(",")), c[2], self._span(c))

    def label(self, c: list[Any]) -> t.Label:
        return t.Label(c[0].text, c[1].items if len(c) > 1 else (), self._span(c))


class _Axes:
    """The items of a bracket, while the tree is built."""

    __slots__ = ("items", "span")

    def __init__(self, items: tuple[t.Item, ...], span: Span) -> None:
        self.items, self.span = items, span


class _Names:
    """The names of a declaration, while the tree is built."""

    __slots__ = ("joint", "names", "span")

    def __init__(self, names: tuple[t.Declared, ...], joint: bool, span: Span) -> None:
        self.names, self.joint, self.span = names, joint, span


_OPERATORS = {"PLUS": "+", "MINUS": "-", "STAR": "*", "SLASH": "/", "AT": "@", "CARET": "^"}


def _nodes(children: list[Any]) -> tuple[Any, ...]:
    """The finished nodes among the children, without the tokens."""
    return tuple(x for x in children if not isinstance(x, Token))
