"""What people's programs rely on stays: the Python interface, command-line options, keys of JSON.

``tests/golden/interface/interface.json`` has what there was; new things may come, nothing may go.
``pytest --update-golden`` adds what is new.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

import nexort
import nexort.inference
from nexort.cli import main
from nexort.cli.main import COMMANDS

GOLDEN = Path(__file__).parent / "golden" / "interface" / "interface.json"

PLAIN = (
    "vector v ~ N(0, 1)\n|x> = relu(|v>)\nk[l] = <x|x> * l for l in 1..2\noutput k, <v|x> as c\n"
)
TRAINED = """dim M
data xi[M] = [1, -0.5], y[M] = [0.3, -0.2]
network f(xi) {
  weight u : vector
  weight W : matrix
  weight v : vector
  |h> = relu(|u> * xi)
  |x> = relu(W |h>)
  return <v|x>
}
train f { parametrization mup; optimizer sgd(lr=0.1); error f - y; steps 1 }
output f
"""
JSON = {
    "check": (PLAIN, ["--json"]),
    "classify": (TRAINED, ["--format", "json"]),
    "coordcheck": (TRAINED, ["--json", "--width", "16,32,64", "--seeds", "2"]),
    "derive": (PLAIN, ["--json"]),
    "eval": (PLAIN, ["--json"]),
    "graph": (PLAIN, ["-o", "graph.json"]),
    "scaling": (TRAINED, ["--optimizer", "adam", "--format", "json"]),
    "simulate": (PLAIN, ["--json", "--width", "16,32", "--seeds", "2"]),
    "verify": (PLAIN, ["--json", "--width", "32,64,128", "--seeds", "8"]),
}
"""A program and the arguments of a command that prints JSON."""


def parameters(function: Any) -> list[str]:
    """The names that a caller can use, those with defaults marked."""
    return [
        f"{p.name}{'' if p.default is p.empty else '='}"
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def called(value: Any) -> list[str] | None:
    """The parameters of a function, or of a class that says how it is made."""
    plain = inspect.isclass(value) and issubclass(value, Warning)
    return parameters(value) if callable(value) and not plain else None


def members(cls: type) -> dict[str, list[str] | None]:
    """Public methods with their parameters, and properties."""
    own = [b for b in cls.__mro__ if b.__module__.split(".")[0] == "nexort"]
    names = {n for b in own for n in (*vars(b), *getattr(b, "__annotations__", ()))}
    values = {n: getattr(cls, n, None) for n in sorted(names) if not n.startswith("_")}
    return {n: parameters(v) if inspect.isfunction(v) else None for n, v in values.items()}


def python() -> dict[str, Any]:
    """Modules' functions and classes."""
    results = nexort.loads(PLAIN).limit()
    classes: list[type] = [
        nexort.TensorProgram,
        type(results),
        type(results["k"]),
        nexort.NexortError,
    ]
    found: dict[str, Any] = {"classes": {c.__name__: members(c) for c in classes}}
    for module, names in (("nexort", nexort.__all__), ("inference", nexort.inference.__all__)):
        whole = nexort if module == "nexort" else nexort.inference
        values = {name: getattr(whole, name) for name in names}
        found[module] = {n: called(v) for n, v in values.items()}
    return found


def options() -> dict[str, list[str]]:
    """Every command's arguments and options."""
    context = click.Context(main)
    found = {}
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        found[name] = sorted({o for p in command.params for o in (*p.opts, *p.secondary_opts)})
    return found


def keys(value: Any) -> Any:
    """The keys of plain data: of a list those of its first entry; leaves are None."""
    if isinstance(value, Mapping):
        return {k: keys(v) for k, v in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return [keys(value[0])]
    return None


def printed(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints or writes, as plain data."""
    text, arguments = JSON[name]
    (folder / "p.nxt").write_text(text)
    with pytest.raises(SystemExit):
        main([name, "p.nxt", *arguments])
    if "-o" in arguments:
        return json.loads((folder / arguments[-1]).read_text())
    return json.loads(capsys.readouterr().out)


def missing(known: Any, found: Any, path: str = "") -> Iterator[str]:
    """What is known and not found."""
    if isinstance(known, Mapping):
        if not isinstance(found, Mapping):
            yield path
            return
        for key, value in known.items():
            if key not in found:
                yield f"{path}/{key}"
            else:
                yield from missing(value, found[key], f"{path}/{key}")
    elif isinstance(known, list) and known and isinstance(known[0], str):
        names = {x.rstrip("=") for x in found or ()}
        yield from (f"{path}/{x}" for x in known if x.rstrip("=") not in names)
        kept = {x for x in known if x.endswith("=")}
        yield from (f"{path}/{x}: no default" for x in kept if x.rstrip("=") in set(found or ()))
        new = names - {x.rstrip("=") for x in known}
        asked = [x for x in found or () if x in new and not x.startswith("-")]
        yield from (f"{path}/{x}: without a default" for x in asked)
    elif isinstance(known, list) and known:
        yield from missing(known[0], found[0] if found else None, f"{path}/0")


def test_nothing_that_people_use_goes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    update_golden: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = {"python": python(), "options": options()}
    found["json"] = {name: keys(printed(name, tmp_path, capsys)) for name in JSON}
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    gone = list(missing(known, found))
    assert gone == []
    if update_golden:
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    else:
        assert known.keys() == found.keys()


def test_what_is_printed_says_which_form_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but lists, and graphs, whose form is networkx's."""
    monkeypatch.chdir(tmp_path)
    for name in JSON.keys() - {"check", "graph"}:
        assert printed(name, tmp_path, capsys)["schema"] == 1


def test_what_goes_is_missed() -> None:
    assert list(missing({"a": {"b": None}}, {"a": {}})) == ["/a/b"]
    assert list(missing({"f": ["x", "y="]}, {"f": ["x"]})) == ["/f/y="]
    assert list(missing({"f": ["x", "y="]}, {"f": ["x", "y"]})) == ["/f/y=: no default"]
    assert list(missing({"f": ["x"]}, {"f": ["x", "z"]})) == ["/f/z: without a default"]
    assert list(missing({"f": ["--set"]}, {"f": ["--set", "--new"]})) == []
    assert list(missing({"rows": [{"a": None}]}, {"rows": [{"b": None}]})) == ["/rows/0/a"]
    assert list(missing({"f": ["x"]}, {"f": ["x", "z="]})) == []
