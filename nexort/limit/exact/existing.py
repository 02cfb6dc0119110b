"""Which expectations of a program exist (``nexort.limit.existence``), each with its true integrand.

The integrand of <x|y> is the product of the kets, as a function of the jointly Gaussian kets below
them; so is that of <x|x> for every |Wx>, the variance of its hat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product

from nexort.limit.exact import failures
from nexort.limit.exact.engine import ExactEngine, deep
from nexort.limit.exact.integrands import Integrand, Integrands
from nexort.limit.existence.ranges import (
    BOUNDED,
    VARIABLE,
    NotShown,
    ValueRange,
    constant_range,
    of_call,
)
from nexort.limit.existence.space import exists_in_space, tame
from nexort.limit.existence.verdict import Existence, Known
from nexort.program import build
from nexort.program.differentiate import substitute
from nexort.program.nodes import Node, Op, Role, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import Diagnostic, Report, Span


@dataclass(frozen=True)
class Effort:
    """How much is looked at: ``entries`` of one multi-ket's expectation, and ``pairs`` of the
    first entries; ``hard`` integrands of a program, of at most ``variables``, take more than
    interval arithmetic, which alone refuses nothing."""

    entries: int = 48
    pairs: int = 7
    hard: int = 32
    variables: int = 1000


FULL = Effort()

HARD_OF_ONE = 6
"""Integrands of one expectation that take more than interval arithmetic."""

SINGULAR = ("log", "sqrt", "exp", "sinh", "cosh")
EXPECTED = (Op.INNER, Op.AVERAGE, Op.MEAN, Op.MATMUL)


def examine(
    program: Unrolled, effort: Effort = FULL, laws: Mapping[Node, ValueRange] | None = None
) -> frozenset[Node]:
    """The expectations of a program that are not shown to exist: INNER, AVERAGE and MEAN nodes, and
    MATMUL nodes for the variances of their hats. ``laws``: what is known of kets that are SLOTs.

    Raises NexortError for one that does not exist, with the reason.
    """
    report = Report()
    with deep():
        found = _singular_ones(program, effort, laws)
        if found is None:
            return frozenset()
        engine, integrands, nodes = found
        for node in nodes:
            refused = _examined(engine, integrands, node, effort)
            if refused is not None:
                report.add(refused)
    report.stop()
    return frozenset(integrands.unknown)


def heavy(
    program: Unrolled, unknown: frozenset[Node] = frozenset(),
    effort: Effort = FULL, laws: Mapping[Node, ValueRange] | None = None,
) -> frozenset[Node]:  # fmt: skip
    """The expectations of which the integrand's square is not shown to have one, so that means of
    samples have no known errors; ``unknown`` do not themselves."""
    with deep():
        found = _singular_ones(program, effort, laws)
        if found is None:
            return frozenset()
        engine, integrands, nodes = found
        integrands.unknown |= unknown
        return frozenset(x for x in nodes if not _has_square(engine, integrands, x, effort))


def _singular_ones(
    program: Unrolled, effort: Effort, laws: Mapping[Node, ValueRange] | None
) -> tuple[ExactEngine, Integrands, list[Node]] | None:
    """The expectations of what may be singular; None where nothing is."""
    nodes = walk([m for output in program.outputs for m in output.members])
    if not any(map(is_risky, nodes)):
        return None
    engine = ExactEngine(program)
    risky = _risky(engine)
    found = [x for x in nodes if x.op in EXPECTED and any(a in risky for a in x.args)]
    return engine, Integrands(engine, effort.hard, laws), found


def is_singular(node: Node) -> bool:
    """A function that is not real or not finite everywhere, or grows faster than polynomials."""
    return node.op is Op.CALL and str(node.attr) in ("div", "pow", *SINGULAR)


def is_risky(node: Node) -> bool:
    """A function of a ket that may be singular, not real, or grow faster than any polynomial."""
    if node.op is not Op.CALL or node.type.kind is not Kind.KET:
        return False
    name = str(node.attr)
    if name == "div":
        return node.args[1].type.kind is Kind.KET
    if name == "pow":
        exponent = node.args[1]
        plain = exponent.op is Op.CONST and isinstance(exponent.attr, int) and exponent.attr >= 0
        return not plain
    return name in SINGULAR


def _risky(engine: ExactEngine) -> set[Node]:
    """The kets that are made of such functions; hats are not, nor what interval arithmetic shows to
    have all powers, as exp(-z^2)."""
    found: set[Node] = set()
    ranges: dict[Node, ValueRange] = {}
    for x in engine.nodes:
        if x.type.kind is not Kind.KET:
            continue
        own = _range(engine, x, ranges)
        if own is not None:
            ranges[x] = own
        if x.op is Op.MATMUL:
            risky = any(y.args[0] in found for y in engine.dots[x])
        else:
            tame = own is not None and own.tame
            risky = (is_risky(x) and not tame) or any(a in found for a in x.args)
        if risky:
            found.add(x)
    return found


NUMBER = ValueRange(-math.inf, math.inf, up=BOUNDED)
"""One that is not known."""


def _range(engine: ExactEngine, x: Node, ranges: Mapping[Node, ValueRange]) -> ValueRange | None:
    """Of a ket over Gaussians, from those of its arguments; None where it is not known."""
    match x.op:
        case Op.INIT_VECTOR:
            return VARIABLE
        case Op.MATMUL:
            return None if engine.dots[x] else VARIABLE
        case op if op.role is Role.SELECTION:
            return ranges.get(x.args[0])
        case Op.CALL | Op.CONTRACT:
            args = [_argument(a, ranges) for a in x.args]
            known = [a for a in args if a is not None]
            if len(known) < len(args):
                return None
            if x.op is Op.CONTRACT:
                return _sum_of_products(x, known)
            try:
                return of_call(x, known)
            except NotShown:
                return None
    return None


def _sum_of_products(x: Node, args: list[ValueRange]) -> ValueRange | None:
    """Of the entries of one ket times numbers."""
    kets = [a for a, y in zip(args, x.args, strict=True) if y.type.kind is Kind.KET]
    return ValueRange(-math.inf, math.inf, up=kets[0].up) if len(kets) == 1 else None


def _argument(x: Node, ranges: Mapping[Node, ValueRange]) -> ValueRange | None:
    if x.type.kind is Kind.KET:
        return ranges.get(x)
    return constant_range(x.attr) if x.op is Op.CONST and not x.type.axes else NUMBER


def _examined(
    engine: ExactEngine, integrands: Integrands, node: Node, effort: Effort
) -> Diagnostic | None:
    """Why an expectation does not exist, at one of some entries."""
    seen: set[Node] = set()
    hard = 0
    for factors in _entries(engine, node, effort):
        integrand = integrands.of(factors)
        if integrand.graph in seen:
            continue
        seen.add(integrand.graph)
        if tame(integrand.graph, integrands.ranges):
            continue
        hard += 1
        integrands.hard -= 1
        if hard > HARD_OF_ONE:
            break
        large = len(integrand.leaves) > effort.variables
        if large or integrands.hard < 0 or (hard > 2 and node in integrands.unknown):
            integrands.unknown.add(node)
            break
        verdict = _judged(node, integrand, integrands)
        if verdict.known is not Known.EXISTS:
            integrands.unknown.add(node)
        if verdict.known is Known.DIVERGES:
            return _refused(engine, integrands, node, integrand, verdict)
    return None


def _has_square(engine: ExactEngine, integrands: Integrands, node: Node, effort: Effort) -> bool:
    hard = 0
    for factors in _entries(engine, node, effort):
        once = integrands.of(factors)
        if tame(once.graph, integrands.ranges):
            continue
        hard += 1
        integrands.hard -= 1
        if hard > HARD_OF_ONE or integrands.hard < 0 or len(once.leaves) > effort.variables:
            return False
        square = replace(once, graph=build.call("mul", once.graph, once.graph))
        if _judged(node, square, integrands).known is not Known.EXISTS:
            return False
    return True


def _judged(node: Node, integrand: Integrand, integrands: Integrands) -> Existence:
    graph = integrand.graph
    if node.op is Op.MEAN and node.type.kind is Kind.KET:  # over the copies alone
        roots = integrands.roots(integrand.leaves)
        values = {x: build.constant(0.3 + 0.61 * k) for k, x in enumerate(roots)}
        graph = substitute(graph, values)
    return exists_in_space(graph, integrands.covariance, integrands.ranges)


def _entries(
    engine: ExactEngine, node: Node, effort: Effort
) -> Iterator[list[tuple[Node, tuple[int, ...]]]]:
    """The factors of an expectation at some entries: equal ones, and others."""
    kets = node.args * 2 if node.op is Op.MATMUL else node.args
    shapes = [engine.program.shape(x.type.axes) for x in kets]
    grids = [list(islice(product(*map(range, s)), effort.entries)) for s in shapes]
    if len(kets) == 1:
        for at in grids[0]:
            yield [(kets[0], at)]
        return
    first, second = grids
    pairs = [(a, b) for a, b in zip(first, second, strict=False)]
    pairs += [(a, b) for a, b in product(first[: effort.pairs], second[: effort.pairs]) if a != b]
    for a, b in pairs:
        yield [(kets[0], a), (kets[1], b)]


# ---- refusals ------------------------------------------------------------------------------------


def _refused(
    engine: ExactEngine,
    integrands: Integrands,
    node: Node,
    integrand: Integrand,
    verdict: Existence,
) -> Diagnostic:
    span, _ = _place(engine, node)
    what, text = _named(engine, node), integrands.text(integrand)
    return Diagnostic(
        "not-integrable" if verdict.finite else "not-finite",
        f"{what} does not exist: its integrand is {text}, and {verdict.reason}",
        span, (), "an expectation exists where that of the integrand's absolute value is finite",
    )  # fmt: skip


def _place(engine: ExactEngine, node: Node) -> tuple[Span | None, str]:
    """The line of the factor that was written last, else of the expectation itself."""
    for ket in sorted(node.args, key=lambda x: -x.serial):
        span, name = failures.binding_of(engine, ket)
        if span is not None:
            return span, name
    return failures.binding_of(engine, node)


def _named(engine: ExactEngine, node: Node) -> str:
    names = [_ket(engine, a) for a in node.args]
    match node.op:
        case Op.AVERAGE:
            return f"the expectation of {names[0]}"
        case Op.INNER if node.args[0] is node.args[1]:
            return f"the expectation of the square of {names[0]}"
        case Op.INNER:
            return f"the expectation of the product of {names[0]} and {names[1]}"
        case Op.MATMUL:
            name, _, flipped = node.attr
            return f"{name}{'^T' if flipped else ''} acts on {names[0]}, and <x|x> of it"
    return "an expectation over iid copies"


def _ket(engine: ExactEngine, node: Node) -> str:
    spans = engine.program.spans
    if node in spans:
        return spans[node].text
    if node.op is Op.INIT_VECTOR:
        name, indices = node.attr
        return f"|{name}{list(indices) if indices else ''}>"
    span, name = failures.binding_of(engine, node)
    return "a ket" if span is None else name.strip("'")
