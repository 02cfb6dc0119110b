"""Statements: rules, loops, outputs. Every error of a file is reported in one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, count

from nexort.elaborate import indices, networks, trainings
from nexort.elaborate.comments import Comments, notes_of
from nexort.elaborate.declarations import Declarations
from nexort.elaborate.scope import Poisoned, Scope, defined_names
from nexort.program import build
from nexort.program.declarations import NO_NOTE, Block, Family, Initial, Note, OutputRule, Rule
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node
from nexort.program.program import Program
from nexort.program.types import Kind, Type, ket
from nexort.support.diagnostics import InternalError, NexortError, Report, Source, Span, count_text
from nexort.syntax import tree as t

Load = Callable[[t.Import], t.Module]


def elaborate(module: t.Module, load: Load) -> Program:
    """The typed program of a module. Raises NexortError with every error found.

    ``load`` gives the tree of an import, or raises NexortError.
    """
    return Elaboration(module.span.source, load).run(module)


class Elaboration(Declarations):
    """One file with its imports, as it is read from top to bottom."""

    def __init__(self, source: Source, load: Load) -> None:
        super().__init__(Report())
        self.source = source
        self.load = load
        self.outputs: list[OutputRule] = []
        self.imported: set[str] = {source.name}
        self.comments = Comments()
        self.notes: dict[str, Note] = {}
        self.blocks: list[Block] = []
        """The rules of outputs over every step."""

    def run(self, module: t.Module) -> Program:
        self.comments.add(module)
        statements = self._with_imports(module.statements)
        self.e.later = defined_names(statements)
        body = self.body(statements)
        self.report.stop()
        return Program(
            self.source,
            self.params,
            self.dims,
            self.data,
            self.initial,
            self.updates,
            self.families,
            (*body, *self.blocks),
            tuple(self.outputs),
            self.training,
            tuple(self.report),
            self.functions,
            self.notes,
        )

    def _with_imports(self, statements: Iterable[t.Statement]) -> list[t.Statement]:
        """The statements with imported modules in place; each file once."""
        flat: list[t.Statement] = []
        waiting = list(statements)[::-1]
        while waiting:
            statement = waiting.pop()
            if not isinstance(statement, t.Import):
                flat.append(statement)
                continue
            try:
                module = self.load(statement)
            except NexortError as error:
                self.e.incomplete = True
                for diagnostic in error.diagnostics:
                    self.report.add(diagnostic)
                continue
            name = module.span.source.name
            if name not in self.imported:
                self.imported.add(name)
                self.comments.add(module)
                waiting += module.statements[::-1]
        return flat

    def body(self, statements: Iterable[t.Statement]) -> tuple[Rule | Block, ...]:
        body: list[Rule | Block] = []
        for statement in statements:
            above = self.comments.above(statement.span)
            made = self.e.guarded(lambda s=statement: self._statement(s), statement.span)  # type: ignore[misc]
            note = self.comments.note(above, statement.span)
            if made is not None:
                body.append(made if note == NO_NOTE else replace(made, note=note))
            else:
                self._poison(statement)
                self.notes |= notes_of(statement, note, self.notes)
        return tuple(body)

    def _poison(self, statement: t.Statement) -> None:
        """Names that a failed statement left undefined: their uses say nothing more."""
        for name, span in defined_names([statement]).items():
            if self.e.scope.find(name) is None:
                self.e.scope.declarations().entries[name] = Poisoned(span)

    def _statement(self, statement: t.Statement) -> Rule | Block | None:
        match statement:
            case t.Binding():
                return self._binding(statement)
            case t.For():
                return self._for(statement)
            case t.Output():
                self._output(statement)
            case t.Network():
                networks.elaborate_network(self, statement, self.body)
            case t.Weight():
                networks.elaborate_weight(self, statement)
            case t.Returned():
                networks.elaborate_return(self, statement)
            case t.Train():
                trainings.elaborate_training(self, statement)
            case t.Noted(inner):
                return self._statement(inner)
            case t.Import():
                self.top_level(statement.span, "an import")
                raise InternalError("an import was not resolved")
            case _:
                self.declare(statement)
        return None

    # ---- rules ---------------------------------------------------------------------------------

    def _for(self, tree: t.For) -> Block:
        return self._loop(tree.loop, tree.span, lambda: self.body(tree.body))

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
            key.append(indices.elaborate_index(e, item))
        value = self._of_target_kind(tree, value)
        self._family(tree, len(key), value.type)
        return Rule(target.name, tuple(key), value, target.span, tuple(e.refs))

    def _of_target_kind(self, tree: t.Binding, value: Node) -> Node:
        e, target, kind = self.e, tree.target, value.type.kind
        if target.ket and kind is Kind.SCALAR:
            return build.spread(value, ket(value.type.axes))
        if target.ket and kind is Kind.OPERATOR:
            message = f"'{target.name}' is written as a ket, its value is an operator"
            raise e.problem(
                "wrong-kind", message, tree.value.span, help=f"write {target.name} = ..."
            )
        if not target.ket and kind is Kind.KET:
            message = f"'{target.name}' is written as a scalar, its value is a ket"
            hint = f"write |{target.name}> = ... for a ket, <x|y> or <1|x> for a scalar"
            raise e.problem("wrong-kind", message, tree.value.span, help=hint)
        if value.type.open:
            copies = ",".join(map(str, sorted(value.type.copies - {0})))
            message = (
                f"the value depends on iid {'copy' if copies.isdigit() else 'copies'} {copies}"
            )
            hint = f"average over them: E{{{copies}}}[ ... ]"
            raise e.problem("open-copy", message, tree.value.span, help=hint)
        return value

    def _family(self, tree: t.Binding, arity: int, type: Type) -> None:
        name = tree.target.name
        known = self.families.get(name)
        if known is None:
            family = Family(name, arity, type, tree.target.span)
            self.define(name, family, tree.target.span)
            self.families[name] = family
            return
        notes = ((f"'{name}' is first defined here", known.span),)
        if known.arity != arity:
            takes = count_text(known.arity, "index", "indices") if known.arity else "no index"
            message = f"'{name}' has {takes}, found {arity or 'none'}"
            raise self.e.problem("missing-index", message, tree.target.span, notes=notes)
        if arity == 0:
            message = f"'{name}' is defined twice"
            left, right = "|>" if type.kind is Kind.KET else ("", "")
            here, before = f"{left}{name}[l]{right}", f"{left}{name}[l-1]{right}"
            hint = f"another name, or one a round of a loop: {here} = ... {before}"
            raise self.e.problem("redefinition", message, tree.target.span, notes=notes, help=hint)
        if known.type != type:
            message = f"this member of '{name}' is a {type}, the first one is a {known.type}"
            code = "axis-mismatch" if known.type.kind is type.kind else "wrong-kind"
            raise self.e.problem(code, message, tree.value.span, notes=notes)

    # ---- outputs -------------------------------------------------------------------------------

    def _output(self, tree: t.Output) -> None:
        self.top_level(tree.span, "output")
        for item in tree.items:
            self.e.guarded(lambda i=item: self._output_item(i), item.span)  # type: ignore[misc]

    def _output_item(self, item: t.OutputItem) -> None:
        e = self.e
        e.refs = []
        name = item.alias or " ".join(re.sub(r"#[^\n]*", " ", item.span.text).split())
        bare = item.value
        if isinstance(bare, t.Name):
            family = e.scope.find(bare.name)
            if isinstance(family, Family) and family.arity and family.type.kind is Kind.SCALAR:
                rule = OutputRule(name, None, bare.name, family.type.axes, item.span, ())
                self._add_output(rule)
                return
            known = family.value if isinstance(family, Initial) else family
            if isinstance(known, Family | Node) and known.type.kind is Kind.KET:
                raise self._not_a_scalar(known.type, item.span)
        e.stepped = False
        e.every_step = self._fresh("t") if self.training is not None else None
        try:
            value = e.node(bare)
        finally:
            variable, e.every_step = e.every_step, None
        if value.type.kind is not Kind.SCALAR:
            raise self._not_a_scalar(value.type, item.span)
        if e.stepped and variable is not None:
            self._over_steps(name, value, variable, item.span)
            return
        self._add_output(OutputRule(name, value, None, value.type.axes, item.span, tuple(e.refs)))

    def _over_steps(self, name: str, value: Node, variable: str, span: Span) -> None:
        """An output at every step of the training."""
        assert self.training is not None
        family = Family(self._fresh("at"), 1, value.type, span)
        self.define(family.name, family, span)
        self.families[family.name] = family
        loop = Loop(variable, Interval(Affine(), self.training.steps))
        rule = Rule(family.name, (Affine.variable(variable),), value, span, tuple(self.e.refs))
        self.blocks.append(Block(loop, (rule,), span))
        self._add_output(OutputRule(name, None, family.name, value.type.axes, span, ()))

    def _fresh(self, name: str) -> str:
        """A name that the file does not use."""
        known = {*self.e.scope.names(), *self.e.later}
        spellings = chain((name,), (f"{name}{k}" for k in count(1)))
        return next(x for x in spellings if x not in known)

    def _not_a_scalar(self, type: Type, span: Span) -> NexortError:
        what = "an operator" if type.kind is Kind.OPERATOR else f"a {type}"
        message = f"an output is a scalar, found {what}"
        hint = "put out a scalar of it: <x|x>, <1|x> or <v|W|x>"
        return self.e.problem("wrong-kind", message, span, help=hint)

    def _add_output(self, rule: OutputRule) -> None:
        for old in self.outputs:
            if old.name == rule.name:
                notes = (("first put out here", old.span),)
                message = f"two outputs are named '{rule.name}'"
                hint = "name one of them: output x as y"
                raise self.e.problem("redefinition", message, rule.span, notes=notes, help=hint)
        self.outputs.append(rule)
