"""Views of a program: the table of ``nexort check`` and the graph of ``nexort graph``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexort.program.declarations import Rule, rules_of
from nexort.program.index import Affine, Loop
from nexort.program.network import Training
from nexort.program.nodes import MEMBERS, STANDARD, Node, Op, walk
from nexort.program.program import Program
from nexort.program.types import Axes, Kind

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of the table."""

    name: str
    kind: str
    axes: str
    instruction: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The columns as text."""
        return self.name, self.kind, self.axes, self.instruction


def _rule_rows(rules: Iterable[tuple[tuple[Loop, ...], Rule]]) -> Iterator[TableRow]:
    for loops, rule in rules:
        made = rule.value.type
        name = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        instruction = instruction_of(rule.value) + _for(loops)
        yield TableRow(name, made.kind.value, _axes(made.axes), instruction)


def _training_rows(training: Training) -> Iterator[TableRow]:
    """The network's weights and rules, its output, and how it is trained."""
    network = training.network
    for weight in network.weights.values():
        name = _indexed(weight.name, tuple(str(r) for r in weight.ranges))
        yield TableRow(name, "weight", _axes(weight.axes), f"trained {weight.kind}")
    yield from _rule_rows(rules_of(network.body))
    optimizers = ", ".join(use.rule.name for use in training.optimizers)
    text = f"by {optimizers} in {training.parametrization.name}, {training.steps} steps"
    yield TableRow(network.name, "network", _axes(network.axes), f"trained {text}")


def program_table(program: Program) -> list[TableRow]:
    """A row for each declaration, rule and output, in order."""
    rows: list[TableRow] = []
    for data in program.data.values():
        rows.append(TableRow(data.name, "data", _axes(data.axes), "given"))
    for initial in program.initial.values():
        name = _indexed(initial.name, tuple(str(r) for r in initial.ranges))
        rows.append(TableRow(name, initial.kind.value, _axes(initial.axes), f"Init {initial.text}"))
    for update in program.updates.values():
        states = ", ".join(name for name, _ in update.states) or "no state"
        rows.append(TableRow(update.name, "update", "", f"with {states}"))
    if program.training is not None:
        rows += _training_rows(program.training)
    rows += _rule_rows(program.rules())
    for output in program.outputs:
        rows.append(TableRow(output.name, "output", _axes(output.axes), ""))
    return rows


def _axes(axes: Axes) -> str:
    return " x ".join(str(a) for a in axes)


def _for(loops: tuple[Loop, ...]) -> str:
    return "".join(f" for {loop}" for loop in loops)


def _indexed(name: str, indices: tuple[str, ...]) -> str:
    return f"{name}[{', '.join(indices)}]" if indices else name


def instruction_of(value: Node) -> str:
    """The instructions that a rule's right side stands for (Def 2.6.1), outermost last."""
    ops = {x.op for x in walk([value])}
    found: list[str] = []
    if value.type.kind is Kind.OPERATOR:
        return "operator"
    if Op.APPLY in ops:
        found.append("MatMul" if _linear(value) else "MatMul, OuterNonlin of order 1")
    orders = {len(x.attr) for x in walk([value]) if x.op is Op.MEAN}
    found += [f"OuterNonlin of order {k}" for k in sorted(orders)]
    if Op.INNER in ops or Op.AVERAGE in ops:
        found.append("Avg")
    if not found or (value.type.kind is Kind.KET and value.op in (Op.CALL, Op.CONTRACT)):
        entrywise = value.type.kind is Kind.KET and not orders
        if entrywise and value.op is not Op.REF:
            found.append("OuterNonlin of order 0")
        elif not found:
            found.append("alias" if value.op is Op.REF else "function of scalars")
    return ", ".join(found)


def _linear(value: Node) -> bool:
    """Whether no nonlinear operator is applied (in this rule itself)."""
    return not any(x.op is Op.ENTRYWISE for x in walk([value]))


def outer_order(program: Program) -> int:
    """The highest order of an outer nonlinearity in the rules."""
    nodes = walk([rule.value for _, rule in program.rules()])
    copies = [len(x.attr) for x in nodes if x.op is Op.MEAN]
    return max(copies, default=int(any(x.op is Op.ENTRYWISE for x in nodes)))


# ---- graph ---------------------------------------------------------------------------------------


def program_graph(program: Program) -> nx.MultiDiGraph:
    """Nodes are declarations and rules (with kind, axes, instruction), edges are uses.

    An edge carries the symbolic index of the member it reads; the two edges of <x|x> are two edges.
    """
    import networkx as nx

    g: nx.MultiDiGraph = nx.MultiDiGraph(name=program.source.title)
    for name, data in program.data.items():
        g.add_node(name, kind="data", axes=_axes(data.axes), instruction="given", label=name)
    for name, initial in program.initial.items():
        name = _drawn(name, initial.value)  # noqa: PLW2901
        label = _indexed(name, tuple(str(r) for r in initial.ranges))
        g.add_node(
            name, kind=initial.kind.value, axes=_axes(initial.axes),
            instruction=f"Init {initial.text}", label=label,
        )  # fmt: skip
    rules: dict[str, list[tuple[str, Bounds]]] = {}
    for loops, rule in program.rules():
        label = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        key = label + _for(loops)
        rules.setdefault(rule.name, []).append((key, _bounds(rule.indices, loops)))
        g.add_node(
            key, kind=rule.value.type.kind.value, axes=_axes(rule.value.type.axes),
            instruction=instruction_of(rule.value), label=label, loops=_for(loops).strip(),
        )  # fmt: skip
    for loops, rule in program.rules():
        label = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        _add_uses(g, label + _for(loops), _uses(rule.value), loops, rules)
    for output in program.outputs:
        key = f"output {output.name}"
        g.add_node(key, kind="output", axes=_axes(output.axes), instruction="", label=output.name)
        if output.family:
            for rule_key, _ in rules[output.family]:
                g.add_edge(rule_key, key, index="")
        else:
            _add_uses(g, key, _uses(output.value), (), rules)
    return g


def _drawn(name: str, value: Node) -> str:
    """What an initial object is drawn as: itself, or with others as ``(u, v)``."""
    return next((str(x.attr[0]) for x in walk([value]) if x.op in STANDARD), name)


def _add_uses(
    g: nx.MultiDiGraph,
    key: str,
    uses: Iterator[tuple[str, tuple[Affine, ...]]],
    loops: tuple[Loop, ...],
    rules: dict[str, list[tuple[str, Bounds]]],
) -> None:
    """An edge from every rule that may define what is read."""
    for source, indices in uses:
        wanted = _bounds(indices, loops)
        text = ", ".join(str(i) for i in indices)
        for rule_key, defined in rules.get(source, [(source, ())]):
            if not defined or all(_meet(a, b) for a, b in zip(defined, wanted, strict=True)):
                g.add_edge(rule_key, key, index=text)


Bounds = tuple[tuple[int | None, int | None], ...]
"""Least and greatest value of each index, None where it depends on a param."""


def _bounds(indices: tuple[Affine, ...], loops: tuple[Loop, ...]) -> Bounds:
    return tuple((_end(i, loops, least=True), _end(i, loops, least=False)) for i in indices)


def _end(index: Affine, loops: tuple[Loop, ...], *, least: bool) -> int | None:
    ends = {loop.var: loop.interval for loop in loops}
    total = index.constant
    for name, coefficient in index.terms:
        if name not in ends:
            return None
        interval = ends[name]
        low = (coefficient > 0) == least
        end = interval.first if low == (interval.step > 0) else interval.last
        if end.terms:
            return None
        total += coefficient * end.constant
    return total


def _meet(a: tuple[int | None, int | None], b: tuple[int | None, int | None]) -> bool:
    (low, high), (least, most) = a, b
    return not (
        (high is not None and least is not None and high < least)
        or (low is not None and most is not None and most < low)
    )


def _uses(value: Node | None) -> Iterator[tuple[str, tuple[Affine, ...]]]:
    """(name, indices) for every reading of a family, initial object or data entry."""
    if value is None:
        return
    counts: dict[Node, int] = {value: 1}
    nodes = walk([value])
    for x in nodes:
        for a in x.args:
            counts[a] = counts.get(a, 0) + 1
    for x in nodes:
        for _ in range(counts[x]):
            if x.op is Op.DATA:
                yield str(x.attr), ()
            elif x.op in MEMBERS:
                name, indices = x.attr
                yield name, indices
