"""Which route every expectation of a program takes, as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.gaussian.catalogue import closed_form
from nexort.limit.exact.existing import examine
from nexort.limit.exact.solve import Route, Solution, solve
from nexort.limit.exact.texts import text_of_scalar
from nexort.program.unrolled import Unrolled


@dataclass(frozen=True)
class RouteRow:
    """One line: the scalar's text, its route, and its error or why it is sampled."""

    text: str
    route: str
    error: str

    @property
    def cells(self) -> tuple[str, str, str]:
        """The columns."""
        return self.text, self.route, self.error


def explain_routes(program: Unrolled, rtol: float = 1e-8) -> list[RouteRow]:
    """The routes of all expectations, in the program's order; equal lines are counted."""
    return rows_of(program, solve(program, rtol, unknown=examine(program)))


def rows_of(program: Unrolled, solution: Solution) -> list[RouteRow]:
    """The table of a solution."""
    counts: dict[tuple[str, str], list[float | str]] = {}
    for route in solution.routes:
        text = text_of_scalar(route.node, program.spans)
        method = _text(route)
        counts.setdefault((text, method), []).append(
            route.error if route.error is not None else "-"
        )
    rows = []
    for (text, method), errors in counts.items():
        known = [e for e in errors if isinstance(e, float)]
        times = f" (x {len(errors)})" if len(errors) > 1 else ""
        rows.append(RouteRow(text + times, method, f"{max(known):.0e}" if known else "by sampling"))
    return rows


def _text(route: Route) -> str:
    """The route, with the closed forms by name and source."""
    if route.error is None:
        return f"sampled: {route.reason}"
    names = []
    for f, g in route.pairs:
        form = closed_form(f, g)
        if form is not None:
            names.append(f"{form[0]} ({form[1]})")
    return f"{route.method}: {'; '.join(dict.fromkeys(names))}" if names else route.method
