"""Selections in numpy's notation: ``[:, :8]``, ``[0]``, ``[..., ::2].T``. Parsed, not evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

from nexort.program.unrolled import Array
from nexort.support.diagnostics import Span, fail

Item = int | slice | EllipsisType | None

_STEP = re.compile(r"\s*(?:\[(?P<items>[^\[\]]*)\]|\.T(?!\w))\s*")
_SLICE = re.compile(
    r"(?P<start>[+-]?\d+)?\s*:\s*(?P<stop>[+-]?\d+)?\s*(?::\s*(?P<step>[+-]?\d+)?)?"
)
_INTEGER = re.compile(r"[+-]?\d+")
_HELP = "a selection is made of integers, slices, '...' and 'None': [:, :8], [0], [::2, -1].T"


@dataclass(frozen=True, slots=True)
class Selector:
    """One ``[...]``, or ``.T`` where ``items`` is None. ``span`` is its place in the option."""

    items: tuple[Item, ...] | None
    span: Span


def parse_selection(span: Span) -> tuple[Selector, ...]:
    """The steps of the text under ``span``. Raises NexortError pointing at what is wrong."""
    steps = []
    position = span.start
    while position < span.end:
        match = _STEP.match(span.source.text, position, span.end)
        here = Span(span.source, position, span.end)
        if match is None:
            message = f"'{here.text}' is not a selection"
            raise fail("data-selection", message, here, help=_HELP)
        place = Span(span.source, position, match.end())
        inside = match.group("items")
        items = None if inside is None else _items(inside, match.start("items"), place)
        steps.append(Selector(items, place))
        position = match.end()
    return tuple(steps)


def _items(text: str, offset: int, place: Span) -> tuple[Item, ...]:
    """The items between the brackets; a trailing comma is allowed, as in Python."""
    parts = text.split(",")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    items = []
    for part in parts:
        span = Span(place.source, offset, offset + max(1, len(part)))
        items.append(_item(part.strip(), span))
        offset += len(part) + 1
    if items.count(...) > 1:
        raise fail("data-selection", "found '...' twice, expected it once", place, help=_HELP)
    return tuple(items)


def _item(text: str, span: Span) -> Item:
    if text == "...":
        return ...
    if text == "None":
        return None
    if _INTEGER.fullmatch(text):
        return _number(text, span)
    match = _SLICE.fullmatch(text)
    if match is None:
        found = f"'{text}'" if text else "nothing"
        message = f"found {found} in a selection, expected an integer or a slice"
        raise fail("data-selection", message, span, help=_HELP)
    start, stop, step = (
        None if part is None else _number(part, span)
        for part in match.group("start", "stop", "step")
    )
    if step == 0:
        raise fail("data-selection", "the step of a slice is not 0", span)
    return slice(start, stop, step)


def _number(text: str, span: Span) -> int:
    if len(text) > 18:
        raise fail("data-selection", f"{text[:18]}... is larger than any array", span)
    return int(text)


def select(array: Array, steps: Sequence[Selector], origin: str) -> Array:
    """The selected part. Unlike numpy, a slice that reaches beyond the array is an error."""
    for step in steps:
        if step.items is None:
            array = array.T
            continue
        _check(array.shape, step.items, step.span, origin)
        array = array[step.items]
    return array


def _check(shape: tuple[int, ...], items: tuple[Item, ...], span: Span, origin: str) -> None:
    """Raise NexortError where a step selects more axes, or further entries, than there are."""
    counted = [item for item in items if item is not None and item is not ...]
    if len(counted) > len(shape):
        message = (
            f"{origin}: the selection is over {len(counted)} axes, "
            f"but the array has {len(shape)} (shape {shape})"
        )
        raise fail("data-selection", message, span)
    axis = 0
    for item in items:
        if item is ...:
            axis += len(shape) - len(counted)
        elif item is not None:
            if not _inside(item, shape[axis]):
                shown = str(item) if isinstance(item, int) else _text(item)
                message = (
                    f"{origin}: {shown} is out of range: "
                    f"axis {axis + 1} has {shape[axis]} entries (shape {shape})"
                )
                raise fail("data-selection", message, span)
            axis += 1


def _inside(item: Item, size: int) -> bool:
    if isinstance(item, int):
        return -size <= item < size
    assert isinstance(item, slice)
    return all(b is None or -size <= b <= size for b in (item.start, item.stop))


def _text(item: Item) -> str:
    assert isinstance(item, slice)
    start, stop, step = ("" if b is None else str(b) for b in (item.start, item.stop, item.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")
