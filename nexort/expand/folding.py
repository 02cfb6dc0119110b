"""Rounds of a loop that are alike become one loop again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol, runtime_checkable

from nexort.expand.rules import Item, NetworkRule
from nexort.expand.statements import Each, Let, Make, Statement
from nexort.expand.tidy import tidy
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node
from nexort.program.shifting import (
    NotSymbolicError,
    placed_all,
    shift_graph,
    substitute_index,
    within,
)

NEAR = 3
"""How far from the ends of a loop a round may be told from the others."""


def fold_loop(
    loop: Loop,
    bodies: Sequence[tuple[int, tuple[Statement, ...]]],
    values: range,
    *,
    backward: bool = False,
) -> list[Statement]:
    """Rounds of a loop, in the order of ``bodies``: neighbours with the same statements are one
    loop. Raises NotSymbolicError where the ends of such a loop are not near those of the whole."""
    whole = loop.interval
    step = -whole.step if backward else whole.step
    found: list[Statement] = []
    for body, group in groupby(bodies, key=lambda x: x[1]):
        if not body:
            continue
        rounds = [v for v, _ in group]
        if len(rounds) == len(values):
            first, last = (_last(whole, values), whole.first) if backward else (
                whole.first, whole.last)  # fmt: skip
        else:
            first, last = (_end(v, whole, values) for v in (rounds[0], rounds[-1]))
            if len(rounds) == 1:
                found += [reindex_statement(x, {loop.var: first}) for x in body]
                continue
        found.append(Each(loop.var, Interval(first, last, step), body))
    return found


def _last(whole: Interval, values: range) -> Affine:
    """The last value of a range."""
    if abs(whole.step) == 1:
        return whole.last
    if whole.first.terms or whole.last.terms:
        raise NotSymbolicError
    return Affine(values[-1])


def _end(value: int, whole: Interval, values: range) -> Affine:
    """A round's value in terms of the ends of its loop."""
    if not whole.first.terms and not whole.last.terms:
        return Affine(value)
    ahead, behind = abs(value - values[0]), abs(value - values[-1])
    if ahead < behind and ahead <= NEAR * abs(whole.step):
        return whole.first + Affine(value - values[0])
    if behind <= NEAR and abs(whole.step) == 1:
        return whole.last + Affine(value - values[-1])
    raise NotSymbolicError


def reindex_statement(x: Statement, mapped: Mapping[str, Affine]) -> Statement:
    """A statement with index expressions for loop variables."""
    match x:
        case Let(name, key, value):
            return Let(name, placed_all(key, mapped), shift_graph(value, mapped))
        case Each(var, interval, body):
            if var in {n for i in mapped.values() for n in i.names}:
                raise NotSymbolicError
            return Each(
                var, within(interval, mapped), tuple(reindex_statement(b, mapped) for b in body)
            )
        case Make():
            return replace(x, parts=tuple(moved_part(p, mapped) for p in x.parts))


@runtime_checkable
class Placed(Protocol):
    """A part of a statement that knows how it is put in another place."""

    def placed(self, mapped: Mapping[str, Affine]) -> object:
        """The part with index expressions for loop variables."""


def moved_part(part: object, mapped: Mapping[str, Affine]) -> object:
    """A part of a statement with index expressions for loop variables."""
    match part:
        case Placed():
            return part.placed(mapped)
        case Node():
            return shift_graph(part, mapped)
        case Affine():
            return substitute_index(part, mapped)
        case tuple():
            return tuple(moved_part(p, mapped) for p in part)
        case Interval():
            return within(part, mapped)
        case Loop(var, interval):
            return Loop(var, within(interval, mapped))
        case _:
            return part


# ---- the rules themselves ------------------------------------------------------------------------


def rules_in_order(items: Iterable[Item]) -> list[Statement]:
    """The rules as they are written."""
    found: list[Statement] = []
    for item in items:
        if isinstance(item, NetworkRule):
            found.append(Let(item.name, item.key, tidy(item.value)))
        else:
            body = tuple(rules_in_order(item.items))
            found.append(Each(item.loop.var, item.loop.interval, body))
    return found
