"""Gaussian-process inference with limit kernels: the posterior of a Gaussian process, and kernel
gradient flow, which is the training of an infinitely wide network by gradient descent.

Everything takes Gram matrices, however they were found: between the n training inputs, between m
test inputs and the training inputs, and among test inputs. Arithmetic is in float64.
"""

from nexort.inference.flow import GradientFlow, RankWarning, gradient_flow
from nexort.inference.posterior import JitterWarning, Posterior, posterior
from nexort.inference.targets import one_hot

__all__ = [
    "GradientFlow",
    "JitterWarning",
    "Posterior",
    "RankWarning",
    "gradient_flow",
    "one_hot",
    "posterior",
]
