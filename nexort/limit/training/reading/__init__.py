"""Which outputs of a training exist, each as a function of what it reads."""

from nexort.limit.training.reading.outputs import Reading, read

__all__ = ["Reading", "read"]
