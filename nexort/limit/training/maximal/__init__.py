"""The maximal update limit: training with kets in place of vectors (Thm 2.5.2 to 2.9.30)."""

from nexort.limit.training.maximal.evaluate import evaluate_maximal

__all__ = ["evaluate_maximal"]
