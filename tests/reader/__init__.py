"""An independent reader of printed derivations: pages of text or LaTeX to numbers.

Nothing of ``nexort.limit.derive`` is used: a page is parsed as a reader of mathematics would, its
symbols are looked up in its own equations, and expectations are averages over the Gaussian
families that it states.
"""
