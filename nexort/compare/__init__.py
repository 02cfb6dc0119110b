"""The limit against finite widths: a test of the Master Theorem (2.6.10) in numbers, that can fail.

The two sides share no code: the limit is from :mod:`nexort.lower`, the runs from
:mod:`nexort.finite`.
"""

from nexort.compare.judge import verify
from nexort.compare.text import render
from nexort.compare.verification import OutputCheck, Verification

__all__ = ["OutputCheck", "Verification", "render", "verify"]
