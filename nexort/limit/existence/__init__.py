"""Which Gaussian expectations exist: E f exists where |f| is integrable."""
