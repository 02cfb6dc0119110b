"""Graphs as text of the core language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexort.program import build
from nexort.program.index import Affine, Interval
from nexort.program.nodes import Node, Op
from nexort.program.shifting import direction, placed
from nexort.program.types import Axes, Kind, Type
from nexort.support.diagnostics import InternalError, Span, fail

SUM, TERM, PRODUCT, UNARY, BESIDE, POWER, ATOM = range(7)
"""How tightly a text binds: as in the grammar."""

Text = tuple[str, int]
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


class Ones:
    """Names of scalars that are 1 along some axes; ``used`` are those that a text reads."""

    def __init__(self, fresh: Callable[[str], str]) -> None:
        self.fresh = fresh
        self.used: dict[Axes, str] = {}

    def name(self, axes: Axes) -> str:
        """The name of the ones along ``axes``."""
        if axes not in self.used:
            self.used[axes] = self.fresh("one")
        return self.used[axes]


@dataclass(frozen=True)
class Writer:
    """Writes graphs at a step: names in ``moving`` have it as their last index; ``mapped`` are
    index expressions for variables of the graph."""

    moving: frozenset[str]
    step: Affine
    ones: Ones
    where: Span
    mapped: Mapping[str, Affine]

    def __call__(self, node: Node) -> str:
        """A graph as text."""
        return self.text(node)[0]

    # ---- names and indices ---------------------------------------------------------------------

    def index(self, index: Affine) -> str:
        """An index expression."""
        return spell(placed(index, self.mapped))

    def name(self, name: str, key: tuple[Affine, ...], picks: tuple[object, ...] = ()) -> str:
        """``x[l-1, t]``, with further selections along axes."""
        items = [self.index(i) for i in key]
        if name in self.moving:
            items.append(spell(self.step))
        shown = [_pick(p, self.index) for p in picks]
        while shown and shown[-1] == ":":
            shown.pop()
        items += shown
        return f"{name}[{', '.join(items)}]" if items else name

    def range(self, interval: Interval) -> str:
        """``first..last``, with the step where it is not the one that the ends tell."""
        text = f"{self.index(interval.first)}..{self.index(interval.last)}"
        same = Interval(placed(interval.first, self.mapped), placed(interval.last, self.mapped))
        return text if interval.step == direction(same) else f"{text} by {interval.step}"

    # ---- expressions ---------------------------------------------------------------------------

    def at(self, node: Node, level: int) -> str:
        """A graph where something that binds at least as tightly as ``level`` may stand."""
        text, binds = self.text(node)
        return text if binds >= level else f"({text})"

    def text(self, node: Node) -> Text:
        """A graph, and how tightly it binds."""
        match node.op:
            case Op.CALL:
                return self._call(node)
            case Op.CONTRACT:
                return self._contraction(node)
            case Op.SPREAD:
                return self._spread(node)
            case Op.SUM:
                loop = node.attr
                body = self.at(node.args[0], PRODUCT)
                return f"sum({loop.var} in {self.range(loop.interval)}) {body}", TERM
            case Op.INNER:
                return self._inner(*node.args)
            case Op.MATMUL:
                return self._matmul(node)
            case _ if node.args:
                return self._closed(node), ATOM
            case _:
                return self._leaf(node)

    def _leaf(self, node: Node) -> Text:
        match node.op:
            case Op.CONST:
                return number(node.attr)
            case Op.PARAM | Op.SIZE | Op.DATA:
                return str(node.attr), ATOM
            case Op.INDEX:
                text = self.index(node.attr)
                return text, ATOM if text.isalnum() else SUM
            case Op.REF | Op.INIT_VECTOR | Op.INIT_SCALAR:
                return self._named(node, ()), ATOM
            case _:
                raise self.problem(f"{node.op.name.lower()} inside a network")

    def _closed(self, node: Node) -> str:
        """What nothing outside can reach into."""
        match node.op:
            case Op.TAKE:
                return self._take(node)
            case Op.TRANSPOSE:
                return f"{self.at(node.args[0], ATOM)}^T"
            case Op.DIAGONAL:
                return f"diag({self(node.args[0])})"
            case Op.STACK:
                return f"[{', '.join(self(a) for a in node.args)}]"
            case Op.AVERAGE:
                return f"<1{self._after(node.args[0])}"
            case Op.COPY:
                return f"{self.at(node.args[0], ATOM)}{{{node.attr}}}"
            case Op.MEAN:
                return f"E{{{','.join(map(str, node.attr))}}}[{self(node.args[0])}]"
            case _:
                raise self.problem(f"{node.op.name.lower()} inside a network")

    def problem(self, what: str) -> Exception:
        """The error for what the core language has no words for."""
        message = f"this training cannot be written out: {what}"
        return fail("not-expandable", message, self.where, help="nexort eval evaluates it")

    def _named(self, node: Node, picks: tuple[object, ...]) -> str:
        text = self.name(node.attr[0], node.attr[1], picks)
        return f"|{text}>" if node.type.kind is Kind.KET else text

    def _call(self, node: Node) -> Text:
        name, args = str(node.attr), node.args
        if name in ARITHMETIC:
            if name == "mul":
                for one, other in (args, args[::-1]):
                    if is_ones(one) and other.type.axes == node.type.axes:
                        return self.text(other)
            level = SUM if name in ("add", "sub") else PRODUCT
            left, right = args
            first = level if level == SUM or self.text(left)[1] != TERM else UNARY
            second = PRODUCT if level == SUM else UNARY
            if name == "add":
                second = TERM
            sign = ARITHMETIC[name]
            return f"{self.at(left, first)} {sign} {self.at(right, second)}", level
        if name == "neg":
            text, binds = self.text(args[0])
            return (f"-{text}", min(binds, UNARY)) if binds >= PRODUCT else (f"-({text})", UNARY)
        if name == "pow":
            return f"{self.at(args[0], ATOM)}^{self._exponent(args[1])}", POWER
        return f"{name}({', '.join(self(a) for a in args)})", ATOM

    def _exponent(self, node: Node) -> str:
        text, binds = self.text(node)
        return text if binds == ATOM and text.isalnum() and text != "T" else f"({text})"

    def _contraction(self, node: Node) -> Text:
        left, right = node.args
        joined = int(node.attr)
        if joined == 1:
            return f"{self.at(left, PRODUCT)} @ {self.at(right, UNARY)}", PRODUCT
        if joined == 0:
            if len(left.type.axes) == 1:
                both = Type(Kind.SCALAR, (*right.type.axes, *left.type.axes))
                wide = build.call("mul", left, _ones(both.axes))
                turned = Node(Op.TRANSPOSE, (wide,), None, _flipped(wide.type))
                if len(right.type.axes) == 1:
                    return self.text(build.call("mul", turned, right))
            raise self.problem("an outer product of axes")
        axes = [side.type.axes for side in (left, right)]
        if len(axes[0]) == joined:
            inside = right if is_ones(left) else build.call("mul", right, left)
            if inside.type.axes == axes[1] and (is_ones(left) or len(axes[1]) == joined):
                for axis in axes[0]:
                    inside = build.contract(_ones((axis,)), inside)
                return self.text(inside)
        raise self.problem("a contraction of several axes")

    def _take(self, node: Node) -> str:
        [value] = node.args
        if value.op in (Op.REF, Op.INIT_VECTOR, Op.INIT_SCALAR):
            return self._named(value, node.attr)
        shown = [_pick(p, self.index) for p in node.attr]
        while shown and shown[-1] == ":":
            shown.pop()
        return f"{self.at(value, ATOM)}[{', '.join(shown)}]"

    def _spread(self, node: Node) -> Text:
        [value] = node.args
        if node.type.axes == value.type.axes:
            return self.text(value)
        if is_ones(node):
            return self.ones.name(node.type.axes), ATOM
        wide = build.call("mul", value, _ones(node.type.axes))
        return f"{self.at(value, PRODUCT)} * {self.ones.name(node.type.axes)}", (
            PRODUCT if wide.type.axes == node.type.axes else SUM
        )

    def _inner(self, left: Node, right: Node) -> Text:
        names = [self.text(x)[0].startswith("|") and self.text(x)[1] == ATOM and x.op is not Op.COPY
                 for x in (left, right)]  # fmt: skip
        if names[0]:
            return f"<{self(left)[1:-1]}{self._after(right)}", ATOM
        if names[1]:
            turned = f"<{self(right)[1:-1]}{self._after(left)}"
            if not left.type.axes or not right.type.axes:
                return turned, ATOM
            if len(left.type.axes) == len(right.type.axes) == 1:
                return f"({turned})^T", ATOM
        raise InternalError("a bra-ket of two kets without names")

    def _after(self, ket: Node) -> str:
        """What closes a bra: ``|x>``, or ``|(...)``."""
        text, binds = self.text(ket)
        if binds == ATOM and text.startswith("|") and text.endswith(">"):
            return text
        return f"|({text})"

    def _matmul(self, node: Node) -> Text:
        name, key, flipped = node.attr
        acting = self.name(name, key) + ("^T" if flipped else "")
        text, binds = self.text(node.args[0])
        plain = binds == ATOM and text.startswith("|")
        return f"{acting} {text}" if plain else f"{acting}({text})", BESIDE


def spell(index: Affine) -> str:
    """An index expression; the constant last, and a positive term first where there is one."""
    terms = sorted(index.terms, key=lambda x: x[1] < 0)
    text = ""
    for name, c in terms:
        size = "" if abs(c) == 1 else f"{abs(c)}*"
        text += ("-" if c < 0 else "+" if text else "") + size + name
    if index.constant or not text:
        text += ("-" if index.constant < 0 else "+" if text else "") + str(abs(index.constant))
    return text


def number(value: object) -> Text:
    """A literal, or a list of them."""
    if isinstance(value, tuple):
        return f"[{', '.join(number(v)[0] for v in value)}]", ATOM
    text = repr(value)
    return text, UNARY if text.startswith("-") else ATOM


def is_ones(node: Node) -> bool:
    """Whether a node is 1 along its axes."""
    return node.op is Op.SPREAD and build.is_number(node.args[0], 1)


def _ones(axes: Axes) -> Node:
    return build.spread(build.constant(1), Type(Kind.SCALAR, axes))


def _flipped(type: Type) -> Type:
    return Type(type.kind, type.axes[::-1], type.copies)


def _pick(pick: object, index: Callable[[Affine], str]) -> str:
    if pick is None:
        return ":"
    return index(pick if isinstance(pick, Affine) else Affine(int(str(pick))))
