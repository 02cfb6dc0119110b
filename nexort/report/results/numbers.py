"""Numbers with standard errors as text: ``14.0021 ± 0.0035``."""

from __future__ import annotations

import math
from collections.abc import Sequence

Labels = tuple[tuple[int, ...], ...]
"""Which numbers count the entries of the leading axes."""

DIGITS = 10
"""Significant digits of an exact number."""


def uncertain(value: float, error: float) -> str:
    """``value ± error``: the error with two significant digits, the value to the same place.

    An error of 0 means exact: up to ten significant digits, alone; so does one that is below a
    tenth of the tenth digit. An error that is not known (NaN) is shown as ``?``.
    """
    value, error = float(value), float(error)
    if error <= abs(value) * 10.0 ** -(DIGITS + 1) or not math.isfinite(value):
        return _plain(value)
    if not math.isfinite(error):
        return f"{_plain(value)} ± {'?' if math.isnan(error) else 'inf'}"
    error_exponent = _exponent(error, 1)
    top = max(error_exponent, _exponent(value, DIGITS) if value else error_exponent)
    if top - error_exponent > 14:  # beyond what a float resolves
        return f"{_plain(value)} ± {error:.1e}"
    if -5 < top < DIGITS and top - error_exponent < DIGITS + 2:
        return f"{_fixed(value, 1 - error_exponent)} ± {_fixed(error, 1 - error_exponent)}"
    if -5 < top < DIGITS:
        return f"{value:.{DIGITS + 2}g} ± {error:.1e}"
    decimals = 1 + top - error_exponent
    scale = 10.0**-top if top > -300 else math.inf
    if not math.isfinite(scale) or scale == 0:
        return f"{value:.{max(decimals, 1)}e} ± {error:.1e}"
    return f"({_fixed(value * scale, decimals)} ± {_fixed(error * scale, decimals)})e{top:+03d}"


def without_error(text: str) -> str:
    """The value of a text of :func:`uncertain`: ``0.3e-14`` of ``(0.3 ± 5.9)e-14``."""
    value, _, rest = text.partition(" ±")
    opening, bracket, digits = value.partition("(")
    return f"{opening}{digits.rstrip()}{rest.partition(')')[2]}" if bracket else value


def align_texts(texts: Sequence[str]) -> list[str]:
    """Texts of :func:`uncertain` padded so that decimal points and ± stand below each other."""
    parts = [text.partition(" ± ") for text in texts]
    leads = [_lead(value) for value, _, _ in parts]
    lead = max(leads, default=0)
    values = [" " * (lead - k) + value for k, (value, _, _) in zip(leads, parts, strict=True)]
    width = max(map(len, values), default=0)
    rows = [
        f"{value:<{width}} ± {error}" if mark else value
        for value, (_, mark, error) in zip(values, parts, strict=True)
    ]
    full = max(map(len, rows), default=0)
    return [row.ljust(full) for row in rows]


def _lead(value: str) -> int:
    """Characters before the decimal point, or where it would stand."""
    return next((k for k, c in enumerate(value) if c in ".e"), len(value))


def _plain(value: float) -> str:
    return f"{value + 0.0:.{DIGITS}g}"


def _exponent(value: float, digits: int) -> int:
    """The decimal exponent of a number rounded to ``digits`` digits after the first."""
    return int(f"{value:.{digits}e}".partition("e")[2])


def _fixed(value: float, decimals: int) -> str:
    """With that many decimals; a negative number rounds to tens, hundreds, ..."""
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text
