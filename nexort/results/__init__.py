"""Results: arrays with standard errors, their mapping by name, and how they are shown and saved."""

from nexort.results.collection import Results
from nexort.results.estimate import Estimate, grid_labels
from nexort.results.numbers import uncertain
from nexort.results.saving import save_runs
from nexort.results.text import render

__all__ = ["Estimate", "Results", "grid_labels", "render", "save_runs", "uncertain"]
