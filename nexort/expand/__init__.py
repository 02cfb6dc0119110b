"""Networks and trainings written out as core programs (``nexort expand``)."""

from nexort.expand.module import expand

__all__ = ["expand"]
