"""Results: arrays with standard errors, their mapping by name, and how they are shown and saved."""

from nexort.report.results.collection import Results, results_text
from nexort.report.results.estimate import Estimate, grid_labels
from nexort.report.results.numbers import uncertain
from nexort.report.results.saving import save_runs

__all__ = ["Estimate", "Results", "grid_labels", "results_text", "save_runs", "uncertain"]
