"""Functions and scalars as short texts."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.program.nodes import Node, Op
from nexort.support.diagnostics import Span

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^"}
_LONG = 60


def text_of_function(graph: Node) -> str:
    """A graph over SLOT as text in z."""
    if graph.op is Op.SLOT:
        return "z"
    if graph.op is not Op.CALL:
        return str(graph.attr)
    name = str(graph.attr)
    parts = [text_of_function(a) for a in graph.args]
    if name in _SIGNS:
        inner = [f"({p})" if " " in p else p for p in parts]
        return f" {_SIGNS[name]} ".join(inner)
    if name == "neg":
        return f"-({parts[0]})" if " " in parts[0] else f"-{parts[0]}"
    return f"{name}({', '.join(parts)})"


def text_of_scalar(node: Node, spans: Mapping[Node, Span]) -> str:
    """``<x|y>`` with the names under which its kets were written."""
    names = [_ket(a, spans) for a in node.args]
    if node.op is Op.AVERAGE:
        return f"<1|{names[0]}>"
    if node.op is Op.INNER:
        return f"<{names[0]}|{names[1]}>"
    return spans[node].text if node in spans else "E[...]"


def _ket(node: Node, spans: Mapping[Node, Span]) -> str:
    if node in spans:
        return spans[node].text.strip("|> ")
    match node.op:
        case Op.INIT_VECTOR:
            return _indexed(*node.attr)
        case Op.MATMUL:
            name, indices, flipped = node.attr
            return f"{_indexed(name, indices)}{'^T' if flipped else ''} {_ket(node.args[0], spans)}"
        case Op.CALL:
            inner = ", ".join(_ket(a, spans) for a in node.args)
            text = f"{node.attr}({inner})"
            return text if len(text) < _LONG else f"{node.attr}(...)"
        case Op.CONST:
            return str(node.attr)
        case _:
            return "..."


def _indexed(name: str, indices: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, indices))}]" if indices else name
