"""The tables of a derivation: what every ket is in the limit, and which kets are Gaussian."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nexort.limit.derive.algebra import reindex, unbound
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.cutting import is_within
from nexort.limit.derive.derivation import AxisLabel, GaussianFamily, IndexRange, KetDefinition
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import ZERO, Bracket, Formula, Ket, Symbol
from nexort.limit.derive.lines import Acting, Line
from nexort.limit.derive.patterns import CaseSide, members
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import factors_of, terms_of, walk_formula


def reached_rules(engine: Engine) -> list[Line]:
    """The rules of kets that an output reaches, in the order of the program."""
    names: set[str] = set()
    stack: list[Formula] = [*engine.system.outputs.values()]
    scalars = {o.family for o in engine.program.outputs if o.family is not None}
    scalars |= engine.scalars_seen
    for name in scalars:
        stack.extend(x.value for x in engine.system.scalars[name])
    while stack:
        for item in walk_formula(stack.pop()):
            if isinstance(item, Ket) and item.name not in names:
                names.add(item.name)
                stack.extend(x.value for x in engine.system.kets.get(item.name, ()))
            if isinstance(item, Symbol) and item.name in engine.system.scalars.keys() - scalars:
                scalars.add(item.name)
                stack.extend(x.value for x in engine.system.scalars[item.name])
    found = [x for name in names for x in engine.system.kets.get(name, ())]
    order = list(engine.system.kets)
    return sorted(found, key=lambda x: (x.span.start, not x.auxiliary, order.index(x.name)))


def ket_definitions(engine: Engine, within: Mapping[str, str]) -> Iterator[KetDefinition]:
    """Every rule of a ket: hat and dot of an application, or why the dot vanishes. ``within`` are
    applications of initial matrices that are parts of others, of the operators that they become."""
    for line in reached_rules(engine):
        if line.name in within:
            continue
        if line.acting is not None and line.acting.initial.name in within:
            yield _moved(engine, line, line.acting)
            continue
        value = engine.value(line)
        if line.matrix is None:
            yield KetDefinition(line.ket, line.ranges, line.labels, value, auxiliary=line.auxiliary)
            continue
        dot = engine.structure.dot(line)
        why = engine.structure.why.get(line) if dot == ZERO else None
        hat = replace(line.ket, part="hat")
        rule = "vanishing dot" if dot == ZERO else "hat and dot"
        engine.trace.record(rule, line.ket, value, why or "")
        yield KetDefinition(
            line.ket, line.ranges, line.labels, value, line.matrix, line.value, hat, dot, why,
            line.auxiliary,
        )  # fmt: skip


def _moved(engine: Engine, line: Line, acting: Acting) -> KetDefinition:
    """A |x> = hat(W x) + dot(W x) and what A - W does, the hat by the name of A |x>."""
    initial = acting.initial
    start = _line_of(engine.system.kets[initial.name], initial, line.ranges)
    dot = unbound(engine.structure.dot(start), engine.names)
    dot = reindex(dot, start.env(initial.indices, initial.axes))
    why = engine.structure.why.get(start) if dot == ZERO else None
    hat = replace(line.ket, part="hat")
    terms = []
    for term in terms_of(engine.value(line)):
        if initial in (factors := factors_of(term)):
            keep = mul(*(f for f in factors if f != initial))
            terms += [mul(keep, hat), *(mul(keep, x) for x in terms_of(dot))]
        else:
            terms.append(term)
    value = add(*terms)
    engine.trace.record("trained operator", line.ket, value, why or "")
    return KetDefinition(
        line.ket, line.ranges, line.labels, value, acting.matrix, acting.argument, hat, dot, why,
        line.auxiliary,
    )  # fmt: skip


def _line_of(lines: list[Line], ket: Ket, ranges: tuple[IndexRange, ...]) -> Line:
    """The line that defines members, their indices compared as for large params."""
    for line in lines:
        own = {r.var: (r.first, r.last) for r in line.ranges}
        box = [next((own[n] for n in i.names if n in own), (i, i)) for i in line.indices]
        if is_within(ket.indices, box, ranges):
            return line
    raise Unsupported(f"which rule of '{ket.name}' defines {ket.indices} depends on numbers")


def parts_of_moved(engine: Engine) -> dict[str, str]:
    """The applications of initial matrices that nothing reads but one family of applications of
    the operators that they become."""
    lines = [x for some in engine.system.kets.values() for x in some]
    found: dict[str, str] = {}
    for line in lines:
        if line.acting is not None and line.acting.initial.indices == line.indices:
            found.setdefault(line.acting.initial.name, line.name)
    values = [(x.name, x.acting, x.value) for x in lines]
    values += [("", None, x.value) for some in engine.system.scalars.values() for x in some]
    values += [("", None, x) for x in engine.system.outputs.values()]
    for name, acting, value in values:
        for item in walk_formula(value):
            if isinstance(item, Ket) and item.name in found:
                ours = acting is not None and acting.initial.name == item.name
                if not ours or found[item.name] != name:
                    del found[item.name]
    return found


def gaussian_families(engine: Engine) -> Iterator[GaussianFamily]:
    """Initial vectors, hats, and families that are linear in them, with their covariances."""
    lines = reached_rules(engine)
    used = {k.name for line in lines for k in walk_formula(line.value) if isinstance(k, Ket)}
    for raw in engine.system.outputs.values():
        used |= {k.name for k in walk_formula(raw) if isinstance(k, Ket)}
    yield from _initial_families(engine, [x for x in engine.system.initial if x in used])
    for line in lines:
        if line.matrix is None:
            continue
        for other in lines:
            if other.matrix is None or not _first(line, other, lines):
                continue
            if (line.matrix.name, line.matrix.transposed) == (
                other.matrix.name, other.matrix.transposed,
            ):  # fmt: skip
                family = _hats(engine, line, other)
                if family is not None:
                    yield family
    seen: set[str] = set()
    for line in lines:
        if line.name in engine.structure.gaussian and line.matrix is None:
            if line.name in seen or len(engine.system.kets[line.name]) != 1:
                continue
            seen.add(line.name)
            a, b = _pair(engine, line.name, line.name)
            yield _family(engine, a, b, Bracket(a.ket, b.ket), "linear")


def _initial_families(engine: Engine, names: list[str]) -> Iterator[GaussianFamily]:
    system = engine.system
    for k, name in enumerate(names):
        for other in names[k:]:
            if system.group(name) == system.group(other):
                a, b = _pair(engine, name, other)
                covariance = system.initial[name](a.ket, b.ket)
                if covariance != ZERO:
                    yield _family(engine, a, b, covariance, "initial")


def _first(line: Line, other: Line, lines: list[Line]) -> bool:
    return lines.index(line) <= lines.index(other)


def _pair(engine: Engine, left: str, right: str) -> tuple[CaseSide, CaseSide]:
    [a, *_] = members(engine.system, left, "l", engine.names)
    [b, *_] = members(engine.system, right, "r", engine.names)
    return a, b


def _hats(engine: Engine, line: Line, other: Line) -> GaussianFamily | None:
    """Cov(hat(Wx), hat(Wy)): at one index where the matrix tells it, else at two."""
    a = next(m for m in members(engine.system, line.name, "l", engine.names) if m.line is line)
    b = next(m for m in members(engine.system, other.name, "r", engine.names) if m.line is other)
    assert line.matrix is not None
    if line is other:
        told = {n for i in line.matrix.indices for n in i.names}
        kept = tuple(
            i if own.names & told else j
            for own, i, j in zip(line.indices, a.ket.indices, b.ket.indices, strict=True)
        )
        names = {n for i in kept for n in i.names}
        b = CaseSide(
            other, replace(b.ket, indices=kept), tuple(r for r in b.ranges if r.var in names)
        )
    left, right = replace(a.ket, part="hat"), replace(b.ket, part="hat")
    covariance = engine.rules.bracket(left, right, a.ranges + b.ranges)
    if covariance == ZERO:
        return None
    return _family(engine, replace(a, ket=left), replace(b, ket=right), covariance, "hat")


def _family(
    engine: Engine, a: CaseSide, b: CaseSide, covariance: Formula, reason: str
) -> GaussianFamily:
    labels: tuple[AxisLabel, ...] = engine.labels(a.ket) + engine.labels(b.ket)
    ranges: tuple[IndexRange, ...] = a.ranges + b.ranges
    return GaussianFamily(a.ket, b.ket, covariance, ranges, labels, reason)
