"""Statements: declarations, rules, loops, outputs. Every error of a file is reported in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nexort.diagnostics import InternalError, NexortError, Report, Source, Span
from nexort.elaborate import indices, laws
from nexort.elaborate.expressions import Elaborator, Skip
from nexort.elaborate.scope import Bound, Poisoned, Scope, UserFunction
from nexort.program import build
from nexort.program.index import Interval
from nexort.program.nodes import Node, Op
from nexort.program.program import (
    Block,
    Data,
    Dim,
    Family,
    Initial,
    OutputRule,
    Param,
    Program,
    Rule,
    UpdateRule,
)
from nexort.program.types import Axes, Axis, AxisMismatch, Kind, Type, ket, scalar, unify
from nexort.syntax import tree as t

RESERVED = ("n", "E", "pi")
Load = Callable[[t.Import], t.Module]


def elaborate(module: t.Module, load: Load) -> Program:
    """The typed program of a module. Raises NexortError with every error found.

    ``load`` gives the tree of an import, or raises NexortError.
    """
    return _Elaboration(module.span.source, load).run(module)


class _Elaboration:
    def __init__(self, source: Source, load: Load) -> None:
        self.source = source
        self.load = load
        self.report = Report()
        self.e = Elaborator(self.report)
        self.params: dict[str, Param] = {}
        self.dims: dict[str, Dim] = {}
        self.data: dict[str, Data] = {}
        self.initial: dict[str, Initial] = {}
        self.updates: dict[str, UpdateRule] = {}
        self.families: dict[str, Family] = {}
        self.outputs: list[OutputRule] = []
        self.imported: set[str] = set()

    def run(self, module: t.Module) -> Program:
        statements = self._with_imports(module.statements)
        self.e.later = _defined_names(statements)
        body = self._body(statements)
        self.report.stop()
        return Program(
            self.source,
            self.params,
            self.dims,
            self.data,
            self.initial,
            self.updates,
            self.families,
            body,
            tuple(self.outputs),
        )

    def _with_imports(self, statements: Iterable[t.Statement]) -> list[t.Statement]:
        """The statements with imported modules in place; each file once."""
        flat: list[t.Statement] = []
        for statement in statements:
            if not isinstance(statement, t.Import):
                flat.append(statement)
                continue
            try:
                module = self.load(statement)
            except NexortError as error:
                for diagnostic in error.diagnostics:
                    self.report.add(diagnostic)
                continue
            name = module.span.source.name
            if name not in self.imported:
                self.imported.add(name)
                flat += self._with_imports(module.statements)
        return flat

    def _body(self, statements: Iterable[t.Statement]) -> tuple[Rule | Block, ...]:
        body: list[Rule | Block] = []
        for statement in statements:
            made = self.e.guarded(lambda s=statement: self._statement(s))  # type: ignore[misc]
            if made is not None:
                body.append(made)
            elif isinstance(statement, t.Binding | t.Declaration | t.Random | t.Function | t.Update):
                self._poison(statement)
        return tuple(body)

    def _poison(self, statement: t.Statement) -> None:
        """Names of a failed statement: their uses say nothing more."""
        for name, span in _defined_names([statement]).items():
            if self.e.scope.find(name) is None:
                _outermost(self.e.scope).entries[name] = Poisoned(span)

    def _statement(self, statement: t.Statement) -> Rule | Block | None:  # noqa: PLR0911
        match statement:
            case t.Declaration("param"):
                return self._params(statement)
            case t.Declaration("dim"):
                return self._dims(statement)
            case t.Declaration():
                return self._data(statement)
            case t.Random():
                return self._random(statement)
            case t.Function():
                return self._function(statement)
            case t.Update():
                return self._update(statement)
            case t.Binding():
                return self._binding(statement)
            case t.For():
                return self._for(statement)
            case t.Output():
                return self._output(statement)
            case t.Import():
                raise InternalError("an import was not resolved")

    # ---- declarations --------------------------------------------------------------------------

    def _top_level(self, span: Span, what: str) -> None:
        if self.e.scope.outer is not None:
            message = f"{what} stands outside of loops"
            raise self.e.problem("misplaced", message, span)

    def _define(self, name: str, entry: object, span: Span) -> None:
        """Add a name to the file's scope. Raises NexortError if it is taken."""
        if name in RESERVED:
            message = f"'{name}' has a fixed meaning and cannot be redefined"
            raise self.e.problem("redefinition", message, span)
        old = self.e.scope.find(name)
        if old is not None:
            raise self.e.problem(
                "redefinition", f"'{name}' is defined twice", span,
                notes=(("first defined here", old.span),), help="choose another name",
            )  # fmt: skip
        _outermost(self.e.scope).entries[name] = entry  # type: ignore[assignment]

    def _params(self, tree: t.Declaration) -> None:
        self._top_level(tree.span, "a param")
        for item in tree.names:
            if item.items:
                raise self.e.problem("bad-declaration", "a param is one number", item.span)
            value = None if item.value is None else self.e.node(item.value)
            if value is not None and (value.type != scalar() or not _numeric(value)):
                message = "a param's value is a number, or an expression of params"
                raise self.e.problem("bad-declaration", message, item.span)
            param = Param(item.name, value, item.span)
            self._define(item.name, param, item.span)
            self.params[item.name] = param

    def _dims(self, tree: t.Declaration) -> None:
        self._top_level(tree.span, "a dim")
        for item in tree.names:
            value = None if item.value is None else self.e.node(item.value)
            if item.items or (value is not None and not _numeric(value)):
                message = "a dim is one size: dim d, or dim d = 10"
                raise self.e.problem("bad-declaration", message, item.span)
            dim = Dim(item.name, value, item.span)
            self._define(item.name, dim, item.span)
            self.dims[item.name] = dim

    def _data(self, tree: t.Declaration) -> None:
        self._top_level(tree.span, "data")
        for item in tree.names:
            ranges, axes = self._shape(item)
            if ranges:
                raise self.e.problem("bad-declaration", "data have axes, not ranges", item.span)
            default = None if item.value is None else self.e.node(item.value)
            if default is not None:
                self._fits(default, axes, item)
            data = Data(item.name, axes, default, item.span)
            self._define(item.name, data, item.span)
            self.data[item.name] = data

    def _fits(self, default: Node, axes: Axes, item: t.Declared) -> None:
        same = default.op is Op.CONST and len(default.type.axes) == len(axes)
        try:
            for a, b in zip(axes, default.type.axes, strict=same):
                unify(a, b)
        except (AxisMismatch, ValueError):
            same = False
        if not same:
            message = f"'{item.name}' has axes [{', '.join(map(str, axes))}], "
            message += f"its value is a {default.type}"
            raise self.e.problem("axis-mismatch", message, item.span, help="write [1, 2, 3]")

    def _shape(self, item: t.Declared) -> tuple[tuple[Interval, ...], Axes]:
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
                    if not isinstance(self.e.lookup(name, part.span), Dim):
                        message = f"'{name}' is not a dim"
                        hint = f"declare it: dim {name}; a family has a range: {item.name}[1..{name}]"
                        raise self.e.problem("bad-declaration", message, part.span, help=hint)
                    axes.append(Axis(name))
                case _:
                    message = "an axis is a dim or a size, an index is a range such as 1..L"
                    raise self.e.problem("bad-declaration", message, part.span)
        return tuple(ranges), tuple(axes)

    def _random(self, tree: t.Random) -> None:
        self._top_level(tree.span, f"a {tree.keyword}")
        found = None if tree.arrow else laws.law(self.e, tree.law)
        if tree.joint:
            if found is None or tree.keyword != "vector" or any(x.items for x in tree.names):
                message = "only plain vectors are declared jointly"
                raise self.e.problem("bad-declaration", message, tree.span)
            name = f"({', '.join(x.name for x in tree.names)})"
            values = laws.joint(self.e, found, name, len(tree.names))
            for item, value in zip(tree.names, values, strict=True):
                self._add_initial(tree, item, Kind.KET, (), (), value, None)
            return
        for item in tree.names:
            ranges, axes = self._shape(item)
            law = None
            if found is None:
                kind, value = Kind.SCALAR, self.e.node(tree.law)
                if value.type.kind is not Kind.SCALAR or value.type.axes != axes:
                    message = f"the limit of '{item.name}' is a {value.type}"
                    raise self.e.problem("bad-declaration", message, tree.law.span)
            elif tree.keyword == "vector":
                kind = Kind.KET
                z = Node(Op.INIT_VECTOR, (), (item.name, ()), ket(axes))
                value = laws.vector(self.e, found, z, axes)
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
        self._define(item.name, initial, item.span)
        self.initial[item.name] = initial

    # ---- functions -----------------------------------------------------------------------------

    def _function(self, tree: t.Function) -> None:
        self._top_level(tree.span, "a function")
        self._formals(tree.parameters)
        e = self.e
        outer, e.scope = e.scope, Scope(e.scope)
        for p in tree.parameters:
            e.scope.entries[p.name] = Bound(Node(Op.SLOT, (), ("formal", p.name), scalar()), p.span)
        try:
            e.node(tree.body)
        finally:
            e.scope = outer
        self._define(tree.name, UserFunction(tree), tree.span)

    def _formals(self, parameters: tuple[t.Parameter, ...]) -> None:
        seen: dict[str, Span] = {}
        for p in parameters:
            if p.name in seen:
                message = f"argument '{p.name}' is named twice"
                notes = (("first named here", seen[p.name]),)
                raise self.e.problem("redefinition", message, p.span, notes=notes)
            seen[p.name] = p.span

    def _update(self, tree: t.Update) -> None:
        """``update``: the first argument is the history's current value."""
        self._top_level(tree.span, "an update function")
        self._formals(tree.parameters)
        if not tree.parameters:
            message = "an update function takes the current value as its first argument"
            raise self.e.problem("bad-declaration", message, tree.span, help="update sgd(g) { ... }")
        e = self.e
        outer, e.scope = e.scope, Scope(e.scope)
        try:
            rule = self._update_rule(tree)
        finally:
            e.scope = outer
        self._define(tree.name, rule, tree.span)
        self.updates[tree.name] = rule

    def _update_rule(self, tree: t.Update) -> UpdateRule:
        e = self.e
        first, *rest = tree.parameters
        parameters = [(p.name, None if p.default is None else e.node(p.default)) for p in rest]

        def slot(*attr: str) -> Node:
            return Node(Op.SLOT, (), attr, scalar())

        names = e.scope.entries
        names[first.name] = Bound(slot("history"), first.span)
        if first.name != "t":
            names["t"] = Bound(slot("step"), tree.span)
        for p in rest:
            names[p.name] = Bound(slot("parameter", p.name), p.span)
        states: dict[str, Node] = {}
        assigns: list[tuple[str, Node]] = []
        for assign in tree.body:
            node = e.node(assign.value)
            if assign.state:
                if assign.name in names:
                    message = f"'{assign.name}' is defined twice"
                    raise e.problem("redefinition", message, assign.span)
                states[assign.name] = node
                names[assign.name] = Bound(slot("state", assign.name), assign.span)
            else:
                known = names.get(assign.name)
                if known is not None and assign.name not in states:
                    message = f"'{assign.name}' is not a state"
                    raise e.problem("redefinition", message, assign.span)
                assigns.append((assign.name, node))
                if assign.name not in states:
                    names[assign.name] = Bound(slot("state", assign.name), assign.span)
        result = e.node(tree.result)
        return UpdateRule(
            tree.name,
            tuple(parameters),
            tuple(states.items()),
            tuple(assigns),
            result,
            tree.span,
        )

    # ---- rules ---------------------------------------------------------------------------------

    def _for(self, tree: t.For) -> Block:
        return self._loop(tree.loop, tree.span, lambda: self._body(tree.body))

    def _loop(
        self, binder: t.Binder, span: Span, body: Callable[[], tuple[Rule | Block, ...]]
    ) -> Block:
        e = self.e
        loop = indices.loop(e, binder)
        outer, e.scope = e.scope, Scope(e.scope)
        e.scope.entries[binder.var] = indices.loop_variable(binder)
        try:
            return Block(loop, body(), span)
        finally:
            e.scope = outer

    def _binding(self, tree: t.Binding) -> Rule | Block:
        def nest(loops: tuple[t.Binder, ...]) -> tuple[Rule | Block, ...]:
            if not loops:
                return (self._rule(tree),)
            return (self._loop(loops[0], tree.span, lambda: nest(loops[1:])),)

        return nest(tree.loops)[0]

    def _rule(self, tree: t.Binding) -> Rule:
        e, target = self.e, tree.target
        e.refs = []
        value = e.node(tree.value)
        key = []
        for item in target.items:
            if isinstance(item, t.Range | t.FullSlice):
                message = "the left side names one member"
                hint = f"{target.name}[k] = ... for k in 1..4"
                raise e.problem("bad-index", message, item.span, help=hint)
            key.append(indices.affine(e, item))
        value = self._of_target_kind(tree, value)
        self._family(tree, len(key), value.type)
        return Rule(target.name, tuple(key), value, target.span, tuple(e.refs))

    def _of_target_kind(self, tree: t.Binding, value: Node) -> Node:
        e, target, kind = self.e, tree.target, value.type.kind
        if target.ket and kind is Kind.SCALAR:
            return build.spread(value, ket(value.type.axes))
        if target.ket and kind is Kind.OPERATOR:
            message = f"'{target.name}' is written as a ket, its value is an operator"
            raise e.problem("wrong-kind", message, tree.value.span, help=f"write {target.name} = ...")
        if not target.ket and kind is Kind.KET:
            message = f"'{target.name}' is written as a scalar, its value is a ket"
            hint = f"write |{target.name}> = ... for a ket, <x|y> or <1|x> for a scalar"
            raise e.problem("wrong-kind", message, tree.value.span, help=hint)
        if value.type.open:
            message = f"the value depends on iid copies {sorted(value.type.copies - {0})}"
            hint = "average over them: E{1}[ ... ]"
            raise e.problem("open-copy", message, tree.value.span, help=hint)
        return value

    def _family(self, tree: t.Binding, arity: int, type: Type) -> None:
        name = tree.target.name
        known = self.families.get(name)
        if known is None:
            family = Family(name, arity, type, tree.target.span)
            self._define(name, family, tree.target.span)
            self.families[name] = family
            return
        notes = ((f"'{name}' is first defined here", known.span),)
        if known.arity != arity:
            message = f"'{name}' has {known.arity} indices, found {arity}"
            raise self.e.problem("missing-index", message, tree.target.span, notes=notes)
        if arity == 0:
            message = f"'{name}' is defined twice"
            raise self.e.problem("redefinition", message, tree.target.span, notes=notes)
        if known.type != type:
            message = f"this member of '{name}' is a {type}, the first one is a {known.type}"
            code = "axis-mismatch" if known.type.kind is type.kind else "wrong-kind"
            raise self.e.problem(code, message, tree.value.span, notes=notes)

    # ---- outputs -------------------------------------------------------------------------------

    def _output(self, tree: t.Output) -> None:
        self._top_level(tree.span, "output")
        for item in tree.items:
            self.e.guarded(lambda i=item: self._output_item(i))  # type: ignore[misc]

    def _output_item(self, item: t.OutputItem) -> None:
        e = self.e
        e.refs = []
        name = item.alias or " ".join(item.span.text.split())
        bare = item.value
        if isinstance(bare, t.Name):
            family = e.lookup(bare.name, bare.span)
            if isinstance(family, Family) and family.arity and family.type.kind is Kind.SCALAR:
                rule = OutputRule(name, None, bare.name, family.type.axes, item.span, ())
                self._add_output(rule)
                return
        try:
            value = e.node(bare)
        except Skip:
            return
        if value.type.kind is not Kind.SCALAR:
            what = "an operator" if value.type.kind is Kind.OPERATOR else "a ket"
            hint = "put out a scalar of it: <x|x>, <1|x> or <v|W|x>"
            raise e.problem("wrong-kind", f"an output is a scalar, found {what}", item.span, help=hint)
        self._add_output(OutputRule(name, value, None, value.type.axes, item.span, tuple(e.refs)))

    def _add_output(self, rule: OutputRule) -> None:
        for old in self.outputs:
            if old.name == rule.name:
                notes = (("first put out here", old.span),)
                message = f"two outputs are named '{rule.name}'"
                hint = "name one of them: output x as y"
                raise self.e.problem("redefinition", message, rule.span, notes=notes, help=hint)
        self.outputs.append(rule)


def _outermost(scope: Scope) -> Scope:
    while scope.outer is not None:
        scope = scope.outer
    return scope


def _numeric(node: Node) -> bool:
    """Whether a scalar graph is made of literals and params alone."""
    from nexort.program.nodes import walk

    return all(x.op in (Op.CONST, Op.PARAM, Op.CALL, Op.SIZE) for x in walk([node]))


def _defined_names(statements: Iterable[t.Statement]) -> dict[str, Span]:
    """Every name that statements define, with the place of its first definition."""
    names: dict[str, Span] = {}
    for statement in statements:
        match statement:
            case t.Declaration() | t.Random():
                for item in statement.names:
                    names.setdefault(item.name, item.span)
            case t.Function() | t.Update():
                names.setdefault(statement.name, statement.span)
            case t.Binding():
                names.setdefault(statement.target.name, statement.target.span)
            case t.For():
                for name, span in _defined_names(statement.body).items():
                    names.setdefault(name, span)
            case _:
                pass
    return names


