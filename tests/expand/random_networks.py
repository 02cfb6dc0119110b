"""Random trainings: loops, tied and transposed weights, skips, sums over layers, normalization."""

from __future__ import annotations

from random import Random

from expansion_cases import HEAD

FUNCTIONS = ("tanh", "relu", "gelu", "erf", "sin", "softplus")
OPTIMIZERS = ("sgd(lr=0.1)", "adam(lr=0.05, eps=0.05)", "momentum(lr=0.05)")


def program(seed: int) -> str:
    """The training of a seed."""
    return _Draw(Random(seed)).program()


class _Draw:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.tied = rng.choice((("W[l]",), ("A", "A^T"), ("W[l]", "A", "A^T")))

    def function(self) -> str:
        return self.rng.choice(FUNCTIONS)

    def ket(self, depth: int = 0) -> str:
        """Something that depends on the inputs."""
        choices = ["|x[l-1]>", "|x[l-1]>", f"{self.function()}(|x[l-1]>)", "|x[0]>"]
        if depth < 2:
            one, other = self.ket(depth + 1), self.rng.choice(("|b>", self.ket(depth + 1)))
            choices.append(f"({one} {self.rng.choice('+-*')} {other})")
        return self.rng.choice(choices)

    def applied(self) -> str:
        """A weight on a ket."""
        ket = self.ket()
        return f"{self.rng.choice(self.tied)} {ket}" if ket[0] == "|" else (
            f"{self.rng.choice(self.tied)}({ket})"
        )  # fmt: skip

    def layer(self, c: str) -> list[str]:
        phi, psi = self.function(), self.function()
        forms = (
            f"{phi}({c}|h[l]> + 0.3 * {self.ket()})",
            f"0.6 * |x[l-1]> + {c}0.6 * {phi}(|h[l]>)",
            f"{phi}(|h[l]>) * (1 + 0.2 * {psi}({self.ket()})) / 1.2",
            f"{phi}({c}|h[l]> / sqrt(diag(<h[l]|h[l]>) + 0.5)) + 0.4 * |x[l-1]>",
            f"{phi}(|h[l]> + 0.5 * {self.applied()}) + 0.4 * |x[l-1]>",
        )
        return [f"|h[l]> = {self.applied()}", f"|x[l]> = {self.rng.choice(forms)}"]

    def program(self) -> str:
        rng = self.rng
        tangent = rng.random() < 0.5
        c = "" if tangent or rng.random() < 0.6 else "c * "
        last, form = rng.choice((
            ("x[L]", ""),
            ("z", "|z> = sum(l in 0..L) 0.5 * |x[l]>"),
            ("z", "|z> = |x[L]> - 0.3 * |x[1]>"),
            ("z", "|z> = |x[L]> - |x[L]> @ [0.2, 0.2, 0.2]"),
        ))  # fmt: skip
        first = f"|x[0]> = {self.function()}(|u> @ xi + |b>)"
        rules = [first, "for l in 1..L {", *self.layer(c), "}", form]
        used = "\n".join(rules)
        weights = ["weight u : vector[d]", "weight v : vector", "weight b : vector ~ N(0, 0.2)"]
        weights += ["weight W[1..L] : matrix"] if "W[l]" in used else []
        weights += ["weight A : matrix"] if "A" in used else []
        weights += ["weight c : scalar = 0.9"] if "c * " in used else []
        settings = [
            f"parametrization {'ntp' if tangent else 'mup'}",
            f"optimizer {rng.choice(OPTIMIZERS)}",
            "error (f - y) * train",
            "steps 2",
            "centre",
        ]
        if not tangent and rng.random() < 0.3:
            settings.append("decay 0.1")
        network = "\n".join([*weights, used, f"return <v|{last}>"])
        head = f"param L = {rng.choice((2, 3))}\n{HEAD}"
        train = "\n".join(settings)
        return f"{head}\nnetwork f(xi) {{\n{network}\n}}\ntrain f {{\n{train}\n}}\noutput f\n"
