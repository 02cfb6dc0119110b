"""The command line's ``--data [NAME=]FILE[:ENTRY][SELECTION]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nexort.data import files
from nexort.data.arrays import LoadedArray, as_numbers
from nexort.data.selection import Selector, parse_selection, select
from nexort.program.unrolled import Array
from nexort.support.diagnostics import NexortError, Report, Source, Span, fail
from nexort.syntax.lexing import GREEK

_EXTENSION = "|".join(extension.lstrip(".") for extension in files.EXTENSIONS)
_NAME = re.compile(r"\s*([^\W\d]\w*)\s*=")
_FILE = re.compile(
    rf"\s*(?P<path>.+?\.(?:{_EXTENSION}))"
    r"(?:\s*:\s*(?P<entry>[^\[\]]+?))?"
    r"(?P<selection>\s*(?:(?:\[[^\[\]]*\]|\.T(?!\w))\s*)*)",
    re.IGNORECASE | re.DOTALL,
)
_KNOWN = re.compile(rf".+?\.(?:{_EXTENSION})(?=[\s:\[.])", re.IGNORECASE | re.DOTALL)
_HELP = "--data xi=inputs.npy, --data 'xi=digits.npz:images[:, :8]', --data train.npz"


@dataclass(frozen=True, slots=True)
class Reference:
    """One ``--data`` option, taken apart."""

    name: str | None
    path: str
    entry: str | None
    steps: tuple[Selector, ...]
    span: Span

    @property
    def selection(self) -> str:
        """The selection as it was written."""
        return "".join(step.span.text.strip() for step in self.steps)


def load_entries(specs: Sequence[str]) -> dict[str, LoadedArray]:
    """The arrays of ``--data`` options by data name.

    ``xi=inputs.npy``, ``xi=digits.npz:images[:, :8]``, ``xi=table.csv.T``; ``train.npz`` stands for
    all of its entries by their names, which a named option overrides. Raises NexortError with the
    errors of all options.
    """
    report = Report()
    found: dict[str, LoadedArray] = {}
    for spec in specs:
        try:
            reference = parse_reference(spec)
            for name, loaded in _load(reference).items():
                _add(found, name, loaded, reference.span)
        except NexortError as error:
            for diagnostic in error.diagnostics:
                report.add(diagnostic)
    report.stop()
    return found


def parse_reference(spec: str) -> Reference:
    """A ``--data`` option taken apart. Raises NexortError."""
    source = Source("--data", spec)
    everything = Span(source, 0, len(spec))
    named = _NAME.match(spec)
    name = None if named is None else "".join(GREEK.get(c, c) for c in named.group(1))
    start = named.end() if named else 0
    match = _FILE.fullmatch(spec, start)
    if match is None:
        raise _malformed(Span(source, start, len(spec)))
    steps = parse_selection(Span(source, *match.span("selection")))
    path, entry = match.group("path"), match.group("entry")
    if entry is not None and not path.lower().endswith(files.ARCHIVES):
        message = f"{path} holds one array, found an entry name '{entry}'"
        raise fail("data-entry", message, Span(source, *match.span("entry")))
    if name is None and entry is None:
        if not path.lower().endswith(files.ARCHIVES):
            help_text = f"--data {Path(path).stem}={path}"
            message = f"{path}: which data is it? Expected NAME={path}"
            raise fail("data-name", message, everything, help=help_text)
        if steps:
            message = f"a selection from all of {path}, expected one entry"
            raise fail("data-name", message, everything, help=_HELP)
    return Reference(name, path, entry, steps, everything)


def _malformed(span: Span) -> NexortError:
    """Why the text after ``NAME=`` is no file reference: its extension, or its selection."""
    known = _KNOWN.match(span.text)
    if known is not None:
        rest = Span(span.source, span.start + known.end(), span.end)
        message = f"{known.group().strip()} is followed by '{rest.text}', expected a selection"
        return fail("data-selection", message, rest, help=_HELP)
    if not span.text.strip():
        here = Span(span.source, max(0, span.start - 1), span.end)
        return fail("data-file", "found no file name", here, help=_HELP)
    text = span.text.strip()
    kinds = ", ".join(files.EXTENSIONS)
    return fail("data-file", f"{text}: unknown kind of file, expected {kinds}", span, help=_HELP)


def _load(reference: Reference) -> Mapping[str, LoadedArray]:
    """The arrays that an option stands for."""
    path, name = reference.path, reference.name
    if not path.lower().endswith(files.ARCHIVES):
        assert name is not None
        origin = path + reference.selection
        array = select(files.read_array(path), reference.steps, origin)
        table = path.lower().endswith(files.TABLES)
        return {name: LoadedArray(as_numbers(array, origin), origin, True, table)}
    if name is None and reference.entry is None:
        whole = files.read_entries(path, files.entry_names(path)).items()
        return {key: _loaded(f"{path}:{key}", array, (), asked=False) for key, array in whole}
    entry = reference.entry or _entry_for(str(name), reference)
    array = files.read_entries(path, [entry])[entry]
    origin = f"{path}:{entry}{reference.selection}"
    return {name or entry: _loaded(origin, array, reference.steps)}


def _loaded(
    origin: str, array: Array, steps: tuple[Selector, ...], asked: bool = True
) -> LoadedArray:
    numbers = as_numbers(select(array, steps, origin), origin)
    return LoadedArray(numbers, origin, in_file=True, asked=asked)


def _entry_for(name: str, reference: Reference) -> str:
    """The entry meant by ``name=file.npz``: that of the same name, or the only one."""
    known = files.entry_names(reference.path)
    if name in known or len(known) == 1:
        return name if name in known else known[0]
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    message = f"{reference.path}: no entry '{name}', found {shown}"
    help_text = f"--data {name}={reference.path}:{known[0]}"
    raise fail("data-entry", message, reference.span, help=help_text)


def _add(found: dict[str, LoadedArray], name: str, loaded: LoadedArray, span: Span) -> None:
    """Enter an array; a name given twice is an error, except that options name over archives."""
    before = found.get(name)
    if before is not None and before.asked == loaded.asked:
        message = f"{name} is given twice: {before.origin} and {loaded.origin}"
        raise fail("data-name", message, span)
    if before is None or loaded.asked:
        found[name] = loaded
