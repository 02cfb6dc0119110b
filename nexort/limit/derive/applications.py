"""Applications of operators: sums expand, an initial matrix makes a line of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from nexort.limit.derive.algebra import (
    BoundNames,
    Env,
    axis_sum,
    index_at,
    index_names,
    loop_sum,
    reindex,
)
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.copies import copy_mean
from nexort.limit.derive.cutting import is_within
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.folding import NORMAL, apply_function
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    CopyMean,
    Expectation,
    Formula,
    Indices,
    Ket,
    Matrix,
    Operator,
    Outer,
    Symbol,
)
from nexort.limit.derive.indexing import Indexer, common, loop_ends, on_copy
from nexort.limit.derive.lines import Acting, Line, System
from nexort.limit.derive.naming import Naming, label_axes
from nexort.limit.derive.recurrences import Recurrence, SingleRule, definitions
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.updates import UpdateFunctions, over_history
from nexort.limit.derive.walking import factors_of, walk_formula
from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError, shift_graph
from nexort.program.types import Kind, scalar


class Applications(Naming):
    """What operators do to kets."""

    def __init__(
        self, program: Program, names: BoundNames, system: System, taken: set[str]
    ) -> None:
        super().__init__(Indexer(program, names, self.apply), system, taken)
        self.program, self.names = program, names
        self.functions = UpdateFunctions(program, names)
        self.indexer.functions = self.over_history
        self.families: dict[str, Sequence[SingleRule | Recurrence]] = {}
        self.products: dict[tuple[str, Node], str] = {}
        """Names of products of what a step of a recurrence keeps."""

    def over_history(
        self, rule: UpdateRule, given: Mapping[str, Formula], var: str, last: Affine, body: Formula
    ) -> Formula:
        """An update function over a loop's history."""
        return over_history(self.functions.of(rule, given), var, last, body)

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
        the leaf's variance. The leaf's own indices are those of the rule."""
        stack: list[tuple[Formula, Node, bool]] = [(ONE, acting, False)]
        while stack:
            factor, node, turned = stack.pop()
            match node.op:
                case Op.OP_ADD:
                    stack.extend((factor, a, turned) for a in reversed(node.args))
                case Op.OP_SCALE:
                    scale = self.indexer.formula(node.args[0], (), env)
                    if scale == ZERO:
                        continue
                    if self.is_declared_scale(node):
                        yield factor, node.args[1], turned, scale
                    else:
                        stack.append((mul(factor, scale), node.args[1], turned))
                case Op.ADJOINT:
                    stack.append((factor, node.args[0], not turned))
                case Op.REF:
                    found = self.defined(node, env)
                    if isinstance(found, Recurrence):
                        yield factor, node, turned, ONE
                    else:
                        inside = found.member(node.attr[1])
                        stack.append((factor, inside, turned))
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

    def defined(self, node: Node, env: Env) -> SingleRule | Recurrence:
        """How a member of a family of operators is defined. Raises Unsupported where several rules
        may say."""
        name, indices = node.attr
        found = self.definitions(name)
        if len(found) > 1:
            at = tuple(index_at(i, env) for i in indices)
            bound = (IndexRange(b, *ends) for b, ends in self.indexer.bound.items())
            ranges = (*self.place.ranges, *bound)
            found = [x for x in found if is_within(x.others(at), x.box, ranges)]
        if len(found) == 1:
            return found[0]
        raise Unsupported(f"the operators {name}[...] form a family")

    def definitions(self, name: str) -> Sequence[SingleRule | Recurrence]:
        """How the members of a family of operators are defined."""
        if name not in self.families:
            self.families[name] = definitions(self.program, name)
        return self.families[name]

    def member(self, node: Node, env: Env) -> Node:
        """A member of a family of operators, without the family's own name."""
        return self.defined(node, env).member(node.attr[1], self.names, self.product)

    def product(self, name: str, factor: Node, loop: Loop, first: Affine, last: Affine) -> Node:
        """The product of factors over the steps ``first`` to ``last`` - 1 of a loop, by a name with
        equations of its own, kept_W[s, s] = 1 and kept_W[s, t] = factor[t - 1] kept_W[s, t - 1]."""
        key = (name, factor)
        if key not in self.products:
            fresh = self.products[key] = self.free_name(f"kept_{name}")
            s, t = (Affine.variable(self.names.fresh(hint)) for hint in ("s", "t"))
            before = t - Affine(1)
            value = self.indexer.formula(factor, (), {loop.var: before})
            [(start, _)], [(now, _)] = s.terms, t.terms
            end = loop.interval.last + Affine(1)
            whole = IndexRange(start, loop.interval.first, end)
            later = IndexRange(now, s + Affine(1), end)
            span = self.place.span
            self.system.scalars[fresh] = [
                Line(fresh, (s, s), (whole,), (), ONE, span),
                Line(
                    fresh, (s, t), (whole, later), (),
                    mul(value, Symbol(fresh, (s, before))), span,
                ),
            ]  # fmt: skip
        return Node(Op.REF, (), (self.products[key], (first, last)), scalar())

    def each(self, loop: Loop, body: Node, env: Env) -> tuple[str, Affine, Affine, Node]:
        """A sum over a loop with a variable of its own: it, the ends, and the body with it."""
        first, last = loop_ends(loop, env)
        name = self.names.fresh(loop.var)
        self.indexer.bound[name] = first, last
        try:
            return name, first, last, shift_graph(body, {loop.var: Affine.variable(name)})
        except NotSymbolicError:
            raise Unsupported("a sum inside of a sum over the same variable") from None

    def term(
        self, leaf: Node, turned: bool, scale: Formula, value: Node, labels: Indices, env: Env
    ) -> Formula:
        match leaf.op:
            case Op.INIT_MATRIX | Op.TAKE:
                ket = self.application(None, leaf, turned, scale, value, env, True)
                return replace(ket, axes=labels)
            case Op.REF:
                return self.acting(leaf, turned, value, labels, env)
            case Op.OP_SUM:
                name, low, high, inside = self.each(leaf.attr, leaf.args[0], env)
                parts = []
                for factor, x, flipped, size in self.terms(inside, env):
                    acted = self.term(x, flipped != turned, size, value, labels, env)
                    apart = [f for f in factors_of(factor) if name not in index_names(f)]
                    within = [f for f in factors_of(factor) if name in index_names(f)]
                    total = loop_sum(name, low, high, mul(*within, acted))
                    parts.append(mul(*apart, total))
                return mul(scale, add(*parts))
            case Op.COMPOSE:
                first, second = leaf.args[::-1] if not turned else leaf.args
                inner = build.apply(_turn(first, turned), value)
                outer = build.apply(_turn(second, turned), inner)
                return self.indexer.formula(outer, labels, env)
            case Op.OUTER:
                return self.outer(leaf, turned, value, labels, env)
            case Op.ENTRYWISE:
                body = self.entries(leaf.args[0], turned, env)
                acted = self.copied(value, labels, env)
                return copy_mean(mul(body, acted))
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
            return self.indexer.over_history(body, env, lambda x, at: self.entries(x, turned, at))
        return self.indexer.formula(body, (), env)

    def copied(self, value: Node, labels: Indices, env: Env) -> Formula:
        """A ket on copy 1; one with averages over copies gets a name."""
        found = self.indexer.formula(value, labels, env)
        if any(isinstance(x, CopyMean) for x in walk_formula(found)):
            own = label_axes(value.type.axes)
            here = tuple(Affine.variable(x.label) for x in own)
            named = self.auxiliary_argument(self.indexer.formula(value, here, env), own)
            found = replace(named, axes=labels)
        return on_copy(found, 1)

    def terms_at(
        self, acting: Node, turned: bool, env: Env
    ) -> Iterator[tuple[Formula, Node, bool]]:
        for factor, leaf, flipped, _ in self.terms(acting, env):
            if leaf.op is Op.REF:
                for more, inner, again in self.terms_at(self.member(leaf, env), turned, env):
                    yield mul(factor, more), inner, again != flipped
            else:
                yield factor, leaf, flipped != turned

    def entry(self, factor: Formula, leaf: Node, turned: bool, env: Env) -> Formula:
        if leaf.op is Op.OP_SUM:
            name, low, high, body = self.each(leaf.attr, leaf.args[0], env)
            terms = [self.entry(*term, env) for term in self.terms_at(body, turned, env)]
            return mul(factor, loop_sum(name, low, high, add(*terms)))
        if leaf.op is not Op.OUTER:
            raise Unsupported(f"a nonlinearity of {leaf.op.name.lower()} has no symbolic form")
        x, chi, y = leaf.args if not turned else leaf.args[::-1]
        fresh = [self.names.fresh() for _ in x.type.axes]
        inner = tuple(Affine.variable(f) for f in fresh)
        weight = self.indexer.formula(chi, inner[len(inner) - len(chi.type.axes) :], env)
        left = self.indexer.formula(x, inner, env)
        right = self.copied(y, inner, env)
        result = mul(factor, weight, left, right)
        for name, a, b in zip(fresh, x.type.axes, y.type.axes, strict=True):
            result = axis_sum(name, common(a, b), result)
        return result

    def operator(self, node: Node, env: Env) -> Formula:
        """An operator as a formula of Operators and Outers; members of families that follow a
        recurrence have their names."""
        match node.op:
            case Op.OP_ADD:
                return add(*(self.operator(a, env) for a in node.args))
            case Op.OP_SCALE if not self.is_declared_scale(node):
                scale = self.indexer.formula(node.args[0], (), env)
                return mul(scale, self.operator(node.args[1], env)) if scale != ZERO else ZERO
            case Op.OP_SCALE:
                return self.operator(node.args[1], env)
            case Op.REF if any(isinstance(x, SingleRule) for x in self.definitions(node.attr[0])):
                return self.operator(self.member(node, env), env)
            case Op.REF | Op.INIT_MATRIX:
                name, indices = node.attr
                return Operator(Matrix(name, tuple(index_at(i, env) for i in indices)))
            case Op.OP_SUM:
                name, low, high, inside = self.each(node.attr, node.args[0], env)
                return loop_sum(name, low, high, self.operator(inside, env))
            case Op.OUTER:
                return self.outer_product(node, env)
            case Op.ENTRYWISE:
                return self.operator(node.args[0], env)
            case Op.FOLD:
                return self.indexer.over_history(node, env, self.operator)
            case Op.ENTRY:
                return self.operator(node.args[0], env)
            case _ if node.type.kind is Kind.SCALAR:
                return self.indexer.formula(node, (), env)
            case _:
                raise Unsupported(f"{node.op.name.lower()} has no symbolic form")

    def outer_product(self, leaf: Node, env: Env) -> Formula:
        """|x> Diag(chi) <y| as a sum of Outers."""
        x, chi, y = leaf.args
        labels = label_axes(x.type.axes)
        at = tuple(Affine.variable(a.label) for a in labels)
        sides = []
        for side in (x, y):
            found = self.indexer.formula(side, at, env)
            if not isinstance(found, Ket):
                found = replace(self.auxiliary_argument(found, labels), axes=at)
            sides.append(found)
        body = mul(
            self.indexer.formula(chi, at[len(at) - len(chi.type.axes) :], env), Outer(*sides)
        )
        for label, a, b in zip(labels, x.type.axes, y.type.axes, strict=True):
            fresh = self.names.fresh()
            body = reindex(body, {label.label: Affine.variable(fresh)})
            body = axis_sum(fresh, common(a, b), body)
        return body

    def acting(
        self, node: Node, turned: bool, value: Node, labels: Indices, env: Env,
        name: str | None = None,
    ) -> Formula:  # fmt: skip
        """The line of A |x>, A of a family that follows a recurrence, for a rule of the ``name`` or
        as a part; its value where no initial matrix acts."""
        inner = label_axes(value.type.axes)
        here = tuple(Affine.variable(x.label) for x in inner)
        body: Formula = ZERO
        initial: Ket | None = None
        for factor, leaf, flipped, scale in self.terms(self.member(node, env), env):
            if leaf.op in (Op.INIT_MATRIX, Op.TAKE):
                acted: Formula = self.application(
                    None, leaf, flipped != turned, scale, value, env, True, "z0"
                )
                assert isinstance(acted, Ket)
                initial = acted = replace(acted, axes=here)
            else:
                acted = self.term(leaf, flipped != turned, scale, value, here, env)
            body = add(body, mul(factor, acted))
        if initial is None:
            return body
        [argument] = {x.value for x in self.system.kets[initial.name] if x.ket == initial}
        assert isinstance(argument, Ket)
        own, indices = node.attr
        matrix = Matrix(own, tuple(index_at(i, env) for i in indices), turned)
        line = self.part("z", body, inner)
        line = replace(line, acting=Acting(matrix, argument, initial))
        if name is not None:
            line = replace(line, name=name, auxiliary=False)
            self.system.kets.setdefault(name, []).append(line)
            return line.ket
        return replace(self.add_auxiliary(line), axes=labels)

    def application(
        self,
        name: str | None,
        leaf: Node,
        turned: bool,
        scale: Formula,
        value: Node,
        env: Env,
        auxiliary: bool,
        base: str = "z",
    ) -> Ket:
        """The line of W |x>, of a ``name`` or as a part; the ket it acts on gets a name if it has
        none."""
        outside = len(leaf.type.axes)
        labels = label_axes(leaf.type.axes + value.type.axes)
        at = tuple(Affine.variable(x.label) for x in labels)
        inner = label_axes(value.type.axes)
        here = tuple(Affine.variable(x.label) for x in inner)
        argument = self.indexer.formula(value, here, env)
        if not isinstance(argument, Ket):
            argument = self.named_arguments(argument, inner)
            argument = replace(self.auxiliary_argument(argument, inner), axes=here)
        moved = dict(zip((x.label for x in inner), at[outside:], strict=True))
        argument = reindex(argument, moved)
        matrix = _matrix(leaf, at[:outside], turned, env)
        place_ = self.place
        bound = sorted(
            (index_names(argument) | {n for i in matrix.indices for n in i.names})
            & set(self.indexer.bound)
        )
        ranges = place_.ranges + tuple(IndexRange(b, *self.indexer.bound[b]) for b in bound)
        indices = place_.indices + tuple(Affine.variable(b) for b in bound)
        line = Line(
            name or self.fresh_name(base, indices, labels), indices, ranges, labels, argument,
            place_.span, matrix, scale, auxiliary,
        )  # fmt: skip
        if not auxiliary:
            self.system.kets.setdefault(line.name, []).append(line)
            return line.ket
        return self.add_auxiliary(line)


def _matrix(leaf: Node, labels: Indices, turned: bool, env: Env) -> Matrix:
    """An initial matrix, one of a stack over axes by a label or an entry."""
    if leaf.op is Op.INIT_MATRIX:
        name, indices = leaf.attr
        return Matrix(name, tuple(index_at(i, env) for i in indices) + labels, turned)
    [stack] = leaf.args
    if stack.op is not Op.INIT_MATRIX:
        raise Unsupported("an entry of operators over an axis has no symbolic form")
    name, indices = stack.attr
    rest = iter(labels)
    items = tuple(next(rest) if i is None else index_at(i, env) for i in leaf.attr)
    return Matrix(name, tuple(index_at(i, env) for i in indices) + items, turned)


def _turn(node: Node, turned: bool) -> Node:
    if not turned:
        return node
    return node.args[0] if node.op is Op.ADJOINT else Node(Op.ADJOINT, (node,), None, node.type)


def _called(name: str, args: list[Formula]) -> Formula:
    return NORMAL[name](*args) if name in NORMAL else apply_function(name, tuple(args))
