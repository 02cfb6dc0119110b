"""Where the expectation of a sum is that of its terms: poles of terms may cancel, as in

E (1 - cos z) / z^2 = 1/2 + ..., where neither E 1 / z^2 nor E cos(z) / z^2 exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from nexort import activations
from nexort.limit.derive.arithmetic import add
from nexort.limit.derive.formula import Apply, Formula, Ket, Number, Power, Product, Sum
from nexort.limit.derive.walking import is_random, kets_of, terms_of, walk_formula


def separable(
    formula: Sum, others: Sequence[Formula], gaussian: Callable[[Ket], bool]
) -> list[Formula]:
    """The parts of a sum that have expectations beside the other factors where the whole has one:
    terms with poles stay together, and beside a pole all but those in other Gaussian kets."""
    poles = {k for o in others for t in terms_of(o) if has_pole(t) for k in kets_of(t)}

    def stays(term: Formula) -> bool:
        kets = kets_of(term)
        apart = kets and poles.isdisjoint(kets) and all(map(gaussian, kets))
        return has_pole(term) or bool(poles and not apart)

    together = [t for t in formula.terms if stays(t)]
    if len(together) < 2:
        return list(formula.terms)
    return [*(t for t in formula.terms if t not in together), add(*together)]


@lru_cache(65536)
def has_pole(formula: Formula) -> bool:
    """Whether it divides by what is random and may be 0."""
    return any(
        isinstance(x, Power)
        and isinstance(x.exponent, Number)
        and x.exponent.value < 0
        and is_random(x.base)
        and _least(x.base) != 1
        for x in walk_formula(formula)
    )


def _least(formula: Formula) -> int | None:
    """1 for what is positive, 0 for what is not negative, None where that is not seen; numbers are
    taken for positive where they have names."""
    match formula:
        case Number(value):
            return None if value < 0 else int(value > 0)
        case Sum(terms):
            signs = [_least(t) for t in terms]
            return None if None in signs else max(s for s in signs if s is not None)
        case Product(factors):
            signs = [_least(f) for f in factors]
            return None if None in signs else min(s for s in signs if s is not None)
        case Power(base, Number(value)):
            own = _least(base)
            return 0 if own is None and value % 2 == 0 else own
        case Apply(name, _) if (f := activations.lookup(name)) is not None and f.nonnegative:
            return int(f.positive)
        case _:
            return None if is_random(formula) else 1
