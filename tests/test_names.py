"""A public name means one thing: one module of the package defines it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import nexort

PACKAGE = Path(nexort.__file__).parent

LANGUAGES = {"syntax/tree.py", "limit/derive/formula.py"}
"""Two languages with words of their own, that name what other parts have too: a written ``Network``
and a typed one, a written ``Ket`` and one in a formula."""

ON_TOP = "driver.py"
"""Its functions are the stages, by their names; each calls the function of that name below."""

COMMANDS = "command"
"""The command of a module of ``nexort/cli``."""


def definitions() -> dict[str, list[str]]:
    """The modules that define a public function or class, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        if module in LANGUAGES or module == ON_TOP:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return found


def test_a_public_name_means_one_thing() -> None:
    found = definitions()
    assert len(found[COMMANDS]) > 10
    assert len(found) > 1000
    twice = {k: v for k, v in found.items() if len(v) > 1 and k != COMMANDS}
    assert not twice, "\n".join(f"{k}: {', '.join(v)}" for k, v in sorted(twice.items()))


def test_stages_are_called_by_one_name() -> None:
    """A function of the driver that has a namesake below is that one's stage: the driver calls it, or
    a module that the driver calls does."""
    below = definitions()
    for node in ast.parse((PACKAGE / ON_TOP).read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name in below:
            called = names_in(node)
            for x in ast.walk(node):
                if isinstance(x, ast.ImportFrom) and x.module is not None:
                    path = PACKAGE.parent / x.module.replace(".", "/")
                    module = path.with_suffix(".py")
                    called |= names_in(ast.parse(module.read_text())) if module.exists() else set()
            assert node.name in called, node.name


def names_in(tree: ast.AST) -> set[str]:
    """What is imported or read as an attribute or called by its name."""
    return {
        name
        for x in ast.walk(tree)
        for name in (
            [alias.name for alias in x.names]
            if isinstance(x, ast.ImportFrom)
            else [x.attr]
            if isinstance(x, ast.Attribute)
            else [x.func.id]
            if isinstance(x, ast.Call) and isinstance(x.func, ast.Name)
            else []
        )
    }
