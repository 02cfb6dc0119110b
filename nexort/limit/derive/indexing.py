"""Program nodes as formulas: axes get labels, loops keep their variables.

``CONTRACT`` becomes a sum over a fresh label, a bra-ket an :class:`Expectation` of the product, and
an application of an initial matrix a ket of its own family, made by ``apply``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nexort.limit.derive.algebra import (
    BoundNames,
    Env,
    axis_sum,
    delta,
    index_at,
    loop_sum,
    rebuilt,
)
from nexort.limit.derive.arithmetic import HALF, add, mul, number, power
from nexort.limit.derive.folding import NORMAL, apply_function, normal_operation
from nexort.limit.derive.formula import (
    ZERO,
    Apply,
    Average,
    Bracket,
    CopyMean,
    Expectation,
    Formula,
    IndexNumber,
    Indices,
    Ket,
    Symbol,
)
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import is_random
from nexort.program.declarations import UpdateRule
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, Role, source
from nexort.program.program import Program
from nexort.program.types import Axis, Kind

MOST_TERMS = 16
"""Of a sum whose terms are written out."""


def never(*_: object) -> Formula:
    """For formulas of numbers alone: nothing acts in them."""
    raise Unsupported("a number has no operators")


Functions = Callable[[UpdateRule, Mapping[str, Formula], str, Affine, Formula], Formula]
Acts = Callable[["Indexer", Node, Node, Indices, Env], Formula]


class Indexer:
    """Formulas of one rule's graph. ``acts`` expands an application of an operator."""

    def __init__(self, program: Program, names: BoundNames, acts: Acts) -> None:
        self.program = program
        self.names = names
        self.acts = acts
        self.bound: dict[str, tuple[Affine, Affine]] = {}
        self.functions: Functions | None = None
        """Makes a formula of an update function over a loop's history."""
        self.as_written = False
        """Whether bra-kets of kets stay :class:`Bracket` and averages :class:`Average`."""
        self.kets_exist = program is not None and program.training is None
        """Whether functions of kets are known to exist where they are written."""

    def formula(self, node: Node, labels: Indices, env: Env) -> Formula:
        """The formula of a scalar or ket at labels of its axes."""
        if not node.args:
            return self._leaf(node, labels, env)
        match node.op:
            case Op.CALL:
                return self._call(node, labels, env)
            case Op.CONTRACT:
                return self._contract(node, labels, env)
            case Op.STACK:
                return self._stack(node, labels, env)
            case op if op.role is Role.SELECTION:
                [value] = node.args
                return self.formula(value, source(node, labels, lambda i: index_at(i, env)), env)
            case Op.SUM:
                return self._sum(node, labels, env)
            case Op.INNER | Op.AVERAGE | Op.COPY | Op.MEAN:
                return self._mean(node, labels, env)
            case Op.APPLY:
                return self.acts(self, node.args[0], node.args[1], labels, env)
            case Op.FOLD:
                return self._fold(node, labels, env)
            case _:
                raise Unsupported(f"{node.op.name.lower()} has no symbolic form")

    def _leaf(self, node: Node, labels: Indices, env: Env) -> Formula:
        match node.op:
            case Op.CONST:
                return _entry(node.attr, labels)
            case Op.PARAM:
                return Symbol(str(node.attr), kind="param")
            case Op.SIZE:
                return Symbol(str(node.attr), kind="size")
            case Op.INDEX:
                assert isinstance(node.attr, Affine)
                index = index_at(node.attr, env)
                return IndexNumber(index) if index.terms else number(index.constant)
            case Op.DATA:
                return Symbol(str(node.attr), axes=labels, kind="data")
            case Op.INIT_SCALAR:
                return ZERO
            case Op.INIT_VECTOR | Op.REF:
                return self._member(node, labels, env)
            case _:
                raise Unsupported(f"{node.op.name.lower()} has no symbolic form")

    def _mean(self, node: Node, labels: Indices, env: Env) -> Formula:
        """Expectations (still to be evaluated), iid copies and averages over them."""
        split = len(node.args[0].type.axes)
        first = self.formula(node.args[0], labels[:split], env)
        match node.op:
            case Op.INNER:
                second = self.formula(node.args[1], labels[split:], env)
                if self.as_written and isinstance(first, Ket) and isinstance(second, Ket):
                    return Bracket(first, second)  # no copies: an inner product has none
                return Expectation(mul(first, second))
            case Op.AVERAGE if self.as_written and isinstance(first, Ket):
                return Average(first)
            case Op.COPY:
                return on_copy(first, int(str(node.attr)))
            case Op.MEAN if node.type.kind is not Kind.SCALAR:
                copies = node.attr
                assert isinstance(copies, tuple)
                return CopyMean(copies, first)
            case _:
                return Expectation(first)

    def _member(self, node: Node, labels: Indices, env: Env) -> Formula:
        name, indices = node.attr
        at = tuple(index_at(i, env) for i in indices)
        if node.type.kind is Kind.SCALAR:
            return Symbol(name, at, labels)
        return Ket(name, at, labels)

    def _call(self, node: Node, labels: Indices, env: Env) -> Formula:
        name = str(node.attr)
        if is_scaled_vector(node) and self.is_declared(node):
            return self._member(node.args[1], labels[len(labels) - len(node.type.axes) :], env)
        args = [self.formula(a, labels[len(labels) - len(a.type.axes) :], env) for a in node.args]
        if name in NORMAL:
            return normal_operation(name, tuple(args), kets_exist=self.kets_exist)
        if name == "sqrt" and not is_random(args[0]):
            return power(args[0], HALF)
        return apply_function(name, tuple(args))

    def is_declared(self, node: Node) -> bool:
        """Whether sqrt(c) |z> is a declared vector of variance c."""
        name, _ = node.args[1].attr
        declared = self.program.initial.get(name)
        return (
            declared is not None
            and is_scaled_vector(declared.value)
            and (declared.value.args[0] is node.args[0])
        )

    def _contract(self, node: Node, labels: Indices, env: Env) -> Formula:
        left, right = node.args
        joined = node.attr
        assert isinstance(joined, int)
        kept = len(left.type.axes) - joined
        fresh = [self.names.fresh() for _ in range(joined)]
        inner = tuple(Affine.variable(f) for f in fresh)
        if joint := joint_vector(node):
            own = joint_names(joint)
            if own is None:
                return Ket(joint, (), labels)
            assert not labels[0].terms
            return Ket(own[labels[0].constant], (), labels[1:])
        body = mul(
            self.formula(left, (*labels[:kept], *inner), env),
            self.formula(right, (*inner, *labels[kept:]), env),
        )
        for name, a, b in zip(fresh, left.type.axes[kept:], right.type.axes[:joined], strict=True):
            body = axis_sum(name, common(a, b), body)
        return body

    def _stack(self, node: Node, labels: Indices, env: Env) -> Formula:
        first, rest = labels[0], labels[1:]
        if not first.terms:
            return self.formula(node.args[first.constant], rest, env)
        return add(
            *(
                mul(delta(first, Affine(k)), self.formula(item, rest, env))
                for k, item in enumerate(node.args)
            )
        )

    def _sum(self, node: Node, labels: Indices, env: Env) -> Formula:
        """A sum over a loop; where its terms have no one form, and numbers say which they are, each
        term."""
        loop = node.attr
        assert isinstance(loop, Loop)
        first, last = loop_ends(loop, env)
        name = self.names.fresh(loop.var)
        self.bound[name] = first, last
        inner = {**env, loop.var: Affine.variable(name)}
        try:
            return loop_sum(name, first, last, self.formula(node.args[0], labels, inner))
        except Unsupported:
            count = last.constant - first.constant + 1
            if first.terms or last.terms or not 0 < count <= MOST_TERMS:
                raise
        terms = [{**env, loop.var: Affine(first.constant + k)} for k in range(count)]
        return add(*(self.formula(node.args[0], labels, at) for at in terms))

    def _fold(self, node: Node, labels: Indices, env: Env) -> Formula:
        def at(value: Node, inner: Env) -> Formula:
            return self.formula(value, labels[len(labels) - len(value.type.axes) :], inner)

        return self.over_history(node, env, at)

    def over_history(self, node: Node, env: Env, at: Callable[[Node, Env], Formula]) -> Formula:
        """A FOLD node, ``at`` making formulas of its arguments: of arguments that are written out
        an application of the function, of a loop's a :class:`Fold` over the history."""
        history, *parameters = node.args
        name = str(node.attr[0])
        items = history.args if history.op is Op.LIST else (history,)
        if not any(x.op is Op.GENERATE for x in items):
            return Apply(name, tuple(at(a, env) for a in (*items, *parameters)))
        if len(items) > 1 or items[0].args[0].op is Op.GENERATE or self.functions is None:
            raise Unsupported("a history of several loops has no symbolic form")
        [item] = items
        first, last = loop_ends(item.attr, env)
        if first != Affine() or item.attr.interval.step != 1:
            raise Unsupported("a history that does not begin with 0 has no symbolic form")
        var = self.names.fresh(item.attr.var)
        self.bound[var] = first, last
        body = at(item.args[0], {**env, item.attr.var: Affine.variable(var)})
        rule = self.program.updates[name]
        given = {
            p: at(value, env) for (p, _), value in zip(rule.parameters, parameters, strict=True)
        }
        return self.functions(rule, given, var, last, body)


def loop_ends(loop: Loop, env: Env) -> tuple[Affine, Affine]:
    """The lowest and the highest value of a loop, which goes up or down by one."""
    first, last = index_at(loop.interval.first, env), index_at(loop.interval.last, env)
    match loop.interval.step:
        case 1:
            return first, last
        case -1:
            return last, first
        case step:
            raise Unsupported(f"a loop by {step} has no symbolic form")


def common(a: Axis, b: Axis) -> str:
    """The name of two joined axes: that of the named one."""
    return b.name if a.size is not None else a.name


def is_scaled_vector(node: Node) -> bool:
    """sqrt(c) |z> with one number c: a declared vector of variance c."""
    return (
        node.op is Op.CALL
        and node.attr == "mul"
        and node.args[1].op is Op.INIT_VECTOR
        and node.args[0].op is Op.CALL
        and node.args[0].attr == "sqrt"
        and not node.args[0].type.axes
    )


def joint_vector(node: Node) -> str | None:
    """The name of a vector with a covariance over its one axis: |z> @ R with R^T R = C."""
    left, right = node.args
    if left.op is Op.INIT_VECTOR and right.op is Op.FACTOR and len(left.type.axes) == 1:
        name, indices = left.attr
        if not indices:
            return str(name)
    return None


def joint_names(joint: str) -> list[str] | None:
    """The names of vectors that are declared together, ``(x, y)``; None for one with an axis."""
    return joint.strip("()").split(", ") if joint.startswith("(") else None


def on_copy(formula: Formula, copy: int) -> Formula:
    """The copy of a random formula: all its kets on the copy."""
    from dataclasses import replace

    if isinstance(formula, Ket):
        return replace(formula, copy=copy)
    if isinstance(formula, Expectation):
        return formula
    if isinstance(formula, CopyMean):
        raise Unsupported("a copy of an average over copies: give the average a name")
    return rebuilt(formula, lambda f: on_copy(f, copy))


def _entry(value: object, labels: Indices) -> Formula:
    """An entry of a literal: of nested tuples, one level an axis."""
    if not labels:
        assert isinstance(value, int | float)
        return number(value)
    assert isinstance(value, tuple)
    first, rest = labels[0], labels[1:]
    if not first.terms:
        return _entry(value[first.constant], rest)
    return add(*(mul(delta(first, Affine(k)), _entry(v, rest)) for k, v in enumerate(value)))
