"""Graphs as syntax trees: :mod:`nexort.syntax.printer` adds the parentheses."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nexort import activations
from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.index import Affine, Loop
from nexort.program.nodes import MEMBERS, Node, Op, walk_where
from nexort.program.printer.patterns import FunctionPattern, Patterns
from nexort.program.printer.trees import (
    NOWHERE,
    argument,
    beside,
    binary,
    binder_tree,
    call_tree,
    index,
    items,
    name_tree,
    number_tree,
)
from nexort.program.types import Kind, scalar
from nexort.support.diagnostics import NexortError, fail
from nexort.syntax import tree as t

Member = tuple[str, tuple[Affine, ...]]
SLOT = Node(Op.SLOT, (), ("formal", "z"), scalar())
"""The body of a function that is its argument: it lets any scalar stand between bars."""

LONGEST = 100_000
"""Parts of an expression: graphs share theirs, texts do not."""

ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
NAMES = {op: function for function, (op, _) in build.NAMED.items()}
Picks = tuple[Affine | int | None, ...]


def unprintable(what: str) -> NexortError:
    """The error for a graph that the language has no words for."""
    return fail("not-printable", f"this program has no text: {what}")


@dataclass
class Expressions:
    """Writes graphs. ``members`` are the graphs of declared objects, ``patterns`` the functions
    that graphs may be, ``slots`` the names of formal arguments that do not tell them. ``taken`` are
    names that hide functions; ``function`` gives the name of the function that a graph over
    arguments becomes."""

    members: Mapping[Node, Member]
    patterns: Patterns
    updates: Mapping[str, UpdateRule]
    taken: Callable[[str], bool]
    function: Callable[[Node, tuple[Node, ...]], str]
    slots: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    known: dict[Node, t.Expr] = field(default_factory=dict)
    lengths: dict[Node, int] = field(default_factory=dict)
    length: int = 0
    """The parts of what is being written, as often as they are read."""

    def __call__(self, node: Node) -> t.Expr:
        """A graph as a tree; a long chain is walked, not recursed into."""
        spine: list[Node] = []
        x = node
        while x not in self.known and x.op in (Op.CALL, Op.OP_ADD) and x not in self.members:
            spine.append(x)
            x = x.args[0]
        for y in (*reversed(spine), node):
            if y not in self.known:
                self._write(y)
        self.length += self.lengths[node]
        return self.known[node]

    def _write(self, x: Node) -> None:
        """Keep the tree of a graph, and how many parts its text has."""
        outside, self.length = self.length, 1
        self.known[x] = self._tree(x)
        self.lengths[x], self.length = self.length, outside
        if self.lengths[x] > LONGEST:
            message = f"the text of this program has an expression of more than {LONGEST} parts"
            raise fail("too-long", message, help="name its parts by rules of their own")

    def without(
        self, names: Container[str], slots: Mapping[tuple[str, ...], str] | None = None
    ) -> Expressions:
        """The same where functions have no such names."""
        kept = tuple(p for p in self.patterns.patterns if p.name not in names)
        patterns = replace(self.patterns, patterns=kept)
        return replace(self, patterns=patterns, slots=slots or {}, known={}, lengths={})

    def _tree(self, x: Node) -> t.Expr:
        if x in self.members or x.op in MEMBERS:
            return self._member(x, ())
        match x.type.kind:
            case Kind.OPERATOR:
                return self._operator(x)
            case _:
                return self._value(x)

    # ---- names ---------------------------------------------------------------------------------

    def _named(self, x: Node) -> Member | None:
        """The declared object or member that a graph is."""
        if x in self.members:
            return self.members[x]
        return x.attr if x.op is Op.REF else None

    def _member(self, x: Node, picks: Picks) -> t.Expr:
        found = self._named(x)
        if found is None:
            raise unprintable(f"the standard object under '{x.attr[0]}' alone")
        told = items(found[1], picks)
        if x.type.kind is Kind.KET:
            return t.Ket(t.Label(found[0], told, NOWHERE), NOWHERE)
        return t.Index(name_tree(found[0]), told, NOWHERE) if told else name_tree(found[0])

    def _label(self, x: Node) -> t.Label | None:
        """What stands between the bars, of a ket with a name."""
        tree = self(x)
        return tree.label if isinstance(tree, t.Ket) else None

    # ---- scalars and kets ----------------------------------------------------------------------

    def _value(self, x: Node) -> t.Expr:
        match x.op:
            case Op.CONST:
                return number_tree(x.attr)
            case Op.PARAM | Op.SIZE | Op.DATA:
                return name_tree(str(x.attr))
            case Op.INDEX:
                return index(x.attr)
            case Op.SLOT:
                return name_tree(self.slots.get(x.attr, x.attr[-1]))
            case Op.CALL:
                return self._call(x)
            case Op.TAKE:
                return self._take(x)
            case Op.FOLD:
                return self._fold(x)
            case Op.SUM:
                return self._sum(x)
            case Op.INNER | Op.AVERAGE:
                return self._bracket(x)
            case Op.APPLY:
                return self._applied(*x.args)
            case _:
                return self._form(x)

    def _form(self, x: Node) -> t.Expr:
        trees = [self(a) for a in x.args]
        match x.op:
            case Op.CONTRACT if x.attr == 1:
                return binary("@", *trees)
            case Op.TRANSPOSE:
                return t.Transpose(trees[0], NOWHERE)
            case Op.STACK:
                return t.ListLiteral(tuple(trees), NOWHERE)
            case Op.COPY:
                return t.Copied(trees[0], x.attr, NOWHERE)
            case Op.MEAN:
                return t.Expectation(x.attr, trees[0], NOWHERE)
            case op if op in NAMES:
                return call_tree(name_tree(NAMES[op]), *trees)
            case _:
                raise unprintable(f"{x.op.name.lower()} of {x.type}")

    def _call(self, x: Node) -> t.Expr:
        found = self.patterns.found(x)
        if found is not None:
            return call_tree(_callee(found[0]), *map(self, found[1]))
        function, trees = str(x.attr), [self(a) for a in x.args]
        if function in ARITHMETIC:
            return binary(ARITHMETIC[function], *trees)
        if function == "pow":
            return binary("^", *trees)
        if function == "neg":
            return t.Negative(trees[0], NOWHERE)
        if self.taken(function) or activations.lookup(function) is None:
            raise unprintable(f"the function {function} is hidden by another name")
        return call_tree(name_tree(function), *trees)

    def _take(self, x: Node) -> t.Expr:
        [value] = x.args
        if value in self.members or value.op is Op.REF:
            return self._member(value, x.attr)
        return t.Index(self(value), items((), x.attr), NOWHERE)

    def _sum(self, x: Node) -> t.Expr:
        return t.Sum((binder_tree(x.attr),), self(x.args[0]), NOWHERE)

    # ---- bras ----------------------------------------------------------------------------------

    def _bracket(self, x: Node) -> t.Expr:
        """``<x|y>``, ``<x|W|y>`` or ``<x|(...)``; of an average, x is 1."""
        one = t.Label("1", (), NOWHERE)
        left = one if x.op is Op.AVERAGE else self._label(x.args[0])
        right = self._label(x.args[-1])
        if left is not None and right is not None:
            return t.BraKet(left, right, NOWHERE)
        closing = self(x.args[-1])
        bra = t.Bra(left, NOWHERE) if left is not None else t.Paren(self._bra(x.args[0]), NOWHERE)
        chain = x.args[-1].op is Op.APPLY and follows(closing)
        return beside(bra, closing) if chain else call_tree(bra, closing)

    def _bra(self, x: Node) -> t.Expr:
        """A ket as a bra: ``<x|``, ``<x|W`` for W^T |x>, ``c <x|``."""
        label = self._label(x)
        if label is not None:
            return t.Bra(label, NOWHERE)
        if x.op is Op.APPLY and x.args[0].op is Op.ADJOINT:
            acting = self(x.args[0].args[0])
            left = self._bra(x.args[1])
            left = left if isinstance(left, t.Bra) else t.Paren(left, NOWHERE)
            return beside(left, acting) if follows(acting) else call_tree(left, acting)
        if x.op is Op.APPLY and x.args[0].op in MEMBERS:
            turned = t.Transpose(self(x.args[0]), NOWHERE)
            left = self._bra(x.args[1])
            return beside(left if isinstance(left, t.Bra) else t.Paren(left, NOWHERE), turned)
        if x.op is Op.CALL and x.attr == "mul":
            a, b = x.args
            if a.type.kind is Kind.SCALAR:
                return binary("*", self(a), self._bra(b))
            if b.type.kind is Kind.SCALAR:
                return binary("*", self._bra(a), self(b))
        if x.op is Op.CALL and x.attr in ("add", "sub"):
            return binary(ARITHMETIC[str(x.attr)], *(self._bra(a) for a in x.args))
        raise unprintable("a bra of a ket without a name")

    # ---- operators -----------------------------------------------------------------------------

    def _operator(self, x: Node) -> t.Expr:
        match x.op:
            case Op.ADJOINT:
                return t.Transpose(self(x.args[0]), NOWHERE)
            case Op.COMPOSE:
                return self._applied(*x.args)
            case Op.OP_ADD:
                return self._added(x.args)
            case Op.OP_SCALE:
                factor, value = x.args
                if build.is_number(factor, -1):
                    return t.Negative(self(value), NOWHERE)
                return binary("*", self(factor), self(value))
            case Op.OP_SUM:
                return self._sum(x)
            case Op.OUTER:
                return self._outer(*x.args)
            case Op.TAKE:
                return self._take(x)
            case Op.ENTRYWISE:
                return self._entrywise(x.args[0])
            case _:
                raise unprintable(f"{x.op.name.lower()} of {x.type}")

    def _applied(self, acting: Node, value: Node) -> t.Expr:
        """An operator before a ket or another operator."""
        left, right = self(acting), self(value)
        if isinstance(left, t.Juxtaposed):
            left = t.Paren(left, NOWHERE)
        return beside(left, right) if follows(right) else call_tree(left, right)

    def _added(self, terms: Sequence[Node]) -> t.Expr:
        """A sum; a negative term is subtracted."""
        found = self(terms[0])
        for x in terms[1:]:
            minus = x.op is Op.OP_SCALE and build.is_number(x.args[0], -1)
            found = binary("-" if minus else "+", found, self(x.args[1] if minus else x))
        return found

    def _outer(self, left: Node, chi: Node, right: Node) -> t.Expr:
        """``|x> chi <y|``."""
        ket = self(left)
        middle = () if build.is_number(chi, 1) else (self(chi),)
        if isinstance(ket, t.Juxtaposed):
            ket = t.Paren(ket, NOWHERE)
        if middle and not follows(middle[0]):
            middle = (call_tree(name_tree(self.function(SLOT, (SLOT,))), *middle),)
        bra = self._bra(right)
        if isinstance(bra, t.Bra):
            return beside(ket, *middle, bra)
        return call_tree(beside(ket, *middle) if middle else ket, bra)

    def _entrywise(self, body: Node) -> t.Expr:
        """``Q(A)`` for a function of entries."""
        if body.op is Op.FOLD:
            return self._fold(body)
        function: t.Expr
        plain = body.op is Op.CALL and body.attr not in (*ARITHMETIC, "pow", "neg")
        if plain and all(a.op is Op.ENTRY or a.type.kind is Kind.SCALAR for a in body.args):
            args, function = body.args, name_tree(str(body.attr))
        elif (found := self.patterns.found(body)) is not None and all(map(_formal, found[1])):
            args, function = found[1], _callee(found[0])
        else:
            args = tuple(x for x in walk_where(body, lambda x: not _formal(x)) if _formal(x))
            function = name_tree(self.function(body, args))
        return call_tree(function, *(self(a.args[0] if a.op is Op.ENTRY else a) for a in args))

    # ---- update functions ----------------------------------------------------------------------

    def _fold(self, x: Node) -> t.Expr:
        """``adam[t](x[s] for s in 0..t, eps=1e-4)``."""
        function, count = x.attr
        history, *given = x.args
        rule = self.updates[function]
        args = [self._history(item) for item in history.args]
        for (parameter, default), value in zip(rule.parameters, given, strict=True):
            if value is not default:
                args.append(argument(self(value), parameter))
        callee: t.Expr = name_tree(function)
        if count is not None:
            callee = t.Index(callee, (index(count),), NOWHERE)
        return t.Call(callee, tuple(args), NOWHERE)

    def _history(self, item: Node) -> t.Argument:
        loops: list[Loop] = []
        while item.op is Op.GENERATE:
            loops.append(item.attr)
            [item] = item.args
        value = item.args[0] if item.op is Op.ENTRY else item
        return argument(self(value), None, tuple(binder_tree(x) for x in loops))


def _callee(pattern: FunctionPattern) -> t.Expr:
    return t.Prime(name_tree(pattern.name), NOWHERE) if pattern.derived else name_tree(pattern.name)


def _formal(x: Node) -> bool:
    """Whether a function of entries takes this as an argument."""
    return x.op is Op.ENTRY or (x.type.kind is Kind.SCALAR and x.op is not Op.CONST)


def follows(tree: t.Expr) -> bool:
    """Whether a tree stands behind another factor as it is, without a bracket in front."""
    match tree:
        case t.Juxtaposed(factors):
            return follows(factors[0])
        case t.Transpose(base) | t.Copied(base) | t.Index(base) | t.Call(base) | t.Prime(base):
            return follows(base) and not isinstance(base, t.Juxtaposed)
        case t.Binary("^", base):
            return follows(base) and not isinstance(base, t.Juxtaposed)
        case t.Name() | t.Ket() | t.BraKet() | t.Number() | t.Expectation():
            return True
        case _:
            return False
