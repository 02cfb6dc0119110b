"""Which outputs of a training exist, each as a function of what it reads."""

from nexort.limit.training.reading.outputs import Reading, read_outputs

__all__ = ["Reading", "read_outputs"]
