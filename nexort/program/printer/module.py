"""Programs as modules of the language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count, groupby

from nexort.program.declarations import (
    NO_NOTE,
    Block,
    Data,
    Dim,
    Initial,
    OutputRule,
    Param,
    Rule,
    UserFunction,
    rules_of,
)
from nexort.program.differentiate import substitute
from nexort.program.index import Affine
from nexort.program.nodes import STANDARD, Node, Op, rewrite, walk
from nexort.program.printer.expressions import Expressions
from nexort.program.printer.laws import is_joint, law_of, random, standard_object
from nexort.program.printer.patterns import formals, patterns_of
from nexort.program.printer.trainings import at_every_step, network_tree, of_registry, train_tree
from nexort.program.printer.trees import NOWHERE, attach_notes, axis, binder_tree, items, name_tree
from nexort.program.printer.updates import update
from nexort.program.program import OUTPUTS, Program
from nexort.program.types import Kind
from nexort.syntax import tree as t
from nexort.syntax.printer import format_module, print_expr


def print_program(program: Program) -> str:
    """A program in canonical form: what is elaborated from it is the program again.

    Raises NexortError for what the language has no words for.
    """
    return format_module(module_of(program))


def module_of(program: Program) -> t.Module:
    """A program as a syntax tree. Raises NexortError for what the language has no words for."""
    return t.Module(tuple(in_paragraphs(ModuleWriter(program).statements())), (), NOWHERE)


@dataclass
class ModuleWriter:
    """Writes the statements of a program."""

    program: Program
    functions: dict[Node, t.Function] = field(default_factory=dict)
    """Functions that texts need, by their bodies."""

    def __post_init__(self) -> None:
        p = self.program
        known = p.training is not None
        self.updates = {n: x for n, x in p.updates.items() if not (known and of_registry(x))}
        self.names = {*p.params, *p.dims, *p.data, *p.initial, *self.updates, *p.families}
        self.names |= {*p.functions}
        self.names |= {loop.var for loops, _ in p.rules() for loop in loops}
        self.write = Expressions(
            declared_members(p),
            patterns_of(p, roots_of(p)),
            p.updates,
            self.names.__contains__,
            self.function,
        )

    def statements(self) -> Iterator[t.Statement]:
        """Everything, what is read before what reads it; a training before the first rule that
        reads it."""
        p = self.program
        declared = [*self._numbers("param", p.params), *self._numbers("dim", p.dims)]
        declared += map(self._data, p.data.values())
        waiting = [*self._updates(), *self._initials()]
        stepped = self._stepped()
        body = [(x, self._item(x)) for x in p.body if x not in stepped.values()]
        run = tuple(self._run())
        outputs = [*self._outputs(stepped)]
        own = [self._function(f) for f in p.functions.values()]
        yield from (*declared, *own, *self.functions.values())
        defined: set[str] = set()
        trajectories = {*p.families} - {rule.name for _, rule in p.rules()}
        for item, statement in body:
            rules = [rule for _, rule in rules_of((item,))]
            yield from _ready(waiting, defined)
            if _families([rule.value for rule in rules]) & trajectories - defined:
                yield from run
                defined |= trajectories
                yield from _ready(waiting, defined)
            yield statement
            defined |= {rule.name for rule in rules}
        yield from _ready(waiting, defined)
        if not trajectories <= defined:
            yield from run
        yield from _ready(waiting, {*p.families})
        yield from outputs

    # ---- declarations --------------------------------------------------------------------------

    def _numbers(
        self, keyword: str, declared: Mapping[str, Param] | Mapping[str, Dim]
    ) -> Iterator[t.Statement]:
        """Params or dims; neighbours without a number stand on one line."""
        told: list[t.Declared] = []
        for x in declared.values():
            value = x.default if isinstance(x, Param) else x.size
            told.append(
                t.Declared(x.name, (), None if value is None else self.write(value), NOWHERE)
            )
        for bare, group in groupby(told, lambda x: x.value is None):
            found = tuple(group)
            for names in (found,) if bare else ((x,) for x in found):
                yield self._noted(t.Declaration(keyword, names, NOWHERE), names)

    def _data(self, data: Data) -> t.Statement:
        axes = tuple(map(axis, data.axes))
        value = None if data.default is None else self.write(data.default)
        names = (t.Declared(data.name, axes, value, NOWHERE),)
        return self._noted(t.Declaration("data", names, NOWHERE), names)

    def _noted(self, made: t.Statement, names: Iterable[t.Declared]) -> t.Statement:
        """A declaration with the comments of its names."""
        notes = [self.program.notes[x.name] for x in names if x.name in self.program.notes]
        return attach_notes(made, notes)

    def _initials(self) -> Iterator[Waiting]:
        """Declarations of initial objects; neighbours with one law are declared together."""

        def told(x: Initial) -> object:
            leaf = standard_object(x.value)
            return leaf.attr[0] if leaf is not None and is_joint(x) else (x.kind, laws[x.name])

        laws = {name: law_of(x, self.write) for name, x in self.program.initial.items()}
        for _, group in groupby(self.program.initial.values(), told):
            found = tuple(group)
            reads = _families([x.value for x in found])
            made = random(found, laws[found[0].name])
            yield reads, self._noted(made, made.names)

    def _updates(self) -> Iterator[Waiting]:
        for rule in self.updates.values():
            reads = _families([rule.result, *(x for _, x in (*rule.states, *rule.assigns))])
            notes = [self.program.notes.get(rule.name, NO_NOTE)]
            yield reads, attach_notes(update(rule, self.write, self.names), notes)

    def function(self, body: Node, args: tuple[Node, ...]) -> str:
        """The name of a function of ``args``, added to the file."""
        for own in self.program.functions.values():
            if len(args) == len(own.parameters):
                values = dict(zip(formals(own), args, strict=True))
                if substitute(own.body, values) is body:
                    return own.name
        slots = {
            a: Node(Op.SLOT, (), ("formal", f"z{k or ''}"), a.type) for k, a in enumerate(args)
        }
        value = rewrite([body], lambda x: slots.get(x, x))[body]
        if value not in self.functions:
            name_ = fresh("q", self.names)
            arguments = tuple(t.Parameter(x.attr[1], None, NOWHERE) for x in slots.values())
            self.functions[value] = t.Function(name_, arguments, self.write(value), NOWHERE)
        return self.functions[value].name

    def _function(self, function: UserFunction) -> t.Statement:
        """A function of the file, over those before it."""
        parameters = tuple(
            t.Parameter(p, None if default is None else self.write(default), NOWHERE)
            for p, default in function.parameters
        )
        own = list(self.program.functions)
        write = self.write.without(own[own.index(function.name) :])
        made = t.Function(function.name, parameters, write(function.body), NOWHERE)
        return attach_notes(made, [self.program.notes.get(function.name, NO_NOTE)])

    # ---- trainings -----------------------------------------------------------------------------

    def _run(self) -> Iterator[t.Statement]:
        """The network and its training."""
        made = self.program.training
        if made is not None:
            yield network_tree(made.network, self.write, self._item, self.program.notes)
            yield train_tree(made, self.write, self.program.notes)

    def _stepped(self) -> dict[str, Block]:
        """The rules that outputs at every step stand for, by their families."""
        if self.program.training is None:
            return {}
        blocks = [x for x in self.program.body if isinstance(x, Block)]
        return {
            o.family: x
            for o in self.program.outputs
            for x in blocks
            if o.family is not None and x.span is o.span
        }

    # ---- rules and outputs ---------------------------------------------------------------------

    def _item(self, item: Rule | Block, depth: int = 0) -> t.Statement:
        """A rule, or a loop; a single rule stands before its loops."""
        if isinstance(item, Rule):
            return attach_notes(self._rule(item, ()), [item.note])
        inner, loops = item, [item.loop]
        while len(inner.body) == 1 and isinstance(inner.body[0], Block):
            inner = inner.body[0]
            loops.append(inner.loop)
        if not depth and len(inner.body) == 1 and isinstance(inner.body[0], Rule):
            rule = self._rule(inner.body[0], tuple(map(binder_tree, loops)))
            return attach_notes(rule, [item.note, inner.body[0].note])
        body = tuple(self._item(x, depth + 1) for x in item.body)
        return attach_notes(t.For(binder_tree(item.loop), body, NOWHERE), [item.note])

    def _rule(self, rule: Rule, loops: tuple[t.Binder, ...]) -> t.Binding:
        is_ket = rule.value.type.kind is Kind.KET
        target = t.Target(rule.name, items(rule.indices), is_ket, NOWHERE)
        value, scalar = rule.value, rule.value.args[0] if rule.value.args else rule.value
        if value.op is Op.SPREAD and scalar.type.axes == value.type.axes:
            value = scalar  # a constant ket
        return t.Binding(target, self.write(value), loops, NOWHERE)

    def _outputs(self, stepped: Mapping[str, Block]) -> Iterator[t.Statement]:
        found = tuple(self._output(x, stepped) for x in self.program.outputs)
        if found:
            note = self.program.notes.get(OUTPUTS, NO_NOTE)
            yield attach_notes(t.Output(found, NOWHERE), [note])

    def _output(self, output: OutputRule, stepped: Mapping[str, Block]) -> t.OutputItem:
        if output.family is not None:
            rule = stepped.get(output.family)
            value = name_tree(output.family) if rule is None else self.write(at_every_step(rule))
        else:
            assert output.value is not None
            value = self.write(output.value)
        alias = output.name if output.name.isidentifier() else None
        return t.OutputItem(value, None if print_expr(value) == alias else alias, NOWHERE)


def in_paragraphs(statements: Iterable[t.Statement]) -> Iterator[t.Statement]:
    """Statements in paragraphs: declarations, every update function, every loop over sections, the
    network and its training."""
    last: object = None
    for x in statements:
        inner = x.statement if isinstance(x, t.Noted) else x
        match inner:
            case t.Declaration() | t.Function():
                kind: object = "declaration"
            case t.Update() | t.Optimizer() | t.Network():
                kind = inner.name
            case t.Train():
                kind = inner
            case t.For(_, body) if any(isinstance(y, t.Noted) for y in body):
                kind = inner
            case _:
                kind = "rule"
        if kind == last or last is None:
            yield x
        elif isinstance(x, t.Noted):
            yield replace(x, apart=True)
        else:
            yield t.Noted(x, (), "", True, NOWHERE)
        last = kind


Waiting = tuple[frozenset[str], t.Statement]
"""A declaration, and the families that it reads."""


def _ready(waiting: list[Waiting], defined: set[str]) -> list[t.Statement]:
    """The declarations that have what they read; they wait no longer."""
    found = [x for x in waiting if x[0] <= defined]
    waiting[:] = [x for x in waiting if not x[0] <= defined]
    return [statement for _, statement in found]


def _families(roots: Iterable[Node]) -> frozenset[str]:
    return frozenset(x.attr[0] for x in walk(roots) if x.op is Op.REF)


def fresh(wanted: str, names: set[str]) -> str:
    """A name that is free, which is taken from now on."""
    spellings = chain((wanted,), (f"{wanted}{k}" for k in count(1)))
    found = next(x for x in spellings if x not in names)
    names.add(found)
    return found


def roots_of(program: Program) -> list[Node]:
    """Every graph of the rules and outputs."""
    found = [rule.value for _, rule in program.rules()]
    if program.training is not None:
        made = program.training.network
        found += [*(rule.value for _, rule in rules_of(made.body)), made.output]
    return found + [o.value for o in program.outputs if o.value is not None]


def declared_members(program: Program) -> dict[Node, tuple[str, tuple[Affine, ...]]]:
    """Declared objects by their graphs, members of families at the indices that are read."""
    owners: dict[str, list[Initial]] = {}
    found: dict[Node, tuple[str, tuple[Affine, ...]]] = {}
    weights = {} if program.training is None else program.training.network.initial
    initial = [*program.initial.values(), *weights.values()]
    for x in initial:
        leaf = standard_object(x.value)
        if leaf is not None:
            owners.setdefault(leaf.attr[0], []).append(x)
        elif x.value.op is Op.SPREAD:
            found.setdefault(x.value, (x.name, ()))
    graphs = [x.value for x in initial]
    for leaf in walk([*roots_of(program), *graphs]):
        if leaf.op in STANDARD:
            name_, key = leaf.attr
            for x in owners[name_]:
                if len(key) == len(x.ranges):
                    found[x.at(key)] = x.name, key
    return found
