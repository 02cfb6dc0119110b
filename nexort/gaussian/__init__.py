"""Expectations of functions of one and of two jointly Gaussian variables.

Closed forms where the functions reduce to them (``nexort.gaussian.terms``), else a Hermite series
in the correlation, else adaptive quadrature with kinks split exactly.
"""
