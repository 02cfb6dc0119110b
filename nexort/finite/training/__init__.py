"""Networks trained at a finite width n, for what they are: the second opinion on their limits."""

from nexort.finite.training.train import train

__all__ = ["train"]
