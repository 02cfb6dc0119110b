"""Names of other languages and of the literature that stand for nothing here, and what does."""

from __future__ import annotations

from collections.abc import Iterable

from nexort.support.diagnostics import did_you_mean

NO_INVERSE = (
    "a tensor program multiplies by matrices and never inverts one; iterate what solves the "
    "equation: |x[k]> = |b> - A |x[k-1]> for k in 1..K"
)
_AVERAGE = "<1|x> is the average of a ket; E{1}[...] averages over an iid copy"
_STEP = "step(|v>) is 1 where |v> is positive, else 0"
_NORM = "the size of an entry: sqrt(<x|x>)"
_NORMED = "|x> / sqrt(<x|x>), diag(<x|x>) where |x> has an axis"
_CONVOLUTION = (
    "a matrix for every offset: sum(k in 1..K) W[k] (S[k-1] @ |x>), with data S[K, P, P] of shifts "
    "over the axis P of |x>"
)
_POOL = "the mean over an axis P: one @ |x> / P, with data one[P] of ones"
_ATTENTION = (
    "over an axis T: s = exp(<k|q>), then |z> = |x> @ (s / (one @ s)), with data one[T, T] of ones"
)
_EMBED = "weight u : vector[d] and |u> @ xi, with data xi[d, M] of numbers, one-hot for words"
_NO_NOISE = "a training has no noise but that of its initial weights"
_NO_JOINING = "a matrix for each part: A |x> + B |y> is what one does to both, joined"
IDENTITY = "the identity needs no name: write W |x> + c |x>, not (W + c) |x>"
_TRACE = "<v|W^T W|v> of a vector v ~ N(0, 1) that is used for nothing else"
_BRAKET = "<x|y>"
_SUM = "over a range: sum(l in 1..3) x[l]; over an axis T: one @ x, with data one[T] of ones"
_PRODUCT = "a rule in a loop: p[l] = p[l-1] * x[l]"
_LAYERNORM = "|y> = |x> - <1|x>, then |y> / sqrt(<y|y>), diag(<y|y>) where |x> has an axis"
_BATCHNORM = (
    "over an axis M: |y> = |x> - |x> @ J, then |y> / sqrt((|y> * |y>) @ J), with data J[M, M] of "
    "entries 1/M"
)
_CLIP = "min(max(|x>, -1), 1)"
_CASES = "step(x) is 1 where x is positive, else 0; both of two is their product"
_LOSS = "error is the derivative of the loss by the output: error f - y"
_FINITE = "numbers are finite"
_SPECTRUM = "moments tell a spectrum: <v|W^T W|v> of a vector v ~ N(0, 1)"

STRANGERS = {
    "E": _AVERAGE, "Avg": _AVERAGE, "avg": _AVERAGE, "mean": _AVERAGE, "average": _AVERAGE,
    "expectation": _AVERAGE,
    "e": "exp(|x>) is e to the power of |x>",
    "softmax": "over an axis T: exp(s) / (one @ exp(s)), with data one[T, T] of ones",
    "logsumexp": "over an axis T: log(one @ exp(s)), with data one[T] of ones",
    "tr": _TRACE, "trace": _TRACE, "Tr": _TRACE,
    "inv": NO_INVERSE, "inverse": NO_INVERSE, "pinv": NO_INVERSE, "solve": NO_INVERSE,
    "det": _SPECTRUM, "eig": _SPECTRUM, "eigvals": _SPECTRUM, "svd": _SPECTRUM,
    "dot": _BRAKET, "inner": _BRAKET, "vdot": _BRAKET, "cov": _BRAKET, "cosine": _BRAKET,
    "var": "<x|x> - <1|x>^2", "std": "sqrt(<x|x> - <1|x>^2)",
    "sum": _SUM, "Sum": _SUM, "prod": _PRODUCT, "product": _PRODUCT,
    "log_softmax": "over an axis T: s - log(one @ exp(s)), with data one[T, T] of ones",
    "layernorm": _LAYERNORM, "LayerNorm": _LAYERNORM, "layer_norm": _LAYERNORM,
    "batchnorm": _BATCHNORM, "BatchNorm": _BATCHNORM, "batch_norm": _BATCHNORM,
    "clip": _CLIP, "clamp": _CLIP,
    "if": _CASES, "else": _CASES, "and": _CASES, "or": _CASES, "not": _CASES,
    "mse": _LOSS, "mse_loss": _LOSS, "cross_entropy": _LOSS, "loss": _LOSS,
    "inf": _FINITE, "nan": _FINITE,
    "norm": _NORM, "norm2": _NORM,
    "where": f"{_STEP}: step(|v>) * |v>", "heaviside": _STEP,
    "transpose": "W^T", "matmul": "W |x>", "mm": "W |x>",
    "outer": "|x> <y|", "I": IDENTITY, "Id": IDENTITY, "eye": IDENTITY,
    "identity": IDENTITY, "id": IDENTITY,
    "linear": "W |x>", "normalize": _NORMED, "rmsnorm": _NORMED, "RMSNorm": _NORMED,
    "conv": _CONVOLUTION, "conv1d": _CONVOLUTION, "conv2d": _CONVOLUTION, "Conv2d": _CONVOLUTION,
    "pool": _POOL, "avgpool": _POOL, "avg_pool": _POOL, "attention": _ATTENTION, "attn": _ATTENTION,
    "embedding": _EMBED, "embed": _EMBED, "dropout": _NO_NOISE, "Dropout": _NO_NOISE,
    "concat": _NO_JOINING, "concatenate": _NO_JOINING, "cat": _NO_JOINING, "hstack": _NO_JOINING,
    "normal": "vector v ~ N(0, 1)", "randn": "vector v ~ N(0, 1)", "gaussian": "vector v ~ N(0, 1)",
    "ones": "a number stands for all entries: 1 + |x>", "zeros": "a number stands for all entries",
    "range": "for l in 1..3, both ends included", "print": "output <x|x>",
    "power": "x^2", "True": "1", "False": "0", "true": "1", "false": "0",
}  # fmt: skip

ALIASES = {
    "sigma": "sigmoid", "logistic": "sigmoid", "expit": "sigmoid", "ln": "log",
    "sgn": "sign", "maximum": "max", "minimum": "min", "atan": "arctan", "fabs": "abs",
    "lrelu": "leaky_relu", "leakyrelu": "leaky_relu", "gaussian": "gauss", "absolute": "abs",
    "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
    "lr": "lr", "learning_rate": "lr", "eta": "lr", "epsilon": "eps", "betas": "beta1",
    "b1": "beta1", "b2": "beta2",
}  # fmt: skip
"""Other names of functions and hyperparameters."""


def meant(name: str, known: Iterable[str]) -> str | None:
    """What an unknown name may have been meant to be: the same by another name, the near one, or
    how its meaning is written here."""
    listed = list(known)
    alias = ALIASES.get(name.casefold())
    if alias in listed:
        return f"did you mean '{alias}'?"
    return STRANGERS.get(name) or did_you_mean(name, listed)
