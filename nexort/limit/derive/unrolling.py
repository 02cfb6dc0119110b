"""Loops run, everything else stays symbolic: the program behind ``nexort derive --unroll``.

Params keep their names in formulas; only the ends of loops and indices become numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from nexort.program import build
from nexort.program.declarations import Block, OutputRule, Rule
from nexort.program.index import Affine, Loop
from nexort.program.nodes import LOOPS, MEMBERS, Node, Op
from nexort.program.program import Program
from nexort.support.diagnostics import Span, fail

Env = Mapping[str, int]
Visit = Callable[[Node], Node]


def unroll_loops(program: Program, numbers: Mapping[str, float | None], most: int) -> Program:
    """The program without loops and sums over loops. ``numbers`` has the params and the sizes that
    are known; ``most`` bounds the rules. Raises NexortError for a loop whose end is unknown."""
    known = _default_sizes(program)
    for name, number in numbers.items():
        if isinstance(number, int):
            known[name] = number
    runner = _Runner(program, most)
    body = tuple(runner.rules(program.body, known))
    outputs = [x for output in program.outputs for x in runner.outputs(output, body, known)]
    return replace(program, body=body, outputs=tuple(outputs))


def _default_sizes(program: Program) -> dict[str, int]:
    """Sizes of axes that the literal values of data tell."""
    found: dict[str, int] = {}
    for data in program.data.values():
        value = None if data.default is None else data.default.attr
        for axis in data.axes:
            if not isinstance(value, tuple):
                break
            found[axis.name] = len(value)
            value = value[0] if value else None
    return found


class _Runner:
    def __init__(self, program: Program, most: int) -> None:
        self.program = program
        self.most = most
        self.count = 0

    def rules(self, items: tuple[Rule | Block, ...], env: Env) -> Iterator[Rule]:
        """The rules of every round of every loop, in order."""
        for item in items:
            if isinstance(item, Rule):
                self._count(item.span)
                indices = tuple(self._index(i, env, item.span) for i in item.indices)
                value = self.instance(item.value, env, item.span)
                yield replace(item, indices=indices, value=value, refs=())
                continue
            for value_ in self._values(item.loop, env, item.span):
                yield from self.rules(item.body, {**env, item.loop.var: value_})

    def outputs(self, output: OutputRule, body: Sequence[Rule], env: Env) -> Iterator[OutputRule]:
        """An output, or for a family one of each member."""
        if output.value is not None:
            yield replace(output, value=self.instance(output.value, env, output.span))
            return
        assert output.family is not None
        family = self.program.families[output.family]
        for rule in body:
            if rule.name == output.family:
                name = f"{output.name}[{', '.join(map(str, rule.indices))}]"
                member = Node(Op.REF, (), (rule.name, rule.indices), family.type)
                yield replace(output, name=name, value=member, family=None)

    def instance(self, root: Node, env: Env, span: Span) -> Node:
        """A graph with numbers for loop variables, and sums written out."""
        made: dict[Node, Node] = {}

        def visit(node: Node) -> Node:
            if node not in made:
                made[node] = self._node(node, visit, env, span)
            return made[node]

        return visit(root)

    def _node(self, node: Node, visit: Visit, env: Env, span: Span) -> Node:
        match node.op:
            case op if op in LOOPS:
                return self._looped(node, env, span)
            case Op.INDEX:
                assert isinstance(node.attr, Affine)
                return build.constant(self._index(node.attr, env, span).constant)
            case Op.TAKE:
                items = tuple(None if i is None else self._index(i, env, span) for i in node.attr)
                return Node(Op.TAKE, (visit(node.args[0]),), items, node.type)
            case op if op in MEMBERS:
                name, indices = node.attr
                at = tuple(self._index(i, env, span) for i in indices)
                return Node(node.op, (), (name, at), node.type)
            case _:
                return node.with_args(tuple(visit(a) for a in node.args))

    def _looped(self, node: Node, env: Env, span: Span) -> Node:
        loop = node.attr
        assert isinstance(loop, Loop)
        terms = []
        for value in self._values(loop, env, span):
            self._count(span)
            terms.append(self.instance(node.args[0], {**env, loop.var: value}, span))
        if node.op is Op.GENERATE:
            return Node(Op.LIST, tuple(terms), None, node.type)
        if node.op is Op.OP_SUM:
            return Node(Op.OP_ADD, tuple(terms), None, node.type)
        if not terms:
            return build.spread(build.constant(0), node.type)
        total = terms[0]
        for term in terms[1:]:
            total = build.call("add", total, term)
        return total

    def _values(self, loop: Loop, env: Env, span: Span) -> range:
        try:
            return loop.interval.values(env)
        except KeyError as error:
            raise self._unknown(str(error.args[0]), span) from None

    def _index(self, index: Affine, env: Env, span: Span) -> Affine:
        try:
            return Affine(index.value(env))
        except KeyError as error:
            raise self._unknown(str(error.args[0]), span) from None

    def _unknown(self, name: str, span: Span) -> Exception:
        kind = "size" if name in self.program.dims else "param"
        message = f"to unroll this loop, the {kind} '{name}' has to be a known integer"
        return fail("no-value", message, span, help=f"--set {name}=3")

    def _count(self, span: Span) -> None:
        self.count += 1
        if self.count > self.most:
            message = f"the program unrolls to more than {self.most} instructions"
            hint = "shorten the loops, or raise --max-instructions"
            raise fail("too-long", message, span, help=hint)
