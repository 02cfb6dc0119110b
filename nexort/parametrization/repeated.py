"""Deep networks: the rounds of a loop repeat, so that sizes are those of a few rounds.

What a round makes of the sizes that it is given is the same map in every round, forward and back:
once a further round changes no size, none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nexort.parametrization.judge import Judge, Judged
from nexort.parametrization.layers import Layer, Table
from nexort.parametrization.subject import Subject, subject
from nexort.program.network import Exponents
from nexort.support.diagnostics import NexortError

ROUNDS = (3, 4)
"""How many rounds stand for more, and how many must have the same sizes."""

LARGE = 2**21
"""Orders above which networks are counted in with fewer rounds."""


@dataclass(frozen=True)
class Shallow:
    """A network with fewer rounds of its loops, its sizes, and what is said of it."""

    subject: Subject
    judge: Judge
    judged: Judged
    note: str


def shallow(found: Subject, judge: Judge) -> Shallow | None:
    """The network with fewer rounds; None where it is small, or where rounds do not repeat."""
    if judge.numbers <= LARGE:
        return None
    numbers = _depths(found)
    if not numbers:
        return None
    try:
        few, more = (_with(found, dict.fromkeys(numbers, k)) for k in ROUNDS)
    except NexortError:  # members that the program speaks of, which fewer rounds do not have
        return None
    if few is None or more is None:
        return None
    known, sizes = Judge(few.graph()), Judge(more.graph()).at(more.table)
    less = known.at(few.table)
    if _sizes(less) != _sizes(sizes):
        return None
    text = ", ".join(f"{name} = {ROUNDS[0]}" for name in numbers)
    whole = ", ".join(f"{name} = {value}" for name, value in numbers.items())
    note = f"sizes are those of {text}: with more rounds, {whole}, they repeat"
    return Shallow(few, known, less, note)


def _depths(found: Subject) -> dict[str, int]:
    """The params that tell how many members families of weights have, and are large."""
    ranges = [r for w in found.network.weights.values() for r in w.ranges]
    names = dict.fromkeys(name for r in ranges for name in sorted(r.names))
    known: dict[str, int] = {}
    for name in names:
        declared = found.program.params.get(name)
        value = found.given.numbers.get(name)
        if value is None and declared is not None and declared.default is not None:
            value = declared.default.attr
        if declared is not None and isinstance(value, int) and value > ROUNDS[1]:
            known[name] = value
    return known


def _with(found: Subject, numbers: Mapping[str, int]) -> Subject | None:
    """The network at other numbers with the same exponents and optimizers; None where members of a
    family differ in them."""
    given = replace(found.given, numbers={**found.given.numbers, **numbers})
    made = subject(found.program, given)
    known: dict[str, tuple[Layer, Exponents]] = {}
    for (name, _), layer, e in zip(
        found.task.weights, found.table.layers, found.table.exponents, strict=True
    ):
        plain = replace(layer, name=name)
        if known.setdefault(name, (plain, e)) != (plain, e):
            return None
    layers, exponents = [], []
    for (name, _), layer in zip(made.task.weights, made.table.layers, strict=True):
        like, e = known[name]
        layers.append(replace(like, name=layer.name))
        exponents.append(e)
    table = Table(tuple(layers), tuple(exponents), found.table.out)
    return replace(
        made, table=table, parametrization=found.parametrization, optimizer=found.optimizer
    )


def _sizes(x: Judged) -> tuple[int, frozenset[tuple[object, ...]]]:
    """The verdict, and all sizes by family."""
    s = x.sizes
    rows: set[tuple[object, ...]] = set()
    for what, several in (("change", s.change), ("gradient", s.gradients), ("update", s.updates)):
        for name, orders in several.items():
            rows.add((what, name.split("[")[0], *(float(o[0]) for o in orders)))
    rows.add(("f", *(float(o[0]) for o in (s.output, *s.output_change))))
    return int(x.code[0]), frozenset(rows)
