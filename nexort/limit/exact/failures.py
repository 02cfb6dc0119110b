"""What has no value, as diagnostics that point at the line that made it."""

from __future__ import annotations

import numpy as np

from nexort.gaussian.covariance import NotPositive
from nexort.gaussian.expectation import NotIntegrable
from nexort.gaussian.quadrature import OutOfRange
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.operations import NotFiniteError
from nexort.limit.exact.texts import text_of_function
from nexort.limit.exact.values import Value
from nexort.program.nodes import Node, Op, walk
from nexort.support.diagnostics import NexortError, Span, fail
from nexort.support.roots import Indefinite

Problem = Indefinite | NotFiniteError | NotIntegrable | NotPositive | OutOfRange
PROBLEMS = (Indefinite, NotFiniteError, NotIntegrable, NotPositive, OutOfRange)


def diagnose(engine: ExactEngine, problem: Problem) -> NexortError:
    """The user's error for a failed evaluation."""
    match problem:
        case Indefinite():
            return _indefinite(engine, problem)
        case NotFiniteError():
            return not_finite(engine, problem.value)
        case NotIntegrable():
            return _not_integrable(engine, problem)
        case OutOfRange():
            return not_finite(engine, _value_of(engine, problem.function))
        case _:
            message = f"a covariance is not positive semidefinite: {problem}"
            return fail("not-positive", message, _only_factor(engine)[0])


def binding_of(engine: ExactEngine, node: Node | None) -> tuple[Span | None, str]:
    """The first written binding that reaches a node, and its text."""
    if node is not None:
        spans = engine.program.spans
        users = [(x.serial, s) for x, s in spans.items() if x is node or node in walk([x])]
        if users:
            span = min(users, key=lambda u: u[0])[1]
            return span, f"'{span.text}'"
    return None, "the program"


def _indefinite(engine: ExactEngine, problem: Indefinite) -> NexortError:
    span, name = _only_factor(engine)
    message = f"the covariance in {name} is not symmetric positive semidefinite"
    message += f" (smallest eigenvalue {problem.eigenvalue:.3g})"
    return fail("not-positive", message, span)


def _only_factor(engine: ExactEngine) -> tuple[Span | None, str]:
    return binding_of(engine, next((n for n in engine.nodes if n.op is Op.FACTOR), None))


def not_finite(engine: ExactEngine, value: Value | None) -> NexortError:
    """A value is infinite, or not a number."""
    span, name = binding_of(engine, engine.origin.get(value) if value is not None else None)
    return fail(
        "not-finite",
        f"a value of {name} is infinite or not a number in the limit",
        span,
        help="look for a division by zero, a root or logarithm of a negative number, or growth "
        "beyond floating point (1.8e308)",
    )


def _not_integrable(engine: ExactEngine, problem: NotIntegrable) -> NexortError:
    f = problem.function
    value = _value_of(engine, f)
    span, name = binding_of(engine, engine.origin.get(value) if value is not None else None)
    variance = float(np.max(problem.variance))
    return fail(
        "not-integrable",
        f"the expectation in {name} is infinite or not defined: {text_of_function(f.node)} of a "
        f"Gaussian z of variance {variance:.3g} is not integrable",
        span,
        help="a function that grows like exp(c z^2) has an expectation only where 2 c Var z < 1",
    )


def _value_of(engine: ExactEngine, f: object) -> Value | None:
    return next((v for v in engine.origin if v.attr is f or f in _functions(v)), None)


def _functions(value: Value) -> tuple[object, ...]:
    return value.attr if isinstance(value.attr, tuple) else (value.attr,)
