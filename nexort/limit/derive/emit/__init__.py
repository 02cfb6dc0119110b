"""Derivations as self-contained numpy modules: the recursion as code that needs no nexort."""
