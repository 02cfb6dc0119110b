"""Weights at initialization, and update functions over their history, as text."""

from __future__ import annotations

from collections.abc import Iterable

from nexort.expand.analysis import Analysis
from nexort.expand.names import WORDS
from nexort.expand.rules import Item, Nest
from nexort.expand.text import ATOM, PRODUCT, Writer
from nexort.expand.weights import Pairs, loops_of, member_type
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.network import OptimizerUse, WeightFamily
from nexort.program.nodes import Node


def letters(items: Iterable[Item]) -> frozenset[str]:
    """The variables of loops."""
    found: set[str] = set()
    for item in items:
        if isinstance(item, Nest):
            found |= {item.loop.var, *letters(item.items)}
    return frozenset(found)


def member_loops(a: Analysis) -> dict[str, tuple[Loop, ...]]:
    """Loops over the members of every family of weights."""
    uses = [u for found in a.uses.values() for u in found]
    taken = frozenset((a.step, a.past, *a.names.taken, *WORDS)) - letters(a.rules.items)
    return {w.name: loops_of(w, uses, taken) for w in a.training.network.weights.values()}


def initial_name(a: Analysis, weight: WeightFamily) -> str:
    """The name of a weight's initial object."""
    return a.names.fresh(f"{weight.name}0", f"{weight.name}_0", f"{weight.name}_init")


def law(weight: WeightFamily, write: Writer) -> str:
    """``N(mean, variance)``, of a matrix with the width."""
    if weight.kind == "matrix":
        if not build.is_number(weight.mean, 0):
            raise write.problem(f"the mean of the matrix '{weight.name}'")
        return f"N(0, {write.at(weight.variance, PRODUCT)}/n)"
    return f"N({write(weight.mean)}, {write(weight.variance)})"


def shape(weight: WeightFamily, write: Writer) -> str:
    """Index ranges and axes."""
    items = [*(write.range(r) for r in weight.ranges), *(a.name for a in weight.axes)]
    return f"[{', '.join(items)}]" if items else ""


def initial_lines(
    a: Analysis,
    weight: WeightFamily,
    loops: tuple[Loop, ...],
    write: Writer,
    *,
    vanishes: bool = False,
    fixed: bool = False,
) -> tuple[list[str], list[str]]:
    """The declaration of a weight's initial object, and its value at step 0; the object itself, if
    the weight is ``fixed``."""
    clauses = "".join(f" for {x.var} in {write.range(x.interval)}" for x in loops)
    key = tuple(Affine.variable(x.var) for x in loops)
    target = write.name(weight.name, key)
    if weight.kind == "scalar":
        value = build.spread(weight.mean, member_type(weight))
        return [], [f"{target} = {write(value)}{clauses}"]
    name = weight.name if fixed else initial_name(a, weight)
    declared = [f"{weight.kind} {name}{shape(weight, write)} ~ {law(weight, write)}"]
    if fixed:
        return declared, []
    first = write.name(name, key)
    if weight.kind == "vector":
        target, first = f"|{target}>", f"|{first}>"
        if vanishes:
            first = f"0 * {first}"
    return declared, [f"{target} = {first}{clauses}"]


def update_call(
    a: Analysis,
    found: tuple[Node | None, Pairs],
    use: OptimizerUse,
    write: Writer,
    moving: frozenset[str],
    name: str | None = None,
) -> str:
    """``adam[t](|dh[l, s]> chi[s] <x[l-1, s]| for s in 0..t, eps=1e-4)``."""
    value, pairs = found
    past = a.writer(Affine.variable(a.past), moving)
    history = outer_text(a, pairs, past) if value is None else past(value)
    step = write.index(write.step)
    given = [f"{p}={write(use.arguments[p])}" for p in use.arguments if p in use.spans]
    arguments = ", ".join([f"{history} for {a.past} in 0..{step}", *given])
    return f"{name or a.names.update(use.rule.name)}[{step}]({arguments})"


def outer_text(a: Analysis, pairs: Pairs, write: Writer) -> str:
    """The gradient of a matrix, sum |left> chi <right|."""
    chi = f" {write.name(a.chi, ())} " if a.apart else " "
    found = []
    for left, right, sums in pairs:
        text = f"{write.at(left, ATOM)}{chi}<{write(right)[1:-1]}|"
        for loop in reversed(sums):
            text = f"sum({loop.var} in {write.range(loop.interval)}) {text}"
        found.append(text)
    if len(found) > 1:
        found = [f"({x})" if x.startswith("sum(") else x for x in found]
    return " + ".join(found)
