"""Networks trained at a finite width n, for what they are: the second opinion on their limits."""

from nexort.finite.training.train import first_nonfinite_step, train

__all__ = ["first_nonfinite_step", "train"]
