"""The same program written differently: other names, another order, names for parts and parts for
names, products with 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from nexort.driver import compile_source
from nexort.support.diagnostics import NexortError, Source, Span
from nexort.syntax import tree as t
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

Rng = np.random.Generator
NOWHERE = Span(Source("<rewritten>", ""), 0, 0)


def parts(x: Any) -> Iterator[Any]:
    """Every node under a node, itself first."""
    if isinstance(x, tuple):
        for y in x:
            yield from parts(y)
    elif is_dataclass(x) and not isinstance(x, Source) and hasattr(x, "span"):
        yield x
        for f in fields(x):
            if f.name != "span":
                yield from parts(getattr(x, f.name))


def mapped(x: Any, change: Callable[[Any], Any]) -> Any:
    """Every node changed, inner ones first."""
    if isinstance(x, tuple):
        return tuple(mapped(y, change) for y in x)
    if is_dataclass(x) and not isinstance(x, Source) and hasattr(x, "span"):
        values = {f.name: mapped(getattr(x, f.name), change) for f in fields(x) if f.name != "span"}
        return change(replace(x, **values))  # type: ignore[type-var]
    return x


def network(module: t.Module) -> t.Network:
    """Its only one."""
    [found] = [x for x in module.statements if isinstance(x, t.Network)]
    return found


def with_body(module: t.Module, body: tuple[Any, ...]) -> t.Module:
    """The module with other statements in its network."""
    statements = tuple(
        replace(x, body=body) if isinstance(x, t.Network) else x for x in module.statements
    )
    return replace(module, statements=statements)


def renamed(module: t.Module, rng: Rng) -> t.Module:
    """Weights and values of the network under other names, one of them that of the output's
    multiplier in tables."""
    body = network(module).body
    own = [x.target.name for x in parts(body) if isinstance(x, t.Binding)]
    own += [d.name for x in body if isinstance(x, t.Weight) for d in x.names]
    order = rng.permutation(len(set(own)))
    new = {name: f"q{k}" for name, k in zip(dict.fromkeys(own), order, strict=True)}
    if "out" not in own and len(own) > 2:
        new[own[-1]] = "out"

    def change(x: Any) -> Any:
        match x:
            case t.Name(name) | t.Label(name) | t.Declared(name) | t.Target(name):
                return replace(x, name=new.get(name, name))
            case _:
                return x

    def exponents(x: Any) -> Any:
        if isinstance(x, t.Exponents) and x.name != "out":
            return replace(x, name=new.get(x.name, x.name))
        return x

    kept = tuple(
        x if isinstance(x, t.Function | t.Output | t.Declaration | t.Parameter)
        else mapped(mapped(x, change), exponents)
        for x in module.statements
    )  # fmt: skip
    return replace(module, statements=tuple(x for x in kept if not isinstance(x, t.Output)))


def reordered(module: t.Module, rng: Rng) -> t.Module:
    """Neighbours change places where neither reads the other."""
    body = list(network(module).body)
    for _ in range(3 * len(body)):
        k = int(rng.integers(0, max(1, len(body) - 1)))
        pair = body[k : k + 2]
        weights = all(isinstance(x, t.Weight) for x in pair)
        rules = all(isinstance(x, t.Binding) for x in pair)
        if len(pair) == 2 and (weights or (rules and not _reads(pair[1], pair[0]))):
            body[k : k + 2] = pair[::-1]
    return with_body(module, tuple(body))


def _reads(x: t.Binding, y: t.Binding) -> bool:
    names = {p.name for p in parts(x.value) if isinstance(p, t.Name | t.Label)}
    return y.target.name in names or y.target.name == x.target.name


def inlined(module: t.Module, rng: Rng) -> t.Module:
    """Some vectors and scalars of no loop are written where they are read."""
    body = network(module).body
    shown = {
        label.name
        for x in parts(body)
        if isinstance(x, t.Bra | t.BraKet)
        for label in ([x.label] if isinstance(x, t.Bra) else [x.left, x.right])
    } | {x.label.name for x in parts(body) if isinstance(x, t.Ket) and x.label.items}
    once = [
        x
        for x in body
        if isinstance(x, t.Binding)
        and not x.loops
        and not x.target.items
        and x.target.name not in shown
        and sum(
            isinstance(y, t.Binding) and y.target.name == x.target.name for y in parts(body)
        ) == 1
    ]  # fmt: skip
    for x in once:
        if rng.random() < 0.5:
            continue

        now = {y.target.name: y.value for y in body if isinstance(y, t.Binding)}

        def change(y: Any, x: t.Binding = x, value: t.Expr = now[x.target.name]) -> Any:
            name = x.target.name
            if isinstance(y, t.Ket) and x.target.ket and y.label.name == name:
                return t.Paren(value, NOWHERE)
            if isinstance(y, t.Name) and not x.target.ket and y.name == name:
                return t.Paren(value, NOWHERE)
            return y

        kept = tuple(y for y in body if not (isinstance(y, t.Binding) and y.target == x.target))
        body = tuple(mapped(y, change) for y in kept)
    return with_body(module, body)


def named(module: t.Module, rng: Rng) -> t.Module:
    """Parts of rules get names of their own, where that makes a program."""
    made = module
    for k in range(4):
        found = list(_candidates(network(made).body, ()))
        if not found:
            return made
        rule, part, loops = found[int(rng.integers(0, len(found)))]
        for ket in (True, False):
            items = tuple(t.Name(v, NOWHERE) for v in loops)
            name = t.Name(f"part{k}", NOWHERE)
            label = t.Label(f"part{k}", items, NOWHERE)
            target = t.Target(f"part{k}", items, ket, NOWHERE)
            here: t.Expr = t.Ket(label, NOWHERE) if ket else (
                t.Index(name, items, NOWHERE) if items else name
            )  # fmt: skip
            tried = with_body(made, tuple(_placed(
                network(made).body, rule, replace(rule, value=_put(rule.value, part, here)),
                t.Binding(target, part, (), NOWHERE),
            )))  # fmt: skip
            if compiles(tried):
                made = tried
                break
    return made


def _candidates(
    body: tuple[Any, ...], loops: tuple[str, ...]
) -> Iterator[tuple[t.Binding, t.Expr, tuple[str, ...]]]:
    for x in body:
        if isinstance(x, t.For):
            yield from _candidates(x.body, (*loops, x.loop.var))
        elif isinstance(x, t.Binding) and not x.loops:
            bound = [y for y in parts(x.value) if isinstance(y, t.Sum | t.Expectation)]
            inside = {id(z) for y in bound for z in parts(y)}
            for y in parts(x.value):
                if isinstance(y, t.Binary | t.Juxtaposed | t.Call) and id(y) not in inside:
                    yield x, y, loops


def _put(x: Any, part: Any, here: Any) -> Any:
    if x is part:
        return here
    if isinstance(x, tuple):
        return tuple(_put(y, part, here) for y in x)
    if is_dataclass(x) and hasattr(x, "span"):
        values = {
            f.name: _put(getattr(x, f.name), part, here) for f in fields(x) if f.name != "span"
        }
        return replace(x, **values)  # type: ignore[type-var]
    return x


def _placed(
    body: tuple[Any, ...], rule: t.Binding, changed: t.Binding, new: t.Binding
) -> Iterator[Any]:
    for x in body:
        if x is rule:
            yield from (new, changed)
        elif isinstance(x, t.For):
            yield replace(x, body=tuple(_placed(x.body, rule, changed, new)))
        else:
            yield x


def scaled(module: t.Module, rng: Rng) -> t.Module:
    """Values times 1.6, over 1.6."""
    number = t.Number("1.6", NOWHERE)

    def change(x: Any) -> Any:
        if isinstance(x, t.Binding) and rng.random() < 0.5:
            product = t.Binary("*", number, t.Paren(x.value, NOWHERE), NOWHERE)
            return replace(x, value=t.Binary("/", product, number, NOWHERE))
        return x

    return with_body(module, mapped(network(module).body, change))


def compiles(module: t.Module) -> bool:
    """Whether it is a program."""
    try:
        compile_source(Source("<rewritten>", format_module(module)))
    except NexortError:
        return False
    return True


WAYS = (renamed, reordered, inlined, named, scaled)


def rewritten(text: str, seed: int) -> str:
    """The program in one way after another, those ways that make a program."""
    rng = np.random.default_rng(seed)
    module = parse(Source("<program>", text))
    module = replace(module, comments=())
    for k in rng.permutation(len(WAYS)):
        tried = WAYS[k](module, rng)
        if compiles(tried):
            module = tried
    return format_module(module)
