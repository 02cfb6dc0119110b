"""Counted sizes against networks of finite width: powers of n fitted through widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from networks import NETWORKS, PERCEPTRON, Array

from nexort import driver
from nexort.data.given import Given
from nexort.finite.training import train
from nexort.parametrization.classification import classify_subject
from nexort.parametrization.subject import subject
from nexort.support.diagnostics import Source
from nexort.training.prepare import prepare

HEAD = """
param L = 2
dim d, M
data xi[d, M] = [[0.9, -0.6, 0.3], [0.4, 0.8, -1.1]]
data y[M] = [0.7, -0.4, 0.3]
"""
OPTIMIZERS = {"adam": "adam(lr=0.3, eps=1e-3)", "sgd": "sgd(lr=0.1)"}
Fits = dict[tuple[str, int], float]


def text(body: str, parametrization: str, optimizer: str) -> str:
    """A network and its training."""
    error = "f - [y, 2 * y]" if "vector[2]" in body else "f - y"
    train_ = f"parametrization {parametrization}\noptimizer {optimizer}\nerror {error}\nsteps 2"
    return f"{HEAD}network f(xi) {{{body}\n}}\ntrain f {{\n{train_}\n}}\n"


def squares(name: str) -> list[str]:
    """Outputs: the squares of a ket at the start and of its changes."""
    stem, _, index = name.partition("[")
    at = [f"{stem}[{index[:-1]}, {t}]" if index else f"{stem}[{t}]" for t in range(3)]
    found = [f"output <{at[0]}|{at[0]}> as q0"]
    for t in (1, 2):
        a, b = at[t], at[0]
        found.append(f"output <{a}|{a}> - <{a}|{b}> - <{b}|{a}> + <{b}|{b}> as q{t}")
    return found


def fitted(program: str, names: Sequence[str], widths: Sequence[int], seeds: int) -> Fits:
    """The power of n of f and of kets, and of their changes until steps 1 and 2."""
    lines = [
        line.replace(" as q", f" as k{k}_") for k, n in enumerate(names) for line in squares(n)
    ]
    source = Source("<run>", program + "\n".join(["output f", *lines]))
    task = prepare(driver.compile_source(source), Given({}, {}))
    runs = [train(task, n, seeds, dtype="float64", seed=1) for n in widths]

    def slope(sizes: list[Array]) -> float:
        return float(np.polyfit(np.log(widths), np.log(np.array(sizes) + 1e-300), 1)[0])

    found: Fits = {}
    for t in range(3):
        outputs = [np.asarray(r["f"]) for r in runs]
        moves = [f[:, t] - f[:, 0] if t else f[:, 0] for f in outputs]
        found["f", t] = slope([np.sqrt(np.mean(m**2)) for m in moves])
        for k, name in enumerate(names):
            kets = [np.diagonal(r[f"k{k}_{t}"], axis1=-2, axis2=-1).mean(axis=-1) for r in runs]
            found[name, t] = slope([np.sqrt(np.median(q)) for q in kets])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "optimizer"), [("mup", "adam"), ("mup", "sgd"), ("ntp", "adam")]
)
@pytest.mark.parametrize("name", NETWORKS)
def test_counted_sizes_are_those_of_widths(name: str, regime: str, optimizer: str) -> None:
    if (name, regime) == ("scalar", "ntp"):
        pytest.skip("how far all features move is random there")
    program = text(NETWORKS[name], regime, OPTIMIZERS[optimizer])
    found = classify_subject(
        subject(driver.compile_source(Source("<run>", program)), Given({}, {}))
    )
    known = {(c.quantity, c.name): c.powers for c in found.sizes}
    # parts of expressions are counted too: kets that have names can be put out
    sizes = [c.name for c in found.sizes if c.quantity == "size" and c.name != "f"]
    names = [name for name in sizes if re.fullmatch(r"\w+(\[\d+\])?", name)]
    assert names
    widths = (64, 256, 512) if name == "layer norm" else (64, 256, 1024)
    fits = fitted(program, names, widths, 12)
    for (ket, t), power in fits.items():
        counted = known["change", ket][t - 1] if t else known["size", ket][0]
        if counted is None:
            assert power == 0
        elif known["size", "f"][0] <= 0:  # type: ignore[operator]
            assert abs(power - float(counted)) < 0.2, (ket, t, power, counted)


def test_scale_invariant_updates_in_standard_parametrization() -> None:
    """With c = 1 hidden features move by 1, and f by n^1/2: it needs c = 3/2."""
    body = PERCEPTRON.replace("PHI", "tanh")

    def table(c: str) -> str:
        return (
            f"{{ u: a=0, b=0, c={Fraction(c) - 1}, d=0; W: a=0, b=1/2, c={c}, d=0; "
            "v: a=0, b=1/2, c=1, d=0; out: a=0 }"
        )

    for c, f, x in (("1", 0.5, 0.0), ("3/2", 0.0, -0.5)):
        program = text(body, table(c), "sign_sgd(lr=0.1)")
        fits = fitted(program, ["x[2]"], (64, 256, 1024), 8)
        assert abs(fits["f", 1] - f) < 0.1
        assert abs(fits["x[2]", 1] - x) < 0.1
        found = classify_subject(
            subject(driver.compile_source(Source("<run>", program)), Given({}, {}))
        )
        assert found.verdict == ("unstable" if c == "1" else "operator regime")
        [power, _] = next(s.powers for s in found.sizes if (s.quantity, s.name) == ("change", "f"))
        assert power == Fraction(f)
