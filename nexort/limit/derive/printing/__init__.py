"""Derivations on paper: Unicode text, LaTeX, JSON, sympy and notebooks, from one layout."""
