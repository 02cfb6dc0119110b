"""Syntax trees: imports in place, names, and trees with parts exchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nexort.support.diagnostics import Source
from nexort.syntax import tree as t
from nexort.syntax.files import read
from nexort.syntax.parser import parse

T = TypeVar("T")


def flattened(source: Source) -> list[t.Statement]:
    """The statements of a file, imports in their place, each file once."""
    seen = {source.name}
    found: list[t.Statement] = []
    waiting = list(parse(source).statements[::-1])
    while waiting:
        x = waiting.pop()
        if not isinstance(x, t.Import):
            found.append(x)
            continue
        path = os.path.normpath(Path(x.span.source.name).parent / x.path)
        if path not in seen:
            seen.add(path)
            waiting += parse(read(path)).statements[::-1]
    return found


def comment_of(statement: t.Statement) -> str:
    """The comment at the end of a statement's last line, '' if there is none."""
    source, _, end = statement.span
    line, _ = source.position(end)
    after = (c for c in parse(source).comments if not c.alone and c.span.start >= end)
    return next((c.text for c in after if source.position(c.span.start)[0] == line), "")


def mapped(tree: T, change: Callable[[Any], Any]) -> T:
    """A tree with ``change`` applied to every part, innermost first; ``x[k]`` is one part, its name
    is not another."""
    if isinstance(tree, tuple) and not hasattr(tree, "_fields"):
        return tuple(mapped(x, change) for x in tree)  # type: ignore[return-value]
    if not is_dataclass(tree) or isinstance(tree, type):
        return tree
    whole = isinstance(tree, t.Index) and isinstance(tree.base, t.Name)
    changes = {}
    for f in fields(tree):
        if f.name != "span" and not (whole and f.name == "base"):
            old = getattr(tree, f.name)
            new = mapped(old, change)
            if new is not old:
                changes[f.name] = new
    found: T = change(replace(tree, **changes) if changes else tree)
    return found


def reads(tree: object) -> set[str]:
    """The names that a tree reads."""
    found: set[str] = set()

    def note(x: Any) -> Any:
        match x:
            case t.Name(name) | t.Label(name) | t.Index(t.Name(name)):
                found.add(name)
            case _:
                pass
        return x

    mapped(tree, note)
    return found


def loop_names(statements: Iterable[t.Statement]) -> set[str]:
    """The variables of all loops."""
    found: set[str] = set()

    def note(x: Any) -> Any:
        if isinstance(x, t.Binder):
            found.add(x.var)
        return x

    for x in statements:
        mapped(x, note)
    return found
