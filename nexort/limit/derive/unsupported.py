"""What the symbolic derivation cannot express."""


class Unsupported(Exception):
    """A rule without a symbolic form; the message says why."""
