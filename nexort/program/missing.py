"""What stops a part of an unrolling."""


class Missing(Exception):
    """A part cannot be instantiated; the reason is reported, or follows from one that is."""
