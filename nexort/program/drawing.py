"""The program graph as DOT, JSON or a picture."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

COLOURS = {
    "ket": "#cfe3f7",
    "scalar": "#f9e4b7",
    "operator": "#dcd3ee",
    "data": "#e4e4e4",
    "output": "#cdebd0",
}
"""Fill by kind."""


def graph_json(g: nx.MultiDiGraph) -> str:
    """networkx's node-link form: nodes with kind, axes and instruction; edges with an index."""
    import networkx as nx

    return json.dumps(nx.node_link_data(g, edges="edges"), indent=2)


def as_dot(g: nx.MultiDiGraph) -> str:
    """Graphviz text."""
    lines = ["digraph program {", "  rankdir=LR;", '  node [shape=box, style="filled,rounded"];']
    for node, attributes in g.nodes(data=True):
        label = "\n".join(_label(attributes))
        colour = COLOURS.get(attributes["kind"], "white")
        lines.append(f"  {_quoted(node)} [label={_quoted(label)}, fillcolor={_quoted(colour)}];")
    for source, target, attributes in g.edges(data=True):
        index = attributes.get("index")
        label = f" [label={_quoted(index)}]" if index else ""
        lines.append(f"  {_quoted(source)} -> {_quoted(target)}{label};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _label(attributes: dict[str, Any]) -> list[str]:
    name = attributes["label"]
    if attributes["kind"] == "ket":
        name = f"|{name}>"
    loops = attributes.get("loops", "")
    return [text for text in (name, attributes["instruction"], loops) if text]


def draw_graph(g: nx.MultiDiGraph, form: str) -> bytes:
    """A picture (svg, png or pdf), laid out in layers from inputs to outputs."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    layers = _layers(g)
    tallest = max((len(names) for names in layers), default=1) + 1
    figure, axes = plt.subplots(figsize=(2.6 * len(layers), 1.15 * tallest))
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.set_ylim(-tallest / 2, tallest / 2)
    axes.axis("off")
    boxes = {}
    for column, names in enumerate(layers):
        # neighbouring columns are shifted against each other, so that long edges pass between boxes
        shift = 0.3 * (column % 3 - 1)
        for row, name in enumerate(names):
            attributes = g.nodes[name]
            colour = COLOURS.get(attributes["kind"], "white")
            boxes[name] = axes.text(
                column, (len(names) - 1) / 2 - row + shift, "\n".join(_wrapped(_label(attributes))),
                ha="center", va="center", fontsize=9, zorder=3,
                bbox={"boxstyle": "round,pad=0.4", "fc": colour, "ec": "#6b6b6b", "lw": 0.8},
            )  # fmt: skip
    figure.canvas.draw()  # boxes get their size
    for source, target in dict.fromkeys((s, t) for s, t, _ in g.edges(keys=True)):
        _arrow(axes, boxes[source], boxes[target])
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else None
    figure.savefig(buffer, format=form, bbox_inches="tight", dpi=130, metadata=metadata)
    plt.close(figure)
    return buffer.getvalue()


def _arrow(axes: Any, source: Any, target: Any) -> None:
    """An edge from box to box; a recursion is a loop above its box."""
    (x, y), (u, v) = source.get_position(), target.get_position()
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "color": "#777777",
        "lw": 0.9,
        "mutation_scale": 11,
    }
    if source is target:
        axes.annotate(
            "", (x - 0.12, y + 0.28), (x + 0.12, y + 0.28), zorder=2,
            arrowprops=style | {"connectionstyle": "arc3,rad=1.3"},
        )  # fmt: skip
        return
    bend = 0.0 if abs(u - x) < 1.5 else 0.13
    boxes = {"patchA": _outline(axes, source), "patchB": _outline(axes, target)}
    style |= boxes | {"shrinkA": 0, "shrinkB": 1}
    style["connectionstyle"] = f"arc3,rad={bend if v >= y else -bend}"
    axes.annotate("", (u, v), (x, y), zorder=2, arrowprops=style)


def _outline(axes: Any, text: Any) -> Any:
    """The box of a text in data coordinates, for edges to end at."""
    from matplotlib.patches import Rectangle

    box = text.get_bbox_patch().get_window_extent().transformed(axes.transData.inverted())
    outline = Rectangle((box.x0, box.y0), box.width, box.height, transform=axes.transData)
    outline.set_figure(axes.figure)
    return outline


def _wrapped(lines: list[str], width: int = 26) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, width)]


def _layers(g: nx.MultiDiGraph) -> list[list[str]]:
    """Nodes by longest distance from the inputs; the members of a recursion stand side by side.

    Within a layer, nodes are ordered by the mean row of what they read.
    """
    import networkx as nx

    condensed = nx.condensation(nx.DiGraph(g))
    members = nx.get_node_attributes(condensed, "members")
    order = {name: k for k, name in enumerate(g.nodes)}
    layers: list[list[str]] = []
    rows: dict[str, float] = {}
    for generation in nx.topological_generations(condensed):
        columns: list[list[str]] = []
        for component in sorted(generation, key=lambda c: min(order[m] for m in members[c])):
            for k, name in enumerate(sorted(members[component], key=order.__getitem__)):
                if k >= len(columns):
                    columns.append([])
                columns[k].append(name)
        for names in columns:
            names.sort(key=lambda name: (_mean_row(g, name, rows), order[name]))
            rows.update({n: (len(names) - 1) / 2 - k for k, n in enumerate(names)})
        layers += columns
    return layers


def _mean_row(g: nx.MultiDiGraph, name: str, rows: dict[str, float]) -> float:
    known = [rows[p] for p in g.predecessors(name) if p in rows]
    return -sum(known) / len(known) if known else 0.0
