"""Programs at a finite width n: every symbol drawn, every instruction carried out.

The route shares no code with the limit: it is the second opinion on it.
"""

from nexort.finite.simulate import first_nonfinite, simulate

__all__ = ["first_nonfinite", "simulate"]
