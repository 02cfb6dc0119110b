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
"""Its functions are the stages, named as what they call."""

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
