"""What the elaboration of an expression has at hand: names in scope, errors, its parts' values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self, TypeVar

from nexort import activations
from nexort.elaborate.scope import Entry, Poisoned, Scope, not_outside
from nexort.elaborate.strangers import meant
from nexort.elaborate.values import BraValue, Skip, Value
from nexort.program.build import TypeProblem
from nexort.program.index import Affine
from nexort.program.nodes import Node
from nexort.support.diagnostics import Diagnostic, NexortError, Report, Span, fail
from nexort.syntax import tree as t

T = TypeVar("T")


class Context(ABC):
    """A scope, and the values of expressions in it; ``later`` are names that the file defines
    further on."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.scope = Scope()
        self.later: dict[str, Span] = {}
        self.refs: list[tuple[Node, Span]] = []
        self.inlining: list[t.Function] = []
        self.inlined = 0
        self.trajectories: dict[str, Affine] = {}
        """The families of a training's run, whose last index is the step, and its steps."""
        self.inside: dict[str, Span] = {}
        """The matrices of a trained network, which are no names outside."""
        self.every_step: str | None = None
        """The variable of the step where a trajectory is named without one; None where a step must
        be named."""
        self.stepped = False
        """Whether a trajectory was named without a step."""
        self.refused: Mapping[str, tuple[str, str]] = {}
        """Names that have no value where they are used: a message and help."""
        self.incomplete = False
        """Whether an import failed: an unknown name may be one of its names."""

    # ---- errors --------------------------------------------------------------------------------

    def problem(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        notes: Iterable[tuple[str, Span | None]] = (),
        help: str | None = None,
    ) -> NexortError:
        """An error to be raised by the caller."""
        return fail(code, message, span, notes=notes, help=help)

    def guarded(self, action: Callable[[], T], span: Span) -> T | None:
        """Run a part of a statement; its errors are reported and None comes back."""
        try:
            return action()
        except Skip:
            return None
        except RecursionError:
            self.report.error("syntax", "this statement is nested too deeply", span)
            return None
        except TypeProblem as problem:
            self.report.error(problem.code, problem.message, span, help=problem.help)
            return None
        except NexortError as error:
            for diagnostic in error.diagnostics:
                self.report.add(diagnostic)
            return None

    def typed(self, spans: Sequence[Span], span: Span, make: Callable[[], Node]) -> Node:
        """Build a node; a type problem becomes a diagnostic at the operands' ``spans``."""
        try:
            return make()
        except TypeProblem as problem:
            at = [spans[k] for k in problem.operands if k < len(spans)]
            notes = [("the other operand is here", s) for s in at[:-1]]
            where = at[-1] if at else span
            raise NexortError(
                [Diagnostic(problem.code, problem.message, where, tuple(notes), problem.help)]
            ) from None

    # ---- names ---------------------------------------------------------------------------------

    def lookup(self, name: str, span: Span) -> Entry:
        """The entry of a name. Raises NexortError for an unknown one, Skip for a poisoned one."""
        entry = self.scope.find(name)
        if isinstance(entry, Poisoned):
            raise Skip
        if entry is not None:
            return entry
        if name in self.later:
            # a member, of which an earlier one starts the loop
            start = f"start the loop: |{name}[0]> = |v>" if "[" in span.text else None
            raise self.problem(
                "use-before-definition",
                f"'{name}' is used before it is defined",
                span,
                notes=((f"'{name}' is defined here", self.later[name]),),
                help=start,
            )
        if activations.lookup(name) is not None:
            raise self.not_a_value(name, span)
        if name == "n":
            message = "the width n stands only in laws"
            hint = "matrix W ~ N(0, 1/n); averages such as <x|y> are divided by n already"
            raise self.problem("unknown-name", message, span, help=hint)
        if self.trajectories and (why := not_outside(name, self.inside, self.trajectories)):
            message, notes, hint = why
            raise self.problem("unknown-name", message, span, notes=notes, help=hint)
        if name in self.refused:
            message, hint = self.refused[name]
            raise self.problem("unknown-name", message, span, help=hint)
        if self.incomplete:
            raise Skip
        known = [*self.scope.names(), *activations.registry(), *self.later]
        raise self.problem("unknown-name", f"unknown name '{name}'", span, help=meant(name, known))

    def not_a_value(self, name: str, span: Span) -> NexortError:
        """The error for a function that is not called."""
        message = f"'{name}' is a function, expected a value"
        return self.problem("wrong-kind", message, span, help=f"call it: {name}(|x>)")

    # ---- values --------------------------------------------------------------------------------

    @abstractmethod
    def value(self, expr: t.Expr) -> Value:
        """A node, or a bra."""

    def apart(self) -> Self:
        """Another one, with nothing in scope and errors of its own."""
        return type(self)(Report())

    def node(self, expr: t.Expr) -> Node:
        """A value that is not a bare bra."""
        value = self.value(expr)
        if isinstance(value, BraValue):
            raise self.problem(
                "wrong-kind", "a bra is not a value on its own", expr.span,
                help="close it with a ket, <x|y>, or make an operator, |z> <x|",
            )  # fmt: skip
        return value

    def in_file(self, expr: t.Expr) -> Node:
        """A value in the file's own scope, without the loops around."""
        outer, self.scope = self.scope, self.scope.declarations()
        try:
            return self.node(expr)
        finally:
            self.scope = outer
