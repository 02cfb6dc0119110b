"""Functions of a product of independent or dependent factors that are products again.

    |x y| = |x| |y|,  sign(x y) = sign x sign y,  (x y)^c = x^c y^c,  log(x y) = log x + log y

the last two for x, y >= 0. Kinks at 0 are made of them: relu x = (x + |x|) / 2,
step x = (1 + sign x) / 2.
"""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.exact.forms import (
    NOTHING,
    SLOT,
    Factor,
    Form,
    Term,
    add_forms,
    constant_form,
    scale_form,
)
from nexort.limit.exact.values import Value, Values, What
from nexort.limit.existence.ranges import VARIABLE, bounds
from nexort.program import build
from nexort.program.nodes import Node


def of_product(values: Values, name: str, x: Form, *numbers: float) -> Form | None:
    """f(x, *numbers) of a form of one term, or None where it does not split."""
    if not x.one_term:
        return None
    [term] = x.terms
    match name, numbers:
        case (("abs" | "sign"), ()):
            return _each(values, name, term)
        case (("sqrt" | "pow"), _):
            return _each(values, name, term, *numbers) if _nonnegative(term) else None
        case "log", ():
            return _logarithm(values, term) if _nonnegative(term) else None
        case "step", ():
            return _bent(values, _each(values, "sign", term), constant_form(values, values.one))
        case "relu", ():
            return _bent(values, _each(values, "abs", term), x)
        case "leaky_relu", (slope,):
            return _bent(values, _each(values, "abs", term), x, slope)
        case "max", (0,):
            return _bent(values, _each(values, "abs", term), x)
        case "min", (0,):
            return _bent(values, _each(values, "abs", term), x, kinked=-1.0)
    return None


def _each(values: Values, name: str, term: Term, *numbers: float) -> Form | None:
    """The function of each factor; of the coefficient only where it is known to be smooth."""
    c = term.coefficient
    if name == "sign" and not c.number:
        return None
    constants = [build.constant(n) for n in numbers]
    factors = [_function(build.call(name, f.node(), *constants), f) for f in term.factors]
    coefficient = values.call(name, c, *map(values.number, numbers))
    return Form(NOTHING, (Term(coefficient, tuple(factors)),))


def _function(graph: Node, factor: Factor) -> Factor:
    return replace(factor, power=0, functions=(graph,))


def _logarithm(values: Values, term: Term) -> Form:
    parts = [
        Form(NOTHING, (Term(values.one, (_function(build.call("log", f.node()), f),)),))
        for f in term.factors
    ]
    return add_forms(values, constant_form(values, values.call("log", term.coefficient)), *parts)


def _bent(
    values: Values, kink: Form | None, x: Form, slope: float = 0.0, kinked: float = 1.0
) -> Form | None:
    """((1 + slope) x + kinked (1 - slope) kink) / 2."""
    if kink is None:
        return None
    up, down = values.number((1 + slope) / 2), values.number(kinked * (1 - slope) / 2)
    return add_forms(values, scale_form(values, up, x), scale_form(values, down, kink))


def _nonnegative(term: Term) -> bool:
    return _is_positive(term.coefficient) and all(
        bounds(f.node(), {SLOT: VARIABLE}, almost=True).low >= 0 for f in term.factors
    )


def _is_positive(c: Value) -> bool:
    """A coefficient that is seen to be so."""
    if c.number is not None:
        return c.number > 0
    if c.what is What.CALL and c.attr == "mul":
        return all(map(_is_positive, c.args))
    return c.what is What.CALL and c.attr in ("abs", "sqrt", "exp")
