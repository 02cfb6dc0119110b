"""Operators expanded: every application becomes MATMUL, bra-kets and outer nonlinearities.

Identities: (A + c B)|z> = A|z> + c B|z>; (A B)|z> = A(B|z>);
(|x> chi <y|)|z> = |x> Diag(chi) <y|z>; (|x> chi <y|)^T = |y> chi <x|;
Q(|x> chi <y|)|z> = E{1}[Q(sum_i chi_i |x_i> |y_i>{1}) |z>{1}] (Def 2.6.1, order 1); the nonlinear
terms of a sum share one expectation.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from math import prod

from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite, walk, walk_where
from nexort.program.types import Kind, ket
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import InternalError, NexortError, Span, fail


def expand_operators(program: Unrolled, limit: int) -> Unrolled:
    """The same program without operators. Raises NexortError where operators expand to more than
    ``limit`` applications."""
    roots = [node for output in program.outputs for node in output.members]
    expansion = _Expansion(program.sizes, limit)
    at: list[Node] = []

    def rule(node: Node) -> Node:
        at[:] = [node]
        return expansion.apply(*node.args) if node.op is Op.APPLY else node

    try:
        done = rewrite(roots, rule)
    except _TooLongError:
        raise _too_long(program, at[0], limit) from None
    outputs = tuple(
        replace(output, members=tuple(done[m] for m in output.members))
        for output in program.outputs
    )
    spans: dict[Node, Span] = {}
    for old, span in program.spans.items():
        if old in done:
            spans.setdefault(done[old], span)
    return replace(program, outputs=outputs, spans=spans)


class _TooLongError(Exception):
    """Products of operators expand to too much."""


def _too_long(program: Unrolled, node: Node, limit: int) -> NexortError:
    acting = node.args[0]
    span = next((s for x, s in program.spans.items() if acting in walk([x])), None)
    message = f"products of operators expand to more than {limit} applications"
    hint = "apply operators to kets one after another: |x[k]> = A |x[k-1]>"
    return fail("too-long", message, span, help=hint)


# ---- applications --------------------------------------------------------------------------------

_COMPOUND = frozenset((Op.OP_ADD, Op.OP_SCALE, Op.ADJOINT, Op.COMPOSE))

_Application = tuple[Node, Node, bool]
"""An operator, the ket it acts on, and whether it is transposed."""

_Steps = Generator[_Application, Node, Node]
"""How an application is found: it asks for others, gets their kets, and returns its own."""


class _Expansion:
    """Applications, each expanded once."""

    def __init__(self, sizes: Mapping[str, int], limit: int) -> None:
        self.sizes = sizes
        self.limit = limit
        self.found: dict[_Application, Node] = {}
        self.lengths: dict[Node, int] = {}

    def apply(self, acting: Node, value: Node) -> Node:
        """A|x>. Steps wait on a stack of their own: operators nest deeper than Python's calls."""
        first = acting, value, False
        answer: Node | None = self.found.get(first)
        if answer is not None:
            return answer
        if self._applications(acting) + len(self.found) > self.limit:
            raise _TooLongError
        waiting = [(first, self._steps(*first))]
        while waiting:
            application, steps = waiting[-1]
            try:
                # None starts the steps of an application
                asked = steps.send(answer)  # type: ignore[arg-type]
            except StopIteration as stop:
                answer = self.found[application] = stop.value
                waiting.pop()
                continue
            answer = self.found.get(asked)
            if answer is None:
                waiting.append((asked, self._steps(*asked)))
        return self.found[first]

    def _applications(self, acting: Node) -> int:
        """How many applications of leaves an operator stands for."""
        for node in walk_where(acting, lambda x: x.op in _COMPOUND):
            if node not in self.lengths and node.type.kind is Kind.OPERATOR:
                parts = [self.lengths[a] for a in node.args if a in self.lengths]
                self.lengths[node] = sum(parts) if node.op in _COMPOUND else 1
        return self.lengths[acting]

    def _steps(self, acting: Node, value: Node, flipped: bool) -> _Steps:
        """The terms one by one, those with a nonlinearity under one expectation."""
        terms: list[Node] = []
        nonlinear: list[Node] = []
        for factor, leaf, turned in _terms(acting, flipped):
            match leaf.op:
                case Op.ENTRYWISE:
                    nonlinear.append(_times(factor, _with_entries(leaf.args[0], turned)))
                    continue
                case Op.COMPOSE:
                    left, right = leaf.args
                    first, second = (left, right) if turned else (right, left)
                    term = yield second, (yield first, value, turned), turned
                case Op.INIT_MATRIX | Op.TAKE:
                    if self._matrices(leaf) > self.limit:
                        raise _TooLongError
                    term = _matmul(leaf, turned, value, self.sizes)
                case Op.OUTER:
                    x, chi, y = leaf.args if not turned else leaf.args[::-1]
                    term = build.contract(_times(chi, x), build.inner(y, value), len(x.type.axes))
                case _:
                    raise InternalError(f"{leaf.op.name} is not an operator")
            terms.append(_times(factor, term))
        result = ket(acting.type.axes + value.type.axes)
        if nonlinear:
            body = build.call("mul", _sum(nonlinear), build.copy(value, 1))
            terms.append(build.spread(build.mean((1,), body), result))
        return build.spread(_sum(terms), result)

    def _matrices(self, leaf: Node) -> int:
        """How many independent matrices a multi-operator is made of."""
        sizes = (a.size if a.size is not None else self.sizes[a.name] for a in leaf.type.axes)
        return prod(sizes)


def _terms(acting: Node, flipped: bool) -> Iterator[tuple[Node, Node, bool]]:
    """An operator as a sum, in the order written: coefficient, leaf, whether it is transposed."""
    stack = [(build.constant(1), acting, flipped)]
    while stack:
        factor, node, turned = stack.pop()
        match node.op:
            case Op.OP_ADD:
                stack.extend((factor, a, turned) for a in reversed(node.args))
            case Op.OP_SCALE:
                stack.append((_times(factor, node.args[0]), node.args[1], turned))
            case Op.ADJOINT:
                stack.append((factor, node.args[0], not turned))
            case Op.TAKE if node.args[0].op is not Op.INIT_MATRIX:
                stack.append((factor, _selected(node), turned))
            case _:
                yield factor, node, turned


def _selected(node: Node) -> Node:
    """(A + B)[k] = A[k] + B[k], and so on: selections go down to the initial matrices."""
    [value] = node.args
    picks = node.attr
    assert isinstance(picks, tuple)
    match value.op:
        case Op.TAKE:
            inner = value.attr
            assert isinstance(inner, tuple)
            outer = iter(picks)
            return build.take(value.args[0], [next(outer) if p is None else p for p in inner])
        case Op.COMPOSE:
            left, right = value.args
            split = len(left.type.axes)
            return build.compose(build.take(left, picks[:split]), build.take(right, picks[split:]))
        case Op.ADJOINT:
            return build.adjoint(build.take(value.args[0], picks))
        case Op.OP_SCALE:
            return build.scale(value.args[0], build.take(value.args[1], picks))
        case Op.OP_ADD:
            return Node(Op.OP_ADD, tuple(build.take(a, picks) for a in value.args), None, node.type)
        case _:
            raise InternalError(f"a selection of {value.op.name}")


def _sum(terms: Sequence[Node]) -> Node:
    return reduce(partial(build.call, "add"), terms) if terms else build.constant(0)


def _times(a: Node, b: Node) -> Node:
    if build.is_number(a, 1):
        return b
    return a if build.is_number(b, 1) else build.call("mul", a, b)


def _matmul(leaf: Node, flipped: bool, value: Node, sizes: Mapping[str, int]) -> Node:
    """One matrix, or a stack over the operator's axes of independent ones."""
    matrix = leaf if leaf.op is Op.INIT_MATRIX else leaf.args[0]
    name, indices = matrix.attr
    axes = matrix.type.axes
    picks = (None,) * len(axes) if matrix is leaf else leaf.attr
    assert isinstance(picks, tuple)

    def stacked(key: tuple[int, ...]) -> Node:
        position = len(key)
        if position == len(axes):
            return Node(Op.MATMUL, (value,), (name, (*indices, *key), flipped), value.type)
        pick, axis = picks[position], axes[position]
        if pick is not None:
            return stacked((*key, pick))
        size = axis.size if axis.size is not None else sizes[axis.name]
        parts = tuple(stacked((*key, k)) for k in range(size))
        return Node(Op.STACK, parts, None, ket((axis, *parts[0].type.axes)))

    return stacked(())


# ---- entries -------------------------------------------------------------------------------------


def _with_entries(body: Node, flipped: bool) -> Node:
    """Q's body with the entries of its operators in terms of kets on copies 0 and 1."""
    entries: dict[tuple[Node, bool], Node] = {}
    done: dict[Node, Node] = {}
    for node in walk_where(body, lambda x: x.type.open and x.op is not Op.ENTRY):
        args = tuple(done.get(a, a) for a in node.args)
        if node.op is Op.ENTRY:
            _find_entries(node.args[0], entries)
            done[node] = entries[node.args[0], flipped]
        else:
            call = node.op is Op.CALL
            done[node] = build.call(str(node.attr), *args) if call else node.with_args(args)
    return done.get(body, body)


def _find_entries(acting: Node, entries: dict[tuple[Node, bool], Node]) -> None:
    """The entry (a, b) of an operator and of all its parts, as they are and transposed."""
    for node in walk_where(acting, lambda x: x.op in _COMPOUND):
        for flipped in (False, True):
            if node.type.kind is Kind.OPERATOR and (node, flipped) not in entries:
                entries[node, flipped] = _entry(node, flipped, entries)


def _entry(node: Node, flipped: bool, entries: Mapping[tuple[Node, bool], Node]) -> Node:
    match node.op:
        case Op.OP_ADD:
            return _sum([entries[a, flipped] for a in node.args])
        case Op.OP_SCALE:
            return _times(node.args[0], entries[node.args[1], flipped])
        case Op.ADJOINT:
            return entries[node.args[0], not flipped]
        case Op.OUTER:
            x, chi, y = node.args if not flipped else node.args[::-1]
            return build.contract(_times(chi, x), build.copy(y, 1), len(x.type.axes))
        case _:
            raise InternalError(f"a nonlinearity of {node.op.name}")
