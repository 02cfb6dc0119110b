"""The limit of a training."""
