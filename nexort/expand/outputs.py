"""Outputs and rules around a training, over the families of its core program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nexort.expand.names import ExpansionNames
from nexort.program.declarations import Block, Initial, OutputRule, Rule, rules_of
from nexort.program.index import Affine, Interval, Loop
from nexort.program.network import Training
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.program import Program
from nexort.program.shifting import shift_graph
from nexort.program.types import Type
from nexort.support.diagnostics import fail

Item = Rule | Block


def outputs_over_steps(program: Program) -> dict[str, OutputRule]:
    """The outputs that the elaborator put over every step, by the families made for them."""
    return {
        o.family: o
        for o in program.outputs
        if o.family is not None and program.families[o.family].span == o.span
    }


@dataclass
class Around:
    """The rules ``before`` and ``after`` a run, and the outputs. ``fixed`` are names that do not
    move in the limit and have no step in the core program; ``step`` is the variable of its loops,
    ``last`` the last one."""

    program: Program
    training: Training
    names: ExpansionNames
    fixed: frozenset[str]
    objects: Mapping[str, Initial]
    step: str
    last: Affine
    before: list[Item] = field(default_factory=list)
    after: list[Item] = field(default_factory=list)
    outputs: list[OutputRule] = field(default_factory=list)

    def __post_init__(self) -> None:
        network = self.training.network
        run = {network.name, *network.families, *network.weights}
        over_steps = outputs_over_steps(self.program)
        rules: dict[str, Rule] = {}
        for item in self.program.body:
            defined = {rule.name for _, rule in rules_of((item,))}
            if defined & over_steps.keys():
                rules |= {rule.name: rule for _, rule in rules_of((item,))}
            elif _reads(item) & run:
                run |= defined
                self.after.append(self._placed(item))
            else:
                self.before.append(item)
        for output in self.program.outputs:
            rule = rules.get(output.family or "")
            self.outputs.append(
                self._output(output) if rule is None else self._stepped(output, rule)
            )

    def _output(self, output: OutputRule) -> OutputRule:
        if output.value is not None:
            return replace(output, value=self._value(output.value), refs=())
        name = output.family or ""
        arity, type_ = self.program.families[name].arity, self.program.families[name].type
        if name in self.fixed:
            if arity > 1:
                message = f"this training cannot be written out: '{name}' is put out as a whole"
                hint = f"put out its members: output {name}[1]"
                raise fail("not-expandable", message, output.span, help=hint)
            found = self.names.fresh("out")
            return self._over(output, found, (), self._member(name, (), type_))
        weight = self.training.network.weights.get(name)
        if weight is None:
            return output
        # a weight has a value after the last step too
        found = self.names.fresh("out")
        letters = [self.names.fresh(x) for x in "kmp"[: len(weight.ranges)]]
        loops = tuple(Loop(x, r) for x, r in zip(letters, weight.ranges, strict=True))
        key = tuple(Affine.variable(x) for x in (*letters, self.step))
        return self._over(output, found, loops, Node(Op.REF, (), (name, key), type_))

    def _stepped(self, output: OutputRule, rule: Rule) -> OutputRule:
        """An output over every step, under its own name where that is free."""
        own = output.name.isidentifier() and output.name not in self.names
        name = self.names.fresh(output.name if own else "out")
        [variable] = rule.indices
        [(old, _)] = variable.terms
        return self._over(output, name, (), self._value(rule.value, {old: self.step}))

    def _over(
        self, output: OutputRule, name: str, loops: tuple[Loop, ...], value: Node
    ) -> OutputRule:
        """A family over loops and steps, which is put out."""
        every = (*loops, Loop(self.step, Interval(Affine(0), self.last)))
        key = tuple(Affine.variable(loop.var) for loop in every)
        item: Item = Rule(name, key, value, output.span, ())
        for loop in reversed(every):
            item = Block(loop, (item,), output.span)
        self.after.append(item)
        return replace(output, family=name, refs=())

    # ---- graphs --------------------------------------------------------------------------------

    def _placed(self, item: Item) -> Item:
        if isinstance(item, Block):
            return replace(item, body=tuple(map(self._placed, item.body)))
        return replace(item, value=self._value(item.value), refs=())

    def _value(self, value: Node, renamed: Mapping[str, str] | None = None) -> Node:
        """A graph over the run; variables may have other names."""
        variables = {old: Affine.variable(new) for old, new in (renamed or {}).items()}

        def place(x: Node) -> Node:
            if x.op is Op.REF and x.attr[0] in self.fixed:
                return self._member(x.attr[0], x.attr[1][:-1], x.type)
            return x

        return shift_graph(rewrite([value], place)[value], variables)

    def _member(self, name: str, key: tuple[Affine, ...], type_: Type) -> Node:
        """A member of what does not move."""
        if name in self.objects:
            return self.objects[name].at(key)
        return Node(Op.REF, (), (name, key), type_)


def _reads(item: Item) -> set[str]:
    values: Iterable[Node] = [rule.value for _, rule in rules_of((item,))]
    return {str(x.attr[0]) for x in walk(values) if x.op is Op.REF}
