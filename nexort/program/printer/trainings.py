"""Networks and their trainings as statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import groupby

from nexort import optimizers
from nexort.program import build
from nexort.program.declarations import Block, Note, Rule, UpdateRule
from nexort.program.index import Affine
from nexort.program.network import (
    OUTPUT,
    STEP,
    STEP_VARIABLE,
    Decay,
    Exponents,
    Network,
    Normalization,
    OptimizerUse,
    Parametrization,
    Training,
    WeightFamily,
    WeightSet,
)
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.printer.expressions import Expressions
from nexort.program.printer.trees import (
    NOWHERE,
    argument,
    attach_notes,
    axis,
    binary,
    call_tree,
    index,
    items,
    name_tree,
    number_tree,
    range_of,
)
from nexort.program.program import RETURN, TRAIN
from nexort.program.shifting import shift_graph
from nexort.syntax import tree as t


def of_registry(rule: UpdateRule) -> bool:
    """Whether a training finds an update function in the registry."""
    known = optimizers.optimizer_registry().get(rule.name)
    return known is not None and rule.span.source.text == known.source


# ---- networks ------------------------------------------------------------------------------------


def network_tree(
    made: Network,
    write: Expressions,
    item: Callable[[Rule | Block], t.Statement],
    notes: Mapping[str, Note],
) -> t.Statement:
    """``network f(xi) { ... }``; ``item`` writes rules."""

    def told(w: WeightFamily) -> object:
        return w.kind, w.axes, w.mean, w.variance

    weights = [
        attach_notes(_weights(found, write), [notes[w.name] for w in found if w.name in notes])
        for found in (tuple(group) for _, group in groupby(made.weights.values(), told))
    ]
    value = made.output.args[0] if made.output.op is Op.AVERAGE else made.output
    output = t.Returned(write(value), NOWHERE)
    returned = attach_notes(output, [notes[RETURN]] if RETURN in notes else [])
    parameters = tuple(t.Parameter(x, None, NOWHERE) for x in made.data)
    body = (*weights, *map(item, made.body), returned)
    written = t.Network(made.name, parameters, body, NOWHERE)
    return attach_notes(written, [notes[made.name]] if made.name in notes else [])


def _weights(found: tuple[WeightFamily, ...], write: Expressions) -> t.Weight:
    """Weights of one kind and law."""
    first = found[0]
    names = tuple(t.Declared(w.name, tuple(map(range_of, w.ranges)), None, NOWHERE) for w in found)
    kind = t.Declared(first.kind, tuple(map(axis, first.axes)), None, NOWHERE)
    if first.kind == "scalar":
        value = None if build.is_number(first.mean, 0) else write(first.mean)
        return t.Weight(names, kind, None, value, NOWHERE)
    standard = build.is_number(first.mean, 0) and build.is_number(first.variance, 1)
    law = None if standard else call_tree(name_tree("N"), write(first.mean), write(first.variance))
    return t.Weight(names, kind, law, None, NOWHERE)


# ---- trainings -----------------------------------------------------------------------------------


def train_tree(made: Training, write: Expressions, notes: Mapping[str, Note]) -> t.Statement:
    """``train f { ... }``."""
    told = write.without((), {OUTPUT: made.network.name})

    def stepped(x: Node) -> t.Expr:
        return told(shift_graph(x, {STEP_VARIABLE: Affine.variable(STEP)}))

    settings = (*_settings(made, stepped),)
    written = t.Train(made.network.name, settings, NOWHERE)
    return attach_notes(written, [notes[TRAIN]] if TRAIN in notes else [])


def _settings(made: Training, write: Callable[[Node], t.Expr]) -> Iterator[t.Setting]:
    yield _parametrization(made.parametrization)
    for use in made.optimizers:
        yield _setting("optimizer", _optimizer(use, write), use.weights)
    for decay in made.decays:
        yield _decay(decay, write)
    for x in made.normalizations:
        yield _normalization(x, write)
    yield _setting("error", write(_narrow(made.error)))
    yield _setting("steps", index(made.steps))
    if made.start == "centre":
        yield _setting("centre", None)
    elif isinstance(made.start, Node):
        yield _setting("start", write(_narrow(made.start)))


def _setting(
    word: str, value: t.Expr | None, weights: tuple[WeightSet, ...] | None = None
) -> t.Setting:
    targets = tuple(
        t.Declared(w.name, items(w.indices or ()), None, NOWHERE) for w in weights or ()
    )
    return t.Setting(word, value, (), targets, NOWHERE)


def _narrow(x: Node) -> Node:
    """Without the axes of f that a training adds."""
    return x.args[0] if x.op is Op.SPREAD else x


def _parametrization(made: Parametrization) -> t.Setting:
    word = "parametrization"
    if made.name != "explicit":
        title, _, rest = made.name.partition("(")
        value = (
            call_tree(name_tree(title), _rational(Fraction(rest[:-1])))
            if rest
            else name_tree(title)
        )
        return _setting(word, value)
    lines = [_exponents(w, (), x) for w, x in made.weights.items()]
    lines += [_exponents(m.name, m.indices, x) for m, x in made.members.items()]
    out = t.Exponents("out", (), (argument(_rational(made.out), "a"),), NOWHERE)
    return t.Setting(word, None, (*lines, out), (), NOWHERE)


def _exponents(weight: str, indices: tuple[Affine, ...], x: Exponents) -> t.Exponents:
    values = tuple(argument(_rational(getattr(x, e)), e) for e in "abcd")
    return t.Exponents(weight, items(indices), values, NOWHERE)


def _rational(x: Fraction) -> t.Expr:
    top = number_tree(x.numerator)
    return top if x.denominator == 1 else binary("/", top, number_tree(x.denominator))


def _optimizer(use: OptimizerUse, write: Callable[[Node], t.Expr]) -> t.Expr:
    """``adam(lr=0.1, eps=1e-4)``, without what is by default."""
    defaults = dict(use.rule.parameters)
    given = {"lr": use.rate}
    given |= {p: x for p, x in use.arguments.items() if defaults.get(p) is not x}
    if use.weight_decay is not None:
        given["weight_decay"] = use.weight_decay
    arguments = tuple(argument(write(x), p) for p, x in given.items())
    return t.Call(name_tree(use.rule.name), arguments, NOWHERE)


def _decay(made: Decay, write: Callable[[Node], t.Expr]) -> t.Setting:
    return _setting("decay", write(made.rate), made.weights)


def _normalization(made: Normalization, write: Callable[[Node], t.Expr]) -> t.Setting:
    if made.threshold is None:
        return _setting("normalize", name_tree(made.kind), made.weights)
    return _setting(made.kind, write(made.threshold), made.weights)


# ---- outputs at every step -----------------------------------------------------------------------


def at_every_step(block: Block) -> Node:
    """The value of an output that a program has at every step, as it is written: without it."""
    [rule] = block.body
    assert isinstance(rule, Rule)
    step = Affine.variable(block.loop.var)

    def place(x: Node) -> Node:
        if x.op is Op.REF and x.attr[1] and x.attr[1][-1] == step:
            return Node(Op.REF, (), (x.attr[0], (*x.attr[1][:-1], None)), x.type)
        return x

    return rewrite([rule.value], place)[rule.value]
