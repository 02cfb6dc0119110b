"""The limit against finite widths: a test of the Master Theorem (2.6.10) in numbers, that can fail.

The two sides share no code: the limit is from :mod:`nexort.limit.sample`, the runs from
:mod:`nexort.finite`.
"""

from nexort.report.compare.judge import verify
from nexort.report.compare.verification import OutputCheck, Verification, verification_text

__all__ = ["OutputCheck", "Verification", "verification_text", "verify"]
