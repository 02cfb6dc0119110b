"""Known answers of the programs in programs/, by routes that share no code with nexort."""

from __future__ import annotations

import json
from math import acos, asin, comb, exp, pi, sqrt, tanh
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import dblquad, quad

Answers = dict[str, Any]
"""Numbers by output: exact, or with their standard error."""

HERE = Path(__file__).parent

INPUTS = np.random.default_rng(0).standard_normal((10, 3))
"""Inputs of the perceptron programs, d x M."""

SEQUENCES = np.random.default_rng(1).standard_normal((4, 3, 3))
"""Inputs of the recurrent network: times x d x M."""


def normal(f: Any) -> float:
    """E f(z) for a standard normal z."""
    return quad(lambda z: f(z) * exp(-z * z / 2) / sqrt(2 * pi), -12, 12, epsabs=1e-12)[0]


def catalan(k: int) -> int:
    """The k-th Catalan number."""
    return comb(2 * k, k) // (k + 1)


def wishart() -> Answers:
    """Moments of the Marchenko-Pastur law at aspect ratio 1."""
    return {"m": [catalan(k) for k in range(1, 9)]}


def semicircle() -> Answers:
    """Moments of the semicircle law."""
    return {"m": [0 if k % 2 else catalan(k // 2) for k in range(1, 17)]}


def free_product() -> Answers:
    """Fuss-Catalan numbers: moments of the free multiplicative square of Marchenko-Pastur."""
    return {"m": [comb(3 * k, k) // (2 * k + 1) for k in range(1, 6)]}


def arccos_one(covariance: np.ndarray) -> np.ndarray:
    """E relu(a) relu(b) over a covariance matrix (Cho & Saul 2009)."""
    d = np.sqrt(np.diag(covariance))
    c = np.clip(covariance / np.outer(d, d), -1, 1)
    np.fill_diagonal(c, 1)  # arccos would make 1e-8 of a rounding
    angle = np.arccos(c)
    return np.outer(d, d) * (np.sin(angle) + (pi - angle) * c) / (2 * pi)


def arccos_zero(covariance: np.ndarray) -> np.ndarray:
    """E step(a) step(b) over a covariance matrix."""
    d = np.sqrt(np.diag(covariance))
    c = np.clip(covariance / np.outer(d, d), -1, 1)
    np.fill_diagonal(c, 1)
    return (pi - np.arccos(c)) / (2 * pi)


def perceptron(inputs: np.ndarray, depth: int = 3, variance: float = 1.0) -> Answers:
    """NNGP and NTK of a relu network (Jacot et al. 2018), all layers trained."""
    kernels = [inputs.T @ inputs]
    slopes = []
    for layer in range(depth):
        covariance = kernels[-1] * (variance if layer else 1.0)
        slopes.append(arccos_zero(covariance))
        kernels.append(arccos_one(covariance))
    nngp = kernels[depth]
    gradient = slopes[depth - 1]
    ntk = nngp
    for layer in range(depth - 1, 0, -1):
        ntk = ntk + gradient * kernels[layer]
        gradient = variance * gradient * slopes[layer - 1]
    return {"nngp": nngp, "ntk": ntk + gradient * kernels[0]}


def mlp() -> Answers:
    """programs/mlp.nxt on INPUTS."""
    return perceptron(INPUTS)


def digits() -> Answers:
    """programs/digits.nxt on INPUTS."""
    return perceptron(INPUTS, variance=2.0)


def recurrent() -> Answers:
    """The arcsine kernel (Williams 1997) along the sequence."""
    xi, variance = [1.0, -0.5, 0.3, 0.8, -1.2], 1.1**2
    steps = len(xi)
    q = np.zeros((steps, steps))

    def covariance(s: int, t: int) -> float:
        carried = variance * q[s - 1, t - 1] if s > 0 and t > 0 else 0.0
        return carried + xi[s] * xi[t]

    for t in range(steps):
        for s in range(t + 1):
            size = (1 + 2 * covariance(s, s)) * (1 + 2 * covariance(t, t))
            q[s, t] = q[t, s] = 2 / pi * asin(2 * covariance(s, t) / sqrt(size))
    return {"q": q}


def autoencoder() -> Answers:
    """|y> = hat + |x> E tanh'(z)."""
    slope = normal(lambda z: z * tanh(z))
    return {"<x|y>": slope, "<y|y>": normal(lambda z: tanh(z) ** 2) + slope**2}


def symmetric_tanh() -> Answers:
    """The first two steps: |x1> = tanh(z1), |x2> = tanh(z2 + |v> E tanh'(z1))."""
    slope = normal(lambda z: 1 - tanh(z) ** 2)
    first = normal(lambda z: tanh(z) ** 2)

    def second(f: Any) -> float:
        density = lambda v, z: exp(-(v * v + z * z) / 2) / (2 * pi)  # noqa: E731
        root = sqrt(first)
        return dblquad(lambda v, z: f(v, tanh(root * z + slope * v)) * density(v, z), -8, 8, -8, 8)[
            0
        ]

    q = np.full((6, 6), np.nan)
    q[0, 0], q[1, 1] = 1.0, first
    q[0, 1] = q[1, 0] = q[1, 2] = q[2, 1] = 0.0
    q[0, 2] = q[2, 0] = second(lambda v, x: v * x)
    q[2, 2] = second(lambda v, x: x * x)
    return {"q": q}


def symmetric_sign() -> Answers:
    """As above with sign: E sign'(z) = sqrt(2/pi), E v sign(z + c v) = c sqrt(2/(pi(1 + c^2)))."""
    slope = sqrt(2 / pi)
    q = np.full((6, 6), np.nan)
    np.fill_diagonal(q, 1.0)
    q[0, 1] = q[1, 0] = q[1, 2] = q[2, 1] = 0.0
    q[0, 2] = q[2, 0] = slope * sqrt(2 / pi) / sqrt(1 + slope**2)
    return {"q": q}


def outer_order1() -> Answers:
    """|y> = sign(|x>) E |w|."""
    mean = sqrt(2 / pi)
    return {"<x|y>": mean * mean, "<w|yt>": mean * mean, "<y|y>": mean * mean}


def outer_order2() -> Answers:
    """|y> = cos(|x>) / sqrt(2)."""
    return {"<y|y>": (1 + exp(-2)) / 4, "<1|y>": exp(-0.5) / sqrt(2)}


def outer_order3() -> Answers:
    """|y> = cos(|x>) exp(-1/2) / sqrt(2)."""
    return {"<y|y>": exp(-1) * (1 + exp(-2)) / 4, "<1|y>": exp(-1) / sqrt(2)}


def arcsine(covariance: np.ndarray) -> np.ndarray:
    """E erf(a) erf(b) over a covariance matrix (Williams 1997)."""
    size = 1 + 2 * np.diag(covariance)
    return 2 / pi * np.arcsin(2 * covariance / np.sqrt(np.outer(size, size)))


def arcsine_slopes(covariance: np.ndarray) -> np.ndarray:
    """E erf'(a) erf'(b): 4/pi over the root of det(1 + 2 C), for every pair."""
    size = 1 + 2 * np.diag(covariance)
    return 4 / pi / np.sqrt(np.outer(size, size) - 4 * covariance**2)


def biased_perceptron() -> Answers:
    """programs/perceptron.nxt: Theta[l] = K[l] + sigma_w^2 E phi' phi' * Theta[l-1]."""
    weights, biases = 1.5**2, 0.3**2
    kernel = tangent = weights / 10 * INPUTS.T @ INPUTS + biases
    for _ in range(3):
        slopes = weights * arcsine_slopes(kernel)
        kernel = weights * arcsine(kernel) + biases
        tangent = kernel + slopes * tangent
    return {"nngp": kernel, "ntk": tangent}


def residual() -> Answers:
    """The tangent kernel of h + a W relu(h) is Theta (1 + a^2 E relu' relu') + a^2 E relu relu."""
    kernel = tangent = INPUTS.T @ INPUTS / 10
    for _ in range(3):
        tangent = tangent * (1 + 0.64 * arccos_zero(kernel)) + 0.64 * arccos_one(kernel)
        kernel = kernel + 0.64 * arccos_one(kernel)
    nngp = arccos_one(kernel)
    return {"nngp": nngp, "ntk": nngp + tangent * arccos_zero(kernel)}


def shared_branch() -> Answers:
    """Two layers by Theta[l] = K[l] + E phi' phi' * Theta[l-1], times 4 and times 2."""
    first = INPUTS.T @ INPUTS / 10
    second = arccos_one(first)
    inner = second + first * arccos_zero(first)
    nngp = arccos_one(second)
    ntk = nngp + inner * arccos_zero(second)
    return {
        "nngp_shared": 4 * nngp, "ntk_shared": 4 * ntk, "nngp_own": 2 * nngp, "ntk_own": 2 * ntk
    }  # fmt: skip


def skip_activation() -> Answers:
    """A block maps (K, Theta) to (2 P, 2 Theta E relu' relu' + P), P = E relu relu; a dense layer
    before it adds K to Theta; |v> adds the last K."""
    kernel = tangent = INPUTS.T @ INPUTS / 10
    for layer in range(2):
        tangent = tangent + kernel if layer else tangent
        kernel, slopes = 2 * arccos_one(kernel), 2 * arccos_zero(kernel)
        tangent = tangent * slopes + kernel / 2
    return {"nngp": kernel, "ntk": kernel + tangent}


def layernorm_ntk() -> Answers:
    """Norms divide kernels and tangent kernels by the sizes of both inputs."""
    kernel = tangent = INPUTS.T @ INPUTS / 10
    for _ in range(2):
        tangent = tangent + kernel
        size = np.sqrt(np.diag(kernel))
        kernel, tangent = kernel / np.outer(size, size), tangent / np.outer(size, size)
        tangent = tangent * arccos_zero(kernel)
        kernel = arccos_one(kernel) - 1 / (2 * pi)  # E relu(z) = 1 / sqrt(2 pi)
        size = 0.5 - 1 / (2 * pi)
        kernel, tangent = kernel / size, tangent / size
    return {"nngp": kernel, "ntk": kernel + tangent}


def recurrent_ntk() -> Answers:
    """Forward tangent kernels over all (time, input) pairs, without any backward pass:
    Theta(h[s], h[t]) = K(h[s], h[t]) + sigma_w^2 E phi' phi' * Theta(h[s-1], h[t-1])."""
    times, size, count = SEQUENCES.shape
    shape = (times, count, times, count)
    given = np.einsum("sia,tib->satb", SEQUENCES, SEQUENCES) * 0.8**2 / size + 0.4**2
    kernel, tangent = given.copy(), given.copy()
    values = np.zeros_like(kernel)
    for t in range(times):  # by times up to t, everything before t being final
        if t:
            kernel[1:, :, 1:] = given[1:, :, 1:] + 1.1**2 * values[:-1, :, :-1]
            slopes = arcsine_slopes(kernel.reshape(times * count, -1)).reshape(shape)
            inner = (slopes * tangent)[:-1, :, :-1]
            tangent = kernel.copy()
            tangent[1:, :, 1:] += 1.1**2 * inner
        values = arcsine(kernel.reshape(times * count, -1)).reshape(shape)
    slopes = arcsine_slopes(kernel.reshape(times * count, -1)).reshape(shape)
    nngp = values.mean(axis=(0, 2))
    return {"nngp": nngp, "ntk": nngp + (slopes * tangent).mean(axis=(0, 2))}


def jacobian() -> Answers:
    """S(z) = (1 + 2 z)^-2 (Pennington et al. 2018), by Lagrange's inversion."""
    moments = []
    for k in (1, 2, 3):
        series = np.polynomial.Polynomial([1, 1]) ** k * np.polynomial.Polynomial([1, 2]) ** (2 * k)
        moments.append(series.coef[k - 1] / k)
    return {"m": moments}


def layernorm() -> Answers:
    """Means and variances of relu(a u + b)."""
    a = np.array([0.5, 1.0, 2.0])
    kernel = arccos_one(1 + np.outer(a, a))
    mean = np.sqrt((1 + a * a) / (2 * pi))
    variance = np.diag(kernel) - mean**2
    normed = (kernel - np.outer(mean, mean)) / np.sqrt(np.outer(variance, variance))
    return {"mean": mean, "var": variance, "<y|y>": normed, "<h|h>": normed}


def correlated() -> Answers:
    """The arc-cosine kernel at correlation 0.6, and 4 times a covariance."""
    rho = 0.6
    covariance = np.array([[1, 0.5, 0.2], [0.5, 2, 0.3], [0.2, 0.3, 1]])
    kernel = (sqrt(1 - rho**2) + rho * (pi - acos(rho))) / (2 * pi)
    return {"<x|y>": kernel, "<u|v>": rho, "<z|z>": 4 * covariance}


def universality() -> Answers:
    """Catalan numbers for every law."""
    moments = [catalan(k) for k in range(1, 4)]
    return {"rademacher": moments, "user": moments}


def adafactor() -> Answers:
    """The limit's equations (section 2.10.3) on plain samples of rows and of columns."""
    runs = [_adafactor_run(np.random.default_rng(k), 1200) for k in range(36)]
    return {"f": (np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / 6)}


def _adafactor_run(rng: Any, count: int) -> Any:
    x = np.tanh(rng.standard_normal((2, count)))
    root = np.linalg.cholesky(x @ x.T / count)
    h, v = root @ rng.standard_normal((2, count)), rng.standard_normal(count)
    rows, columns, found = np.zeros(count), np.zeros(count), []
    for _ in range(4):
        z = np.tanh(h)
        found.append(z @ v / count)
        chi = found[-1] - np.array([0.7, -0.5])
        g = ((1 - z**2) * v * chi[:, None]).T @ x
        rows = 0.8 * rows + 0.2 * (g**2).mean(axis=1)
        columns = 0.8 * columns + 0.2 * (g**2).mean(axis=0)
        second = np.outer(rows, columns) / rows.mean()
        h = h - 0.5 * (g / np.sqrt(second + 1e-4) @ x.T / count).T
    return np.array(found)


def mup_mlp_adam() -> Answers:
    """The stored limit of this run with its standard error, by a sampler of its own."""
    case = json.loads((HERE / "training" / "reference.json").read_text())["mup_L2_tanh_adam"]
    return {"f": (np.array(case["limit_mean"]), np.array(case["limit_sem"]))}


def ntp_mlp_adam() -> Answers:
    """K_Q of two hidden layers (Thm 2.4.9) by plain Monte Carlo: independent pairs of a row and a
    column of the hidden matrix, each with its own state of Adam."""
    case = json.loads((HERE / "training" / "reference.json").read_text())["mup_L2_tanh_adam"]
    xi, y, mask = (np.array(case[name]) for name in ("X", "y", "mask"))
    runs = [_adam_run(np.random.default_rng(k), xi, y, mask, 40_000) for k in range(16)]
    return {"f": (np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / 4)}


def _adam_run(rng: Any, xi: Any, y: Any, mask: Any, count: int) -> Any:
    def gaussian(covariance: Any) -> Any:
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        return rng.standard_normal((count, len(covariance))) @ root.T

    # the columns' neurons (layer 1) and the rows' (layer 2) are independent
    h1 = gaussian(xi.T @ xi)
    x1 = np.tanh(h1)
    h2 = gaussian(x1.T @ x1 / count)
    x2 = np.tanh(h2)
    dh2 = (1 - x2**2) * rng.standard_normal((count, 1))
    dh1 = (1 - x1**2) * gaussian(dh2.T @ dh2 / count)
    sides = [(dh1, xi), (dh2, x1), (x2, np.ones((1, 4)))]
    states = [np.zeros((2, count, 3)), np.zeros((2, count)), np.zeros((2, count))]
    f, found = np.zeros(4), [np.zeros(4)]
    for t in range(8):
        chi = (f - y) * mask
        total = np.zeros(4)
        for k, ((left, right), state) in enumerate(zip(sides, states, strict=True)):
            g = (left * chi) @ right.T if k == 0 else (left * chi * right).sum(axis=1)
            state[0] = 0.9 * state[0] + 0.1 * g
            state[1] = 0.999 * state[1] + 0.001 * g**2
            root = np.sqrt(state[1] / (1 - 0.999 ** (t + 1)) + 1e-8)
            q = state[0] / (1 - 0.9 ** (t + 1)) / root
            if k == 0:
                total += np.einsum("na,nd,da->a", left, q, right) / count
            else:
                total += (
                    np.einsum("na,n,na->a", left, q, np.broadcast_to(right, left.shape)) / count
                )
        f = f - 0.1 * total
        found.append(f)
    return np.array(found)


def centred() -> Answers:
    """Of a centred run only the first output is known: zero."""
    known = np.full((21, 6), np.nan)
    known[0] = 0
    return {"f": known}


ANSWERS = {
    f.__name__: f
    for f in (
        wishart, semicircle, free_product, mlp, digits, recurrent, autoencoder, symmetric_tanh,
        symmetric_sign, outer_order1, outer_order2, outer_order3, layernorm, correlated,
        universality, residual, shared_branch, skip_activation, layernorm_ntk, recurrent_ntk,
        jacobian, adafactor, mup_mlp_adam, ntp_mlp_adam,
    )
} | {"perceptron": biased_perceptron, "figure_5_1": centred, "figure_5_2": centred}  # fmt: skip

ON_INPUTS = (
    "mlp", "digits", "perceptron", "residual", "shared_branch", "skip_activation", "layernorm_ntk"
)  # fmt: skip

TRAINED = {
    "xi": np.random.default_rng(2).standard_normal((10, 6)),
    "y": np.linspace(-1, 1, 6),
    "train": np.array([0, 0, 1, 1, 1, 1]),
}
"""A small task for the programs of the figures."""

DATA: dict[str, Answers] = {
    **{name: {"xi": INPUTS} for name in ON_INPUTS},
    "recurrent_ntk": {"xi": SEQUENCES},
    "figure_5_1": TRAINED,
    "figure_5_2": TRAINED,
}
"""Data that the programs need."""
