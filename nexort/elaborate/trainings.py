"""Trainings: ``train f { parametrization ...; optimizer ...; error ...; steps ... }``."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.elaborate import indices
from nexort.elaborate.declarations import Declarations
from nexort.elaborate.optimizing import (
    elaborate_decay,
    elaborate_optimizer,
    normalization,
    told_once,
)
from nexort.elaborate.parametrizations import parametrization
from nexort.elaborate.scope import BoundArgument, LoopVariable, Poisoned, Scope
from nexort.elaborate.values import Skip
from nexort.program import build
from nexort.program.declarations import Family
from nexort.program.index import Affine
from nexort.program.network import (
    OUTPUT,
    STEP,
    STEP_VARIABLE,
    Network,
    Start,
    Training,
)
from nexort.program.nodes import MEMBERS, Node, Op, walk
from nexort.program.types import AxisMismatch, Kind, broadcast, scalar
from nexort.support.diagnostics import Diagnostic, NexortError, Span
from nexort.syntax import tree as t

NORMALIZING = ("normalize", "clip", "clip paper")
ONCE = ("parametrization", "error", "steps", "start", "centre")


def elaborate_training(s: Declarations, tree: t.Train) -> None:
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


def _training(s: Declarations, network: Network, tree: t.Train) -> Training:
    settings = _settings(s, tree)
    exponents = parametrization(s, network, settings["parametrization"])
    uses = tuple(elaborate_optimizer(s, network, x) for x in tree.settings if x.word == "optimizer")
    decays = tuple(elaborate_decay(s, network, x) for x in tree.settings if x.word == "decay")
    normalizations = tuple(
        normalization(s, network, x) for x in tree.settings if x.word in NORMALIZING
    )
    told_once(s, network, uses)
    error, refs = _error(s, network, settings["error"])
    steps = settings["steps"].value
    assert steps is not None
    return Training(
        network,
        exponents,
        uses,
        decays,
        normalizations,
        error,
        refs,
        indices.elaborate_index(s.e, steps),
        _start(s, network, settings),
        {word: x.value.span for word, x in settings.items() if x.value is not None},
        tree.span,
    )


def _settings(s: Declarations, tree: t.Train) -> dict[str, t.Setting]:
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


# ---- error signals, start --------------------------------------------------------------------


def _error(
    s: Declarations, network: Network, tree: t.Setting
) -> tuple[Node, tuple[tuple[Node, Span], ...]]:
    """chi as a graph over f, the step, data and params."""
    assert tree.value is not None
    outer, s.e.scope = s.e.scope, Scope(s.e.scope)
    # the network's names are known here, to be told what is wrong with them
    s.e.scope.entries.update(network.initial)
    s.e.scope.entries.update(network.families)
    slot = Node(Op.SLOT, (), OUTPUT, scalar(network.axes))
    s.e.scope.entries[network.name] = BoundArgument(slot, network.span)
    s.e.scope.entries[STEP] = LoopVariable(STEP_VARIABLE, tree.span)
    s.e.refs = []
    try:
        node = s.e.node(tree.value)
    finally:
        s.e.scope = outer
    for x in walk([node]):
        weight = isinstance(x.attr, tuple) and x.attr and x.attr[0] in network.weights
        if weight or x.op in MEMBERS:
            message = "an error signal reads f, data, params and the step"
            hint = f"error ({network.name} - y) * train"
            raise s.e.problem("bad-training", message, tree.value.span, help=hint)
    if _one_sign(node):
        message = "this error signal has one sign, as losses have: the output moves one way only"
        hint = f"error is the derivative of the loss: for (f - y)^2 / 2 it is {network.name} - y"
        s.report.add(Diagnostic("loss", message, tree.value.span, (), hint, "warning"))
    return _shaped(s, network, node, tree.value), tuple(s.e.refs)


def _one_sign(x: Node) -> bool:
    """Whether a function of the output is an even power of it, up to factors without it."""
    if not _reads_output(x):
        return False
    match x.op, x.attr:
        case Op.CALL, ("square" | "abs"):
            return True
        case Op.CALL, "pow":
            power = x.args[1].attr if x.args[1].op is Op.CONST else None
            return isinstance(power, int | float) and power % 2 == 0
        case Op.CALL, "mul" if x.args[0] is x.args[1]:
            return True
        case (Op.CALL, ("mul" | "div" | "neg" | "add" | "sub")) | (Op.SPREAD, _):
            return all(_one_sign(a) for a in x.args if _reads_output(a))
        case _:
            return False


def _reads_output(x: Node) -> bool:
    return any(a.op is Op.SLOT and a.attr == OUTPUT for a in walk([x]))


def _shaped(s: Declarations, network: Network, node: Node, tree: t.Expr) -> Node:
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


def _start(s: Declarations, network: Network, settings: Mapping[str, t.Setting]) -> Start:
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


def _trajectory(s: Declarations, network: Network, steps: Affine) -> None:
    """The names of the run: the network's families with the step as their last index."""
    scope = s.e.scope.declarations()
    scope.entries.pop(network.name)
    run = {network.name: Family(network.name, 1, scalar(network.axes), network.span)}
    for name, family in network.families.items():
        run[name] = Family(name, family.arity + 1, family.type, family.span)
    for name, weight in network.weights.items():
        leaf = network.initial[name].value
        if weight.kind == "matrix":
            s.e.inside[name] = weight.span
        else:
            run[name] = Family(name, len(weight.ranges) + 1, leaf.type, weight.span)
    for name, family in run.items():
        s.define(name, family, family.span)
        s.families[name] = family
        s.e.trajectories[name] = steps
