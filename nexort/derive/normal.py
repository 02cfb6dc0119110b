"""Program to lines: operators expand, applications and arguments get names, equal rules join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from nexort.derive.algebra import (
    Env,
    Names,
    add,
    applied,
    axis_sum,
    index_names,
    mul,
    place,
    power,
    rebuilt,
    reindexed,
)
from nexort.derive.derivation import Label, Range
from nexort.derive.formula import (
    ONE,
    Apply,
    CopyMean,
    Expectation,
    Formula,
    Indices,
    Ket,
    Matrix,
    Product,
    Sum,
)
from nexort.derive.indexing import Indexer, common, ends, on_copy
from nexort.derive.initials import initial_families
from nexort.derive.lines import Line, System
from nexort.derive.unsupported import Unsupported
from nexort.derive.walking import is_random
from nexort.diagnostics import Span, fail
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op
from nexort.program.program import OutputRule, Program, Rule
from nexort.program.types import Axes, Kind


def normalized(program: Program, names: Names) -> System:
    """The lines of a program. Raises NexortError where a rule has no symbolic form."""
    system = initial_families(program, names)
    taken = {*program.params, *program.dims, *program.data, *program.initial, *program.families}
    maker = _Maker(program, names, system, taken)
    for loops, rule in program.rules():
        if program.families[rule.name].type.kind is Kind.OPERATOR:
            continue
        try:
            maker.add(loops, rule)
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
        except Unsupported as problem:
            raise fail(
                "not-derivable", f"the output cannot be derived symbolically: {problem}",
                output.span, help="nexort eval and nexort verify still evaluate it",
            ) from None  # fmt: skip
    for name, lines in system.kets.items():
        system.kets[name] = joined(lines, names)
    for name, lines in system.scalars.items():
        system.scalars[name] = joined(lines, names)
    return system


@dataclass
class _Place:
    """The rule that is being read: its index, and how many names its parts got so far."""

    name: str
    indices: Indices
    ranges: tuple[Range, ...]
    span: Span
    count: dict[str, int] = field(default_factory=dict)


class _Maker:
    def __init__(self, program: Program, names: Names, system: System, taken: set[str]) -> None:
        self.program, self.names, self.system, self.taken = program, names, system, taken
        self.indexer = Indexer(program, names, self.apply)
        self.auxiliary: dict[tuple[str, str, tuple[str, ...], int], str] = {}
        self.known: dict[tuple[object, ...], str] = {}

    # ---- rules ---------------------------------------------------------------------------------

    def add(self, loops: tuple[Loop, ...], rule: Rule) -> None:
        """The line of one rule, and those of its parts."""
        env, ranges, indices = oriented(loops, rule.indices)
        self.place = _Place(rule.name, indices, ranges, rule.span)
        labels = labelled(rule.value.type.axes)
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
        value = self.named_arguments(self.indexer.formula(rule.value, at, env), labels)
        line = Line(rule.name, indices, ranges, labels, value, rule.span)
        self.system.kets.setdefault(rule.name, []).append(line)

    def output(self, output: OutputRule) -> Formula:
        """The formula of an output that is not a family."""
        assert output.value is not None
        self.place = _Place("", (), (), output.span)
        labels = labelled(output.value.type.axes)
        at = tuple(Affine.variable(x.label) for x in labels)
        return self.indexer.formula(output.value, at, {})

    def named_arguments(self, value: Formula, labels: tuple[Label, ...]) -> Formula:
        """f(|u> a + |b>) as f(|g>) with |g> = |u> a + |b>: sums inside of functions get names."""
        found: dict[Formula, Formula] = {}

        def name(formula: Formula) -> Formula:
            if isinstance(formula, Apply | Product):
                formula = rebuilt(formula, name)
            if formula in found:
                return found[formula]
            if not isinstance(formula, Apply):
                return rebuilt(formula, name) if isinstance(formula, Sum) else formula
            args = []
            for arg in formula.args:
                if is_affine(arg) and not isinstance(arg, Ket) and arg not in found:
                    found[arg] = self.auxiliary_ket(arg, labels)
                args.append(found.get(arg, arg))
            return Apply(formula.function, tuple(args))

        def again(formula: Formula) -> Formula:
            return found[formula] if formula in found else rebuilt(formula, again)

        value = name(value)
        return again(value) if found else value

    def auxiliary_ket(self, value: Formula, labels: tuple[Label, ...]) -> Ket:
        """A family of its own for a part of the rule; it keeps the labels that occur."""
        used = index_names(value)
        mine = tuple(x for x in labels if x.label in used)
        bound = sorted(used & set(self.indexer.bound))
        ranges = self.place.ranges + tuple(Range(b, *self.indexer.bound[b]) for b in bound)
        indices = self.place.indices + tuple(Affine.variable(b) for b in bound)
        name = self.fresh_name("g", mine)
        line = Line(name, indices, ranges, mine, value, self.place.span, auxiliary=True)
        return self.add_auxiliary(line)

    def add_auxiliary(self, line: Line) -> Ket:
        key = (line.indices, line.ranges, line.labels, line.value, line.matrix, line.scale)
        if key in self.known:
            return replace(line, name=self.known[key]).ket
        self.known[key] = line.name
        self.system.axes[line.name] = tuple(x.axis for x in line.labels)
        self.system.kets.setdefault(line.name, []).append(line)
        return line.ket

    def fresh_name(self, base: str, labels: tuple[Label, ...]) -> str:
        """The name of the next part: the same for parts at the same place of a family's rules."""
        axes = tuple(x.axis for x in labels)
        count = self.place.count[base] = self.place.count.get(base, 0) + 1
        key = (self.place.name, base, axes, count)
        if key not in self.auxiliary:
            number = 0
            while (name := base + (str(number) if number else "")) in self.taken:
                number += 1
            self.taken.add(name)
            self.auxiliary[key] = name
        return self.auxiliary[key]

    # ---- operators -----------------------------------------------------------------------------

    def apply(
        self, indexer: Indexer, acting: Node, value: Node, labels: Indices, env: Env
    ) -> Formula:
        """(A + c B)|z> = A|z> + c B|z>, (A B)|z> = A(B|z>), outer products act by bra-kets."""
        return add(
            *(
                mul(factor, self.term(leaf, turned, scale, value, labels, env))
                for factor, leaf, turned, scale in self.terms(acting, env)
            )
        )

    def terms(self, acting: Node, env: Env) -> Iterator[tuple[Formula, Node, bool, Formula]]:
        """An operator as a sum: coefficient, leaf, whether transposed, and the root of n times
        the leaf's variance. The leaf's own indices are those of the rule: see :meth:`inlined`."""
        stack: list[tuple[Formula, Node, bool]] = [(ONE, acting, False)]
        while stack:
            factor, node, turned = stack.pop()
            match node.op:
                case Op.OP_ADD:
                    stack.extend((factor, a, turned) for a in reversed(node.args))
                case Op.OP_SCALE:
                    scale = self.indexer.formula(node.args[0], (), env)
                    if self.is_declared_scale(node):
                        yield factor, node.args[1], turned, scale
                    else:
                        stack.append((mul(factor, scale), node.args[1], turned))
                case Op.ADJOINT:
                    stack.append((factor, node.args[0], not turned))
                case Op.REF:
                    stack.append((factor, self.inlined(node), turned))
                case Op.TAKE if node.args[0].op is Op.OP_SCALE:
                    [value] = node.args
                    inside = build.take(value.args[1], node.attr)
                    if self.is_declared_scale(value):
                        scale = self.indexer.formula(value.args[0], (), env)
                        yield factor, inside, turned, scale
                    else:
                        stack.append((factor, build.scale(value.args[0], inside), turned))
                case _:
                    yield factor, node, turned, ONE

    def is_declared_scale(self, node: Node) -> bool:
        """Whether c W is a declared matrix of variance c^2 / n."""
        factor, matrix = node.args
        if matrix.op is not Op.INIT_MATRIX:
            return False
        declared = self.program.initial[matrix.attr[0]].value
        return declared.op is Op.OP_SCALE and declared.args[0] is factor

    def inlined(self, node: Node) -> Node:
        """The operator that a name stands for. Raises Unsupported for families of operators."""
        name, indices = node.attr
        rules = [rule for _, rule in self.program.rules() if rule.name == name]
        if len(rules) != 1 or indices or rules[0].indices:
            raise Unsupported(f"the operators {name}[...] form a family")
        return rules[0].value

    def term(
        self, leaf: Node, turned: bool, scale: Formula, value: Node, labels: Indices, env: Env
    ) -> Formula:
        match leaf.op:
            case Op.INIT_MATRIX | Op.TAKE:
                ket = self.application(None, leaf, turned, scale, value, env, True)
                return replace(ket, axes=labels)
            case Op.COMPOSE:
                first, second = leaf.args[::-1] if not turned else leaf.args
                inner = build.apply(_turn(first, turned), value)
                outer = build.apply(_turn(second, turned), inner)
                return self.indexer.formula(outer, labels, env)
            case Op.OUTER:
                return self.outer(leaf, turned, value, labels, env)
            case Op.ENTRYWISE:
                body = self.entries(leaf.args[0], turned, env)
                acted = on_copy(self.indexer.formula(value, labels, env), 1)
                return CopyMean((1,), mul(body, acted))
            case _:
                raise Unsupported(f"an application of {leaf.op.name.lower()} has no symbolic form")

    def outer(self, leaf: Node, turned: bool, value: Node, labels: Indices, env: Env) -> Formula:
        """(|x> chi <y|)|z> = |x> Diag(chi) <y|z>."""
        x, chi, y = leaf.args if not turned else leaf.args[::-1]
        fresh = [self.names.fresh() for _ in x.type.axes]
        inner = tuple(Affine.variable(f) for f in fresh)
        ket, bra = (self.indexer.formula(k, inner, env) for k in (x, y))
        weight = self.indexer.formula(chi, inner[len(inner) - len(chi.type.axes) :], env)
        acted = self.indexer.formula(value, labels, env)
        body = mul(weight, ket, Expectation(mul(bra, acted)))
        for name, a, b in zip(fresh, x.type.axes, y.type.axes, strict=True):
            body = axis_sum(name, common(a, b), body)
        return body

    def entries(self, body: Node, turned: bool, env: Env) -> Formula:
        """Q's body with the entry (alpha, beta) of every outer product, beta on copy 1."""
        if body.op is Op.ENTRY:
            return add(
                *(self.entry(*term, env) for term in self.terms_at(body.args[0], turned, env))
            )
        if body.op is Op.CALL:
            args = [self.entries(a, turned, env) for a in body.args]
            return _called(str(body.attr), args)
        if body.op is Op.FOLD:
            history, *parameters = body.args
            if history.op is not Op.LIST or any(x.op is Op.GENERATE for x in history.args):
                raise Unsupported("an update function over a loop's history has no symbolic form")
            nodes = (*history.args, *parameters)
            return Apply(body.attr[0], tuple(self.entries(a, turned, env) for a in nodes))
        return self.indexer.formula(body, (), env)

    def terms_at(
        self, acting: Node, turned: bool, env: Env
    ) -> Iterator[tuple[Formula, Node, bool]]:
        for factor, leaf, flipped, _ in self.terms(acting, env):
            yield factor, leaf, flipped != turned

    def entry(self, factor: Formula, leaf: Node, turned: bool, env: Env) -> Formula:
        if leaf.op is not Op.OUTER:
            raise Unsupported(f"a nonlinearity of {leaf.op.name.lower()} has no symbolic form")
        x, chi, y = leaf.args if not turned else leaf.args[::-1]
        fresh = [self.names.fresh() for _ in x.type.axes]
        inner = tuple(Affine.variable(f) for f in fresh)
        weight = self.indexer.formula(chi, inner[len(inner) - len(chi.type.axes) :], env)
        left = self.indexer.formula(x, inner, env)
        right = on_copy(self.indexer.formula(y, inner, env), 1)
        result = mul(factor, weight, left, right)
        for name, a, b in zip(fresh, x.type.axes, y.type.axes, strict=True):
            result = axis_sum(name, common(a, b), result)
        return result

    def application(
        self,
        name: str | None,
        leaf: Node,
        turned: bool,
        scale: Formula,
        value: Node,
        env: Env,
        auxiliary: bool,
    ) -> Ket:
        """The line of W |x>; the ket it acts on gets a name if it has none."""
        outside = len(leaf.type.axes)
        labels = labelled(leaf.type.axes + value.type.axes)
        at = tuple(Affine.variable(x.label) for x in labels)
        inner = labelled(value.type.axes)
        here = tuple(Affine.variable(x.label) for x in inner)
        argument = self.indexer.formula(value, here, env)
        if not isinstance(argument, Ket):
            argument = self.named_arguments(argument, inner)
            argument = replace(self.auxiliary_argument(argument, inner), axes=here)
        moved = dict(zip((x.label for x in inner), at[outside:], strict=True))
        argument = reindexed(argument, moved)
        matrix = _matrix(leaf, at[:outside], turned, env)
        place_ = self.place
        bound = sorted(
            (index_names(argument) | {n for i in matrix.indices for n in i.names})
            & set(self.indexer.bound)
        )
        ranges = place_.ranges + tuple(Range(b, *self.indexer.bound[b]) for b in bound)
        indices = place_.indices + tuple(Affine.variable(b) for b in bound)
        line = Line(
            name or self.fresh_name("z", labels), indices, ranges, labels, argument, place_.span,
            matrix, scale, auxiliary,
        )  # fmt: skip
        if not auxiliary:
            self.system.kets.setdefault(line.name, []).append(line)
            return line.ket
        return self.add_auxiliary(line)

    def auxiliary_argument(self, value: Formula, labels: tuple[Label, ...]) -> Ket:
        """A name for what a matrix acts on, with all of its axes."""
        used = index_names(value)
        bound = sorted(used & set(self.indexer.bound))
        ranges = self.place.ranges + tuple(Range(b, *self.indexer.bound[b]) for b in bound)
        indices = self.place.indices + tuple(Affine.variable(b) for b in bound)
        name = self.fresh_name("y", labels)
        line = Line(name, indices, ranges, labels, value, self.place.span, auxiliary=True)
        return self.add_auxiliary(line)


def _matrix(leaf: Node, labels: Indices, turned: bool, env: Env) -> Matrix:
    """An initial matrix, one of a stack over axes by a label or an entry."""
    if leaf.op is Op.INIT_MATRIX:
        name, indices = leaf.attr
        return Matrix(name, tuple(place(i, env) for i in indices) + labels, turned)
    [stack] = leaf.args
    if stack.op is not Op.INIT_MATRIX:
        raise Unsupported("an entry of operators over an axis has no symbolic form")
    name, indices = stack.attr
    rest = iter(labels)
    items = tuple(next(rest) if i is None else place(i, env) for i in leaf.attr)
    return Matrix(name, tuple(place(i, env) for i in indices) + items, turned)


def _turn(node: Node, turned: bool) -> Node:
    if not turned:
        return node
    return node.args[0] if node.op is Op.ADJOINT else Node(Op.ADJOINT, (node,), None, node.type)


def _called(name: str, args: list[Formula]) -> Formula:
    from nexort.derive.algebra import MINUS_ONE, neg

    match name:
        case "add":
            return add(*args)
        case "sub":
            return add(args[0], neg(args[1]))
        case "mul":
            return mul(*args)
        case "div":
            return mul(args[0], power(args[1], MINUS_ONE))
        case "neg":
            return neg(args[0])
        case "pow":
            return power(args[0], args[1])
        case _:
            return applied(name, tuple(args))


def is_affine(formula: Formula) -> bool:
    """Whether a random formula is a linear combination of kets, plus a number."""
    from nexort.derive.formula import AxisSum, LoopSum

    match formula:
        case Ket():
            return formula.copy == 0
        case Sum(terms):
            return is_random(formula) and all(not is_random(t) or is_affine(t) for t in terms)
        case Product(factors):
            random = [f for f in factors if is_random(f)]
            return len(random) == 1 and is_affine(random[0])
        case LoopSum() | AxisSum():
            return is_affine(formula.body)
        case _:
            return False


def labelled(axes: Axes) -> tuple[Label, ...]:
    """Labels of the axes of a family: the same for all of its rules."""
    return tuple(Label(f"${k}", a.name) for k, a in enumerate(axes))


def oriented(
    loops: tuple[Loop, ...], indices: Indices
) -> tuple[dict[str, Affine], tuple[Range, ...], Indices]:
    """Loops rewritten so that an index is a loop's variable: for l in L..2 and the index l - 1, l
    becomes l + 1, l = 1..L-1. Returns what loop variables stand for, the ranges, the indices."""
    env: dict[str, Affine] = {}
    ranges: list[Range] = []
    for loop in loops:
        first, last = ends(loop, env)
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
        ranges.append(Range(loop.var, *((one, other) if sign > 0 else (other, one))))
    at = tuple(place(i, env) for i in indices)
    names = [r.var for r in ranges]
    for index in at:
        mixed = index.names & set(names)
        if mixed and index not in [Affine.variable(n) for n in names]:
            raise Unsupported("an index is not a loop's variable plus a number")
    return env, tuple(ranges), at


# ---- joining equal rules -------------------------------------------------------------------------


def joined(lines: list[Line], names: Names) -> list[Line]:
    """Rules of one form over ranges that touch become one: l = 1 and l = 2..L is l = 1..L."""
    result: list[Line] = []
    for line in lines:
        both = (_join(result[-1], line) or _join(line, result[-1])) if result else None
        if both is not None:
            result[-1] = both
        else:
            result.append(line)
    return result


def _join(low: Line, high: Line) -> Line | None:
    """One line for two, where the higher's single range starts right after the lower."""
    if len(high.ranges) != 1 or len(low.indices) != 1 or len(high.indices) != 1:
        return None
    [span] = high.ranges
    if not low.ranges and low.indices[0] + Affine(1) == span.first:
        env = {span.var: low.indices[0]}
        first = low.indices[0]
    elif not low.ranges and low.indices[0] == span.last + Affine(1):
        env = {span.var: low.indices[0]}
        if _same(low, high, env):
            return replace(high, ranges=(Range(span.var, span.first, low.indices[0]),))
        return None
    elif len(low.ranges) == 1 and low.ranges[0].last + Affine(1) == span.first:
        env = {span.var: Affine.variable(low.ranges[0].var)}
        first = low.ranges[0].first
    else:
        return None
    if not _same(low, high, env):
        return None
    return replace(high, ranges=(Range(span.var, first, span.last),))


def _same(low: Line, high: Line, env: Env) -> bool:
    """Whether a line at the variables' values is another."""
    if (low.matrix is None) != (high.matrix is None) or low.scale != high.scale:
        return False
    if low.matrix is not None and high.matrix is not None:
        placed = tuple(place(i, env) for i in high.matrix.indices)
        if low.matrix != replace(high.matrix, indices=placed):
            return False
    return canonical(reindexed(high.value, env)) == canonical(low.value)


def canonical(formula: Formula) -> Formula:
    """A formula with its bound names in order of appearance, to compare."""
    from nexort.derive.formula import AxisSum, LoopSum

    count = 0

    def visit(item: Formula) -> Formula:
        nonlocal count
        match item:
            case LoopSum(var, first, last, body):
                count += 1
                name = f"!{count}"
                return LoopSum(
                    name, first, last, visit(reindexed(body, {var: Affine.variable(name)}))
                )
            case AxisSum(label, axis, body):
                count += 1
                name = f"!{count}"
                return AxisSum(name, axis, visit(reindexed(body, {label: Affine.variable(name)})))
            case _:
                return rebuilt(item, visit)

    return visit(formula)
