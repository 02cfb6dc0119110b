"""A program's printed derivation, read back, beside the values of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from nexort.api import TensorProgram
from nexort.program.numbers import resolve
from nexort.program.types import Kind
from nexort.support.diagnostics import Report

from . import latex
from . import page as pages
from .page import Page, Statement
from .syntax import Name, Op, ascii_name, index, letters, value_of
from .values import REPLICATES, Reading, TooHard, Undefined

ERRORS = 8.0
"""Standard errors of a mean of six replicates; a t law with five degrees of freedom is beyond
eight with probability 5e-4, and what is beyond is read again at other points."""

FLOOR = 2e-4
"""Times the size of a value: the bias of functions of averages, and what few replicates miss."""


def vocabulary(program: TensorProgram, moving: bool = False) -> dict[str, set[tuple[int, int]]]:
    """How many indices and axes every name of a program has, in a training whose kets may be
    ``moving``."""
    p = program.program
    found: dict[str, set[tuple[int, int]]] = {}
    for name in (*p.params, *p.dims):
        found.setdefault(name, set()).add((0, 0))
    for name, data in p.data.items():
        found.setdefault(name, set()).add((0, len(data.axes)))
    for name, family in p.families.items():
        if family.type.kind is not Kind.OPERATOR:
            found.setdefault(name, set()).add((family.arity, len(family.type.axes)))
    for name, declared in p.initial.items():
        found.setdefault(name, set()).add((len(declared.ranges), len(declared.value.type.axes)))
    if p.training is not None:
        found |= _of_training(p.training, moving)
    for output in p.outputs:
        arity = p.families[output.family].arity if output.family else 0
        if output.name.isidentifier():
            found.setdefault(output.name, set()).add((arity, len(output.axes)))
    return found


def _of_training(training: Any, moving: bool) -> dict[str, set[tuple[int, int]]]:
    """The names of a run: members of the network have a step where they move."""
    network = training.network
    found = {n: {(f.arity + moving, len(f.type.axes))} for n, f in network.families.items()}
    for name, weight in network.weights.items():
        found[name] = {(len(weight.ranges) + moving, len(weight.axes))}
    axes = len(network.axes)
    return found | {network.name: {(1, axes)}, "chi": {(1, axes)}, "K_Q": {(1, axes)}}


def on_page(known: dict[str, set[tuple[int, int]]], page: Page) -> dict[str, set[tuple[int, int]]]:
    """The names that a page of text has."""
    found: set[str] = set()
    stack: list[Any] = [t for x in page.sections.values() for s in x for t in (s.left, *s.rights)]
    while stack:
        item = stack.pop()
        if isinstance(item, Name):
            for k in range(len(item.below) + 1):
                found.add("_".join(map(ascii_name, (item.base, *item.below[:k]))))
        elif isinstance(item, Op):
            stack += [*item.args, *([item.info] if isinstance(item.info, Name) else [])]
    return {name: arity for name, arity in known.items() if name in found}


def with_own_names(known: dict[str, set[tuple[int, int]]], page: Page) -> None:
    """The names of parts of rules, which the page's kets tell."""
    for statement in page.sections.get("Kets", []):
        if isinstance(statement.left, Op) and statement.left.kind == "ket":
            [name] = statement.left.args
            assert isinstance(name, Name)
            if name.base not in known and "_".join((name.base, *name.below[:1])) not in known:
                below = [x for s in name.below for x in letters(s)]
                known.setdefault(name.base, set()).add((len(name.above), len(below)))


def disagreements(
    program: TensorProgram,
    data: Mapping[str, Any] | None = None,
    *,
    forms: tuple[str, ...] = ("text", "latex"),
    limit: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> list[str]:
    """What the printed page says that the program does not; empty where all is well."""
    limits = program.derive()
    given = dict(data or {})
    found = []
    limit = program.limit(data=given) if limit is None else limit
    text = pages.read(limits.text())
    known = on_page(vocabulary(program, text.over_kets), text)
    with_own_names(known, text)
    for form in forms:
        page = text if form == "text" else latex.read(limits.latex(), text.axes)
        suspects = _compared(program, page, known, given, limit, seed)
        if suspects:
            suspects = _compared(program, page, known, given, limit, seed + 1)
        found += [f"{form}: {x}" for x in suspects]
    return found


def _compared(
    program: TensorProgram, page: Page, known: Any, data: dict[str, Any], limit: Any, seed: int
) -> list[str]:
    p = program.program
    sizes, arrays = _sizes(program, data)
    numbers, _ = resolve(p, {**program.numbers, **sizes}, Report())
    reading = Reading(page, known, numbers, sizes, arrays, seed)
    found = []
    lines = list(reading.outputs)
    for output in p.outputs:
        mine, rest = lines[:1], lines[1:]
        while output.family and rest and _goes_on(mine, rest[0], output):
            mine.append(rest.pop(0))
        lines = rest
        try:
            found += _output(reading, mine, output, limit[output.name])
        except TooHard:
            continue
        except Undefined:
            if not page.unfinished:
                raise
    for what, gap in reading.differences:
        spread = gap.std(ddof=1) / np.sqrt(REPLICATES)
        if abs(gap.mean()) > ERRORS * spread + FLOOR * (1 + np.abs(gap).max()):
            found.append(f"sides differ by {gap.mean():.3g} ± {spread:.1g}: {what}")
    return found


def _goes_on(mine: list[Statement], line: Statement, output: Any) -> bool:
    """Whether a line is of the same family: members that one rule does not give."""
    single = len(mine) == 1 and not mine[0].spans
    return _is_of(line, output.name) and (single or bool(line.spans))


def _is_of(statement: Statement, name: str) -> bool:
    left = statement.left
    if not isinstance(left, Name):
        return False
    spelled = {
        "_".join((ascii_name(left.base), *map(ascii_name, left.below[:k])))
        for k in range(len(left.below) + 1)
    }
    spelled |= {ascii_name(left.base) + x for x in left.below[:1] if x.isdigit()}
    return name in spelled


def _output(reading: Reading, lines: list[Statement], output: Any, value: Any) -> list[str]:
    truth, error = np.asarray(value), np.asarray(value.error)
    grid = np.ndim(truth) - len(output.axes)
    found = []
    members = list(product(*(range(n) for n in truth.shape[:grid])))
    places = list(product(*(range(n) for n in truth.shape[grid:])))
    spans = {(s.var): s for line in lines for s in line.spans}
    for member in members:
        for place in places[:12]:
            line, env = _line(reading, lines, member, place, spans)
            shown = reading.output(line, env)
            spread = shown.std(ddof=1) / np.sqrt(REPLICATES)
            right = float(truth[(*member, *place)])
            allowed = ERRORS * np.hypot(
                spread, float(error[(*member, *place)] if error.ndim else error)
            )
            if not abs(shown.mean() - right) <= allowed + FLOOR * (1 + abs(right)):
                where = f"{output.name}{[*member, *place]}"
                found.append(f"{where} = {right:.6g}, read {shown.mean():.6g} ± {spread:.1g}")
    return found


def _line(
    reading: Reading,
    lines: list[Statement],
    member: tuple[int, ...],
    place: tuple[int, ...],
    spans: Any,
) -> tuple[Statement, dict[str, int]]:
    """The line of a member, counted from the lowest index, and what its letters are there."""
    start = []
    firsts: list[list[int]] = [[] for _ in member]
    for line in lines:
        above = line.left.above if isinstance(line.left, Name) else ()
        own = {s.var: s for s in line.spans}
        for k, text in enumerate(above[: len(member)]):
            terms = [n for n in index(text) if n in own]
            value = own[terms[0]].first if terms else text
            env = {terms[0]: value_of(value, reading.base)} if terms else {}
            firsts[k].append(value_of(text, {**reading.base, **env}))
    start = [min(f) for f in firsts]
    at = [m + s for m, s in zip(member, start, strict=True)]
    for line in lines:
        env = {}
        above = line.left.above if isinstance(line.left, Name) else ()
        own = {s.var for s in line.spans}
        good = True
        for text, number in zip(above, at, strict=False):
            terms = index(text)
            free = [n for n in terms if n in own]
            if free:
                rest = value_of(text, {**reading.base, free[0]: 0})
                env[free[0]] = number - rest
            elif value_of(text, reading.base) != number:
                good = False
        if good and reading.inside(line, env):
            return line, {**env, **_axes(line, place, reading)}
    raise AssertionError(f"no line for {member}")


def _axes(line: Statement, place: tuple[int, ...], reading: Reading) -> dict[str, int]:
    return dict(zip(_labels(line, reading), place, strict=False))


def _labels(line: Statement, reading: Reading) -> list[str]:
    """The labels of an output are those of its left side, in order."""
    found: list[str] = []

    def visit(tree: Any) -> None:
        if isinstance(tree, Name):
            for s in tree.below:
                found.extend(x for x in letters(s) if x in reading.page.axes and x not in found)
        elif isinstance(tree, Op) and tree.kind != "big":
            for a in tree.args:
                visit(a)

    visit(line.left)
    return found


def _sizes(program: TensorProgram, data: dict[str, Any]) -> tuple[dict[str, int], dict[str, Any]]:
    """Sizes of dims, from numbers and the shapes of data; data by name."""
    p = program.program
    arrays: dict[str, Any] = {}
    sizes = {k: int(v) for k, v in program.numbers.items() if k in p.dims}
    for name, declared in p.data.items():
        if name in data:
            arrays[name] = np.asarray(data[name])
        elif declared.default is not None:
            arrays[name] = np.asarray(declared.default.attr)
        if name in arrays:
            for axis, n in zip(declared.axes, arrays[name].shape, strict=True):
                sizes.setdefault(axis.name, n)
    return sizes, arrays
