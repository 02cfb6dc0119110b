"""Pages of text to statements."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .syntax import Tree, Unreadable, parsed

RANGES = r"\(((?:[^()=;]+ = [^()=;]+)(?:; [^()=;]+ = [^()=;]+)*)\)"


SOURCE = r" {3,}\([^()]*\)$| \((?:[A-Z][^()]*\d{4}|moment[^()]*|the [^()]*)\)$"


@dataclass(frozen=True)
class Span:
    """``var = first..last``"""

    var: str
    first: str
    last: str


@dataclass
class Statement:
    """``left = rights[0] = rights[1] ...`` over ranges."""

    left: Tree
    rights: list[Tree]
    spans: list[Span] = field(default_factory=list)
    text: str = ""


@dataclass
class Page:
    """Statements by section; what every label runs over; whether something stays open."""

    sections: dict[str, list[Statement]]
    axes: dict[str, str]
    unfinished: bool = False
    """Whether the page says that something has no equation."""
    zero_quotients: bool = False
    """Whether the page says that 0/0 is 0 in its Gaussian expectations."""
    over_kets: bool = False
    """Whether the page says that every bra-ket is an expectation of its kets."""


def spans_of(text: str) -> list[Span]:
    """``j, k = 1..K; l = 0..L−1``"""
    found = []
    for part in text.split("; "):
        names, _, span = part.partition(" = ")
        first, dots, last = span.partition("..")
        found += [Span(n, first, last if dots else first) for n in names.split(", ")]
    return found


SENTENCE = re.compile(
    r"No rule gives|The dot vanishes|Only earlier|It is given|expectation is zero|"
    r"[A-Za-z][a-z]+ (?:[a-z(]|W)|[a-z]+:$|For y ~|For \(|\(\w.* \d{4}.*\)[ ,.]|the hat|Without"
)


def read(text: str) -> Page:
    """A page as printed, broken into lines or not."""
    lines = text.split("\n")
    heads = [k for k in range(len(lines) - 1) if re.fullmatch("-{3,}", lines[k + 1])]
    opening = " ".join(lines[: heads[0]])
    axes = {}
    if found := re.search(r"Axes: (.*?)\.(?: |$)", opening):
        for group in found[1].split("; "):
            labels, _, size = group.partition(" ∈ ")
            axes.update(dict.fromkeys(labels.split(", "), size.strip("[]")))
    sections = {}
    for k, start in enumerate(heads):
        end = heads[k + 1] if k + 1 < len(heads) else len(lines)
        sections[lines[start]] = section(lines[start + 2 : end])
    return Page(
        sections, axes, "Without an equation:" in text, "0/0 is 0" in text, "Every bra-ket" in text
    )


def section(lines: list[str]) -> list[Statement]:
    """The statements of a section."""
    found: list[list[str]] = []
    note: int | None = None  # how far the sentence is indented that may go on
    for line in (x for x in lines if x.strip()):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        chain = stripped.startswith("= ")
        whole = " = " in stripped or re.fullmatch(r"\w_\S+\([\w, ]+\)", stripped)
        head = not chain and indent in (2, 6) and bool(whole or indent == 2)
        if SENTENCE.match(stripped) and not (head and re.match(r"\S+\s+= ", stripped)):
            note = indent
        elif chain:
            found[-1].append(stripped[2:])
            note = None
        elif head and not (note == indent and goes_on(stripped)):
            left, _, right = partition(stripped)
            found.append([left, right] if right else [left])
            note = None
        elif note is None:
            found[-1][-1] += " " + stripped
    return [statement(x) for x in found]


def goes_on(stripped: str) -> bool:
    """Whether a line may be the rest of a sentence."""
    return " = " not in stripped and not stripped.startswith(("⟨", "Cov("))


def partition(line: str) -> tuple[str, str, str]:
    """At the relation, outside of brackets."""
    depth = 0
    for k, c in enumerate(line):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and line[k : k + 3] == " = ":
            return line[:k].strip(), "=", line[k + 3 :]
    return line, "", ""


def statement(parts: list[str]) -> Statement:
    """A statement of its left side, its right sides and, behind the last, ranges or a source."""
    spans: list[Span] = []
    last = parts[-1]
    if found := re.search(rf"\s+{RANGES}$", last):
        spans, last = spans_of(found[1]), last[: found.start()]
    elif found := re.search(SOURCE, last):
        last = last[: found.start()]
    parts = [*parts[:-1], last]
    try:
        trees = [parsed(re.sub(r"\s+", " ", x)) for x in parts]
    except Unreadable as problem:
        raise Unreadable(f"{problem}\n  in {parts}") from None
    return Statement(trees[0], trees[1:], spans, parts[0])
