"""Training: networks, backpropagation, update functions, parametrizations; numbers come last."""
