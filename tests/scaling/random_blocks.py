"""Random networks of the parts that models have, many of which start at 0."""

from __future__ import annotations

import numpy as np

HEAD = """\
dim d, M
data xi[d, M] = [[0.9, -0.6, 0.3], [0.4, 0.8, -1.1]]
data y[M] = [0.7, -0.4, 0.3]
"""
PHI = ("tanh", "relu", "gelu", "silu")


class Body:
    """A network's text, as it is put together."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.weights = ["  weight emb : vector[d]"]
        self.lines = ["  |x0> = |emb> @ xi"]
        self.now = "x0"
        self.count = 0
        self.matrices: list[str] = []

    def chance(self, p: float) -> bool:
        """Whether something of that probability happens."""
        return bool(self.rng.random() < p)

    def weight(self, stem: str, kind: str, zero: float = 0.0) -> str:
        """A weight's name; it starts at 0 with that probability."""
        self.count += 1
        name = f"{stem}{self.count}"
        law = " ~ N(0, 0)" if self.chance(zero) else ""
        if kind == "scalar":
            law = " = 0" if law else " = 0.7"
        self.weights.append(f"  weight {name} : {kind}{law}")
        if kind == "matrix":
            self.matrices.append(name)
        return name

    def gain(self) -> str:
        """A vector that starts at 1."""
        self.count += 1
        self.weights.append(f"  weight g{self.count} : vector ~ N(1, 0)")
        return f"g{self.count}"

    def put(self, value: str) -> None:
        """The next vector of the stream."""
        self.count += 1
        self.lines.append(f"  |x{self.count}> = {value}")
        self.now = f"x{self.count}"

    def let(self, stem: str, value: str) -> str:
        """Another vector."""
        self.count += 1
        self.lines.append(f"  |{stem}{self.count}> = {value}")
        return f"{stem}{self.count}"

    def block(self) -> None:
        """One part."""
        x, phi = self.now, str(self.rng.choice(PHI))
        match int(self.rng.integers(0, 7)):
            case 0:
                up, down = self.weight("U", "matrix"), self.weight("D", "matrix", 0.5)
                self.put(f"|{x}> + {down} {phi}({up} |{x}>)")
            case 1:
                q, k = self.weight("Q", "matrix", 0.5), self.weight("K", "matrix")
                o = self.weight("O", "matrix", 0.2)
                a, b = self.let("a", f"{q} |{x}>"), self.let("b", f"{k} |{x}>")
                score = f"<{b}|{a}>" if self.chance(0.5) else f"tanh(<{b}|{a}>)"
                self.put(f"|{x}> + {o} (|{x}> @ {score})")
            case 2:
                w, bias = self.weight("W", "matrix"), self.weight("c", "vector", 0.5)
                self.put(f"{phi}({w} |{x}> + |{bias}>)")
            case 3:
                self.put(f"|{x}> / sqrt(diag(<{x}|{x}>) + 0.01) * |{self.gain()}>")
            case 4:
                r = self.weight("r", "vector", 0.5)
                e, f = self.weight("E", "matrix"), self.weight("F", "matrix")
                hard = "step" if self.chance(0.3) else "sigmoid"
                p = f"{hard}(<{r}|{x}>)"
                self.put(f"|{x}> + {p} * ({e} {phi}(|{x}>)) + (1 - {p}) * ({f} {phi}(|{x}>))")
            case 5:
                w, gate = self.weight("W", "matrix"), self.weight("s", "scalar", 0.5)
                self.put(f"|{x}> + {gate} * ({w} {phi}(|{x}>))")
            case _:
                w = self.weight("W", "matrix")
                self.put(f"|{x}> + 0.5 * ({w}^T {phi}({w} |{x}>))")

    def text(self) -> str:
        """The network."""
        head = self.weight("v", "vector", 0.4)
        out = f"<{head}|{self.now}>"
        if self.chance(0.3):
            out = f"|{head}> * |{self.gain()}> * |{self.now}>"
        body = "\n".join([*self.weights, *self.lines, f"  return {out}"])
        return f"network f(xi) {{\n{body}\n}}\n"


def program(seed: int, optimizer: str = "adam(lr=0.1, eps=1e-4)", steps: int = 3) -> str:
    """A random network and its training in muP."""
    body = Body(np.random.default_rng(seed))
    for _ in range(int(body.rng.integers(1, 4))):
        body.block()
    train = f"parametrization mup\noptimizer {optimizer}\nerror f - y\nsteps {steps}"
    return f"{HEAD}{body.text()}train f {{\n{train}\n}}\noutput f\n"
