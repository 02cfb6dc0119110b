"""Imports between the parts of nexort go one way only: a part uses those below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nexort

PACKAGE = Path(nexort.__file__).parent

USES: dict[str, tuple[str, ...]] = {
    "collector": (),
    "diagnostics": (),
    "functions": (),
    "optimizers": (),
    "syntax": ("diagnostics", "collector"),
    "program": ("functions", "diagnostics"),
    "elaborate": ("optimizers", "program", "syntax", "functions", "diagnostics"),
    "transform": ("program", "diagnostics"),
    "scaling": ("program", "functions", "diagnostics"),
    "training": ("scaling", "optimizers", "transform", "program", "functions", "diagnostics"),
    "data": ("program", "syntax", "diagnostics"),
    "gaussian": ("program", "functions", "diagnostics"),
    "limit": ("program", "functions", "diagnostics"),
    "derive": (
        "training", "transform", "limit", "gaussian", "program", "functions", "diagnostics",
    ),
    "existence": ("gaussian", "program", "functions"),
    "exact": ("existence", "limit", "gaussian", "program", "functions", "diagnostics"),
    "workers": ("diagnostics",),
    "lower": ("workers", "exact", "limit", "program", "functions", "diagnostics"),
    "replicates": ("workers", "training", "lower", "exact", "program", "diagnostics"),
    "maximal": (
        "replicates", "training", "lower", "limit", "program", "functions", "diagnostics",
    ),
    "tangent": (
        "maximal", "replicates", "training", "lower", "exact", "limit", "program", "functions",
        "diagnostics",
    ),
    "beginning": ("tangent", "training", "exact", "program", "diagnostics"),
    "reading": (
        "beginning", "tangent", "maximal", "training", "lower", "exact", "existence", "program",
        "diagnostics",
    ),
    "driver": (
        "reading", "derive", "data", "training", "transform", "exact", "elaborate", "program",
        "syntax", "diagnostics", "collector",
    ),
    "expand": (
        "driver", "data", "training", "elaborate", "transform", "optimizers", "program", "syntax",
        "functions", "diagnostics",
    ),
    "finite": ("training", "program", "functions", "diagnostics"),
    "results": ("program", "diagnostics"),
    "compare": ("results", "program", "diagnostics"),
    "coordcheck": (
        "compare", "finite", "driver", "data", "training", "scaling", "transform", "program",
        "diagnostics",
    ),
    "classification": (
        "compare", "driver", "data", "training", "scaling", "program", "syntax", "optimizers",
        "diagnostics",
    ),
    "inference": ("functions", "diagnostics"),
    "separation": ("finite", "training", "program"),
    "trained": (
        "reading", "separation", "tangent", "maximal", "finite", "lower", "training", "exact",
        "driver", "program", "diagnostics",
    ),
    "api": (
        "trained", "expand", "compare", "results", "finite", "lower", "exact", "derive", "driver",
        "data", "program", "diagnostics",
    ),
    "cli": (
        "classification", "coordcheck", "api", "expand", "compare", "results", "driver", "data",
        "program", "syntax", "diagnostics",
    ),
    "__main__": ("cli",),
    "__init__": ("api", "classification", "diagnostics"),
}  # fmt: skip
"""What each part may import, top down: every part stands below all that use it."""


def part_of(path: Path) -> str:
    """The part that a file belongs to: its package under nexort, or its own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(module, line) for every import of nexort in a file, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                found = [alias.name for alias in names]
            case ast.ImportFrom("nexort", names):
                found = [f"nexort.{alias.name}" for alias in names]
            case ast.ImportFrom(str(module)):
                found = [module]
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno}: a relative import")
            case _:
                continue
        yield from ((name, node.lineno) for name in found if name.split(".")[0] == "nexort")


def edges() -> Iterator[tuple[str, str, str]]:
    """(part, part it imports, place)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for module, line in imports(path):
            pieces = module.split(".")
            used = pieces[1] if len(pieces) > 1 else "__init__"
            if used != part_of(path):
                yield part_of(path), used, f"{path.relative_to(PACKAGE)}:{line}"


def test_every_part_is_listed() -> None:
    assert {part_of(path) for path in PACKAGE.rglob("*.py")} == set(USES)


def test_the_list_goes_one_way() -> None:
    seen: set[str] = set()
    for part, used in USES.items():
        assert seen.issuperset(used), f"{part} uses parts that are not below it"
        seen.add(part)


def test_imports_go_downwards() -> None:
    upward = [f"{place} imports {used}" for part, used, place in edges() if used not in USES[part]]
    assert upward == []


def test_the_two_sides_of_a_verification_share_no_code() -> None:
    limit = {"limit", "gaussian", "exact", "lower"}
    sides = {"finite": limit, **{part: {"finite"} for part in limit}}
    crossings = [f"{place} imports {used}" for part, used, place in edges()
                 if used in sides.get(part, ())]  # fmt: skip
    assert crossings == []
    # nor does anything that either of them uses reach the other
    for side, others in sides.items():
        below = set(USES[side])
        for part in reversed(list(USES)):
            if part in below:
                below.update(USES[part])
        assert not below & others
