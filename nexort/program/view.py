"""Views of a program for people: the table of ``nexort check`` and the graph of ``nexort graph``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program
from nexort.program.types import Axes, Kind

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    kind: str
    axes: str
    instruction: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The columns as text."""
        return self.name, self.kind, self.axes, self.instruction


def table(program: Program) -> list[Row]:
    """A row for each declaration, rule and output, in order."""
    rows: list[Row] = []
    for data in program.data.values():
        rows.append(Row(data.name, "data", _axes(data.axes), "given"))
    for initial in program.initial.values():
        name = _indexed(initial.name, tuple(str(r) for r in initial.ranges))
        rows.append(Row(name, initial.kind.value, _axes(initial.axes), f"Init {initial.text}"))
    for update in program.updates.values():
        states = ", ".join(name for name, _ in update.states) or "no state"
        rows.append(Row(update.name, "update", "", f"with {states}"))
    for loops, rule in program.rules():
        type = rule.value.type
        name = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        instruction = instruction_of(rule.value) + _for(loops)
        rows.append(Row(name, type.kind.value, _axes(type.axes), instruction))
    for output in program.outputs:
        rows.append(Row(output.name, "output", _axes(output.axes), ""))
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


# ---- graph ---------------------------------------------------------------------------------------


def graph(program: Program) -> nx.MultiDiGraph:
    """Nodes are declarations and rules (with kind, axes, instruction), edges are uses.

    An edge carries the symbolic index of the member it reads; the two edges of <x|x> are two edges.
    """
    import networkx as nx

    g: nx.MultiDiGraph = nx.MultiDiGraph(name=program.source.name)
    for name, data in program.data.items():
        g.add_node(name, kind="data", axes=_axes(data.axes), instruction="given", label=name)
    for name, initial in program.initial.items():
        label = _indexed(name, tuple(str(r) for r in initial.ranges))
        g.add_node(
            name, kind=initial.kind.value, axes=_axes(initial.axes),
            instruction=f"Init {initial.text}", label=label,
        )  # fmt: skip
    by_family: dict[str, list[str]] = {}
    for loops, rule in program.rules():
        label = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        key = label + _for(loops)
        by_family.setdefault(rule.name, []).append(key)
        g.add_node(
            key, kind=rule.value.type.kind.value, axes=_axes(rule.value.type.axes),
            instruction=instruction_of(rule.value), label=label, loops=_for(loops).strip(),
        )  # fmt: skip
    for loops, rule in program.rules():
        label = _indexed(rule.name, tuple(str(i) for i in rule.indices))
        for source, index in _uses(rule.value):
            for key in by_family.get(source, [source]):
                g.add_edge(key, label + _for(loops), index=index)
    for output in program.outputs:
        key = f"output {output.name}"
        g.add_node(key, kind="output", axes=_axes(output.axes), instruction="", label=output.name)
        uses = [(output.family, "")] if output.family else list(_uses(output.value))
        for source, index in uses:
            for rule_key in by_family.get(str(source), [str(source)]):
                g.add_edge(rule_key, key, index=index)
    return g


def _uses(value: Node | None) -> Iterator[tuple[str, str]]:
    """(name, index) for every reading of a family, initial object or data entry."""
    if value is None:
        return
    leaves = (Op.INIT_SCALAR, Op.INIT_VECTOR, Op.INIT_MATRIX)
    counts: dict[Node, int] = {}
    for x in walk([value]):
        for a in x.args:
            counts[a] = counts.get(a, 0) + 1
    for x in walk([value]):
        for _ in range(max(1, counts.get(x, 1))):
            if x.op is Op.DATA:
                yield str(x.attr), ""
            elif x.op is Op.REF or x.op in leaves:
                name, indices = x.attr
                yield name, _index_text(indices)


def _index_text(indices: tuple[Any, ...]) -> str:
    return ", ".join(str(i) for i in indices if isinstance(i, Affine))
