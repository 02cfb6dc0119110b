"""Classification of parametrizations and scaling tables, of programs and of tables of exponents."""

from nexort.parametrization.classification import Classification, classify

__all__ = ["Classification", "classify"]
