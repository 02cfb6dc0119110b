"""A program that shows a disagreement, made smaller while it still shows one of the same kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from structured_programs import Structured

CALL = re.compile(r"\b(relu|abs|step|sign|leaky|elu|tanh|sin|erf|gelu|cos|softplus|sigmoid)\(")
NUMBER = re.compile(r"(?<![\w.\]\[])-?\d+\.\d{3,}(?:e[+-]?\d+)?")

Case = TypeVar("Case")


def shrunk(
    program: Case,
    shows: Callable[[Case], bool],
    smaller: Callable[[Case], Iterator[Case]],
    tries: int = 200,
) -> Case:
    """``shows`` says whether a ``smaller`` one still shows the disagreement; it is asked at most
    ``tries`` times."""
    left = tries
    again = True
    while again and left > 0:
        again = False
        for candidate in smaller(program):
            if left <= 0:
                break
            left -= 1
            if shows(candidate):
                program, again = candidate, True
                break
    return program


def candidates(program: Structured) -> Iterator[Structured]:
    """Fewer outputs, fewer lines, fewer terms, simpler functions, simpler numbers."""
    if len(program.outputs) > 1:
        for i in range(len(program.outputs)):
            yield replace(program, outputs=(program.outputs[i],))
    for i in reversed(range(len(program.lines))):
        if unread(program, i):
            yield without(program, i)
    for i in reversed(range(len(program.lines))):
        line = program.lines[i]
        for simpler in simplified(line):
            yield replace(program, lines=(*program.lines[:i], simpler, *program.lines[i + 1 :]))


def defined(line: str) -> list[str]:
    """The names that a line defines."""
    head = re.split("[=~]", line, maxsplit=1)[0]
    return [n for n in re.findall(r"[A-Za-z]+\d*", head) if n not in _WORDS]


_WORDS = {"data", "dim", "vector", "matrix", "fn", "z", "a"}


def unread(program: Structured, i: int) -> bool:
    """Whether nothing reads what line ``i`` defines."""
    rest = " ".join([*program.lines[:i], *program.lines[i + 1 :], *program.outputs])
    names = defined(program.lines[i])[:1] if program.lines[i][0] != "v" else defined(
        program.lines[i]
    )  # fmt: skip
    return not any(re.search(rf"(?<![\w]){re.escape(n)}(?![\w(])", rest) for n in names) or (
        program.lines[i].startswith("fn ") and "leaky" not in rest
    )


def without(program: Structured, i: int) -> Structured:
    return replace(program, lines=(*program.lines[:i], *program.lines[i + 1 :]))


def simplified(line: str) -> Iterator[str]:
    """Simpler forms of one line."""
    if line.startswith(("dim", "fn")):
        return
    for match in CALL.finditer(line):
        inside = closing(line, match.end() - 1)
        if inside is not None:
            yield line[: match.start()] + line[match.end() - 1 : inside] + line[inside:]
        if match.group(1) not in ("relu", "tanh"):
            yield line[: match.start()] + "relu(" + line[match.end() :]
    head, equals, body = line.partition(" = ")
    if equals and line.startswith("|"):
        for sign in (" + ", " - "):
            parts = body.split(sign)
            if len(parts) == 2 and all(p.count("(") == p.count(")") for p in parts):
                yield f"{head} = {parts[0]}"
                yield f"{head} = {parts[1]}"
    for match in NUMBER.finditer(line):
        short = f"{float(match.group()):.1g}"
        yield line[: match.start()] + str(float(short)) + line[match.end() :]


def closing(line: str, opened: int) -> int | None:
    """One past the bracket that closes the one at ``opened``."""
    depth = 0
    for i in range(opened, len(line)):
        depth += {"(": 1, ")": -1}.get(line[i], 0)
        if depth == 0:
            return i + 1
    return None
