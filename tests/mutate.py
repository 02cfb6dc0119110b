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


# ---- structured edits ----------------------------------------------------------------------------

_NAME = re.compile(r"(?<![\w.])[A-Za-z]\w*")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_KEPT = frozenset(
    (
        "param", "dim", "data", "vector", "matrix", "scalar", "fn", "update", "output", "network",
        "weight", "train", "optimizer", "return", "for", "in", "by", "as", "sum", "state", "N", "n",
        "error", "steps", "parametrization", "start", "centre", "decay", "normalize", "clip",
    )
)  # fmt: skip

HOSTILE_NAMES = (
    "None", "lambda", "np", "class", "E", "T", "n", "pi", "x" * 300, "d", "dh", "out", "f", "g",
    "t", "lr", "xi", "λ", "σ", "a_b_c", "__debug__", "special", "error", "start", "output",
)  # fmt: skip
EXTREMES = (
    "0",
    "-1",
    "1e308",
    "1e-308",
    "1e-320",
    "99999999999999999999",
    "1/0",
    "(0/0)",
    "0.1",
    "300",
    "10^9",
    "(1e200)^2",
    "12345678",
    "[1, 2]",
    "[]",
    "[[0]]",
    "1e5",
    "33",
    "-0.5",
)
WRAPPERS = (
    "relu({})", "exp({})", "1/({})", "log({})", "({})^2", "({})^(-1)", "({})^0.5", "-({})",
    "(({}))", "tanh'({})", "({}) * ({})", "({}) @ ({})", "({})^T", "E{{1}}[{}]",
    "sum(k in 1..9) {}",
    "max({}, 0)", "({})[0]", "[{}, {}]", "diag({})", "exp(exp(({})^2))", "|v> <v| {}",
)  # fmt: skip


def restructured(rng: random.Random, text: str) -> str:
    """``text`` after one to three edits that know its structure: names, numbers, values, lines."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = rng.choice(STRUCTURED)(rng, text)
    return text


def _renamed(rng: random.Random, text: str) -> str:
    """One name for another, everywhere."""
    names = sorted(set(_NAME.findall(text)) - _KEPT)
    if not names:
        return text
    old, new = rng.choice(names), rng.choice((*HOSTILE_NAMES, *names))
    return re.sub(rf"(?<![\w.]){re.escape(old)}(?!\w)", lambda _: new, text)


def _once(rng: random.Random, text: str, pattern: re.Pattern[str], new: str) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    at = rng.choice(found)
    return text[: at.start()] + new + text[at.end() :]


def _number(rng: random.Random, text: str) -> str:
    return _once(rng, text, _NUMBER, rng.choice(EXTREMES))


def _name(rng: random.Random, text: str) -> str:
    """Another name at one place."""
    names = _NAME.findall(text) or ["x"]
    return _once(rng, text, _NAME, rng.choice(names))


def _value(rng: random.Random, text: str) -> str:
    """A right side inside a function."""
    lines = text.splitlines()
    places = [k for k, line in enumerate(lines) if re.search(r"\s=\s", line)]
    if not places:
        return text
    k = rng.choice(places)
    head, sign, tail = lines[k].partition(" = ")
    body, loop, rest = tail.partition(" for ")
    inner = body.strip().rstrip("}").strip()
    lines[k] = head + sign + rng.choice(WRAPPERS).format(inner, inner) + loop + rest
    return "\n".join(lines) + "\n"


def _repeated(rng: random.Random, text: str) -> str:
    """A line many times, or a value with itself many times."""
    lines = text.splitlines() or [""]
    k, count = rng.randrange(len(lines)), rng.choice((2, 30, 300))
    if rng.random() < 0.5:
        return "\n".join(lines[:k] + [lines[k]] * count + lines[k + 1 :])
    head, sign, tail = lines[k].partition(" = ")
    lines[k] = head + sign + rng.choice((" + ", " * ", " ")).join([tail] * count)
    return "\n".join(lines)


def _moved(rng: random.Random, text: str) -> str:
    """A line elsewhere, or none."""
    lines = text.splitlines() or [""]
    line = lines.pop(rng.randrange(len(lines)))
    if rng.random() < 0.6:
        lines.insert(rng.randint(0, len(lines)), line)
    return "\n".join(lines)


STRUCTURED = (_renamed, _number, _number, _name, _value, _value, _repeated, _moved)
