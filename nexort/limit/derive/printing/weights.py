"""The weights of a training and its update functions as statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nexort.limit.derive.derivation import HISTORY, UpdateFunction, WeightUpdate
from nexort.limit.derive.formula import Formula, Ket, Operator, Symbol
from nexort.limit.derive.printing.boxes import (
    COMMA,
    Box,
    Glyph,
    Script,
    box_row,
    parens,
    separate_boxes,
)
from nexort.limit.derive.printing.kets import index_box, ranges
from nexort.limit.derive.printing.names import name_text
from nexort.limit.derive.printing.notation import Notation, function_name
from nexort.limit.derive.printing.statements import Statement
from nexort.program.index import Affine

Labels = Callable[[str], str]
PLAIN = Notation()
STEP = Affine.variable("t")


def updates(items: Sequence[WeightUpdate], label: Labels) -> Iterator[Statement]:
    """``|u^{t+1}> = ...``, ``W^{l,t+1} = ...``."""
    for x in items:
        left, right = PLAIN.box(x.weight), PLAIN.box(x.value)
        yield Statement(left, (right,), ranges(x.ranges), label(f"weight-{_name(x.weight)}"))


def _name(weight: Formula) -> str:
    match weight:
        case Operator(matrix):
            return matrix.name
        case Ket(name_) | Symbol(name_):
            return name_
        case _:
            return "weight"


def functions(items: Sequence[UpdateFunction], label: Labels) -> Iterator[Statement]:
    """``Q_t(g_0, ..., g_t) = ...`` and its states."""
    for x in items:
        history: list[Box] = [
            Script(name_text(HISTORY), index_box(Affine()), None),
            Glyph("…", r"\dots "),
            Script(name_text(HISTORY), index_box(STEP), None),
        ]
        head = Script(function_name(x.name), index_box(STEP), None)
        left = box_row(head, parens(separate_boxes(history, COMMA)))
        yield Statement(left, (PLAIN.box(x.result),), None, label(f"update-{x.name}"))
        for state in x.states:
            here = PLAIN.box(Symbol(state.name, (), (STEP,), "state"))
            start = None
            if state.start is not None:
                first = PLAIN.box(Symbol(state.name, (), (Affine(-1),), "state"))
                start = box_row(first, Glyph(" = ", " = "), PLAIN.box(state.start))
            where = label(f"state-{x.name}-{state.name}")
            yield Statement(here, (PLAIN.box(state.value),), start, where)
