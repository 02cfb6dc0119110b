"""Declarations: params, dims, data, initial objects, functions."""

from __future__ import annotations

from nexort import activations
from nexort.elaborate import indices, laws
from nexort.elaborate.expressions import Elaborator
from nexort.elaborate.scope import BoundArgument, Entry, InlinedFunction, Scope
from nexort.elaborate.updates import OUTSIDE, as_update, update_rule
from nexort.program import build
from nexort.program import declarations as declared
from nexort.program.declarations import Data, Dim, Family, Initial, Param, UpdateRule
from nexort.program.index import Interval
from nexort.program.network import Network, Training, WeightFamily
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Axes, Axis, AxisMismatch, Kind, ket, scalar, unify
from nexort.support.diagnostics import Report, Span
from nexort.syntax import tree as t

RESERVED = {
    "n": "n is the width; choose another name",
    "E": "E{1}[...] averages over an iid copy; choose another name",
    "pi": "pi is 3.14159...; choose another name",
}


class Draft:
    """A network while its body is read."""

    def __init__(self, name: str, span: Span) -> None:
        self.name, self.span = name, span
        self.weights: dict[str, WeightFamily] = {}
        self.initial: dict[str, Initial] = {}
        self.output: tuple[Node, Span, tuple[tuple[Node, Span], ...]] | None = None


class Declarations:
    """What a file declares, as it is read from top to bottom."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.e = Elaborator(report)
        self.params: dict[str, Param] = {}
        self.dims: dict[str, Dim] = {}
        self.data: dict[str, Data] = {}
        self.initial: dict[str, Initial] = {}
        self.updates: dict[str, UpdateRule] = {}
        self.functions: dict[str, declared.UserFunction] = {}
        self.families: dict[str, Family] = {}
        self.network: Network | None = None
        self.training: Training | None = None
        self.draft: Draft | None = None
        """The network that is being read."""

    def declare(
        self, statement: t.Declaration | t.Random | t.Function | t.Update | t.Optimizer
    ) -> None:
        """Add what a declaration declares. Raises NexortError."""
        match statement:
            case t.Declaration("param"):
                self._params(statement)
            case t.Declaration("dim"):
                self._dims(statement)
            case t.Declaration():
                self._data(statement)
            case t.Random():
                self._random(statement)
            case t.Function():
                self._function(statement)
            case t.Update():
                self._update(statement)
            case t.Optimizer():
                self.e.refused = OUTSIDE
                try:
                    self._update(as_update(self.e, statement))
                finally:
                    self.e.refused = {}

    def top_level(self, span: Span, what: str) -> None:
        """Raises NexortError inside a loop."""
        if not self.e.scope.frame:
            message = f"{what} cannot stand inside a loop"
            raise self.e.problem("misplaced", message, span, help="move it out of the loop")

    def define(self, name: str, entry: Entry, span: Span) -> None:
        """Add a name to the file's scope. Raises NexortError if it is taken."""
        if name in RESERVED:
            message = f"'{name}' has a fixed meaning and cannot be redefined"
            raise self.e.problem("redefinition", message, span, help=RESERVED[name])
        old = self.taken(name)
        if old is not None:
            raise self.e.problem(
                "redefinition", f"'{name}' is defined twice", span,
                notes=(("first defined here", old),), help="choose another name",
            )  # fmt: skip
        self.e.scope.declarations().entries[name] = entry

    def taken(self, name: str) -> Span | None:
        """Where a name is defined, if it is; the name of a network is taken inside it as well."""
        if self.draft is not None and name == self.draft.name:
            return self.draft.span
        old = self.e.scope.find(name)
        return None if old is None else old.span

    def _params(self, tree: t.Declaration) -> None:
        self.top_level(tree.span, "a param")
        for item in tree.names:
            if item.items:
                raise self.e.problem("bad-declaration", "a param is one number", item.span)
            value = self._number(item, "a param's value")
            param = Param(item.name, value, item.span)
            self.define(item.name, param, item.span)
            self.params[item.name] = param

    def _dims(self, tree: t.Declaration) -> None:
        self.top_level(tree.span, "a dim")
        for item in tree.names:
            if item.items:
                message = "a dim is one size: dim d, or dim d = 10"
                raise self.e.problem("bad-declaration", message, item.span)
            value = self._number(item, "a dim's size")
            dim = Dim(item.name, value, item.span)
            self.define(item.name, dim, item.span)
            self.dims[item.name] = dim

    def _number(self, item: t.Declared, what: str) -> Node | None:
        """The value behind ``=``, if any: literals and params only."""
        if item.value is None:
            return None
        value = self.e.node(item.value)
        allowed = (Op.CONST, Op.CALL, Op.PARAM) + ((Op.SIZE,) if what == "a dim's size" else ())
        if value.type != scalar() or any(x.op not in allowed for x in walk([value])):
            message = f"{what} is a number, or an expression of params"
            raise self.e.problem("bad-declaration", message, item.value.span)
        return value

    def _data(self, tree: t.Declaration) -> None:
        self.top_level(tree.span, "data")
        for item in tree.names:
            ranges, axes = self.shape(item)
            if ranges:
                hint = "data a[3]; its entries are a[0] to a[2]"
                message = "data have axes, not index ranges"
                raise self.e.problem("bad-declaration", message, item.span, help=hint)
            default = None if item.value is None else self._default(item.value, axes, item.name)
            data = Data(item.name, axes, default, item.span)
            self.define(item.name, data, item.span)
            self.data[item.name] = data

    def _default(self, tree: t.Expr, axes: Axes, name: str) -> Node:
        """The literal value of data, of the declared axes."""
        value = self.e.node(tree)
        if value.op is not Op.CONST:
            message = "the value of data is a number or a list of numbers"
            hint = f"data {name} = 0.5, or [1, 2, 3]; for an expression write a rule, {name} = ..."
            raise self.e.problem("bad-declaration", message, tree.span, help=hint)
        found = value.type.axes
        try:
            for a, b in zip(axes, found, strict=True):
                unify(a, b)
        except (AxisMismatch, ValueError):
            declared, written = (f"[{', '.join(map(str, x))}]" if x else "" for x in (axes, found))
            message = f"'{name}' is declared with {f'axes {declared}' if axes else 'no axis'}, "
            message += f"its value has {f'axes {written}' if found else 'no axis'}"
            hint = f"data {name}{written} = ..."
            raise self.e.problem("axis-mismatch", message, tree.span, help=hint) from None
        return value

    def shape(self, item: t.Declared) -> tuple[tuple[Interval, ...], Axes]:
        """Index ranges first, then axes."""
        ranges: list[Interval] = []
        axes: list[Axis] = []
        for part in item.items:
            match part:
                case t.Range():
                    if axes:
                        message = "index ranges stand before axes"
                        raise self.e.problem("bad-declaration", message, part.span)
                    ranges.append(indices.interval(self.e, part))
                case t.Number(text) if text.isdigit() and int(text) > 0:
                    axes.append(Axis(text, int(text)))
                case t.Name(name):
                    axes.append(self._axis(name, part.span, item.name))
                case _:
                    message = "an axis is a dim or a size, an index is a range such as 1..L"
                    raise self.e.problem("bad-declaration", message, part.span)
        return tuple(ranges), tuple(axes)

    def _axis(self, name: str, span: Span, owner: str) -> Axis:
        known = self.e.scope.find(name)
        if known is None and name not in self.e.later and not self.e.incomplete:
            hint = f"declare it: dim {name}"
            if name == "n":
                hint = "matrices and kets have the width without saying so: matrix W ~ N(0, 1/n)"
            raise self.e.problem("unknown-name", f"unknown dim '{name}'", span, help=hint)
        if not isinstance(self.e.lookup(name, span), Dim):
            message = f"'{name}' is not a dim"
            hint = f"an axis is a dim or a size; a family has a range: {owner}[1..{name}]"
            raise self.e.problem("bad-declaration", message, span, help=hint)
        return Axis(name)

    def _random(self, tree: t.Random) -> None:
        self.top_level(tree.span, f"a {tree.keyword}")
        found = None if tree.arrow else laws.elaborate_law(self.e, tree.law)
        if tree.joint:
            if found is None or tree.keyword != "vector" or any(x.items for x in tree.names):
                message = "only plain vectors are declared jointly"
                raise self.e.problem("bad-declaration", message, tree.span)
            name = f"({', '.join(x.name for x in tree.names)})"
            values = laws.joint_kets(self.e, found, name, len(tree.names))
            for item, value in zip(tree.names, values, strict=True):
                self._add_initial(tree, item, Kind.KET, (), (), value, None)
            return
        for item in tree.names:
            ranges, axes = self.shape(item)
            law = None
            if found is None:
                kind, value = Kind.SCALAR, self.e.node(tree.law)
                if value.type == scalar():  # one number, repeated
                    value = build.spread(value, scalar(axes))
                if value.type != scalar(axes):
                    article = "an" if value.type.kind is Kind.OPERATOR else "a"
                    message = f"the limit of '{item.name}' is a {scalar(axes)}, "
                    message += f"found {article} {value.type}"
                    raise self.e.problem("bad-declaration", message, tree.law.span)
            elif tree.keyword == "vector":
                kind = Kind.KET
                z = Node(Op.INIT_VECTOR, (), (item.name, ()), ket(axes))
                value = laws.vector_ket(self.e, found, z, axes)
            elif tree.keyword == "matrix":
                kind = Kind.OPERATOR
                value, law = laws.matrix(self.e, found, item.name, axes)
            else:
                kind, value = Kind.SCALAR, laws.initial_scalar(self.e, found, item.name, axes)
            self._add_initial(tree, item, kind, ranges, axes, value, law)

    def _add_initial(
        self,
        tree: t.Random,
        item: t.Declared,
        kind: Kind,
        ranges: tuple[Interval, ...],
        axes: Axes,
        value: Node,
        law: Node | None,
    ) -> None:
        text = ("-> " if tree.arrow else "~ ") + tree.law.span.text
        initial = Initial(item.name, kind, ranges, axes, value, law, text, item.span)
        self.define(item.name, initial, item.span)
        self.initial[item.name] = initial

    # ---- functions -----------------------------------------------------------------------------

    def _function(self, tree: t.Function) -> None:
        self.top_level(tree.span, "a function")
        self._formals(tree.parameters)
        e = self.e
        defaults = [None if p.default is None else e.node(p.default) for p in tree.parameters]
        outer, e.scope = e.scope, Scope(e.scope)
        if outer.find(tree.name) is None:
            e.scope.entries[tree.name] = InlinedFunction(tree)
        for p in tree.parameters:
            e.scope.entries[p.name] = BoundArgument(
                Node(Op.SLOT, (), ("formal", p.name), scalar()), p.span
            )
        e.inlining.append(tree)
        try:
            body = e.node(tree.body)
        finally:
            e.scope = outer
            e.inlining.pop()
        self.define(tree.name, InlinedFunction(tree), tree.span)
        if _is_of_operations(body) and activations.lookup(tree.name) is None:
            names = [p.name for p in tree.parameters]
            parameters = tuple(zip(names, defaults, strict=True))
            self.functions[tree.name] = declared.UserFunction(
                tree.name, parameters, body, tree.span
            )

    def _formals(self, parameters: tuple[t.Parameter, ...]) -> None:
        seen: dict[str, Span] = {}
        for p in parameters:
            if p.name in seen:
                message = f"argument '{p.name}' is named twice"
                notes = (("first named here", seen[p.name]),)
                raise self.e.problem("redefinition", message, p.span, notes=notes)
            seen[p.name] = p.span

    def _update(self, tree: t.Update) -> None:
        self.top_level(tree.span, "an update function")
        self._formals(tree.parameters)
        rule = update_rule(self.e, tree)
        self.define(tree.name, rule, tree.span)
        self.updates[tree.name] = rule


def _is_of_operations(body: Node) -> bool:
    """Whether a function is told by its form: operations, more than a single one of arithmetic."""
    nodes = walk([body])
    allowed = (Op.CALL, Op.CONST, Op.SLOT, Op.PARAM, Op.SIZE, Op.DATA)
    calls = [x.attr for x in nodes if x.op is Op.CALL]
    single = calls[0] if len(calls) == 1 else "add"
    known = len(calls) > 1 or single not in ("add", "sub", "mul", "div", "neg", "pow")
    return bool(calls) and known and all(x.op in allowed for x in nodes)
