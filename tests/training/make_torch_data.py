"""Makes torch.npz: 12 steps of PyTorch's optimizers, and gradients by its autograd.

    pip install torch==2.13.0 numpy
    python make_torch_data.py

``NAME`` is the path of 7 weights, shape (13, 7), under the gradients ``g`` (12, 7), in float64 with
the numbers of ``OPTIMIZERS``. ``net.*`` are a network's arrays at width 6 and the gradients of the
sum of chi times its output.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.1),
    "momentum": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.8),
    "nesterov": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.8, nesterov=True),
    "adam_outside": lambda w: torch.optim.Adam(w, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=0.1, alpha=0.9, eps=1e-3),
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=0.1, eps=1e-3),
    "adadelta": lambda w: torch.optim.Adadelta(w, lr=0.1, rho=0.8, eps=1e-3),
    "nadam": lambda w: torch.optim.NAdam(
        w, lr=0.1, betas=(0.8, 0.95), eps=1e-3, momentum_decay=0.1
    ),
    "adamax": lambda w: torch.optim.Adamax(w, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
    "amsgrad": lambda w: torch.optim.Adam(w, lr=0.1, betas=(0.8, 0.95), eps=1e-3, amsgrad=True),
}


def paths(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The weights' path under each optimizer."""
    gradients = rng.standard_normal((12, 7)) * np.geomspace(0.01, 10, 7)
    start = rng.standard_normal(7)
    found = {"g": gradients}
    for name, make in OPTIMIZERS.items():
        weights = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer = make([weights])
        path = [start]
        for g in gradients:
            weights.grad = torch.tensor(g)
            optimizer.step()
            path.append(weights.detach().numpy().copy())
        found[name] = np.array(path)
    return found


def network(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A residual network with layer norm, a tied matrix, a scalar parameter and two outputs."""
    n, d, m, e = 6, 3, 4, 2
    arrays = {
        "xi": rng.standard_normal((d, m)),
        "u": rng.standard_normal((d, n)),
        "W": rng.standard_normal((n, n)) / np.sqrt(n),
        "v": rng.standard_normal((e, n)),
        "c": np.asarray(0.7),
        "chi": rng.standard_normal((e, m)),
    }
    w = {k: torch.tensor(arrays[k], dtype=torch.float64, requires_grad=True) for k in "uWvc"}
    xi = torch.tensor(arrays["xi"])
    h = torch.einsum("dn,dm->mn", w["u"], xi)
    x = torch.tanh(h)
    y = x + w["c"] * torch.nn.functional.silu(x @ w["W"].T)
    y = y + 0.5 * torch.erf(y @ w["W"])
    z = y - y.mean(dim=1, keepdim=True)
    z = z / torch.sqrt((z**2).mean(dim=1, keepdim=True) + 0.01)
    out = torch.einsum("en,mn->em", w["v"], z) / n
    (torch.tensor(arrays["chi"]) * out).sum().backward()
    found = {f"net.{k}": v for k, v in arrays.items()}
    found["net.out"] = out.detach().numpy()
    return found | {f"net.d{k}": w[k].grad.numpy() for k in w}


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    where = Path(__file__).with_name("torch.npz")
    np.savez_compressed(where, **paths(rng), **network(rng))
