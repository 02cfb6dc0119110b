"""Random programs whose outputs are single members and entries, diagonals, transposes, powers,
ratios, sums and renamed families: what a printed left side has to say exactly."""

from __future__ import annotations

import random


def program(seed: int) -> str:
    """The program of a seed: a perceptron over inputs, iterates of a matrix, and its outputs."""
    rng = random.Random(seed)
    depth, inputs = rng.randint(2, 3), rng.randint(2, 3)
    table = [[round(rng.uniform(-1, 1), 2) for _ in range(inputs)] for _ in range(2)]
    f, g = rng.choice(("relu", "erf", "sin")), rng.choice(("tanh", "erf", "relu"))
    a, b, c, i = rng.sample(("a", "b", "c", "i", "x_1", "x1", "sigma", "f_1", "lambda", "k"), 4)
    loop = rng.choice(("l", "k" if i != "k" and a != "k" else "t", "t"))
    lines = [
        f"param L = {depth}", f"dim {rng.choice('dM')}x = 2",
        f"data xi[2, {inputs}] = {table}",
        "vector u[2], v ~ N(0, 1)" if rng.random() < 0.7 else
        "vector u[2] ~ N(0, 1)\nvector (v, w) ~ N(0, [[1, 0.4], [0.4, 2]])",
        "matrix W ~ N(0, 1/n)", "matrix A[1..L] ~ N(0, 1.3/n)",
        f"|{a}[0]> = |u> @ xi",
        f"for {loop} in 1..L {{ |{a}[{loop}]> = {f}(A[{loop}] |{a}[{loop}-1]>) }}",
        f"|{b}> = {g}(|u> @ xi)",
        "|p[0]> = |v>",
        f"for {loop} in 1..3 {{ |p[{loop}]> = W^T W |p[{loop}-1]> }}",
        f"{c} = <{a}[L]|{b}>",
        f"{i} = <{a}[0]|{b}>",
        "q[r] = <v|p[r]> for r in 1..3",
        f"m[s] = <{a}[s]|{a}[s]> for s in 0..L",
        "e[r, s] = <p[r]|p[s]> for r in 0..1 for s in 0..1",
        "sum2 = sum(r in 1..3) r * q[r]",
    ]  # fmt: skip
    j, k = rng.randrange(inputs), rng.randrange(inputs)
    wanted = [
        "q[1] as first", "q[2] - q[1]^2 as variance", "q[3] / q[2] as ratio", "m[L] as last",
        "m[L][0, 1] as entry", f"{i}[{j}, {k}]", f"diag({i}) as own", f"{i}^T as swapped",
        f"{i}", f"{c}", "q as renamed", "q", "m", "e", "e[1, 0]", "sum2", "2 * q[2]",
        f"<{a}[0]|{a}[0]>[:, {j}]", f"<{b}|{b}>", f"<{b}|{a}[1]>", "<v|p[1]>", "<1|v>",
        f"m[1][{j}, {k}]^2 + {i}[{k}, {j}]", "diag(m[0]) as diagonal", "q[2] as q2",
        f"<{b}|{a}[0]>^T as back", "sum(r in 1..2) q[r] * q[r+1] as lagged", "<v|W|p[1]>",
    ]  # fmt: skip
    return "\n".join([*lines, "output " + ", ".join(rng.sample(wanted, 5))]) + "\n"
