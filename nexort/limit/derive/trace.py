"""The recorded derivation: every rewrite by its rule's name and place in the paper.

Citations without a source are of Yang & Littwin, arXiv 2308.01814.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexort.limit.derive.derivation import Rewrite
from nexort.limit.derive.formula import Formula

CITATIONS = {
    "definition": "Def 2.6.1",
    "initial vectors": "Def 2.6.5 (Init), Setup 2.6.3",
    "hat and dot": "Def 2.6.5 (MatMul)",
    "vanishing dot": "Def 2.6.5 (MatMul), Remark 2.6.6",
    "covariance of hats": "Def 2.6.5 (MatMul, hats)",
    "independence": "Def 2.6.5 (MatMul: hats of different matrices are independent)",
    "linearity": "linearity of the expectation",
    "vanishing odd moment": "sign symmetry of initial vectors and matrices (Setup 2.6.3)",
    "Gaussian mean zero": "Def 2.6.5 (hats have mean zero)",
    "Stein's lemma": "Remark 2.6.6; Stein 1981",
    "Stein's lemma for jumps": "Remark 2.6.6 (Stein's form needs no derivative)",
    "Wick's theorem": "Isserlis 1918",
    "dual activation": "E f(z_a) g(z_b) of a Gaussian pair; Cho & Saul 2009, Daniely et al. 2016",
    "bra-ket": "Def 2.6.5 (Avg): the bra-ket is the expectation of the product",
    "iid copies": "Def 2.6.5 (OuterNonlin)",
    "response": "Def 2.6.5 (MatMul, dots)",
    "chain rule": "chain rule",
    "Master Theorem": "Thm 2.6.10",
    "backpropagation": "Def 2.9.14",
    "trained operator": "Def 2.6.7, Thm 2.7.3, Thm 2.9.30",
    "update": "Thm 2.7.3, Thm 2.9.30; decay: 2.10.1",
    "neural tangent operator": "Def 2.4.8, Def 2.9.22",
    "function space": "Thm 2.4.9, Thm 2.9.23",
}
"""Every rule that a trace may name."""


@dataclass
class Trace:
    """The steps so far; a step that changes nothing, or was there just before, is left out."""

    steps: list[Rewrite] = field(default_factory=list)

    def record(
        self, rule: str, before: Formula | None, after: Formula | None, note: str = ""
    ) -> None:
        """Append one rewrite."""
        if before is not None and before == after:
            return
        step = Rewrite(rule, CITATIONS[rule], before, after, note)
        if not self.steps or self.steps[-1] != step:
            self.steps.append(step)
