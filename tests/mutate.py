"""Damaged programs: small random edits of texts, seeded."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_TOKENS = re.compile(r"\s+|[A-Za-z_]\w*|\d+\.?\d*|\.\.|->|.", re.DOTALL)

INSERTED = (
    "|", "<", ">", "|x>", "<x|", "<1|", "|v>", "{1}", "{2}", "E{1}[", "E{1,2}[", "]", "[", "(",
    ")", "{", "}", "^T", "^", "^2", "'", "*", "@", "+", "-", "/", "=", "~", ",", ";", "..", ":",
    "->", "for", "in", "by", "as", "sum(k in 1..3)", "sum", "output", "vector", "matrix", "scalar",
    "param", "dim", "data", "fn", "update", "state", "return", "import", '"a.nxt"', "relu", "tanh",
    "diag", "W", "n", "pi", "E", "k", "l-1", "0", "1", "2", "-1", "0.5", "1e9", "99999999999",
    "\n", "\t", "#", '"', "N(0, 1)", "N(0, 1/n)", "[0]", "[k]", "[:]", "[1, 2]", "for k in 1..3",
    "\\", "é", "ξ", "⟩", "\0",
)  # fmt: skip
"""What is put in: the language's own words and some strangers."""

Edit = Callable[[random.Random, list[str]], None]


def mutated(rng: random.Random, text: str) -> str:
    """``text`` after one to four edits of its tokens, characters or lines."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        match rng.randrange(4):
            case 0:
                parts = text.splitlines(keepends=True)
            case 1:
                parts = list(text)
            case _:
                parts = _TOKENS.findall(text)
        rng.choice(EDITS)(rng, parts)
        text = "".join(parts)
    return text


def _delete(rng: random.Random, parts: list[str]) -> None:
    if parts:
        start = rng.randrange(len(parts))
        del parts[start : start + rng.choice((1, 1, 2, 5))]


def _duplicate(rng: random.Random, parts: list[str]) -> None:
    if parts:
        start = rng.randrange(len(parts))
        parts[start:start] = parts[start : start + rng.choice((1, 1, 2, 5))]


def _swap(rng: random.Random, parts: list[str]) -> None:
    if parts:
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        parts[i], parts[j] = parts[j], parts[i]


def _copy(rng: random.Random, parts: list[str]) -> None:
    """Put one part over another."""
    if parts:
        parts[rng.randrange(len(parts))] = rng.choice(parts)


def _insert(rng: random.Random, parts: list[str]) -> None:
    parts.insert(rng.randint(0, len(parts)), rng.choice(INSERTED))


def _replace(rng: random.Random, parts: list[str]) -> None:
    if parts:
        parts[rng.randrange(len(parts))] = rng.choice(INSERTED)


def _alike(rng: random.Random, parts: list[str]) -> None:
    """Put a word, number or sign where another of its kind is: such texts go far."""
    if parts:
        place = rng.randrange(len(parts))
        kind = _kind(parts[place])
        parts[place] = rng.choice([x for x in parts if _kind(x) == kind])


def _kind(part: str) -> str:
    if part[:1].isalpha():
        return "word"
    return "number" if part[:1].isdigit() else "space" if part.isspace() else "sign"


EDITS: tuple[Edit, ...] = (_delete, _duplicate, _swap, _copy, _insert, _replace) + (_alike,) * 6
