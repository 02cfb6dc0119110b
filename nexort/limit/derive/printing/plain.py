"""Derivations as plain data, for ``--json``.

The schema (``"schema": 1``); every formula is ``{"text": ..., "latex": ..., "tree": ...}``::

    name        file of the program
    closed      whether every equation is closed, and every symbol has one
    undefined   [formula]  (symbols that have no equation, one of a family)
    outputs     [{name, indices, axes, formula, ranges, labels}]
    kets        [{ket, value, ranges, labels, auxiliary, note, application: null or
                 {matrix, argument, hat, dot, dot_vanishes, why}}]
    gaussians   [{left, right, covariance, ranges, labels, reason}]
    equations   [{left, right, ranges, labels, closed}]
    regime      "", or "maximal", "tangent" or "decayed" of a training
    weights     [{weight, value, ranges, labels}]  (what a step of a training does to a weight)
    updates     [{name, result, states: [{name, value, start or null}]}]  (update functions)
    steps       [{rule, citation, note, before, after}]  (before, after: a formula or null)

``ranges`` are ``[{var, first, last}]``, ends included, as texts in the language (``"l - 1"``);
``labels`` are ``[{label, axis}]``. A ``tree`` is ``{"type": ..., ...}``, its fields those of the
class of that name in :mod:`nexort.limit.derive.formula`: formulas are trees again, indices texts,
exact numbers texts (``"1/2"``), other numbers numbers, functions of one variable trees over a
symbol z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from nexort.limit.derive import graphs
from nexort.limit.derive.derivation import AxisLabel, Derivation, IndexRange, KetDefinition
from nexort.limit.derive.formula import Formula, Indices, Matrix, Symbol
from nexort.limit.derive.printing import latex_boxes, text_boxes
from nexort.limit.derive.printing.kets import operator_box
from nexort.limit.derive.printing.notation import Notation
from nexort.program.index import Affine
from nexort.program.nodes import Node

Plain = dict[str, Any]
NOTATION = Notation()


def as_plain(derivation: Derivation) -> Plain:
    """A derivation as dictionaries, lists, texts and numbers (see the module's schema)."""
    return {
        "schema": 1,
        "name": derivation.name,
        "closed": derivation.closed,
        "outputs": [
            {
                "name": o.name,
                "indices": _texts(o.indices),
                "axes": _texts(o.axes),
                "formula": plain_formula(o.value),
                **_where(o.ranges, o.labels),
            }
            for o in derivation.outputs
        ],
        "kets": [_ket(k) for k in derivation.kets],
        "gaussians": [
            {
                "left": plain_formula(g.left),
                "right": plain_formula(g.right),
                "covariance": plain_formula(g.covariance),
                "reason": g.reason,
                **_where(g.ranges, g.labels),
            }
            for g in derivation.gaussians
        ],
        "equations": [
            {
                "left": plain_formula(e.left),
                "right": plain_formula(e.right),
                "closed": e.closed,
                **_where(e.ranges, e.labels),
            }
            for e in derivation.equations
        ],
        "undefined": [plain_formula(f) for f in derivation.undefined],
        "regime": derivation.regime,
        "weights": [
            {
                "weight": plain_formula(w.weight),
                "value": plain_formula(w.value),
                **_where(w.ranges, w.labels),
            }
            for w in derivation.weights
        ],
        "updates": [
            {
                "name": u.name,
                "result": plain_formula(u.result),
                "states": [
                    {
                        "name": s.name,
                        "value": plain_formula(s.value),
                        "start": None if s.start is None else plain_formula(s.start),
                    }
                    for s in u.states
                ],
            }
            for u in derivation.updates
        ],
        "steps": [
            {
                "rule": s.rule,
                "citation": s.citation,
                "note": s.note,
                "before": None if s.before is None else plain_formula(s.before),
                "after": None if s.after is None else plain_formula(s.after),
            }
            for s in derivation.steps
        ],
    }


def plain_formula(value: Formula) -> Plain:
    """A formula as text, LaTeX and tree."""
    box = NOTATION.box(value)
    return {
        "text": text_boxes.text_inline(box),
        "latex": latex_boxes.latex_inline(box),
        "tree": _tree(value),
    }


def _ket(k: KetDefinition) -> Plain:
    application = None
    if k.matrix is not None and k.argument is not None:
        vanishes = k.why is not None
        application = {
            "matrix": _matrix(k.matrix),
            "argument": plain_formula(k.argument),
            "hat": None if k.hat is None else plain_formula(k.hat),
            "dot": None if k.dot is None else plain_formula(k.dot),
            "dot_vanishes": vanishes,
            "why": k.why,
        }
    return {
        "ket": plain_formula(k.ket),
        "value": plain_formula(k.value),
        "auxiliary": k.auxiliary,
        "note": k.note,
        "application": application,
        **_where(k.ranges, k.labels),
    }


def _matrix(matrix: Matrix) -> Plain:
    box = operator_box(matrix)
    return {
        "name": matrix.name,
        "indices": _texts(matrix.indices),
        "transposed": matrix.transposed,
        "text": text_boxes.text_inline(box),
        "latex": latex_boxes.latex_inline(box),
    }


def _where(ranges: Sequence[IndexRange], labels: Sequence[AxisLabel]) -> Plain:
    return {
        "ranges": [{"var": r.var, "first": str(r.first), "last": str(r.last)} for r in ranges],
        "labels": [{"label": x.label, "axis": x.axis} for x in labels],
    }


def _texts(indices: Indices) -> list[str]:
    return [str(i) for i in indices]


def _tree(value: Any) -> Any:
    match value:
        case Affine() | Fraction():
            return str(value)
        case Node():
            return _tree(graphs.at(value, Symbol("z")))
        case tuple():
            return [_tree(v) for v in value]
        case _ if is_dataclass(value):
            found: Plain = {"type": type(value).__name__}
            for field in fields(value):
                found[field.name] = _tree(getattr(value, field.name))
            return found
        case _:
            return value
