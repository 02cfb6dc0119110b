"""``nexort.classify``: the verdict on a parametrization, with every condition's two sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np

from nexort.data.given import Given
from nexort.elaborate.source import compile_source
from nexort.parametrization import theorem
from nexort.parametrization.judge import Judge, Judged
from nexort.parametrization.layers import (
    CLIPPED,
    Array,
    Normalization,
    Table,
    named_table,
    perceptron,
)
from nexort.parametrization.optimizers import Optimizer, optimizer_of
from nexort.parametrization.orders import Order, exact_order
from nexort.parametrization.repair import GOOD, Change, changes, repair
from nexort.parametrization.repeated import shallow
from nexort.parametrization.report import Checked, Classification, Counted
from nexort.parametrization.search import search_repairs
from nexort.parametrization.slices import in_gauge
from nexort.parametrization.subject import (
    Subject,
    divide_updates,
    in_regime,
    rational,
    regime,
    subject,
    under,
    with_training,
)
from nexort.parametrization.theorem import VERDICTS, Condition, Conditions, Verdict
from nexort.program.network import Exponents
from nexort.support.diagnostics import InternalError, fail
from nexort.syntax.files import read

REGIMES = ("mup", "ntp", "ups(1/4)")
FINE = 10**6
"""Denominators of exponents up to which counted sizes are exact."""


def classify(
    what: Any,
    *,
    optimizer: str | None = None,
    normalization: Normalization = "none",
    parametrization: str | None = None,
    depth: int | None = None,
) -> Classification | Array:
    """Classify a parametrization by exact arithmetic (2.8).

    ``what`` is a program (a ``.nxt`` path, or what ``nexort.load`` returned), or the exponents of a
    perceptron: one (a, b, c, d) for every layer 1, ..., L + 1, each a number, Fraction or text such
    as '1/2'; or the name of a parametrization, with ``depth`` = L. An array of shape (N, L + 1, 4)
    gives an array of N verdicts. ``optimizer`` ('adam', 'adam(eps=0)', 'sgd', ...) says in which
    degree updates are homogeneous; by default a program's own, for exponents in none; and
    ``normalization`` what they are divided by, where it is not 'none'. ``parametrization`` is
    another one for a program, ``depth`` is for a name alone.
    Raises NexortError.
    """
    by = None if optimizer is None else _optimizer(optimizer, normalization)
    file = isinstance(what, str | Path) and (depth is None or str(what).endswith(".nxt"))
    named_alone = isinstance(what, str) and not file
    if depth is not None and not named_alone:
        raise fail("bad-option", "'depth' is for the name of a parametrization alone")
    if file:
        source = with_training(read(what))
        found = subject(compile_source(source), Given({}, {}))
        return classify_subject(_changed(found, by, normalization, parametrization))
    if hasattr(what, "program"):
        given = Given(what.numbers, {}, what.max_instructions)
        found = subject(what.program, given)
        return classify_subject(_changed(found, by, normalization, parametrization))
    if parametrization is not None:
        raise fail("bad-option", "'parametrization' is for programs, these are exponents")
    degree = None if by is None else by.degree
    norm = normalization if by is None else by.normalization
    if isinstance(what, str):
        assert depth is not None
        if depth < 1:
            raise fail("bad-exponents", f"the depth is {depth}, expected 1 or more")
        name, _ = regime(what)
        s = Fraction(name[4:-1]) if name.startswith("ups") else None
        table = named_table(name, perceptron(depth, degree, norm), s)
        return of_table(table, name, optimizer or "any")
    if isinstance(what, np.ndarray) and what.ndim == 3:
        return _many(what, degree, norm)
    rows = _rows(what)
    if rows and rows[0] and isinstance(rows[0][0], list | tuple | np.ndarray):
        return _many(rows, degree, norm)
    exponents = tuple(_exponents(k + 1, row) for k, row in enumerate(rows))
    if len(exponents) < 2:
        message = f"a perceptron has at least 2 layers, found {len(exponents)}"
        raise fail("bad-exponents", message, help="one (a, b, c, d) for each of 1, ..., L + 1")
    table = Table(perceptron(len(exponents) - 1, degree, norm), exponents)
    return of_table(table, "explicit", optimizer or "any")


def _optimizer(text: str, normalization: Normalization) -> Optimizer:
    return optimizer_of(text, None if normalization == "none" else normalization)


def _changed(
    found: Subject, by: Optimizer | None, normalization: Normalization, parametrization: str | None
) -> Subject:
    found = found if by is None else under(found, by)
    if by is None and normalization != "none":
        found = divide_updates(found, normalization)
    return found if parametrization is None else in_regime(found, parametrization)


def _rows(what: Any) -> list[Any]:
    try:
        return [list(row) if not isinstance(row, str) else [row] for row in _listed(what)]
    except TypeError:
        message = f"{type(what).__name__} is no table of exponents"
        hint = "classify([(0, 0, 0, 1), (0, '1/2', 1, 1), (1, 0, 0, 1)])"
        raise fail("bad-exponents", message, help=hint) from None


def _listed(what: Any) -> Sequence[Any]:
    return what.tolist() if isinstance(what, np.ndarray) else list(what)


def _exponents(layer: int, row: Sequence[Any]) -> Exponents:
    if len(row) != 4:
        message = f"layer {layer} has {len(row)} exponents, expected a, b, c, d"
        raise fail("bad-exponents", message)
    return Exponents(
        *(rational(x, f"'{e}' of layer {layer}") for e, x in zip("abcd", row, strict=True))
    )


def _many(tables: Any, degree: int | None, normalization: Normalization) -> Array:
    """The verdicts of many tables: every value that occurs becomes a rational once."""
    if isinstance(tables, np.ndarray) and tables.dtype.kind in "iuf":
        array = tables
    else:
        try:
            array = np.array([[list(row) for row in t] for t in tables], dtype=object)
        except ValueError:
            raise fail("bad-exponents", "the tables differ in their shapes") from None
    if array.ndim != 3 or array.shape[2] != 4 or array.shape[1] < 2:
        raise fail("bad-exponents", f"found exponents of shape {array.shape}, expected (N, L+1, 4)")
    flat = array.reshape(-1)
    if array.dtype == object:
        places: dict[Any, int] = {}
        where = np.array([places.setdefault(x, len(places)) for x in flat], dtype=np.int64)
        values: list[Any] = list(places)
    else:
        found, where = np.unique(flat, return_inverse=True)
        values = list(found)
    exact = [rational(x, "an exponent") for x in values]
    unit = lcm(2, *(x.denominator for x in exact))
    layers = perceptron(array.shape[1] - 1, degree, normalization)
    whole = [int(x * unit) for x in exact]
    if max(map(abs, [*whole, unit]), default=0) < 2**56:
        numbers: Array = np.array(whole, dtype=np.int64)[where].reshape(array.shape)
        return np.array(VERDICTS)[theorem.codes(layers, numbers, 0, unit)]
    numbers = np.array(exact, dtype=object)[where].reshape(array.shape)
    return np.array(VERDICTS)[Conditions(layers, numbers, Fraction(0)).codes()]


# ---- one table -----------------------------------------------------------------------------------


def of_table(table: Table, parametrization: str, optimizer: str) -> Classification:
    """A perceptron's table, by the theorem."""
    conditions = Conditions(table.layers, table.array, table.out)
    verdict = VERDICTS[int(conditions.codes()[0])]
    names = [x.name for x in table.layers[:-1]]
    learned: list[str] = []
    for name, r in zip(names, conditions.r, strict=False):
        if r[0] == 0 or (learned and r[0] >= 0):
            learned.append(name)
    return _made(
        "perceptron", table, parametrization, optimizer,
        ("theorem", verdict, conditions.all(), tuple(learned)),
    )  # fmt: skip


def classify_subject(found: Subject) -> Classification:
    """A program's network: by counted sizes, a perceptron by the theorem, which must agree."""
    judge, near = Judge(found.graph()), found
    less = shallow(found, judge)
    if less is None:
        sizes = judge.at(found.table)
    else:
        near, judge, sizes = less.subject, less.judge, less.judged
    verdict = VERDICTS[int(sizes.code[0])]
    method, conditions = "counted", sizes.asked()
    if found.is_perceptron():
        known = Conditions(found.table.layers, found.table.array, found.table.out)
        fine = max(x.denominator for x in found.table.array.reshape(-1)) < FINE
        if VERDICTS[int(known.codes()[0])] != verdict and fine:
            raise InternalError(f"counted sizes say {verdict}, the conditions do not")
        method, conditions = "theorem", known.all()
        verdict = VERDICTS[int(known.codes()[0])]
    made = _made(
        found.program.source.title, found.table, found.parametrization, found.optimizer,
        (method, verdict, conditions, _learned(sizes)), judge, near, sizes
    )  # fmt: skip
    return replace(made, notes=(*made.notes, *([less.note] if less else [])))


def _learned(sizes: Judged) -> tuple[str, ...]:
    """Names of the features that change by 1."""
    moved = [x for x, value in sizes.learned.items() if value[0]]
    names = [text for text, x in sizes.graph.named.items() if x in moved]
    others = [sizes.graph.features[x] for x in moved if x not in sizes.graph.named.values()]
    return (*names, *others)


def _made(
    name: str,
    table: Table,
    parametrization: str,
    optimizer: str,
    found: tuple[str, Verdict, list[Condition], tuple[str, ...]],
    judge: Judge | None = None,
    subject: Subject | None = None,
    sizes: Judged | None = None,
) -> Classification:
    method, verdict, conditions, learned = found
    known = Conditions(table.layers, table.array, table.out)
    r = {x.name: Fraction(value[0]) for x, value in zip(table.layers, known.r, strict=True)}
    return Classification(
        name, table, parametrization, optimizer, method, verdict,
        tuple(
            Checked(
                x.group, x.layer, x.formula, _exact(x.left[0]), x.relation, _exact(x.right[0]),
                bool(x.holds[0]),
            )
            for x in conditions
        ),
        r,
        None if known.least is None else Fraction(known.least[0]),
        learned,
        *_repair(table if subject is None else subject.table, verdict, judge, subject),
        (*_notes(table), *_still(sizes)),
        () if sizes is None else _sizes(sizes),
    )  # fmt: skip


def _exact(value: Any) -> Fraction:
    return exact_order(value) if isinstance(value, float) else Fraction(value)


def _sizes(found: Judged) -> tuple[Counted, ...]:
    """Every size that was counted, at the table's exponents."""
    s = found.sizes
    rows: list[tuple[str, str, Sequence[Order]]] = []
    for name, start in s.start.items():
        rows += [("size", name, (start,)), ("change", name, s.change[name])]
    rows += [("size", "f", (s.output,)), ("change", "f", s.output_change)]
    rows += [("gradient, times n^d", name, found) for name, found in s.gradients.items()]
    rows += [("update", name, found) for name, found in s.updates.items()]
    return tuple(Counted(what, name, tuple(map(_power, found))) for what, name, found in rows)


def _power(order: Order) -> Fraction | None:
    """The power of n in a size; None for what is exactly 0."""
    return None if np.isinf(order[0]) else -exact_order(float(order[0]))


def _still(known: Judged | None) -> Iterator[str]:
    """What is said of weights that never move, or by less and less as n grows."""
    if known is None:
        return
    if stuck := [p.layer.name for p in known.graph.parameters.values() if p.stuck]:
        yield f"never moved, since their norms, which weigh updates, are 0: {', '.join(stuck)}"
    layers = [p.layer.name for p in known.graph.parameters.values() if not p.stuck]
    found = {name: orders[-1][0] for name, orders in known.sizes.gradients.items()}
    if still := [name for name in layers if np.isinf(found.get(name, np.inf))]:
        yield f"never moved, their gradients are exactly 0: {', '.join(still)}"
    usual = {name: order[0] for name, order in known.sizes.reference.items()}
    fading = [x for x in layers if x in found and usual[x] < found[x] < np.inf]
    if fading:
        yield (
            f"gradients by {', '.join(fading)} vanish as n grows, as averages do in them that "
            "symmetry makes 0"
        )


def _repair(
    table: Table, verdict: Verdict, judge: Judge | None, found: Subject | None
) -> tuple[tuple[Change, ...] | None, str]:
    """The smallest repair, by the theorem's conditions or by trying, as counted sizes confirm it;
    else the nearest regime that is good, and its name."""
    if verdict in GOOD:
        return (), ""
    by_theorem = repair(table)
    if judge is None or found is None:
        return (None if by_theorem is None else by_theorem.changes), ""
    known = [x for x in (by_theorem, search_repairs(judge, table)) if x and _good(judge, x.table)]
    if known:
        return min((x.changes for x in known), key=_cost), ""
    near = []
    for name in REGIMES:
        other = in_gauge(in_regime(found, name).table, table, merged=found.merged)
        if _good(judge, other):
            near.append((changes(table, other), name))
    return min(near, key=lambda x: _cost(x[0]), default=(None, ""))


def _cost(found: tuple[Change, ...]) -> tuple[int, Fraction]:
    return len(found), sum((abs(x.by) for x in found), Fraction(0))


def _good(judge: Judge, table: Table) -> bool:
    out = np.array([table.out], dtype=object)
    return VERDICTS[int(judge.codes(table.array, out)[0])] in GOOD


def _notes(table: Table) -> tuple[str, ...]:
    """What homogeneous updates and normalization make of the exponents."""
    notes = []
    zero = [x.name for x in table.layers if x.homogeneous == 0]
    one = [x.name for x in table.layers if x.homogeneous == 1]
    if zero:
        notes.append(
            f"the updates of {', '.join(zero)} do not depend on the size of gradients: d is ignored"
        )
    if one:
        notes.append(
            f"the updates of {', '.join(one)} are linear in the gradients: only c - d counts, and "
            "c stands for c - d + the faithful d (S = a_out + a + b of the readout)"
        )
    shifts = {
        "update": "updates are divided by their norm: c stands for c + e",
        "clipping": f"updates Q are clipped, {CLIPPED['clipping']}: c stays c",
        "paper-clipping": f"updates are {CLIPPED['paper-clipping']}: c stands for c + e",
        "weight": "updates are divided by the weight's norm: c stands for c + e - b",
        "trust": "updates are divided by their norm, times the weight's: c stands for c + b",
    }
    for kind, text in shifts.items():
        names = [x.name for x in table.layers if x.normalization == kind]
        if names:
            notes.append(f"{text}, for {', '.join(names)}")
    return tuple(notes)
