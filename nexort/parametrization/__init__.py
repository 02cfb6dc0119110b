"""Classification of parametrizations and scaling tables, of programs and of tables of exponents."""

from nexort.parametrization.classification import classify
from nexort.parametrization.report import Classification

__all__ = ["Classification", "classify"]
