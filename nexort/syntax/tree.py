"""The syntax tree: what was written, with source spans that take no part in equality."""
# ruff: noqa: RUF009  (_span() is dataclasses.field)

from __future__ import annotations

from dataclasses import dataclass, field

from nexort.support.diagnostics import Span


def _span() -> Span:
    return field(compare=False, repr=False)  # type: ignore[no-any-return]


# ---- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; ``text`` as written, so that printing is exact."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """``phi``; Greek letters are already spelled out."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index:
    """``base[i, j]``; an item is an expression, a range or a full slice."""

    base: Expr
    items: tuple[Item, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class FullSlice:
    """``:`` inside an index."""

    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Range:
    """``first..last`` or ``first..last by step``, both ends included."""

    first: Expr
    last: Expr
    step: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Label:
    """What stands between the bars: ``x[l-1]`` or ``1``."""

    name: str
    items: tuple[Item, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Ket:
    """``|x[l]>``."""

    label: Label
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Bra:
    """``<x[l]|``."""

    label: Label
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BraKet:
    """``<x|y>``."""

    left: Label
    right: Label
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Copied:
    """``|x>{2}``: the second iid copy of a ket."""

    base: Expr
    copy: int
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Expectation:
    """``E{1,2}[ body ]``: the average over iid copies 1 and 2."""

    copies: tuple[int, ...]
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """``phi(a, b, c for s in 0..t, eps=1e-4)``, or an operator before parentheses."""

    callee: Expr
    args: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: positional, a comprehension (``loops``), or by keyword."""

    value: Expr
    keyword: str | None
    loops: tuple[Binder, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binder:
    """``k in first..last``."""

    var: str
    range: Range
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Prime:
    """``phi'``: the derivative by the first argument."""

    base: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Transpose:
    """``W^T``."""

    base: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Negative:
    """``-x``."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """``left op right`` with op one of ``+ - * / @ ^``."""

    op: str
    left: Expr
    right: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Juxtaposed:
    """``W^T W |x>`` or ``|x> chi <y|``: factors side by side, at least two."""

    factors: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Sum:
    """``sum(l in 2..L) body``."""

    loops: tuple[Binder, ...]
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """``[a, b]``; nested for matrices."""

    items: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Paren:
    """``(x)``, kept so that printing gives back what was written."""

    value: Expr
    span: Span = _span()


Expr = (
    Number
    | Name
    | Index
    | Ket
    | Bra
    | BraKet
    | Copied
    | Expectation
    | Call
    | Prime
    | Transpose
    | Negative
    | Binary
    | Juxtaposed
    | Sum
    | ListLiteral
    | Paren
)
Item = Expr | Range | FullSlice


# ---- statements --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Import:
    """``import "layers.nxt"``."""

    path: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared name: its index ranges and axes (``items``) and its value, if any."""

    name: str
    items: tuple[Item, ...]
    value: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Declaration:
    """``param``, ``dim`` or ``data`` with one or several names."""

    keyword: str
    names: tuple[Declared, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Random:
    """``vector``, ``matrix`` or ``scalar`` with a law; ``joint`` for ``vector (u, v) ~ ...``.

    ``arrow`` marks ``scalar c -> value``: a deterministic initial scalar.
    """

    keyword: str
    names: tuple[Declared, ...]
    law: Expr
    joint: bool
    arrow: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A formal argument of a function, with its default."""

    name: str
    default: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Function:
    """``fn phi(z, a=0.1) = body``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assign:
    """``m = expr`` or ``state m = expr`` inside an update function."""

    name: str
    value: Expr
    state: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Update:
    """``update adam(g, eps=1e-4) { state m = 0; m = ...; return ... }``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Assign, ...]
    result: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Updated:
    """``update expr`` inside an optimizer: its value, with the states as they are there."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Optimizer:
    """``optimizer lion(lr, beta=0.9) { state m = 0; update sign(...); m = ... }``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Assign | Updated, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Weight:
    """``weight W[2..L] : matrix ~ N(0, 2)``; ``kind`` is ``matrix``, ``vector[d]`` or ``scalar``,
    ``law`` the expression after ``~``, ``value`` that after ``=``."""

    names: tuple[Declared, ...]
    kind: Declared
    law: Expr | None
    value: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Returned:
    """``return expr``: a network's output."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Network:
    """``network f(xi) { ... }``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Exponents:
    """``u: a=0, b=0, c=0, d=1``; a name with one index singles a member out."""

    name: str
    items: tuple[Item, ...]
    values: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of ``train``: its first word (``clip paper``: two), its value, and the weights after
    ``for``."""

    word: str
    value: Expr | None
    exponents: tuple[Exponents, ...]
    targets: tuple[Declared, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Train:
    """``train f { optimizer adam(lr=0.2); error f - y; steps 20 }``."""

    name: str
    settings: tuple[Setting, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Target:
    """The left side of ``=``: ``|h[l]>`` (``ket``) or ``m[k]``."""

    name: str
    items: tuple[Item, ...]
    ket: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binding:
    """``target = value`` with trailing ``for`` clauses."""

    target: Target
    value: Expr
    loops: tuple[Binder, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class For:
    """``for l in 2..L { ... }``."""

    loop: Binder
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class OutputItem:
    """One output, with the name after ``as``, if any."""

    value: Expr
    alias: str | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Output:
    """``output nngp, <x|x> as k``."""

    items: tuple[OutputItem, ...]
    span: Span = _span()


Plain = (
    Import
    | Declaration
    | Random
    | Function
    | Update
    | Binding
    | For
    | Output
    | Network
    | Weight
    | Returned
    | Train
    | Optimizer
)


@dataclass(frozen=True, slots=True)
class Noted:
    """A statement that a program made, with its comments: lines ``above`` it, one ``beside`` it, a
    blank line before (``apart``). What is parsed has its comments in the module."""

    statement: Statement
    above: tuple[str, ...]
    beside: str
    apart: bool
    span: Span = _span()


Statement = Plain | Noted


@dataclass(frozen=True, slots=True)
class Comment:
    """``# text``: alone on its line, or at the end of one."""

    text: str
    alone: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Module:
    """A file: its statements, and its comments by position (not part of equality)."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(compare=False)
    span: Span = _span()
