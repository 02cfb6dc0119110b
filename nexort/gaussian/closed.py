"""Closed forms as formulas: E f(z_a) g(z_b) in terms of the two variances and the covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nexort.activations import Array
from nexort.gaussian import pairs, symbolic
from nexort.gaussian.catalogue import Entry, registry
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """E f(z_a) g(z_b) for jointly Gaussian z_a, z_b of mean 0.

    ``name`` and ``citation`` are of the registry's entry with this f and g, or of the family whose
    formula gives it by (bi)linearity."""

    f: Univariate
    g: Univariate
    name: str
    citation: str

    def evaluate(self, covariance: Covariance) -> Array:
        """The numbers, in the shape of the covariance; zero variances included."""
        from nexort.gaussian.expectation import expect_pair

        return expect_pair(self.f, self.g, covariance).value

    def sympy(self, kaa: Any, kab: Any, kbb: Any) -> Any:
        """The formula over sympy expressions of variances and covariance."""
        return symbolic.expectation(self.f, self.g, kaa, kab, kbb)

    def latex(self, kaa: str, kab: str, kbb: str) -> str:
        """LaTeX, the variances and the covariance written as given."""
        import sympy

        a, c, b, names = _symbols(kaa, kab, kbb)
        printed: str = sympy.latex(self.sympy(a, c, b), symbol_names=names)
        return printed

    def text(self, kaa: str, kab: str, kbb: str) -> str:
        """Plain text, likewise."""
        import sympy

        a, c, b, _ = _symbols(kaa, kab, kbb)
        return str(sympy.sstr(self.sympy(a, c, b))).replace("**", "^")


def _symbols(kaa: str, kab: str, kbb: str) -> tuple[Any, Any, Any, dict[Any, str]]:
    import sympy

    a, b = (sympy.Symbol(k, positive=True) for k in (kaa, kbb))
    c = a if kab == kaa == kbb else sympy.Symbol(kab, real=True)
    return a, c, b, {a: kaa, b: kbb, c: kab}


@lru_cache(1024)
def closed_form(f: Univariate, g: Univariate) -> ClosedForm | None:
    """The closed form of E f(z_a) g(z_b), None where there is none."""
    if pairs.evaluator(f, g) is None:
        return None
    first, second = _entry(f), _entry(g)
    if first is not None and first is second:
        return ClosedForm(f, g, first.name, first.citation)
    family, citation = symbolic.family(normal_form(f.node), normal_form(g.node))
    return ClosedForm(f, g, family, citation)


def _entry(f: Univariate) -> Entry | None:
    form = normal_form(f.node)
    return next((e for e in registry().values() if normal_form(e.function.node) == form), None)
