"""The neural tangent limit: training by the operator K_Q (Thm 2.4.7 to 2.9.23)."""

from nexort.limit.training.tangent.evaluate import evaluate_tangent

__all__ = ["evaluate_tangent"]
