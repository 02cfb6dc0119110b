"""Trainings: ``train f { parametrization ...; optimizer ...; error ...; steps ... }``."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from nexort import optimizers
from nexort.diagnostics import NexortError, Source, Span, did_you_mean
from nexort.elaborate import indices
from nexort.elaborate.scope import Bound, LoopVariable, Poisoned, Scope
from nexort.elaborate.updates import update_rule
from nexort.elaborate.values import Skip
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.network import (
    OUTPUT,
    STEP_VARIABLE,
    Decay,
    Exponents,
    Member,
    Network,
    OptimizerUse,
    Parametrization,
    Training,
    WeightSet,
)
from nexort.program.nodes import Node, Op, walk
from nexort.program.parametrization import NAMED, part, uniform
from nexort.program.program import Family, UpdateRule
from nexort.program.types import AxisMismatch, Kind, broadcast, scalar
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

if TYPE_CHECKING:
    from nexort.elaborate.statements import Elaboration

Start = Node | Literal["plain", "centre"]
ONCE = ("parametrization", "error", "steps", "start", "centre")


def train(s: Elaboration, tree: t.Train) -> None:
    """Add the training of the program's network. Raises NexortError."""
    s.top_level(tree.span, "train")
    network = s.e.lookup(tree.name, tree.span)
    if s.training is not None:
        notes = (("the first one is here", s.training.span),)
        raise s.e.problem("redefinition", "a program trains once", tree.span, notes=notes)
    if not isinstance(network, Network):
        message = f"'{tree.name}' is not a network"
        raise s.e.problem("wrong-kind", message, tree.span, help="network f(xi) { ... }")
    try:
        s.training = _training(s, network, tree)
    except (NexortError, Skip):
        entries = s.e.scope.declarations().entries
        for name in (network.name, *network.families, *network.weights):
            entries[name] = Poisoned(tree.span)
        raise
    _trajectory(s, network, s.training.steps)


def _training(s: Elaboration, network: Network, tree: t.Train) -> Training:
    settings = _settings(s, tree)
    parametrization = _parametrization(s, network, settings["parametrization"])
    uses = tuple(_optimizer(s, network, x) for x in tree.settings if x.word == "optimizer")
    decays = tuple(_decay(s, network, x) for x in tree.settings if x.word == "decay")
    _told_once(s, network, uses)
    error, refs = _error(s, network, settings["error"])
    steps = settings["steps"].value
    assert steps is not None
    return Training(
        network,
        parametrization,
        uses,
        decays,
        error,
        refs,
        indices.affine(s.e, steps),
        steps.span,
        _start(s, network, settings),
        tree.span,
    )


def _settings(s: Elaboration, tree: t.Train) -> dict[str, t.Setting]:
    """The lines that stand once, by their first word."""
    found: dict[str, t.Setting] = {}
    for x in tree.settings:
        if x.word in ONCE and x.word in found:
            notes = (("the first one is here", found[x.word].span),)
            message = f"'{x.word}' stands twice"
            raise s.e.problem("redefinition", message, x.span, notes=notes)
        found[x.word] = x
    hints = {
        "parametrization": "parametrization mup",
        "optimizer": "optimizer sgd(lr=0.1)",
        "error": f"error {tree.name} - y",
        "steps": "steps 20",
    }
    for word, hint in hints.items():
        if word not in found:
            message = f"a training needs '{word}'"
            raise s.e.problem("bad-training", message, tree.span, help=hint)
    if "start" in found and "centre" in found:
        notes = (("'start' is here", found["start"].span),)
        message = "'centre' starts from 0: it does not go with 'start'"
        raise s.e.problem("bad-training", message, found["centre"].span, notes=notes)
    return found


# ---- parametrizations ----------------------------------------------------------------------------


def _parametrization(s: Elaboration, network: Network, tree: t.Setting) -> Parametrization:
    if tree.exponents:
        return _explicit(s, network, tree)
    value = tree.value
    names = ", ".join([*NAMED, "ups(1/4)"])
    match value:
        case t.Name(name) if name in NAMED:
            table, out = NAMED[name]()
            text = name
        case t.Call(t.Name("ups"), (t.Argument(number, None, ()),)):
            u = rational(s, number)
            if not 0 <= u <= Fraction(1, 2):
                message = f"the s of ups(s) lies between 0 and 1/2, found {u}"
                raise s.e.problem("bad-training", message, number.span)
            table, out = uniform(u)
            text = f"ups({u})"
        case _:
            assert value is not None
            message = f"unknown parametrization '{value.span.text}'"
            close = did_you_mean(value.span.text, NAMED)
            raise s.e.problem("bad-training", message, value.span, help=close or names)
    weights = {name: table[part(network, name)] for name in network.weights}
    return Parametrization(text, weights, {}, out, tree.span)


def _explicit(s: Elaboration, network: Network, tree: t.Setting) -> Parametrization:
    weights: dict[str, Exponents] = {}
    members: dict[Member, Exponents] = {}
    out: Fraction | None = None
    for line in tree.exponents:
        if line.name == "out" and "out" not in network.weights:
            out = _numbers(s, line, ("a",))["a"]
            continue
        key = _weight_set(s, network, line.name, line.items, line.span)
        values = Exponents(**_numbers(s, line, ("a", "b", "c", "d")))
        if key.indices is None:
            weights[key.name] = values
        else:
            members[Member(key.name, key.indices)] = values
    missing = [name for name in network.weights if name not in weights]
    missing = [name for name in missing if name not in {m.name for m in members}]
    if missing or out is None:
        names = ", ".join(f"'{name}'" for name in [*missing, *(["out"] if out is None else [])])
        hint = "u: a=0, b=0, c=0, d=1; out: a=1"
        raise s.e.problem("bad-training", f"no exponents for {names}", tree.span, help=hint)
    return Parametrization("explicit", weights, members, out, tree.span)


def _numbers(s: Elaboration, line: t.Exponents, wanted: tuple[str, ...]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for x in line.values:
        name = x.keyword or ""
        if name not in wanted or name in found:
            what = "is given twice" if name in found else "is not an exponent"
            message = f"'{name}' {what} here"
            hint = f"{line.name}: {', '.join(f'{w}=0' for w in wanted)}"
            raise s.e.problem("bad-training", message, x.span, help=hint)
        found[name] = rational(s, x.value)
    if len(found) < len(wanted):
        missing = ", ".join(w for w in wanted if w not in found)
        message = f"no value for {missing}"
        raise s.e.problem("bad-training", message, line.span, help=f"{line.name}: {missing[0]}=0")
    return found


def rational(s: Elaboration, tree: t.Expr) -> Fraction:
    """An exact rational from literals. Raises NexortError."""
    try:
        match tree:
            case t.Number(text) if len(text) <= indices.LONGEST_INDEX:
                return Fraction(text)
            case t.Paren(value):
                return rational(s, value)
            case t.Negative(value):
                return -rational(s, value)
            case t.Binary("+", x, y):
                return rational(s, x) + rational(s, y)
            case t.Binary("-", x, y):
                return rational(s, x) - rational(s, y)
            case t.Binary("*", x, y):
                return rational(s, x) * rational(s, y)
            case t.Binary("/", x, y):
                return rational(s, x) / rational(s, y)
            case _:
                pass
    except (ZeroDivisionError, ValueError):
        pass
    message = f"'{tree.span.text}' is not a rational number"
    raise s.e.problem("bad-training", message, tree.span, help="an exponent: 1/2, 0.5, -1")


# ---- optimizers ----------------------------------------------------------------------------------


def _optimizer(s: Elaboration, network: Network, tree: t.Setting) -> OptimizerUse:
    value = tree.value
    args: tuple[t.Argument, ...] = ()
    callee = value
    if isinstance(value, t.Call):
        callee, args = value.callee, value.args
    if not isinstance(callee, t.Name):
        raise s.e.problem(
            "bad-training", "expected an optimizer", tree.span, help="optimizer adam(lr=0.1)"
        )
    rule = _rule(s, callee)
    known = [name for name, _ in rule.parameters]
    entry = optimizers.registry().get(rule.name)
    decays = entry is not None and entry.weight_decay is not None
    given: dict[str, t.Argument] = {}
    for position, x in enumerate(args):
        name = x.keyword or ("lr", *known)[position : position + 1]
        name = name if isinstance(name, str) else "".join(name)
        allowed = ["lr", *known, *(["weight_decay"] if decays else [])]
        if x.loops or name not in allowed or name in given:
            what = "is given twice" if name in given else "is not one of its hyperparameters"
            message = f"'{name or x.span.text}' {what} ('{rule.name}')"
            hint = did_you_mean(name, allowed) or ", ".join(allowed)
            raise s.e.problem("bad-argument", message, x.span, help=hint)
        given[name] = x
    missing = [p for p, default in rule.parameters if default is None and p not in given]
    if "lr" not in given:
        missing.insert(0, "lr")
    if missing:
        message = f"'{rule.name}' needs {', '.join(missing)}"
        hint = f"optimizer {rule.name}({', '.join(f'{m}=0.1' for m in missing)})"
        raise s.e.problem("bad-argument", message, tree.span, help=hint)
    s.e.refs = []
    values = {
        name: _scalar(s, x.value, "a hyperparameter", stepped=name in ("lr", "weight_decay"))
        for name, x in given.items()
    }
    rate = values.pop("lr")
    decay = values.pop("weight_decay", None)
    if decays and decay is None:
        assert entry is not None
        assert entry.weight_decay is not None
        decay = build.constant(entry.weight_decay)
    return OptimizerUse(
        rule,
        {**{p: d for p, d in rule.parameters if d is not None}, **values},
        rate,
        decay,
        _targets(s, network, tree),
        tuple(s.e.refs),
        {name: x.span for name, x in given.items()},
        tree.span,
    )


def _rule(s: Elaboration, name: t.Name) -> UpdateRule:
    """The file's own update function of that name, or the registry's."""
    entry = s.e.scope.find(name.name)
    if entry is not None:
        found = s.e.lookup(name.name, name.span)
        if isinstance(found, UpdateRule):
            return found
        raise s.e.problem(
            "wrong-kind", f"'{name.name}' is not an optimizer", name.span,
            notes=(("it is defined here", entry.span),),
        )  # fmt: skip
    registry = optimizers.registry()
    if name.name not in registry:
        own = [n for n in s.e.scope.names() if isinstance(s.e.scope.find(n), UpdateRule)]
        close = did_you_mean(name.name, [*registry, *own])
        hint = close or f"optimizers: {', '.join(registry)}"
        message = f"unknown optimizer '{name.name}'"
        raise s.e.problem("unknown-name", message, name.span, help=hint)
    if name.name not in s.updates:
        tree = parse(Source(f"{name.name}.nxt", registry[name.name].source)).statements[-1]
        assert isinstance(tree, t.Update)
        outer, s.e.scope = s.e.scope, Scope()
        try:
            s.updates[name.name] = update_rule(s.e, tree)
        finally:
            s.e.scope = outer
    return s.updates[name.name]


def _decay(s: Elaboration, network: Network, tree: t.Setting) -> Decay:
    assert tree.value is not None
    s.e.refs = []
    rate = _scalar(s, tree.value, "a decay", stepped=True)
    return Decay(rate, _targets(s, network, tree), tuple(s.e.refs), tree.span)


def _scalar(s: Elaboration, tree: t.Expr, what: str, *, stepped: bool) -> Node:
    """A number: literals, params, and where ``stepped`` the step t and data."""
    outer, s.e.scope = s.e.scope, Scope(s.e.scope)
    if stepped:
        s.e.scope.entries[STEP_VARIABLE] = LoopVariable(STEP_VARIABLE, tree.span)
    try:
        node = s.e.node(tree)
    finally:
        s.e.scope = outer
    random = (Op.REF, Op.INIT_SCALAR, Op.INIT_VECTOR, Op.INNER, Op.AVERAGE, Op.SLOT)
    if node.type != scalar() or any(x.op in random for x in walk([node])):
        message = f"{what} is a number, or an expression of params"
        message += f", the step {STEP_VARIABLE} and data" if stepped else ""
        raise s.e.problem("bad-argument", message, tree.span)
    if not stepped and any(x.op is Op.DATA for x in walk([node])):
        raise s.e.problem("bad-argument", f"{what} is a number, found data", tree.span)
    return node


def _targets(s: Elaboration, network: Network, tree: t.Setting) -> tuple[WeightSet, ...] | None:
    if not tree.targets:
        return None
    return tuple(_weight_set(s, network, x.name, x.items, x.span) for x in tree.targets)


def _weight_set(
    s: Elaboration, network: Network, name: str, items: tuple[t.Item, ...], span: Span
) -> WeightSet:
    declared = network.weights.get(name)
    if declared is None:
        message = f"'{name}' is not a weight of '{network.name}'"
        known = [*network.weights, "out"]
        hint = did_you_mean(name, known) or f"weights: {', '.join(network.weights)}"
        raise s.e.problem("unknown-name", message, span, help=hint)
    if not items:
        return WeightSet(name, None, span)
    if len(items) != len(declared.ranges):
        message = f"'{name}' has {len(declared.ranges)} indices, found {len(items)}"
        raise s.e.problem("missing-index", message, span)
    return WeightSet(name, tuple(indices.affine(s.e, x) for x in items), span)


def _told_once(s: Elaboration, network: Network, uses: tuple[OptimizerUse, ...]) -> None:
    """Every weight has an optimizer, and no two lines speak of all the others."""
    general = [x for x in uses if x.weights is None]
    if len(general) > 1:
        notes = (("the first one is here", general[0].span),)
        message = "two optimizers for the same weights"
        hint = "say which: optimizer sgd(lr=0.1) for u"
        raise s.e.problem("redefinition", message, general[1].span, notes=notes, help=hint)
    named = {w.name for x in uses for w in x.weights or ()}
    missing = [name for name in network.weights if name not in named]
    if missing and not general:
        message = f"no optimizer for {', '.join(missing)}"
        hint = "a line without 'for' is for all the others"
        raise s.e.problem("bad-training", message, uses[-1].span, help=hint)


# ---- error signals, start ------------------------------------------------------------------------


def _error(
    s: Elaboration, network: Network, tree: t.Setting
) -> tuple[Node, tuple[tuple[Node, Span], ...]]:
    """chi as a graph over f, the step, data and params."""
    assert tree.value is not None
    outer, s.e.scope = s.e.scope, Scope(s.e.scope)
    # the network's names are known here, to be told what is wrong with them
    s.e.scope.entries.update(network.initial)
    s.e.scope.entries.update(network.families)
    slot = Node(Op.SLOT, (), OUTPUT, scalar(network.axes))
    s.e.scope.entries[network.name] = Bound(slot, network.span)
    s.e.scope.entries[STEP_VARIABLE] = LoopVariable(STEP_VARIABLE, tree.span)
    s.e.refs = []
    try:
        node = s.e.node(tree.value)
    finally:
        s.e.scope = outer
    for x in walk([node]):
        weight = isinstance(x.attr, tuple) and x.attr and x.attr[0] in network.weights
        if weight or x.op in (Op.INIT_VECTOR, Op.INIT_MATRIX, Op.INIT_SCALAR, Op.REF):
            message = "an error signal reads f, data, params and the step"
            hint = f"error ({network.name} - y) * train"
            raise s.e.problem("bad-training", message, tree.value.span, help=hint)
    return _shaped(s, network, node, tree.value), tuple(s.e.refs)


def _shaped(s: Elaboration, network: Network, node: Node, tree: t.Expr) -> Node:
    """A scalar with the axes of f."""
    axes = network.axes
    try:
        fits = node.type.kind is Kind.SCALAR and broadcast(axes, node.type.axes) == axes
    except AxisMismatch:
        fits = False
    if not fits:
        wanted = scalar(axes)
        message = f"expected a {wanted}, as '{network.name}' is, found a {node.type}"
        notes = ((f"'{network.name}' returns this", network.output_span),)
        raise s.e.problem("axis-mismatch", message, tree.span, notes=notes)
    return node if node.type.axes == axes else build.spread(node, scalar(axes))


def _start(s: Elaboration, network: Network, settings: Mapping[str, t.Setting]) -> Start:
    if "centre" in settings:
        return "centre"
    if "start" not in settings:
        return "plain"
    tree = settings["start"].value
    assert tree is not None
    node = s.e.node(tree)
    if any(x.op not in (Op.DATA, Op.CONST, Op.CALL, Op.PARAM, Op.SIZE) for x in walk([node])):
        message = "the output at the start is given by data and numbers"
        raise s.e.problem("bad-training", message, tree.span, help="start f0")
    return _shaped(s, network, node, tree)


def _trajectory(s: Elaboration, network: Network, steps: Affine) -> None:
    """The names of the run: the network's families with the step as their last index."""
    scope = s.e.scope.declarations()
    scope.entries.pop(network.name)
    run = {network.name: Family(network.name, 1, scalar(network.axes), network.span)}
    for name, family in network.families.items():
        run[name] = Family(name, family.arity + 1, family.type, family.span)
    for name, weight in network.weights.items():
        leaf = network.initial[name].value
        if weight.kind != "matrix":
            run[name] = Family(name, len(weight.ranges) + 1, leaf.type, weight.span)
    for name, family in run.items():
        s.define(name, family, family.span)
        s.families[name] = family
        s.e.trajectories[name] = steps
