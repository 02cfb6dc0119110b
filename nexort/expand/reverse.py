"""The backpropagation program of a network's rules (Def 2.9.14), loops kept: what a rule does to
the cotangents of what it reads, as graphs over the cotangent of its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexort import activations
from nexort.expand.rules import Key, NetworkRule, Rules
from nexort.expand.tidy import tidy
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import partial
from nexort.program.shifting import NotSymbolicError
from nexort.program.types import Axis
from nexort.training.backprop import Reverse, product_node, undo_broadcast

ARITHMETIC = ("add", "sub", "mul", "div", "pow", "neg", "square", "sqrt")


@dataclass(frozen=True, eq=False)
class Use:
    """A rule's contribution to the cotangent of a member it reads, ``name[key]``; ``loops`` are
    those around the rule and of the sums inside. Of a matrix, the pairs (left, right) of its
    gradient sum |left> <right|; else ``value``."""

    rule: NetworkRule
    name: str
    key: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    value: Node | None
    pairs: tuple[tuple[Node, Node], ...] = ()


def uses_of(
    rule: NetworkRule, rules: Rules, cotangent: Node, sizes: Mapping[str, int]
) -> list[Use]:
    """The contributions of a rule whose target has that cotangent."""
    found: list[Use] = []
    waiting = [(rule.value, cotangent, rule.loops)]
    keys = leaves_of(rule, rules)
    while waiting:
        root, seed, loops = waiting.pop()
        local = _Local(keys, sizes)
        local.run([root], {root: [seed]})
        for (name, key), value in local.leaves.items():
            found.append(Use(rule, name, _affine(key), loops, tidy(value)))
        for (name, key), pairs in local.pairs.items():
            if pairs:
                tidied = tuple((tidy(a), tidy(b)) for a, b in pairs)
                found.append(Use(rule, name, _affine(key), loops, None, tidied))
        waiting += [(body, g, (*loops, loop)) for loop, body, g in local.sums]
    return found


def _affine(key: tuple[object, ...]) -> tuple[Affine, ...]:
    assert all(isinstance(k, Affine) for k in key)
    return key  # type: ignore[return-value]


def leaves_of(rule: NetworkRule, rules: Rules) -> set[Key]:
    """What a rule reads that depends on weights."""
    return {x.attr[:2] for x in walk([rule.value]) if rules.depends(x)}


class _Local(Reverse):
    """Cotangents within one rule; sums over indices are left to the caller."""

    def __init__(self, keys: set[Key], sizes: Mapping[str, int]) -> None:
        super().__init__(keys, sizes)  # type: ignore[arg-type]
        self.sums: list[tuple[Loop, Node, Node]] = []

    def back(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        if x.op is Op.TAKE and any(isinstance(p, Affine) for p in x.attr):
            raise NotSymbolicError  # an entry that a loop tells: its transpose needs a number
        if x.op is Op.SUM:
            self.sums.append((x.attr, x.args[0], g))
            return []
        if x.op is Op.DIAGONAL and x.args[0].op is Op.INNER:
            a, b = x.args[0].args
            if a is b:
                return [(a, product_node(build.constant(2), product_node(g, b)))]
            return [(a, product_node(g, b)), (b, product_node(g, a))]
        return super().back(x, g)

    def call(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        """phi'(z) as it is written."""
        found = []
        for position, arg in enumerate(x.args):
            if self.depends(arg):
                slope = slope_of(str(x.attr), position, x.args)
                if not build.is_number(slope, 0):
                    found.append((arg, undo_broadcast(product_node(slope, g), arg)))
        return found


def slope_of(name: str, position: int, args: tuple[Node, ...]) -> Node:
    """The derivative by an argument, written ``phi'`` for a function of one argument."""
    if len(args) == 1 and name not in ARITHMETIC and not name.endswith("'"):
        assert activations.lookup(name) is not None
        [z] = args
        return Node(Op.CALL, args, f"{name}'", z.type)
    return partial(name, position, args)


# ---- independent outputs -------------------------------------------------------------------------


def separates(rules: Rules) -> bool:
    """Whether f_i depends on the weights through the i-th kets alone: along the axis of f every ket
    that depends on weights is its own network. Then d x of every output has the axes of x."""
    axes = rules.output.value.type.axes
    if not axes:
        return True
    if len(axes) > 1:
        return False
    [axis] = axes
    for name, kind in rules.types.items():
        # the last one: chi and ones are aligned from the right
        if name in rules.moving and (kind.axes[-1:] != axes or kind.axes.count(axis) != 1):
            return False
    return all(_separates(r.value, axis, rules) for r in rules.flat())


def _separates(root: Node, axis: Axis, rules: Rules) -> bool:
    moved: set[Node] = set()
    diagonals = set()
    for x in walk([root]):
        if rules.depends(x) or any(a in moved for a in x.args):
            moved.add(x)
        if x.op is Op.DIAGONAL and x.args[0].op is Op.INNER:
            diagonals.add(x.args[0])
    for x in moved:
        if x.type.axes.count(axis) > 1 and x not in diagonals:
            return False
        if x.op is Op.CONTRACT:
            left = x.args[0].type.axes
            if axis in left[len(left) - int(x.attr) :]:
                return False
        if x.op is Op.TAKE:
            picked = zip(x.args[0].type.axes, x.attr, strict=True)
            if any(a == axis and p is not None for a, p in picked):
                return False
    return True
