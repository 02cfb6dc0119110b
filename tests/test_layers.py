"""Imports between the parts of nexort go one way only: a part uses those below it; inside a part no
modules import one another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

import nexort

PACKAGE = Path(nexort.__file__).parent

USES: dict[str, tuple[str, ...]] = {
    "support": (),
    "activations": (),
    "activations.expectations": ("activations",),
    "optimizers": (),
    "syntax": ("support",),
    "program": ("activations", "support"),
    "program.arrays": ("program", "activations", "support"),
    "program.printer": ("syntax", "program", "activations", "optimizers", "support"),
    "elaborate": ("optimizers", "program", "syntax", "activations", "support"),
    "data": ("program", "syntax", "support"),
    "transform": ("data", "program", "support"),
    "training": (
        "transform", "data", "optimizers", "program.arrays", "program", "activations", "support",
    ),
    "report": (),
    "report.results": ("report", "program", "support"),
    "report.compare": ("report.results", "program", "support"),
    "parametrization": (
        "report.compare", "report", "training", "data", "elaborate", "optimizers", "program",
        "syntax", "activations", "support",
    ),
    "expand": (
        "parametrization", "training", "transform", "data", "optimizers", "program", "activations",
        "syntax", "support",
    ),
    "finite": ("program", "activations", "support"),
    "finite.training": ("finite", "training", "program", "activations", "support"),
    "coordcheck": (
        "finite.training", "finite", "report.compare", "parametrization", "training", "transform",
        "data", "program", "support",
    ),
    "gaussian": ("activations.expectations", "activations", "program"),
    "limit": ("activations", "program"),
    "limit.existence": ("gaussian", "activations", "program"),
    "limit.derive": (
        "expand", "data", "gaussian", "activations.expectations",
        "activations", "program", "support",
    ),
    "limit.exact": (
        "limit.existence", "limit", "gaussian", "transform", "data", "activations", "program",
        "support",
    ),
    "limit.sample": (
        "limit.exact", "limit", "activations", "program.arrays", "program", "support",
    ),
    "limit.evaluate": ("limit.sample", "limit.exact", "limit", "program"),
    "limit.training": ("training", "program", "support"),
    "limit.training.maximal": (
        "limit.training", "training", "limit.sample", "limit", "program", "support",
    ),
    "limit.training.tangent": (
        "limit.training", "training", "limit.sample", "limit.exact",
        "limit", "program", "support",
    ),
    "limit.training.reading": (
        "limit.training.tangent", "limit.training.maximal", "parametrization", "training",
        "limit.exact", "limit.existence", "limit", "data", "program", "support",
    ),
    "limit.training.evaluate": (
        "limit.training.reading", "limit.training.tangent", "limit.training.maximal",
        "limit.training", "training", "limit.exact", "limit", "support",
    ),
    "inference": ("activations", "support"),
    "driver": (
        "limit.training.evaluate", "limit.training.reading", "limit.evaluate", "limit.derive",
        "limit.exact", "limit", "finite.training", "finite", "expand", "parametrization",
        "training", "transform", "data", "elaborate", "program.printer", "program", "syntax",
        "support",
    ),
    "api": (
        "driver", "limit.sample", "limit.exact", "limit.derive", "limit", "report.compare",
        "report.results", "transform", "data", "program", "support",
    ),
    "cli": (
        "api", "driver", "coordcheck", "parametrization", "report.compare", "report.results",
        "report", "limit.derive", "limit.exact", "training", "data", "program", "syntax", "support",
    ),
    "__main__": ("cli",),
    "__init__": ("api", "parametrization", "support"),
}  # fmt: skip
"""What each part may import, bottom up: every part stands above all that it uses. A part is a
package, or a module that stands above the rest of its package."""


def part_of(module: str) -> str:
    """The part that a module under nexort belongs to: the longest that is listed."""
    pieces = module.split(".")
    found = [".".join(pieces[:k]) for k in range(len(pieces), 0, -1)]
    return next((part for part in found if part in USES), pieces[0])


def modules() -> dict[str, Path]:
    """Every module under nexort, and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        pieces = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(pieces[:-1] if pieces[-1] == "__init__" and pieces[1:] else pieces)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(module under nexort, line) for every import of nexort in a file, also those inside functions
    and those for types alone."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        found: list[str] = []
        match node:
            case ast.Import(names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(str(module), names):
                found = [
                    full if full.removeprefix("nexort.") in MODULES else module
                    for full in (f"{module}.{alias.name}" for alias in names)
                ]
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno}: a relative import")
        for name in found:
            if name.split(".")[0] == "nexort":
                yield name.removeprefix("nexort").removeprefix(".") or "__init__", node.lineno


def edges() -> Iterator[tuple[str, str, str]]:
    """(part, part it imports, place)."""
    for module, path in MODULES.items():
        for used, line in imports(path):
            if part_of(used) != part_of(module):
                yield part_of(module), part_of(used), f"{path.relative_to(PACKAGE)}:{line}"


LIMIT = {
    "activations.expectations",
    *(part for part in USES if part.split(".")[0] in ("limit", "gaussian")),
}
"""The parts of the limit."""

FINITE = {"finite", "finite.training"}
"""The parts of programs at width n."""

SHARED = {
    "support",
    "activations",
    "optimizers",
    "program",
    "program.arrays",
    "syntax",
    "data",
    "transform",
    "training",
}
"""What both sides of a verification read: the program itself and, of trainings, the task. An error
in an optimizer's update function (``training``: update, compiled), in what a run records (recorder,
scalars, with ``program.arrays``), in a gradient (``training.backprop``) or in a function cancels
between the two; these have tests of their own against torch and finite differences."""


def test_every_part_is_listed() -> None:
    assert {part_of(module) for module in MODULES} == set(USES)


def test_the_list_goes_one_way() -> None:
    seen: set[str] = set()
    for part, used in USES.items():
        assert seen.issuperset(used), f"{part} uses parts that are not below it"
        seen.add(part)


def test_imports_go_downwards() -> None:
    found = list(edges())
    upward = [f"{place} imports {used}" for part, used, place in found if used not in USES[part]]
    assert upward == []
    unused = {(p, u) for p, used in USES.items() for u in used} - {(p, u) for p, u, _ in found}
    assert not unused, "listed, and not imported"


def test_no_modules_import_one_another() -> None:
    """Nor over others, lazy and typing-only imports counted."""
    graph = nx.DiGraph(
        (module, used)
        for module, path in MODULES.items()
        for used, _ in imports(path)
        if used != module
    )
    assert [sorted(x) for x in nx.strongly_connected_components(graph) if len(x) > 1] == []


def below(part: str) -> set[str]:
    """All that a part reaches."""
    found = set(USES[part])
    for used in reversed(list(USES)):
        if used in found:
            found.update(USES[used])
    return found


def test_width_n_reads_of_an_activation_what_it_is_alone() -> None:
    """A module of ``activations`` also holds what is known of Gaussian expectations."""
    read = {
        alias.name
        for module, path in MODULES.items()
        if part_of(module) in FINITE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "nexort.activations"
        for alias in node.names
    }
    assert read <= {"registry", "lookup", "Function", "Array"}
    assert "registry" in read


def test_the_two_sides_of_a_verification_share_no_code() -> None:
    for part in FINITE:
        assert not below(part) & LIMIT
        assert below(part) <= SHARED | FINITE
    for part in LIMIT:
        assert not below(part) & FINITE
