"""E f(y) of piecewise sums of y^k exp(a y) as formulas, y a centred Gaussian of variance p.

An exponential shifts the law, E exp(a y) F(y) = exp(a^2 p / 2) E F(y + a p), and with
M_k = E y^k 1(y > h), parts of integrals give

    M_0 = (1 - erf(h / (2 p)^(1/2))) / 2 = erfc(h / (2 p)^(1/2)) / 2,
    M_k = (k - 1) p M_(k-2) + h^(k-1) (p / 2 pi)^(1/2) exp(-h^2 / 2 p).
"""

from __future__ import annotations

from collections import defaultdict
from math import comb

from nexort.gaussian.pieces import Half, Pieces
from nexort.limit.derive.algebra import HALF, add, mul, neg, number, power
from nexort.limit.derive.families import PI, TWO, P, exact, exp, over, root
from nexort.limit.derive.formula import ONE, ZERO, Apply, Formula

Sums = dict[Formula, Formula]
"""Functions of p -> their factors, polynomials of p."""


def mean(f: Pieces) -> Formula:
    """E f(y)."""
    total: Sums = defaultdict(lambda: ZERO)
    for half, powers in f.halves.items():
        for k, c in powers.items():
            for i in range(k + 1):
                shift = power(mul(exact(half.slope), P), number(k - i)) if k > i else ONE
                factor = mul(exact(c), number(comb(k, i)), shift)
                if factor != ZERO:
                    _moment(total, half, i, factor)
    return add(*(mul(factor, base) for base, factor in total.items()))


def _moment(total: Sums, half: Half, k: int, factor: Formula) -> None:
    """Add ``factor`` exp(a^2 p / 2) E y^k 1(side (y - h + a p) > 0)."""
    a, h = exact(half.slope), exact(half.edge)
    if k == 0:
        _probability(total, half, factor)
    elif half.side:
        density = exp(add(mul(a, h), neg(mul(HALF, power(h, TWO), over(P))))) if half.edge else ONE
        base = mul(root(mul(P, over(mul(TWO, PI)))), density)
        edge = power(add(h, neg(mul(a, P))), number(k - 1))
        total[base] = add(total[base], mul(number(half.side), factor, edge))
    if k >= 2:
        _moment(total, half, k - 2, mul(number(k - 1), P, factor))


def _probability(total: Sums, half: Half, factor: Formula) -> None:
    """The same for k = 0: erfc keeps what is left of exp(a^2 p / 2) where that is large."""
    a, h = exact(half.slope), exact(half.edge)
    size = exp(mul(HALF, power(a, TWO), P)) if half.slope else ONE
    if not half.side:
        total[size] = add(total[size], factor)
        return
    side = number(half.side)
    if half.slope:
        first = mul(side, h, root(mul(TWO, P), -1))
        second = mul(neg(side), a, root(mul(HALF, P)))
        base = mul(size, Apply("erfc", (add(first, second),)))
        total[base] = add(total[base], mul(HALF, factor))
        return
    total[ONE] = add(total[ONE], mul(HALF, factor))
    if half.edge:
        base = Apply("erf", (mul(exact(abs(half.edge)), root(mul(TWO, P), -1)),))
        sign = -half.side if half.edge > 0 else half.side
        total[base] = add(total[base], mul(number(sign), HALF, factor))
