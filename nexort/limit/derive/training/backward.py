"""The backward pass as lines, with loops symbolic: a loop over l = 2..L goes back from L to 2.

A cotangent has the axes of the output, then those of its member, less the axes of the output that
run along with one of the member (d f_a / d y_b = 0 for a other than b).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nexort.limit.derive.algebra import (
    Env,
    add,
    axis_sum,
    delta,
    loop_sum,
    mul,
    place,
    reindexed,
    unbound,
)
from nexort.limit.derive.derivation import Label, Range
from nexort.limit.derive.formula import ONE, ZERO, Formula, Indices, Ket, Matrix, Outer, Symbol
from nexort.limit.derive.lines import Line
from nexort.limit.derive.training.along import along, moving
from nexort.limit.derive.training.cells import Box, box_of, cells, placed, solved
from nexort.limit.derive.training.network import Forward
from nexort.limit.derive.training.reverse import Part, parts, variable
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.walking import walk
from nexort.program.index import Affine, Interval
from nexort.support.diagnostics import Span


def seed_label(k: int) -> str:
    """The label of the output's axis number k while cotangents are put together."""
    return f"%out{k}"


@dataclass(frozen=True, slots=True)
class Gradient:
    """What a weight's members in a cell read: ``value`` has the labels ``seed_label`` free, and
    ``labels`` for the weight's axes. Of a matrix it is a sum of multiples of Outers."""

    name: str
    indices: Indices
    ranges: tuple[Range, ...]
    labels: tuple[Label, ...]
    value: Formula

    def variables(self) -> list[Affine]:
        """The indices that run."""
        return [Affine.variable(r.var) for r in self.ranges]


@dataclass
class Backward:
    """The cotangents of a network: ``lines`` of kets and numbers, gradients by weight."""

    forward: Forward
    lines: list[Line] = field(default_factory=list)
    gradients: dict[str, list[Gradient]] = field(default_factory=dict)
    duals: dict[str, str] = field(default_factory=dict)
    """Family to the name of its cotangents."""


def backward(forward: Forward, cuts: Mapping[str, Sequence[Indices]]) -> Backward:
    """Go back through the lines; ``cuts`` are members of weights that get gradients of their own.
    Raises Unsupported."""
    return _Maker(forward, cuts).run()


class _Maker:
    def __init__(self, forward: Forward, cuts: Mapping[str, Sequence[Indices]]) -> None:
        self.cuts = cuts
        self.forward, self.names = forward, forward.names
        self.axes = {**forward.system.axes}
        for name, lines in forward.system.scalars.items():
            self.axes[name] = tuple(x.axis for x in lines[0].labels)
        for name, weight in forward.weights.items():
            self.axes[name] = tuple(a.name for a in weight.axes)
        self.moving = moving(forward)
        self.taken = forward.taken()
        self.found = Backward(forward)
        for name in sorted(self.moving - forward.weights.keys()):
            self.found.duals[name] = self.fresh("d" + name)
        self.along = along(forward, self.axes, self._sources(), self.moving)
        self.applied: dict[Line, str] = {}
        self.order = 0

    def fresh(self, name: str) -> str:
        """A name that no family has."""
        base, number = name, 0
        while name in self.taken:
            number += 1
            name = f"{base}{number}"
        self.taken.add(name)
        return name

    def _sources(self) -> list[Line]:
        return [x for x in self.forward.lines() if x.name in self.moving]

    # ---- cotangents ------------------------------------------------------------------------------

    def run(self) -> Backward:
        """Every cotangent and gradient."""
        found: dict[str, list[Part]] = {name: [] for name in self.moving}
        for line in self._sources():
            for part in self._parts(line):
                found[part.name].append(part)
        forward = self.forward
        order = sorted(self._sources(), key=lambda x: (x.span.start, not x.auxiliary))
        for name in dict.fromkeys(x.name for x in reversed(order)):
            if name != forward.output.name:
                for line in self._cotangents(name, found[name]):
                    self.found.lines.append(line)
        for name, weight in forward.weights.items():
            ranges = tuple(Range(f"%{name}{k}", *_ends(r)) for k, r in enumerate(weight.ranges))
            at = tuple(Affine.variable(r.var) for r in ranges)
            self.found.gradients[name] = [
                Gradient(name, indices, own, labels, value)
                for indices, own, labels, value in self._members(
                    name, [box_of(at, ranges)], found[name], ()
                )
            ]
        self.found.lines = self._inlined(self.found.lines)
        return self.found

    def _own(self, line: Line) -> tuple[Indices, Formula]:
        """The axes of a line's cotangent, and the deltas of axes that run along."""
        along = self.along[line.name]
        axes: list[Affine] = []
        factor: Formula = ONE
        for k, members in enumerate(along):
            out = Affine.variable(seed_label(k))
            if members:
                factor = mul(factor, delta(out, variable(line.labels[min(members)])))
            else:
                axes.append(out)
        return (*axes, *line.axes), factor

    def _parts(self, line: Line) -> Iterator[Part]:
        """What a line adds to what it reads; of a matrix also the pair of its gradient."""
        axes, factor = self._own(line)
        if line.name == self.forward.output.name:
            yield from parts(line, factor, self.moving)
            return
        dual = self.found.duals[line.name]
        if line.matrix is None:
            scalar = line.name in self.forward.system.scalars
            own: Formula = (
                Symbol(dual, line.indices, axes) if scalar else Ket(dual, line.indices, axes)
            )
            yield from parts(line, mul(factor, own), self.moving)
            return
        argument, cotangent = line.value, Ket(dual, line.indices, axes)
        assert isinstance(argument, Ket)
        matrix = line.matrix
        if matrix.name in self.forward.weights:
            pair = Outer(argument, cotangent) if matrix.transposed else Outer(cotangent, argument)
            value = mul(factor, pair)
            yield Part(line, matrix.name, matrix.indices, (), value, line.ranges, line.labels)
        if argument.name in self.moving:
            if line not in self.applied:
                same = [y for x, y in self.applied.items() if x.name == line.name]
                self.applied[line] = same[0] if same else self.fresh("y")
            ket = Ket(self.applied[line], line.indices, axes)
            yield Part(
                line, argument.name, argument.indices, argument.axes, mul(factor, ket),
                line.ranges, line.labels,
            )  # fmt: skip

    def _cotangents(self, name: str, found: list[Part]) -> Iterator[Line]:
        """The lines of a family's cotangents."""
        dual = self.found.duals[name]
        scalar = name in self.forward.system.scalars
        lines = (self.forward.system.scalars if scalar else self.forward.system.kets)[name]
        along = self.along[name]
        outs = self.axes[self.forward.output.name]
        extra = tuple(outs[k] for k, members in enumerate(along) if not members)
        domain = [box_of(x.indices, x.ranges) for x in lines]
        for indices, ranges, labels, value in self._members(name, domain, found, extra):
            span = self._span()
            yield Line(dual, indices, ranges, labels, value, span)

    def _span(self) -> Span:
        """A place after all others, in the order in which lines come."""
        span = self.forward.output.span
        self.order += 1
        return Span(span.source, span.start + self.order, span.end + self.order)

    def _inlined(self, lines: list[Line]) -> list[Line]:
        """Lines that only name W^T |dy> become that application, where all that read it do so; the
        other applications get lines."""
        read: dict[str, list[Line]] = {}
        values = [g.value for some in self.found.gradients.values() for g in some]
        kept = {x.name for value in values for x in walk(value) if isinstance(x, Ket)}
        for line in lines:
            for x in walk(line.value):
                if isinstance(x, Ket):
                    read.setdefault(x.name, []).append(line)
        done = {line: line for line in lines}
        more: list[Line] = []
        for source, name in self.applied.items():
            users = read.get(name, [])
            named = [x for x in users if _names_only(x)]
            whole = self._application(source, name)
            if name in kept or len(named) < len(users):
                more.append(whole)
                continue
            for user in named:
                done[user] = self._renamed(user, whole)
        return [*done.values(), *more]

    def _renamed(self, line: Line, whole: Line) -> Line:
        """A line that names an application, as that application."""
        value, matrix = line.value, whole.matrix
        assert isinstance(value, Ket)
        assert matrix is not None
        env = whole.env(value.indices, value.axes)
        at = tuple(place(i, env) for i in matrix.indices)
        argument = reindexed(whole.value, env)
        return replace(line, value=argument, matrix=replace(matrix, indices=at), scale=whole.scale)

    def _application(self, line: Line, name: str) -> Line:
        """|y> = W^T |dz> of a line z = W x."""
        assert line.matrix is not None
        matrix: Matrix = replace(line.matrix, transposed=not line.matrix.transposed)
        outs = self.axes[self.forward.output.name]
        extra = [outs[k] for k, members in enumerate(self.along[line.name]) if not members]
        labels = tuple(
            Label(f"${k}", axis) for k, axis in enumerate([*extra, *(x.axis for x in line.labels)])
        )
        at = tuple(Affine.variable(x.label) for x in labels)
        argument = Ket(self.found.duals[line.name], line.indices, at)
        return Line(
            name, line.indices, line.ranges, labels, argument, self._span(), matrix, line.scale,
            auxiliary=True,
        )  # fmt: skip

    # ---- members ---------------------------------------------------------------------------------

    def _members(
        self, name: str, domain: list[Box], found: list[Part], extra: tuple[str, ...]
    ) -> Iterator[tuple[Indices, tuple[Range, ...], tuple[Label, ...], Formula]]:
        """The members of a family cut into cells, and the sum of their parts. With ``extra`` axes
        the labels of the output are placed; without, they stay free unless they run along."""
        known = [solved(p) for p in found]
        axes = self.axes.get(name, ())
        labels = tuple(Label(f"${k}", a) for k, a in enumerate((*extra, *axes)))
        boxes = [box for box, _, _ in known]
        boxes += [tuple((i, i) for i in at) for at in self.cuts.get(name, ())]
        for cell, covering in cells(domain, boxes):
            users = [n for n in covering if n < len(known)]
            ranges = []
            indices = []
            for k, (first, last) in enumerate(cell):
                if first == last:
                    indices.append(first)
                    continue
                hints = [known[n][1][k][0] for n in users if known[n][1][k][0]]
                var = self.names.fresh(hints[0] if hints else "k")
                ranges.append(Range(var, first, last))
                indices.append(Affine.variable(var))
            at = tuple(indices)
            terms = [
                self._term(name, found[n], placed(known[n][1], at), known[n][2], labels, extra)
                for n in users
            ]
            yield at, tuple(ranges), labels, add(*terms) if terms else ZERO

    def _term(
        self,
        name: str,
        part: Part,
        env: Env,
        loops: tuple[Range, ...],
        labels: tuple[Label, ...],
        extra: tuple[str, ...],
    ) -> Formula:
        """One part at a member: sum over what is not told of deltas times its value."""
        own = labels[len(extra) :]
        fresh: dict[str, Affine] = dict(env)
        bound: list[tuple[str, str]] = []
        for x in part.labels:
            new = self.names.fresh()
            fresh[x.label] = Affine.variable(new)
            bound.append((new, x.axis))
        inner: list[Range] = []
        for r in loops:
            new = self.names.fresh(r.var)
            fresh[r.var] = Affine.variable(new)
            inner.append(Range(new, place(r.first, fresh), place(r.last, fresh)))
        if name in self.found.duals:
            fresh |= self._seeds(name, labels, len(extra))
        body = reindexed(unbound(part.value, self.names), fresh)
        for label, axis in zip(own, part.axes, strict=True):
            body = mul(body, delta(variable(label), place(axis, fresh)))
        for new, size in reversed(bound):
            body = axis_sum(new, size, body)
        for r in reversed(inner):
            body = loop_sum(r.var, r.first, r.last, body)
        return body

    def _seeds(self, name: str, labels: tuple[Label, ...], extra: int) -> dict[str, Affine]:
        """The output's labels at a cotangent's own."""
        found: dict[str, Affine] = {}
        first = 0
        for k, members in enumerate(self.along[name]):
            if members:
                found[seed_label(k)] = variable(labels[extra + min(members)])
            else:
                found[seed_label(k)] = variable(labels[first])
                first += 1
        return found


def _names_only(line: Line) -> bool:
    """Whether a line is another ket, axis by axis."""
    return isinstance(line.value, Ket) and line.value.axes == line.axes


def _ends(interval: Interval) -> tuple[Affine, Affine]:
    if interval.step not in (1, -1):
        raise Unsupported(f"a family of weights by {interval.step}")
    ends = interval.first, interval.last
    return ends if interval.step > 0 else ends[::-1]
