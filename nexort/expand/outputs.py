"""Outputs and rules after a training, over the families of its core program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nexort.expand.names import Names
from nexort.expand.trees import mapped
from nexort.program.program import Program
from nexort.support.diagnostics import fail
from nexort.syntax import tree as t
from nexort.syntax.printer import print_expr


def trajectories(program: Program) -> dict[str, int]:
    """How many indices every name of a run has, the step included."""
    training = program.training
    assert training is not None
    network = training.network
    found = {network.name: 1}
    found |= {name: family.arity + 1 for name, family in network.families.items()}
    for name, weight in network.weights.items():
        if weight.kind != "matrix":
            found[name] = len(weight.ranges) + 1
    return found


@dataclass
class Outputs:
    """Rewrites what stands after a training. ``fixed`` are names that do not move in the limit, and
    have no step in the core program; ``weights`` are the ranges of weights' indices."""

    arity: Mapping[str, int]
    weights: Mapping[str, tuple[str, ...]]
    step: str
    last: str
    names: Names
    fixed: frozenset[str]

    def output(self, tree: t.Output) -> list[str]:
        """An output line, with rules before it for what is put out over every step."""
        rules: list[str] = []
        items: list[str] = []
        for item in tree.items:
            value, alias = item.value, f" as {item.alias}" if item.alias else ""
            if isinstance(value, t.Name) and value.name in self.arity:
                rule, shown = self._family(value.name)
                rules += rule
                if rule and not alias:
                    alias = f" as {value.name}"
                items.append(shown + alias)
                continue
            stepped = False

            def change(x: Any) -> Any:
                nonlocal stepped
                new, over_steps = self._step(x)
                stepped = stepped or over_steps
                return new

            text = print_expr(mapped(value, change))
            if not stepped:
                items.append(text + alias)
                continue
            name = item.alias if item.alias and self._free(item.alias) else self.names.fresh("out")
            rules.append(f"{name}[{self.step}] = {text} for {self.step} in 0..{self.last}")
            items.append(name + (alias if item.alias and item.alias != name else ""))
        return [*rules, f"output {', '.join(items)}"]

    def _family(self, name: str) -> tuple[list[str], str]:
        """A family as a whole: a rule where its members are not those of the run, and its name."""
        if name in self.fixed:
            if self.arity[name] > 1:
                message = f"this training cannot be written out: '{name}' is put out as a whole"
                hint = f"put out its members: output {name}[1]"
                raise fail("not-expandable", message, help=hint)
            found = self.names.fresh("out")
            return [f"{found}[{self.step}] = {name} for {self.step} in 0..{self.last}"], found
        if name not in self.weights:
            return [], name
        # a weight has a value after the last step too
        found = self.names.fresh("out")
        letters = [self.names.fresh(x) for x in "kmp"[: len(self.weights[name])]]
        key = ", ".join([*letters, self.step])
        loops = [f" for {x} in {r}" for x, r in zip(letters, self.weights[name], strict=True)]
        rule = f"{found}[{key}] = {name}[{key}]{''.join(loops)}"
        return [f"{rule} for {self.step} in 0..{self.last}"], found

    def _free(self, name: str) -> bool:
        if name in self.names:
            return False
        self.names.taken.add(name)
        return True

    def statement(self, tree: t.Statement) -> t.Statement:
        """A rule after the training."""
        if isinstance(tree, t.Binding | t.For):
            return mapped(tree, lambda x: self._step(x)[0])
        return tree

    def _step(self, x: Any) -> tuple[Any, bool]:
        """A name of the run with its step, and whether that is every step."""
        match x:
            case t.Label(name, items) if name in self.arity:
                found, stepped = self._items(name, items, x)
                return replace(x, items=found), stepped
            case t.Index(t.Name(name) as base, items) if name in self.arity:
                found, stepped = self._items(name, items, x)
                return (replace(x, items=found) if found else base), stepped
            case t.Name(name) if name in self.arity:
                found, stepped = self._items(name, (), x)
                return (t.Index(x, found, x.span) if found else x), stepped
            case _:
                return x, False

    def _items(
        self, name: str, items: tuple[t.Item, ...], at: Any
    ) -> tuple[tuple[t.Item, ...], bool]:
        last = self.arity[name] - 1
        whole = len(items) <= last or isinstance(items[last], t.FullSlice)
        if name in self.fixed:
            return (*items[:last], *items[last + 1 :]), whole
        if whole:
            return (*items[:last], t.Name(self.step, at.span), *items[last + 1 :]), True
        return items, False
