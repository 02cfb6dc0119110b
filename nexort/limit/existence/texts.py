"""Integrands as texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from nexort.activations import Array
from nexort.program.nodes import Node, Op, walk

LONG = 100
SHORT = 10_000
"""Numbers are written as fractions with denominators up to this."""


def graph_text(
    graph: Node,
    leaves: Sequence[Node],
    covariance: Callable[[Sequence[Node]], Array | None],
    *,
    gaussian: bool = True,
) -> str:
    """A graph over leaves, powers joined, and what its variables are."""
    import sympy

    names = ["z"] if len(leaves) == 1 else [f"z_{k + 1}" for k in range(len(leaves))]
    symbols = {x: sympy.Symbol(n, real=True) for x, n in zip(leaves, names, strict=True)}
    try:
        whole = _expression(graph, symbols)
        joined = sympy.powsimp(whole)
        text = str(joined if _partial(whole) <= _partial(joined) else whole).replace("**", "^")
    except (TypeError, ValueError, RecursionError, AttributeError):
        text = "..."
    text = text if len(text) <= LONG else f"{text[:LONG]}..."
    if len(leaves) == 1 and not gaussian:
        return f"{text} of a z that has an independent Gaussian part"
    if len(leaves) != 1:
        return f"{text} of Gaussians {', '.join(names)}" if leaves else text
    found = covariance(leaves)
    variance = "" if found is None else f" of variance {float(found[0, 0]):.6g}"
    return f"{text} of a Gaussian z{variance}"


def _expression(graph: Node, symbols: dict[Node, Any]) -> Any:
    import sympy

    found: dict[Node, Any] = dict(symbols)
    for x in walk([graph]):
        if x in found:
            continue
        if x.op is Op.CONST:
            near = Fraction(x.attr).limit_denominator(SHORT)
            exact = float(near) == float(x.attr)
            found[x] = sympy.Rational(near) if exact else sympy.Float(x.attr)
        else:
            found[x] = _call(str(x.attr), [found[a] for a in x.args])
    return found[graph]


def _call(name: str, args: list[Any]) -> Any:
    import sympy

    match name, args:
        case "add", [a, b]:
            return _kept(sympy.Add, a, b)
        case "sub", [a, b]:
            return _kept(sympy.Add, a, -b)
        case "mul", [a, b]:
            return _kept(sympy.Mul, a, b)
        case "div", [a, b]:
            return sympy.Mul(a, sympy.Pow(b, -1, evaluate=b != 0), evaluate=b != 0)
        case "neg", [a]:
            return -a
        case "pow", [a, b]:
            return a**b
        case "square", [a]:
            return a**2
    known = {"abs": "Abs", "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos"}
    if name in known:
        return getattr(sympy, known[name])(*args)
    return sympy.Function(name, real=True)(*args)


def _kept(operation: Any, a: Any, b: Any) -> Any:
    """A sum or product, as it is written where sympy drops what is not real everywhere."""
    found = operation(a, b)
    lost = (_partial(a) | _partial(b)) - _partial(found)
    return operation(a, b, evaluate=False) if lost else found


def _partial(x: Any) -> set[Any]:
    """The logarithms in it, and the broken powers of what may be negative."""
    import sympy

    powers = {p for p in x.atoms(sympy.Pow) if not (p.exp.is_integer or p.base.is_nonnegative)}
    return set(x.atoms(sympy.log)) | powers
