"""Breaking of long formulas into lines: at the outermost operator first, relations before sums,
sums before products; a part that is still too long is broken inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexort.limit.derive.printing.boxes import Strength

UNBREAKABLE = 1_000_000
ROOMY = 0.4
"""A part that is too long for a line starts on one of which at most this much is used."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a rendered formula.

    ``size`` is its width, ``depth`` how many fences it stands in. ``breaks`` says that a line may
    be broken before the token, and how willingly; ``lone`` is its string at the start of a line,
    ``lead`` how much wider that is.
    """

    string: str
    size: float
    depth: int
    breaks: Strength | None = None
    lone: str | None = None
    lead: float = 0.0

    @property
    def level(self) -> int:
        """Where the token stands in the order of places to break: small ones first."""
        return UNBREAKABLE if self.breaks is None else self.depth * len(Strength) + self.breaks


@dataclass(frozen=True, slots=True)
class TextLine:
    """Tokens on a line and how far it is indented, in the unit of the sizes."""

    tokens: tuple[Piece, ...]
    indent: float

    def string(self) -> str:
        """The line without its indentation."""
        rest = "".join(t.string for t in self.tokens[1:])
        first = self.tokens[0]
        return ((first.string if first.lone is None else first.lone) + rest).rstrip()

    @property
    def end(self) -> float:
        """Where the line ends."""
        return self.indent + size_of(self.tokens)


def size_of(tokens: Sequence[Piece]) -> float:
    """The width of tokens on one line."""
    return sum(t.size for t in tokens)


def fill_lines(
    tokens: Sequence[Piece], width: float, step: float, used: float = 0.0
) -> list[TextLine]:
    """Lines of at most ``width`` where that is possible; continuation lines are indented by
    ``step`` and more inside of fences. The first line has ``used`` of its width taken."""
    return _fill(list(tokens), width, step, 0.0, used)


def _fill(
    tokens: list[Piece], width: float, step: float, indent: float, used: float
) -> list[TextLine]:
    at = indent + used
    level = min((t.level for t in tokens[1:]), default=UNBREAKABLE)
    if at + size_of(tokens) <= width or level == UNBREAKABLE:
        return [TextLine(tuple(tokens), at)]
    lines: list[TextLine] = []
    current: list[Piece] = []
    for k, segment in enumerate(_split(tokens, level)):
        deeper = indent + step * (k > 0)
        size, lead = size_of(segment), segment[0].lead
        end = at + size_of(current) + (current[0].lead if current else 0.0)
        if end + size <= width:
            current += segment
            continue
        long = deeper + lead + size > width
        if current and (not long or end - indent > ROOMY * (width - indent)):
            lines.append(TextLine(tuple(current), at))
            current, at, end = [], deeper, deeper + lead
            if not long:
                current = segment
                continue
        inner = _fill(segment, width, step, deeper, end - deeper)
        joined = (*current, *inner[0].tokens)
        if len(inner) == 1:
            current = list(joined)
        else:
            lines += [TextLine(joined, at), *inner[1:-1]]
            current, at = list(inner[-1].tokens), inner[-1].indent
    lines.append(TextLine(tuple(current), at))
    return lines


def _split(tokens: list[Piece], level: int) -> list[list[Piece]]:
    segments: list[list[Piece]] = [[]]
    for k, token in enumerate(tokens):
        if k > 0 and token.level == level:
            segments.append([])
        segments[-1].append(token)
    return segments
