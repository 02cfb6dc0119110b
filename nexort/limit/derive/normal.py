"""Program to lines: operators expand, applications and arguments get names, equal rules join."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from nexort.limit.derive.algebra import (
    BoundNames,
    index_at,
    rebuilt,
)
from nexort.limit.derive.applications import Applications
from nexort.limit.derive.cutting import cut_rule
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import ONE, Expectation, Formula, Indices, Ket
from nexort.limit.derive.indexing import loop_ends
from nexort.limit.derive.initials import initial_families
from nexort.limit.derive.joining import join_rules
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.naming import RulePlace, is_affine_formula, label_axes
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.declarations import OutputRule, Rule
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program
from nexort.program.types import Kind
from nexort.support.diagnostics import fail


def normalize(
    program: Program,
    names: BoundNames,
    *,
    kets_exist: bool = True,
    operators: Set[str] = frozenset(),
) -> System:
    """The lines of a program; ``kets_exist``: functions of kets are known to, as they are written.
    Of ``operators`` there are lines too.

    Raises NexortError where a rule has no symbolic form.
    """
    system = initial_families(program, names)
    taken = {*program.params, *program.dims, *program.data, *program.initial, *program.families}
    maker = _Maker(program, names, system, taken)
    maker.indexer.kets_exist = kets_exist
    for loops, rule in program.rules():
        whole = program.families[rule.name].type.kind is Kind.OPERATOR
        if whole and rule.name not in operators:
            continue
        try:
            for piece in cut_rule(loops, rule, maker.definitions):
                maker.add(*piece)
        except Unsupported as problem:
            raise fail(
                "not-derivable", f"'{rule.name}' cannot be derived symbolically: {problem}",
                rule.span, help="nexort eval and nexort verify still evaluate it",
            ) from None  # fmt: skip
    for output in program.outputs:
        if output.value is None:
            continue
        try:
            system.outputs[output.name] = maker.output(output)
            system.given[output.name] = maker.output(output, as_written=True)
        except Unsupported as problem:
            raise fail(
                "not-derivable", f"the output cannot be derived symbolically: {problem}",
                output.span, help="nexort eval and nexort verify still evaluate it",
            ) from None  # fmt: skip
    for name, lines in system.kets.items():
        system.kets[name] = join_rules(lines, names)
    _place_fixed_members(system)
    system.updates = maker.functions.functions
    for name, lines in system.scalars.items():
        system.scalars[name] = join_rules(lines, names)
    return system


def as_written(program: Program, names: BoundNames) -> dict[str, Formula]:
    """The outputs that are not families, as the program writes them."""
    maker = _Maker(program, names, System(), set())
    return {
        o.name: maker.output(o, as_written=True) for o in program.outputs if o.value is not None
    }


def _place_fixed_members(system: System) -> None:
    """|y[0]> = |x> and the like, placed where y[0] occurs inside of a function: a member may be
    Gaussian although its family is not."""
    fixed = {
        (x.name, x.indices): x
        for lines in system.kets.values()
        for x in lines
        if x.indices and not x.ranges and x.matrix is None and is_affine_formula(x.value)
    }

    def visit(formula: Formula) -> Formula:
        if isinstance(formula, Ket):
            line = fixed.get((formula.name, formula.indices))
            if line is not None and not formula.copy:
                return line.at(formula.indices, formula.axes)
            return formula
        return formula if isinstance(formula, Expectation) else rebuilt(formula, visit)

    def is_sum(line: Line) -> bool:
        return line.matrix is None and bool(line.ranges) and is_affine_formula(line.value)

    for name, lines in system.kets.items():
        system.kets[name] = [
            replace(x, value=visit(x.value)) if x.auxiliary and is_sum(x) else x for x in lines
        ]


class _Maker(Applications):
    """Lines of rules and outputs."""

    def add(self, loops: tuple[Loop, ...], rule: Rule) -> None:
        """The line of one rule, and those of its parts."""
        env, ranges, indices = orient_loops(loops, rule.indices)
        self.place = RulePlace(rule.name, indices, ranges, rule.span)
        if rule.value.type.kind is Kind.OPERATOR:
            value = self.operator(rule.value, env)
            line = Line(rule.name, indices, ranges, (), value, rule.span)
            self.system.operators.setdefault(rule.name, []).append(line)
            return
        labels = label_axes(rule.value.type.axes)
        at = tuple(Affine.variable(x.label) for x in labels)
        if rule.value.type.kind is Kind.SCALAR:
            value = self.indexer.formula(rule.value, at, env)
            line = Line(rule.name, indices, ranges, labels, value, rule.span)
            self.system.scalars.setdefault(rule.name, []).append(line)
            return
        self.system.axes[rule.name] = tuple(x.axis for x in labels)
        terms = list(self.terms(rule.value.args[0], env)) if rule.value.op is Op.APPLY else []
        if len(terms) == 1 and terms[0][0] == ONE and terms[0][1].op in (Op.INIT_MATRIX, Op.TAKE):
            [(_, leaf, turned, scale)] = terms
            self.application(rule.name, leaf, turned, scale, rule.value.args[1], env, False)
            return
        if len(terms) == 1 and terms[0][0] == ONE and terms[0][1].op is Op.REF:
            [(_, leaf, turned, _)] = terms
            name = rule.name if self.is_whole(rule, leaf) else None
            value = self.acting(leaf, turned, rule.value.args[1], at, env, name)
            if isinstance(value, Ket) and value.name == rule.name:
                return
        else:
            value = self.indexer.formula(rule.value, at, env)
        value = self.named_arguments(value, labels)
        line = Line(rule.name, indices, ranges, labels, value, rule.span)
        self.system.kets.setdefault(rule.name, []).append(line)

    def is_whole(self, rule: Rule, operator: Node) -> bool:
        """Whether the rules of a family that apply a family of operators are such applications,
        with nothing added."""

        def applies(node: Node) -> bool:
            while node.op in (Op.ADJOINT, Op.OP_SCALE):
                node = node.args[-1]
            return node.op is Op.REF and node.attr[0] == operator.attr[0]

        return not any(
            x.op is Op.APPLY and x is not other.value and applies(x.args[0])
            for _, other in self.program.rules()
            if other.name == rule.name
            for x in walk([other.value])
        )

    def output(self, output: OutputRule, as_written: bool = False) -> Formula:
        """The formula of an output that is not a family."""
        assert output.value is not None
        self.place = RulePlace("", (), (), output.span)
        labels = label_axes(output.value.type.axes)
        at = tuple(Affine.variable(x.label) for x in labels)
        self.indexer.as_written = as_written
        try:
            return self.indexer.formula(output.value, at, {})
        finally:
            self.indexer.as_written = False


def orient_loops(
    loops: tuple[Loop, ...], indices: Indices
) -> tuple[dict[str, Affine], tuple[IndexRange, ...], Indices]:
    """Loops rewritten so that an index is a loop's variable: for l in L..2 and the index l - 1, l
    becomes l + 1, l = 1..L-1. Returns what loop variables stand for, the ranges, the indices."""
    env: dict[str, Affine] = {}
    ranges: list[IndexRange] = []
    for loop in loops:
        first, last = loop_ends(loop, env)
        var = Affine.variable(loop.var)
        own = next((i for i in indices if dict(i.terms).get(loop.var) in (1, -1)), None)
        if own is None:
            raise Unsupported(f"no index of the rule follows the loop over {loop.var}")
        sign = dict(own.terms)[loop.var]
        rest = own - var.scaled(sign)
        if any(n in rest.names for n in (x.var for x in loops)):
            raise Unsupported("an index mixes loop variables")
        env[loop.var] = (var - rest).scaled(sign)
        one, other = first.scaled(sign) + rest, last.scaled(sign) + rest
        ranges.append(IndexRange(loop.var, *((one, other) if sign > 0 else (other, one))))
    at = tuple(index_at(i, env) for i in indices)
    names = [r.var for r in ranges]
    for index in at:
        mixed = index.names & set(names)
        if mixed and index not in [Affine.variable(n) for n in names]:
            raise Unsupported("an index is not a loop's variable plus a number")
    return env, tuple(ranges), at
