"""Exact limits: closed forms and quadrature in place of sampling, wherever mathematics allows."""
