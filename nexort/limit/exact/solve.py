"""The planner: which scalars of a program are exact, their numbers, and by which route."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nexort.gaussian.expectation import CLOSED
from nexort.gaussian.univariate import Univariate
from nexort.limit.exact import failures, whole
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.engine import ExactEngine, deep
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import top
from nexort.limit.exact.operations import NotFiniteError
from nexort.limit.exact.values import Value, What
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import fail

DEFAULT_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Exact:
    """An output's numbers, shape family_shape + axes; ``error`` is a bound, to first order in
    roundings, with estimates of what quadrature and series leave out."""

    value: Array
    error: Array
    method: str

    def meets(self, rtol: float | None) -> bool:
        """Whether every entry's error is below rtol times the largest entry."""
        scale = float(np.max(np.abs(self.value), initial=0.0))
        return rtol is None or bool((self.error <= rtol * scale).all())


@dataclass(frozen=True)
class Route:
    """How one scalar of the program is found; ``error`` is relative to its largest entry, None
    where it is sampled; ``reason`` why that is so. ``pairs`` are the functions f, g of every
    E f(z_a) g(z_b) that it takes, in closed form."""

    node: Node
    method: str
    error: float | None
    reason: str = ""
    pairs: tuple[tuple[Univariate, Univariate], ...] = ()


@dataclass(frozen=True)
class Solution:
    """What is exact: ``outputs`` by name, ``known`` the arrays of the exact scalars that inexact
    outputs depend on, ``routes`` of all expectations in the program's order."""

    outputs: dict[str, Exact]
    known: dict[Node, Array]
    routes: list[Route] = field(default_factory=list)


def solve(
    program: Unrolled,
    rtol: float = 1e-8,
    memory: int = DEFAULT_MEMORY,
    unknown: frozenset[Node] = frozenset(),
) -> Solution:
    """Every exact scalar of an unrolled program; ``unknown`` are expectations that are not shown
    to exist.

    Raises NexortError for what has no value, and where the arrays, those of exact outputs included,
    would take more than ``memory`` bytes.
    """
    lost: frozenset[Node] = frozenset()
    while True:
        try:
            return _solved(program, rtol, memory, unknown, lost)
        except Lost as problem:
            lost |= problem.nodes


class Lost(Exception):
    """Expectations that exist of functions that floats make infinite next to a singular point, and
    what depends on them."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        super().__init__()
        self.nodes = frozenset(nodes)


def _solved(
    program: Unrolled, rtol: float, memory: int, unknown: frozenset[Node], lost: frozenset[Node]
) -> Solution:
    with deep():
        engine = ExactEngine(program, unknown, lost)
        engine.warm()
        frame = whole.frame_of(program, rtol)
        found, missing = _lowered(engine, _scalars(engine.nodes))
        members = {
            m: found.get(m) or _attempt(engine, m) for o in program.outputs for m in o.members
        }
        good = {m: v for m, v in members.items() if isinstance(v, Value)}
        inexact = [m for m in members if m not in good]
        wanted = set(walk(inexact))
        known = {n: v for n, v in found.items() if n in wanted and v is not engine.values.zero}
        roots = [*good.values(), *found.values()]
        shown = sum(8 * math.prod(program.shape(m.type.axes)) for m in good)
        _check_room(shown + whole.footprint(roots, frame), memory)
        try:
            arrays = whole.evaluate_values(roots, frame, divisions(engine))
        except failures.PROBLEMS as problem:
            nodes = [n for n, v in found.items() if _is_lost(problem, v)]
            raise (Lost(nodes) if nodes else failures.diagnose(engine, problem)) from None
    outputs = {}
    for output in program.outputs:
        if all(m in good for m in output.members):
            outputs[output.name] = _assembled(program, output.name, good, arrays, frame)
    shapes = {n: _filled(program, n, v, arrays[v][0]) for n, v in known.items()}
    routes = [
        route_of(n, found[n], frame, _relative(*arrays[found[n]]))
        if n in found
        else Route(n, "sampled", None, str(missing[n]))
        for n in _scalars(engine.nodes)
    ]
    return Solution(outputs, shapes, routes)


def _is_lost(problem: failures.Problem, value: Value) -> bool:
    """Whether a value depends on the expectation, of a singular function, that is not finite."""
    if not isinstance(problem, NotFiniteError) or problem.value.what not in (What.ONE, What.PAIR):
        return False
    own = problem.value.attr
    functions = own if isinstance(own, tuple) else (own,)
    singular = any(isinstance(f, Univariate) and f.singularities for f in functions)
    return singular and problem.value in dependency_order([value])


def _relative(value: Array, error: Array) -> float:
    """The largest error as a part of the largest entry."""
    size = float(np.max(np.abs(value), initial=0.0))
    return float(np.max(error, initial=0.0)) / size if size else 0.0


def solve_values(
    engine: ExactEngine, roots: Iterable[Value], frame: Frame, checked: Iterable[Value] = ()
) -> dict[Value, whole.Bounded]:
    """Some values. Raises NexortError for what has no value, ``checked`` too."""
    try:
        return whole.evaluate_values(roots, frame, checked)
    except failures.PROBLEMS as problem:
        raise failures.diagnose(engine, problem) from None


PARTIAL = ("div", "log", "sqrt", "pow")


def divisions(engine: ExactEngine) -> list[Value]:
    """What scalars divide by, take roots and logarithms of, as values that have to be finite even
    where they are multiplied by 0."""
    values = engine.values
    found = []
    for n in engine.nodes:
        if n.op is not Op.CALL or n.attr not in PARTIAL or n.args[-1].type.kind is not Kind.SCALAR:
            continue
        ket = n.type.kind is Kind.KET
        if ket and n.attr != "div":
            continue
        value = _attempt(engine, n.args[1] if ket else n)
        if isinstance(value, Value):
            value = values.div(values.one, value) if ket else value
            engine.origin.setdefault(value, n)
            found.append(value)
    return found


def check_divisions(program: Unrolled) -> None:
    """Raises NexortError for a scalar that has no value, such as 0 / 0."""
    with deep():
        engine = ExactEngine(program)
        solve_values(engine, [], whole.frame_of(program, 1e-8), divisions(engine))


def _check_room(needed: int, memory: int) -> None:
    if needed > memory:
        message = f"the arrays of the limit take {needed / 2**30:.1f} GiB, "
        message += f"--memory allows {memory / 2**30:.1f}"
        hint = "raise --memory; kernels over data are computed in blocks with --dtype float64"
        raise fail("memory-limit", message, help=hint)


def _scalars(nodes: Iterable[Node]) -> list[Node]:
    """The expectations of a program."""
    return [
        n
        for n in nodes
        if n.op in (Op.INNER, Op.AVERAGE) or (n.op is Op.MEAN and n.type.kind is Kind.SCALAR)
    ]


def _attempt(engine: ExactEngine, node: Node) -> Value | NotExact:
    try:
        return engine.scalar(node, top([a.name for a in node.type.axes]))
    except NotExact as problem:
        return problem


def _lowered(
    engine: ExactEngine, nodes: Iterable[Node]
) -> tuple[dict[Node, Value], dict[Node, NotExact]]:
    found, missing = {}, {}
    for node in nodes:
        value = _attempt(engine, node)
        if isinstance(value, Value):
            found[node] = value
        else:
            missing[node] = value
    return found, missing


def _filled(program: Unrolled, node: Node, value: Value, array: Array) -> Array:
    """The array of a whole scalar, repeated along the axes that it does not depend on."""
    axes = node.type.axes
    return whole.broadcast_value(value, array, top([a.name for a in axes]), program.shape(axes))


def _assembled(
    program: Unrolled,
    name: str,
    good: dict[Node, Value],
    arrays: dict[Value, whole.Bounded],
    frame: Frame,
) -> Exact:
    """The members of an output stacked to family_shape + axes."""
    [output] = [o for o in program.outputs if o.name == name]
    shape = program.shape(output.axes)
    both = [[_filled(program, m, good[m], x) for x in arrays[good[m]]] for m in output.members]
    full = output.family_shape + shape
    value, error = (np.stack(x).astype(float).reshape(full) for x in zip(*both, strict=True))
    used = {frame.methods[v] for v in dependency_order(good[m] for m in output.members)
            if v in frame.methods}  # fmt: skip
    random = any(n.op in (Op.INNER, Op.AVERAGE) for n in walk(output.members))
    method = route_text(used, _relative(value, error)) if random else "exact"
    return Exact(value, error, method)


def route_text(used: Iterable[str], error: float) -> str:
    """``exact: closed form``, or ``quadrature to 1e-10``."""
    others = sorted(set(used) - {CLOSED})
    if not others:
        return "exact: closed form"
    return f"{' and '.join(others)} to {max(error, 1e-16):.0e}"


def route_of(node: Node, value: Value, frame: Frame, error: float) -> Route:
    """The routes of the expectations that one scalar takes itself, its covariances apart."""
    own: set[str] = set()
    pairs: dict[tuple[Univariate, Univariate], None] = {}
    stack, seen = [value], set()
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if v.what in (What.PAIR, What.ONE, What.STEIN):
            method = frame.methods.get(v, CLOSED)
            own.add(method)
            if v.what is What.PAIR and method == CLOSED:
                pairs[v.attr] = None
        elif v.what in (What.CALL, What.SUM, What.STACK):
            stack += v.args
    method = " and ".join(sorted(own)) or "closed form (covariances alone)"
    return Route(node, method, error, pairs=tuple(pairs))
