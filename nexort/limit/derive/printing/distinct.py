"""Names that would look like other names, or like entries of them, are shown letter by letter.

``x_1`` and ``x1`` are typeset as ``x`` with a subscript, which is also the entry 1 of a family
``x`` with an axis. Where a page has both, the name is put in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.formula import Ket, Symbol
from nexort.limit.derive.printing import names
from nexort.limit.derive.walking import names_in
from nexort.program.index import Affine
from nexort.program.nodes import Node


def mark_names(derivation: Derivation) -> Derivation:
    """The derivation with a mark on every name that needs one."""
    found = sorted(names_in(replace(derivation, steps=())))
    shown: dict[str, list[str]] = {}
    for name in found:
        for form in {_latex(name), names.name_text(name).text}:
            shown.setdefault(form, []).append(name)
    alike = {n for group in shown.values() if len(group) > 1 for n in group}
    axes = _axes(derivation)
    marked = {
        n: names.AS_WRITTEN + n
        for n in found
        if _head(n) != n and (n in alike or axes.get(_head(n), 0) == axes.get(n, 0) + 1)
    }
    return _renamed(derivation, marked) if marked else derivation


def _latex(name: str) -> str:
    """How a name looks: without the braces and fonts of its LaTeX."""
    return re.sub(r"\\mathrm|[{} ,]", "", names.name_text(name).latex)


def _head(name: str) -> str:
    """What stands before a subscript."""
    return re.sub(r"_.*$|(?<=\D)\d+$", "", name)


def _axes(derivation: Derivation) -> dict[str, int]:
    """How many axes families have."""
    found: dict[str, int] = {}
    stack: list[Any] = [derivation]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(item)
        elif is_dataclass(item) and not isinstance(item, Affine | Node):
            if isinstance(item, Ket | Symbol):
                found[item.name] = len(item.axes)
            stack.extend(getattr(item, f.name) for f in fields(item))
    return found


def _renamed(value: Any, marked: Mapping[str, str]) -> Any:
    """The value with names replaced."""
    if isinstance(value, tuple):
        return tuple(_renamed(v, marked) for v in value)
    if not is_dataclass(value) or isinstance(value, type | Affine | Node):
        return value
    changed = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name == "name" and isinstance(part, str):
            changed[field.name] = marked.get(part, part)
        else:
            changed[field.name] = _renamed(part, marked)
    return replace(value, **changed)
