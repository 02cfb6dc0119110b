"""The activations with closed forms, by name; their formulas are instances of the families of
``orthant``, ``edges`` and ``waves``, and so are all linear combinations, products and mixed pairs
that stay in a family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from nexort import activations
from nexort.activations import expectations
from nexort.gaussian import pairs, pieces
from nexort.gaussian.terms import Terms, normal_form
from nexort.gaussian.univariate import IDENTITY, Univariate, function
from nexort.gaussian.variable import SLOT
from nexort.program import build

ISSERLIS, CHO, ERF, WAVES, INTEGRAL = (
    str(known[name].citation)
    for known in (expectations.known_expectations(),)
    for name in ("square", "relu", "gelu", "sin", "exp")
)
"""Of polynomials, piecewise ones, error functions, waves, Gaussians."""

ROSENBAUM = "Rosenbaum, Moments of a truncated bivariate normal distribution, 1961"

MEHLER = "Mehler, Ueber die Entwicklung einer Function von beliebig vielen Variablen, 1866"


@dataclass(frozen=True, slots=True)
class KernelEntry:
    """A function with known E f(z_a) f(z_b), and E f'(z_a) f'(z_b) likewise."""

    name: str
    function: Univariate
    citation: str


def _power_of_relu(k: int) -> Univariate:
    return Univariate(build.call("pow", function("relu").node, build.constant(k)))


def hermite(k: int) -> Univariate:
    """The Hermite polynomial He_k, by He_{k+1} = z He_k - k He_{k-1}."""
    before, now = build.constant(1), SLOT
    if k == 0:
        return Univariate(before)
    for i in range(1, k):
        lower = build.call("mul", build.constant(i), before)
        before, now = now, build.call("sub", build.call("mul", SLOT, now), lower)
    return Univariate(now)


SLOPE = 0.1
"""Of the leaky relu that stands for all."""


def _entries() -> list[KernelEntry]:
    named = []
    for name, known in expectations.known_expectations().items():
        if known.citation is not None:
            arity = activations.registry()[name].arity
            named.append(KernelEntry(name, function(name, *[SLOPE] * (arity - 1)), known.citation))
    powers = [KernelEntry(f"relu^{k}", _power_of_relu(k), CHO) for k in (2, 3, 4)]
    cube = Univariate(build.call("pow", SLOT, build.constant(3)))
    slopes = [KernelEntry(f"{e.name}'", e.function.derivative(), e.citation)
              for e in named if e.name in ("erf", "gelu")]  # fmt: skip
    return [
        KernelEntry("identity", IDENTITY, ISSERLIS),
        *named,
        *powers,
        KernelEntry("cube", cube, ISSERLIS),
        *(KernelEntry(f"hermite {k}", hermite(k), MEHLER) for k in (2, 3, 4)),
        *slopes,
    ]


@cache
def catalogue() -> dict[str, KernelEntry]:
    """Every entry by name."""
    return {entry.name: entry for entry in _entries()}


@lru_cache(1024)
def closed_form(f: Univariate, g: Univariate) -> tuple[str, str] | None:
    """(name, citation) of the closed form of E f(z_a) g(z_b): of the entry with this f and g, or of
    the family whose formula gives it by bilinearity. None where there is none."""
    if pairs.pair_evaluator(f, g) is None:
        return ("truncated moments", ROSENBAUM) if pieces.is_piecewise_pair(f, g) else None
    first, second = _entry(f), _entry(g)
    if first is not None and first is second:
        return first.name, first.citation
    return family(normal_form(f.node), normal_form(g.node))


def family(f: Terms, g: Terms) -> tuple[str, str]:
    """(name, citation) of the family with this pair."""
    atoms = (*f, *g)
    if all(a.kink and not a.edge for a in atoms):
        return "polynomials", ISSERLIS
    if all(a.kink for a in atoms):
        return "piecewise polynomials", CHO
    if all(a.edges and not a.edge for a in atoms):
        return "polynomials times Gaussians", INTEGRAL
    if all(a.edges for a in atoms):
        return "error functions and Gaussians", ERF
    if all(a.waves for a in atoms):
        return "exponentials and waves", WAVES
    return "polynomials times waves", "Stein's lemma"


def _entry(f: Univariate) -> KernelEntry | None:
    form = normal_form(f.node)
    return next((e for e in catalogue().values() if normal_form(e.function.node) == form), None)


def short(citation: str) -> str:
    """Authors and year."""
    authors, *more = citation.split(", ")
    return f"{authors} {more[-1]}".replace(" and ", " & ") if more else citation
