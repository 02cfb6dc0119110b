"""The lines of a training that say how weights move: optimizers, decay, normalization."""

from __future__ import annotations

from nexort import optimizers
from nexort.elaborate.declarations import Declarations
from nexort.elaborate.parametrizations import targets
from nexort.elaborate.scope import LoopVariable, Scope
from nexort.elaborate.strangers import meant
from nexort.elaborate.updates import update_rule
from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.network import (
    STEP,
    STEP_VARIABLE,
    Decay,
    Network,
    Normalization,
    NormKind,
    OptimizerUse,
)
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import scalar
from nexort.support.diagnostics import Source, did_you_mean
from nexort.syntax import tree as t
from nexort.syntax.parser import parse


def elaborate_optimizer(s: Declarations, network: Network, tree: t.Setting) -> OptimizerUse:
    """An update function, its hyperparameters and weights. Raises NexortError."""
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
    entry = optimizers.optimizer_registry().get(rule.name)
    decays = entry is not None and entry.weight_decay is not None
    given: dict[str, t.Argument] = {}
    for position, x in enumerate(args):
        name = x.keyword or ("lr", *known)[position : position + 1]
        name = name if isinstance(name, str) else "".join(name)
        allowed = ["lr", *known, *(["weight_decay"] if decays else [])]
        if x.loops or name not in allowed or name in given:
            what = "is given twice" if name in given else "is not one of its hyperparameters"
            message = f"'{name or x.span.text}' {what} ('{rule.name}')"
            hint = meant(name, allowed) or ", ".join(allowed)
            if name in ("weight_decay", "decay", "wd"):
                hint = f"a line of its own in the training: decay {x.value.span.text}"
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
        targets(s, network, tree),
        tuple(s.e.refs),
        {name: x.span for name, x in given.items()},
        tree.span,
    )


def _rule(s: Declarations, name: t.Name) -> UpdateRule:
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
    registry = optimizers.optimizer_registry()
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


def elaborate_decay(s: Declarations, network: Network, tree: t.Setting) -> Decay:
    """``decay 0.01 for W``. Raises NexortError."""
    assert tree.value is not None
    s.e.refs = []
    rate = _scalar(s, tree.value, "a decay", stepped=True)
    return Decay(rate, targets(s, network, tree), tuple(s.e.refs), tree.span)


def _scalar(s: Declarations, tree: t.Expr, what: str, *, stepped: bool) -> Node:
    """A number: literals, params, and where ``stepped`` the step t and data."""
    outer, s.e.scope = s.e.scope, Scope(s.e.scope)
    if stepped:
        s.e.scope.entries[STEP] = LoopVariable(STEP_VARIABLE, tree.span)
    try:
        node = s.e.node(tree)
    finally:
        s.e.scope = outer
    random = (Op.REF, Op.INIT_SCALAR, Op.INIT_VECTOR, Op.INNER, Op.AVERAGE, Op.SLOT)
    if node.type != scalar() or any(x.op in random for x in walk([node])):
        message = f"{what} is a number, or an expression of params"
        message += f", the step {STEP} and data" if stepped else ""
        raise s.e.problem("bad-argument", message, tree.span)
    if not stepped and any(x.op is Op.DATA for x in walk([node])):
        raise s.e.problem("bad-argument", f"{what} is a number, found data", tree.span)
    return node


def normalization(s: Declarations, network: Network, tree: t.Setting) -> Normalization:
    """``normalize updates``, ``normalize weights for W``, ``clip 0.5``, ``clip paper 0.5``. Raises
    NexortError."""
    assert tree.value is not None
    s.e.refs = []
    if tree.word != "normalize":
        threshold = _scalar(s, tree.value, "a threshold", stepped=True)
        kind: NormKind = "clip" if tree.word == "clip" else "clip paper"
        return Normalization(kind, threshold, targets(s, network, tree), tuple(s.e.refs), tree.span)
    match tree.value:
        case t.Name("updates"):
            return Normalization("updates", None, targets(s, network, tree), (), tree.span)
        case t.Name("weights"):
            return Normalization("weights", None, targets(s, network, tree), (), tree.span)
        case _:
            message = f"expected 'updates' or 'weights', found '{tree.value.span.text}'"
            hint = "normalize updates for W: divide updates by their norm"
            raise s.e.problem("bad-training", message, tree.value.span, help=hint)


def told_once(s: Declarations, network: Network, uses: tuple[OptimizerUse, ...]) -> None:
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
