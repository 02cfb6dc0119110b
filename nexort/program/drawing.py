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


def as_json(g: nx.MultiDiGraph) -> str:
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


def draw(g: nx.MultiDiGraph, form: str) -> bytes:
    """A picture (svg, png or pdf), laid out in layers from inputs to outputs."""
    import matplotlib as mpl
    import networkx as nx

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    layers = _layers(g)
    widest = max((len(names) for names in layers), default=1)
    figure, axes = plt.subplots(figsize=(2.0 + 2.5 * len(layers), 1.2 + 0.95 * widest))
    places = {
        name: (2.5 * column, -(row - (len(names) - 1) / 2))
        for column, names in enumerate(layers)
        for row, name in enumerate(names)
    }
    for source, target in dict.fromkeys((s, t) for s, t, _ in g.edges(keys=True)):
        bend = 0.12 if abs(places[source][0] - places[target][0]) > 2.6 else 0.03
        nx.draw_networkx_edges(
            g, places, edgelist=[(source, target, 0)], ax=axes, edge_color="#8a8a8a", width=0.9,
            arrowstyle="-|>,head_width=0.2,head_length=0.4", node_size=2600,
            connectionstyle=f"arc3,rad={bend}",
        )  # fmt: skip
    for name, (x, y) in places.items():
        attributes = g.nodes[name]
        colour = COLOURS.get(attributes["kind"], "white")
        axes.text(
            x, y, "\n".join(_wrapped(_label(attributes))), ha="center", va="center", fontsize=8,
            bbox={"boxstyle": "round,pad=0.35", "fc": colour, "ec": "#6b6b6b", "lw": 0.8},
        )  # fmt: skip
    axes.set_xlim(-1.4, 2.5 * (len(layers) - 1) + 1.4)
    axes.set_ylim(-widest / 2 - 0.3, widest / 2 + 0.3)
    axes.axis("off")
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else None
    figure.savefig(buffer, format=form, bbox_inches="tight", dpi=150, metadata=metadata)
    plt.close(figure)
    return buffer.getvalue()


def _wrapped(lines: list[str], width: int = 26) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, width)]


def _layers(g: nx.MultiDiGraph) -> list[list[str]]:
    """Nodes by longest distance from the inputs; cycles (recursions) count as one place."""
    import networkx as nx

    condensed = nx.condensation(nx.DiGraph(g))
    members = nx.get_node_attributes(condensed, "members")
    order = {name: k for k, name in enumerate(g.nodes)}
    layers: list[list[str]] = []
    offset = 0
    for generation in nx.topological_generations(condensed):
        depth = 1
        rows: list[list[str]] = [[]]
        for component in sorted(generation, key=lambda c: min(order[m] for m in members[c])):
            names = sorted(members[component], key=order.__getitem__)
            for k, name in enumerate(names):
                if k >= len(rows):
                    rows.append([])
                rows[k].append(name)
            depth = max(depth, len(names))
        layers += rows
        offset += depth
    return layers
