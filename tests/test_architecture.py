"""ARCHITECTURE.md names what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def folders() -> set[str]:
    """The packages, and those inside of the limit."""
    packages = {p.parent.relative_to(ROOT) for p in (ROOT / "nexort").rglob("__init__.py")}
    names = {p.as_posix() for p in packages}
    outer = {n for n in names if n.count("/") == 1}
    return outer | {n for n in names if n.startswith("nexort/limit/") and n.count("/") == 2}


def test_every_folder_is_listed_once_and_exists() -> None:
    listed = re.findall(r"^\| `(nexort/[\w/]+)/` \|", TEXT, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == folders()


def test_files_that_are_named_exist() -> None:
    """A file is named from nexort/, from the project, or after its folder in the same line."""
    found = 0
    for line in TEXT.splitlines():
        names = re.findall(r"`([\w/]+\.(?:py|lark))`", line)
        within = {Path(n).parent for n in names} | {Path("limit/derive"), Path("limit/exact")}
        within |= {Path("limit/sample"), Path("parametrization"), Path("program")}
        for name in names:
            places = [ROOT / name, ROOT / "nexort" / name]
            places += [ROOT / "nexort" / folder / name for folder in within]
            assert any(p.exists() for p in places), name
            found += 1
    assert found > 40


def test_every_stage_is_a_function_of_the_driver() -> None:
    from nexort import driver

    table = re.findall(r"^``(\w+)``", driver.__doc__ or "", re.MULTILINE)
    assert {"read", "parse", "elaborate", "check", "simplify", "expand", "derive"} <= set(table)
    assert {"emit", "unroll", "evaluate", "simulate", "train"} <= set(table)
    for name in table:
        assert callable(getattr(driver, name)), name
