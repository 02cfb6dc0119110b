"""What every part uses: diagnostics, workers, the collector."""
