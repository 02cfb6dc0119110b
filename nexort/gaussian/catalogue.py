"""The activations with closed forms, by name; their formulas are instances of the families of
``orthant``, ``edges`` and ``waves``, and so are all linear combinations, products and mixed pairs
that stay in a family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from nexort.gaussian.univariate import IDENTITY, SLOT, Univariate, function
from nexort.program import build

CHO = "Cho and Saul, Kernel methods for deep learning, 2009"
WILLIAMS = "Williams, Computing with infinite networks, 1997"
ISSERLIS = "Isserlis, On a formula for the product-moment coefficient, 1918"
TSUCHIDA = "Tsuchida et al., Avoiding kernel fixed points: computing with ELU and GELU, 2021"
LEAKY = "Tsuchida et al., Invariance of weight distributions in rectified MLPs, 2018"
RAHIMI = "Rahimi and Recht, Random features for large-scale kernel machines, 2007"
SHEPPARD = "Sheppard, On the application of the theory of error, 1899"
MEHLER = "Mehler, Ueber die Entwicklung einer Function von beliebig vielen Variablen, 1866"
GAUSSIAN = "the Gaussian integral"


@dataclass(frozen=True, slots=True)
class Entry:
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


def _entries() -> list[Entry]:
    named = [
        ("relu", CHO), ("abs", CHO), ("step", SHEPPARD), ("sign", SHEPPARD),
        ("erf", WILLIAMS), ("gelu", TSUCHIDA), ("sin", RAHIMI), ("cos", RAHIMI),
        ("exp", GAUSSIAN), ("gauss", WILLIAMS), ("square", ISSERLIS),
    ]  # fmt: skip
    powers = [Entry(f"relu^{k}", _power_of_relu(k), CHO) for k in (2, 3, 4)]
    cube = Univariate(build.call("pow", SLOT, build.constant(3)))
    return [
        Entry("identity", IDENTITY, ISSERLIS),
        *(Entry(name, function(name), source) for name, source in named),
        Entry("leaky_relu", function("leaky_relu", 0.1), LEAKY),
        *powers,
        Entry("cube", cube, ISSERLIS),
        *(Entry(f"hermite {k}", hermite(k), MEHLER) for k in (2, 3, 4)),
        Entry("sinh", function("sinh"), GAUSSIAN),
        Entry("erf'", function("erf").derivative(), WILLIAMS),
        Entry("gelu'", function("gelu").derivative(), TSUCHIDA),
    ]


@cache
def registry() -> dict[str, Entry]:
    """Every entry by name."""
    return {entry.name: entry for entry in _entries()}
