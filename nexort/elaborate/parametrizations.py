"""Parametrizations of a training, and which weights its lines speak of."""

from __future__ import annotations

from fractions import Fraction

from nexort.elaborate import indices
from nexort.elaborate.declarations import Declarations
from nexort.program.network import Exponents, Member, Network, Parametrization, WeightSet
from nexort.program.parametrization import NAMED, part, uniform
from nexort.support.diagnostics import Span, did_you_mean
from nexort.syntax import tree as t


def parametrization(s: Declarations, network: Network, tree: t.Setting) -> Parametrization:
    """The exponents of every weight, and of the output. Raises NexortError."""
    if tree.exponents:
        return _explicit(s, network, tree)
    value = tree.value
    names = ", ".join([*NAMED, "ups(1/4)"])
    match value:
        case t.Name(name) if name in NAMED:
            table, out = NAMED[name]()
            text = name
        case t.Call(t.Name("ups"), (t.Argument(number, None, ()),)):
            u = elaborate_rational(s, number)
            if not 0 <= u <= Fraction(1, 2):
                message = f"the s of ups(s) lies between 0 and 1/2, found {u}"
                raise s.e.problem("bad-training", message, number.span)
            table, out = uniform(u)
            text = f"ups({u})"
        case _:
            assert value is not None
            message = f"unknown parametrization '{value.span.text}'"
            close = did_you_mean(value.span.text, NAMED)
            raise s.e.problem("bad-training", message, value.span, help=close or names)
    weights = {name: table[part(network, name)] for name in network.weights}
    return Parametrization(text, weights, {}, out, tree.span)


def _explicit(s: Declarations, network: Network, tree: t.Setting) -> Parametrization:
    weights: dict[str, Exponents] = {}
    members: dict[Member, Exponents] = {}
    out: Fraction | None = None
    for line in tree.exponents:
        if line.name == "out" and ("out" not in network.weights or _is_output(line)):
            out = _numbers(s, line, ("a",))["a"]
            continue
        key = weight_set(s, network, line.name, line.items, line.span)
        values = Exponents(**_numbers(s, line, ("a", "b", "c", "d")))
        if key.indices is None:
            weights[key.name] = values
        else:
            members[Member(key.name, key.indices)] = values
    missing = [name for name in network.weights if name not in weights]
    missing = [name for name in missing if name not in {m.name for m in members}]
    if missing or out is None:
        names = ", ".join(f"'{name}'" for name in [*missing, *(["out"] if out is None else [])])
        hint = "u: a=0, b=0, c=0, d=1; out: a=1"
        raise s.e.problem("bad-training", f"no exponents for {names}", tree.span, help=hint)
    return Parametrization("explicit", weights, members, out, tree.span)


def _is_output(line: t.Exponents) -> bool:
    """Whether a line of that name is the output's, not a weight's: it has an a alone."""
    return [x.keyword for x in line.values] == ["a"]


def _numbers(s: Declarations, line: t.Exponents, wanted: tuple[str, ...]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for x in line.values:
        name = x.keyword or ""
        if name not in wanted or name in found:
            what = "is given twice" if name in found else "is not an exponent"
            message = f"'{name}' {what} here"
            hint = f"{line.name}: {', '.join(f'{w}=0' for w in wanted)}"
            raise s.e.problem("bad-training", message, x.span, help=hint)
        found[name] = elaborate_rational(s, x.value)
    if len(found) < len(wanted):
        missing = ", ".join(w for w in wanted if w not in found)
        message = f"no value for {missing}"
        raise s.e.problem("bad-training", message, line.span, help=f"{line.name}: {missing[0]}=0")
    return found


def elaborate_rational(s: Declarations, tree: t.Expr) -> Fraction:
    """An exact rational from literals. Raises NexortError."""
    try:
        match tree:
            case t.Number(text) if len(text) <= indices.LONGEST_INDEX:
                return Fraction(text)
            case t.Paren(value):
                return elaborate_rational(s, value)
            case t.Negative(value):
                return -elaborate_rational(s, value)
            case t.Binary("+", x, y):
                return elaborate_rational(s, x) + elaborate_rational(s, y)
            case t.Binary("-", x, y):
                return elaborate_rational(s, x) - elaborate_rational(s, y)
            case t.Binary("*", x, y):
                return elaborate_rational(s, x) * elaborate_rational(s, y)
            case t.Binary("/", x, y):
                return elaborate_rational(s, x) / elaborate_rational(s, y)
            case _:
                pass
    except (ZeroDivisionError, ValueError):
        pass
    message = f"'{tree.span.text}' is not a rational number"
    raise s.e.problem("bad-training", message, tree.span, help="an exponent: 1/2, 0.5, -1")


def targets(s: Declarations, network: Network, tree: t.Setting) -> tuple[WeightSet, ...] | None:
    """The weights after 'for', None where there are none. Raises NexortError."""
    if not tree.targets:
        return None
    return tuple(weight_set(s, network, x.name, x.items, x.span) for x in tree.targets)


def weight_set(
    s: Declarations, network: Network, name: str, items: tuple[t.Item, ...], span: Span
) -> WeightSet:
    """A weight, or a member of its family. Raises NexortError."""
    declared = network.weights.get(name)
    if declared is None:
        message = f"'{name}' is not a weight of '{network.name}'"
        known = [*network.weights, "out"]
        hint = did_you_mean(name, known) or f"weights: {', '.join(network.weights)}"
        raise s.e.problem("unknown-name", message, span, help=hint)
    if not items:
        return WeightSet(name, None, span)
    if len(items) != len(declared.ranges):
        message = f"'{name}' has {len(declared.ranges)} indices, found {len(items)}"
        raise s.e.problem("missing-index", message, span)
    return WeightSet(name, tuple(indices.elaborate_index(s.e, x) for x in items), span)
