"""Singular integrands, seeded: it is known whether their expectation exists, and its value.

The truth is written beside each: powers of Gaussians are integrable at 0 above -1, exp(a z^2) where
2 a Var z < 1, logarithms always; a negative number has no root and no logarithm.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from mpmath import mp, mpf

Truth = float | None
"""None where it does not exist."""


@dataclass(frozen=True)
class Singular:
    """A program whose one output ``o`` has a known value."""

    text: str
    truth: Truth


def power_moment(s: float, variance: float) -> Truth:
    """E |z|^s = (2 q)^(s/2) Gamma((s + 1)/2) / sqrt(pi)"""
    if s <= -1:
        return None
    return (2 * variance) ** (s / 2) * math.gamma((s + 1) / 2) / math.sqrt(math.pi)


def bump(a: float, variance: float) -> Truth:
    """E exp(a z^2) = 1 / sqrt(1 - 2 a q)"""
    room = 1 - 2 * a * variance
    return None if room <= 0 else 1 / math.sqrt(room)


def log_moment(k: int, variance: float) -> float:
    """E log|z|^k for k = 1, 2: the mean is (log(q / 2) - gamma)/2 - log 2 / 2 + ..., the variance
    pi^2 / 8."""
    mean = 0.5 * (math.log(variance) - float(mp.euler) - math.log(2))
    return mean if k == 1 else math.pi**2 / 8 + mean**2


def rational(c: float, variance: float) -> float:
    """E 1/(c + z^2), c > 0: sqrt(pi / (2 c q)) exp(c/(2 q)) erfc(sqrt(c/(2 q)))"""
    x = mpf(c) / (2 * mpf(variance))
    return float(mp.sqrt(mp.pi * x) / c * mp.exp(x) * mp.erfc(mp.sqrt(x)))


UNREAL = ("sqrt({0})", "log({0})", "{0}^(1/2)", "1 / ({0}^2 - 1)", "log({0} - 1)")
"""Not real on an interval, or with a pole."""


def quarter(rng: random.Random, low: int, high: int) -> float:
    return rng.randint(low, high) / 4


def singular(seed: int) -> Singular:
    """The program of a seed."""
    rng = random.Random(f"singular {seed}")
    p, q = rng.choice((0.5, 1.0, 2.0)), rng.choice((0.5, 1.0, 3.0))
    lines = [f"vector z ~ N(0, {p})", f"vector w ~ N(0, {q})", "matrix W ~ N(0, 1/n)"]
    z, variance = "|z>", p
    if rng.random() < 0.3:
        lines.append("|h> = W |z>")
        z = "|h>"
    elif rng.random() < 0.3:
        lines.append("|h> = |z> - 0.5 * |w>")
        z, variance = "|h>", p + 0.25 * q
    body, output, truth = integrand(rng, z, variance, q if z != "|h>" or "W" in lines[-1] else None)
    lines += [*body, f"output {output} as o"]
    return Singular("\n".join(lines) + "\n", truth)


def integrand(
    rng: random.Random, z: str, variance: float, other: float | None
) -> tuple[list[str], str, Truth]:
    """Lines, an output, its truth; ``other`` is the variance of ``w`` where it is independent."""
    name = z[1:-1]
    s, t = quarter(rng, -7, 6), quarter(rng, -5, 4)
    a, b = rng.choice((0.1, 0.2, 0.3, 0.6, -0.5)), rng.choice((0.1, 0.25, -0.4))
    match rng.randrange(12):
        case 0:
            return [f"|y> = abs({z})^({s})"], "<1|y>", power_moment(s, variance)
        case 1:
            body = [f"|x> = abs({z})^({s})", f"|y> = abs({z})^({t})"]
            return body, "<x|y>", power_moment(s + t, variance)
        case 2 if other is not None:
            one, two = power_moment(s, variance), power_moment(t, other)
            truth = None if one is None or two is None else one * two
            return [f"|y> = abs({z})^({s}) * abs(|w>)^({t})"], "<1|y>", truth
        case 3:
            return [f"|y> = exp({a} * {z}^2)"], "<1|y>", bump(a, variance)
        case 4:
            body = [f"|x> = exp({a} * {z}^2)", f"|y> = exp({b} * {z}^2)"]
            return body, "<x|y>", bump(a + b, variance)
        case 5:
            return [f"|y> = log(abs({z}))"], "<1|y>", log_moment(1, variance)
        case 6:
            return [f"|y> = log(abs({z}))"], "<y|y>", log_moment(2, variance)
        case 7:
            c = rng.choice((0.3, 1.0, 2.5))
            return [f"|y> = 1 / ({c} + {z}^2)"], "<1|y>", rational(c, variance)
        case 8:
            f = rng.choice(
                ("sqrt({0})", "log({0})", "{0}^(1/2)", "1 / ({0}^2 - 1)", "log({0} - 1)")
            )
            return [f"|y> = {f.format(z)}"], rng.choice(("<1|y>", f"<{name}|y>")), None
        case 9:
            return [f"|y> = 1 / {z}"], f"<{name}|y>", 1.0
        case 10:
            return [f"|y> = 1 / {z}"], rng.choice(("<1|y>", "<y|y>")), None
        case _:
            body = [f"|y> = {z} * abs({z})^({s})"]
            return body, "<1|y>", 0.0 if s > -2 else None
