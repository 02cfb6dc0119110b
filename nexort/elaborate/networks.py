"""Networks: ``network f(xi) { weight ...; rules; return ... }``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nexort.elaborate import laws
from nexort.elaborate.declarations import Declarations, Draft
from nexort.elaborate.scope import Scope, defined_names
from nexort.elaborate.values import Skip
from nexort.program import build
from nexort.program.declarations import Block, Data, Initial, Rule
from nexort.program.linearity import Linearity, linearity
from nexort.program.network import Network, WeightFamily, WeightKind
from nexort.program.nodes import STANDARD, Node, Op, Role, walk
from nexort.program.types import Kind, ket, operator, scalar
from nexort.support.diagnostics import Span
from nexort.syntax import tree as t

KINDS: tuple[WeightKind, ...] = ("matrix", "vector", "scalar")


Body = Callable[[Iterable[t.Statement]], tuple[Rule | Block, ...]]


def elaborate_network(s: Declarations, tree: t.Network, read: Body) -> None:
    """Add a network to the program; ``read`` has the rules of statements. Raises NexortError."""
    s.top_level(tree.span, "a network")
    if s.network is not None:
        message = "a program has one network"
        notes = (("the first one is here", s.network.span),)
        raise s.e.problem("redefinition", message, tree.span, notes=notes)
    for p in tree.parameters:
        if p.default is not None or not isinstance(s.e.lookup(p.name, p.span), Data):
            message = f"'{p.name}' is not data: a network's arguments are data of the program"
            hint = f"declare it: data {p.name}[d, M]"
            raise s.e.problem("bad-declaration", message, p.span, help=hint)
    outer_families, s.families = s.families, {}
    outer, s.e.scope = s.e.scope, Scope(s.e.scope, frame=True)
    later, s.e.later = s.e.later, {**s.e.later, **defined_names(tree.body)}
    s.draft = draft = Draft(tree.name, tree.span)
    errors = len(list(s.report))
    try:
        body = read(tree.body)
    finally:
        families, s.families = s.families, outer_families
        s.e.scope, s.e.later, s.draft = outer, later, None
    if len(list(s.report)) > errors:
        raise Skip
    if draft.output is None:
        message = f"the network '{tree.name}' returns nothing"
        raise s.e.problem("bad-network", message, tree.span, help="return |v> * |x[L]>")
    output, span, refs = draft.output
    made = Network(
        tree.name,
        tuple(p.name for p in tree.parameters),
        draft.weights,
        draft.initial,
        families,
        body,
        output,
        span,
        refs,
        tree.span,
    )
    _all_used(s, made)
    s.define(tree.name, made, tree.span)
    s.network = made


def elaborate_weight(s: Declarations, tree: t.Weight) -> None:
    """Add weights to the network that is being read. Raises NexortError."""
    draft = _draft(s, tree.span, "a weight")
    kind = next((k for k in KINDS if k == tree.kind.name), None)
    if kind is None:
        message = f"'{tree.kind.name}' is not a kind of weight"
        hint = "weight W : matrix, weight u : vector[d], weight c : scalar = 1"
        raise s.e.problem("bad-declaration", message, tree.kind.span, help=hint)
    mean, variance = _law(s, tree, kind)
    ranges, axes = s.shape(tree.kind)
    if ranges or (kind == "matrix" and axes):
        message = "a matrix weight has no axes: a family has index ranges"
        hint = "weight W[1..k] : matrix"
        raise s.e.problem("bad-declaration", message, tree.kind.span, help=hint)
    for item in tree.names:
        ranges, extra = s.shape(item)
        if extra:
            message = "the axes of a weight stand behind its kind"
            hint = f"weight {item.name} : {kind}[{', '.join(map(str, extra))}]"
            raise s.e.problem("bad-declaration", message, item.span, help=hint)
        match kind:
            case "matrix":
                leaf = Node(Op.INIT_MATRIX, (), (item.name, ()), operator())
            case "vector":
                leaf = Node(Op.INIT_VECTOR, (), (item.name, ()), ket(axes))
            case _:
                leaf = Node(Op.INIT_SCALAR, (), (item.name, ()), scalar(axes))
        text = f"weight, {kind}"
        initial = Initial(item.name, leaf.type.kind, ranges, axes, leaf, None, text, item.span)
        s.define(item.name, initial, item.span)
        draft.initial[item.name] = initial
        draft.weights[item.name] = WeightFamily(
            item.name, kind, ranges, axes, mean, variance, item.span
        )


def _law(s: Declarations, tree: t.Weight, kind: WeightKind) -> tuple[Node, Node]:
    """Mean and variance: N(0, 1) where nothing is written, a number for a scalar."""
    if kind == "scalar":
        if tree.law is not None:
            message = "a scalar weight starts at a number"
            raise s.e.problem("bad-law", message, tree.law.span, help="weight c : scalar = 1")
        mean = build.constant(0) if tree.value is None else s.e.node(tree.value)
        spot, variance = tree.value, build.constant(0)
    elif tree.value is not None:
        message = f"a {kind} weight starts with a law"
        hint = f"~ N({tree.value.span.text}, 0) starts at this number, ~ N(0, 1) at random"
        raise s.e.problem("bad-law", message, tree.value.span, help=hint)
    elif tree.law is None:
        return build.constant(0), build.constant(1)
    else:
        found = laws.elaborate_law(s.e, tree.law)
        if found.name != "N" or found.mean is None:
            message = "a weight's entries start Gaussian"
            raise s.e.problem("bad-law", message, tree.law.span, help="~ N(0, 2)")
        if found.over_n:
            message = "the powers of n belong to the parametrization"
            hint = "write the constant alone: ~ N(0, 2)"
            raise s.e.problem("bad-law", message, tree.law.span, help=hint)
        mean, variance, spot = s.e.node(found.mean), s.e.node(found.variance), tree.law
    for value in (mean, variance):
        if any(x.op not in (Op.CONST, Op.CALL, Op.PARAM, Op.SIZE) for x in walk([value])) or (
            value.type != scalar()
        ):
            assert spot is not None
            message = "a weight's mean and variance are numbers, or expressions of params"
            raise s.e.problem("bad-law", message, spot.span)
    return mean, variance


def elaborate_return(s: Declarations, tree: t.Returned) -> None:
    """Set the output of the network that is being read. Raises NexortError."""
    draft = _draft(s, tree.span, "return")
    if draft.output is not None:
        notes = (("the first one is here", draft.output[1]),)
        message = "a network returns once"
        hint = "several outputs have an axis: weight v : vector[e], return <v|x[L]>"
        raise s.e.problem("redefinition", message, tree.span, notes=notes, help=hint)
    s.e.refs = []
    value = s.e.node(tree.value)
    if value.type.kind is Kind.KET:
        value = s.e.typed([tree.value.span], tree.span, lambda: build.average(value))
    if value.type.kind is not Kind.SCALAR or not _linear(value):
        message = "a network returns a ket, whose entries are summed, or bra-kets"
        hint = "return |v> * |x[L]>, or <v|x[L]>; with a bias b: |v> * |x[L]> + b"
        named = [x.attr[0] for x in walk([value]) if x.op is Op.REF and x.type.kind is Kind.SCALAR]
        if named:
            hint = f"write out what '{named[0]}' stands for: return <v|x[L]>"
        raise s.e.problem("bad-network", message, tree.value.span, help=hint)
    draft.output = value, tree.value.span, tuple(s.e.refs)


def _linear(root: Node) -> bool:
    """Whether a scalar is of degree one in averages over the width: a sum over entries."""
    degree: dict[Node, int | None] = {}
    for x in walk([root]):
        if x.type.kind is not Kind.SCALAR:
            continue
        parts = [degree[a] for a in x.args if a in degree]
        match x.op.role, linearity(x):
            case Role.AVERAGE, _:
                degree[x] = None if x.op is Op.MEAN else 1
            case _, Linearity.SUM:
                degree[x] = parts[0] if len(set(parts)) == 1 else None
            case _, Linearity.PRODUCT:
                degree[x] = None if None in parts else sum(p for p in parts if p)
            case _, Linearity.QUOTIENT:
                degree[x] = parts[0] if parts[1] == 0 else None
            case Role.LOCAL, _:
                degree[x] = 0 if all(p == 0 for p in parts) else None
            case Role.LEAF, _ if x.op not in (Op.REF, Op.SLOT):
                degree[x] = 0
            case _:
                degree[x] = None
    return degree[root] == 1


def _all_used(s: Declarations, made: Network) -> None:
    """Every weight must be read."""
    nodes = walk([made.output, *_values(made.body)])
    read = {x.attr[0] for x in nodes if x.op in STANDARD}
    for name, declared in made.weights.items():
        if name not in read:
            message = f"the weight '{name}' is never used"
            s.report.error("unused-weight", message, declared.span, help="remove it")


def _values(body: tuple[object, ...]) -> list[Node]:
    found: list[Node] = []
    for item in body:
        found += [item.value] if hasattr(item, "value") else _values(item.body)  # type: ignore[attr-defined]
    return found


def _draft(s: Declarations, span: Span, what: str) -> Draft:
    if s.draft is None:
        message = f"{what} stands inside a network"
        raise s.e.problem("misplaced", message, span, help="network f(xi) { ... }")
    s.top_level(span, what)
    return s.draft
