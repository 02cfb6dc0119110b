"""Structured trainings, seeded: zero initial weights, gains and biases, several heads, tied
weights, adapters, scores between kets, skips, norms.

Each is written twice, with every intermediate named and with what is used once written where it is
used, under other names of weights.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

HEAD = """dim d = 2, M = 3
data xi[d, M] = [[0.03, 1.36, 1.22], [-0.3, -0.53, 0.57]]
data y[M] = [0.7, -0.1, -0.4]"""

ALIASES = ("out", "w", "alpha", "Z", "kernel", "B_1", "f1", "lambda1")
SMOOTH = ("tanh", "erf", "gelu", "softplus")
KINKED = ("relu", "abs")
OPTIMIZERS = (
    "sgd(lr=0.1)",
    "sgd(lr=0.2)",
    "momentum(lr=0.05)",
    "adam(lr=0.05, eps=0.05)",
    "adam_outside(lr=0.05, eps=0.05)",
    "rmsprop(lr=0.05, eps=0.1)",
    "adagrad(lr=0.05, eps=0.1)",
)

Rule = tuple[str, str]
"""A ket as it is written, and what it is; a weight's name, and its kind and law."""


@dataclass(frozen=True)
class Training:
    """``text`` has intermediates named; ``inlined`` is the same network written otherwise, its
    weights renamed by ``names``; ``kind`` is the parametrization's name, or 'own'."""

    weights: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    final: str
    settings: tuple[str, ...]
    names: Mapping[str, str]
    kind: str

    @property
    def text(self) -> str:
        return self.written([f"{name} = {body}" for name, body in self.rules], self.final)

    @property
    def inlined(self) -> str:
        text = self.written(*inlined(self.rules, self.final))
        for name, alias in self.names.items():
            text = re.sub(rf"\b{name}\b", alias, text)
        return text

    def written(self, rules: Sequence[str], final: str) -> str:
        """The program with these rules."""
        declared = [f"weight {name} : {kind}" for name, kind in self.weights]
        network = "\n".join(f"  {line}" for line in [*declared, *rules, f"return {final}"])
        train = "\n".join(f"  {line}" for line in self.settings)
        return f"{HEAD}\nnetwork f(xi) {{\n{network}\n}}\ntrain f {{\n{train}\n}}\noutput f\n"

    def smaller(self) -> Iterator[Training]:
        """Without a setting, without a rule (what it was made of in its place), with a simpler
        function; weights that nothing reads go."""
        for i, setting in enumerate(self.settings):
            if setting.split()[0] in ("decay", "clip", "normalize", "centre"):
                yield replace(self, settings=(*self.settings[:i], *self.settings[i + 1 :]))
        for i, (name, body) in enumerate(self.rules):
            for earlier in dict.fromkeys(re.findall(r"\|x\d+>", body)):
                left = (*self.rules[:i], *self.rules[i + 1 :])
                turned = tuple((n, put(b, name, earlier)) for n, b in left)
                yield replace(self, rules=turned, final=put(self.final, name, earlier)).pruned()
        for i, (name, body) in enumerate(self.rules):
            for call in re.finditer(r"\b(erf|gelu|softplus|abs|relu)\(", body):
                simpler = f"{body[: call.start()]}tanh({body[call.end() :]}"
                rules = (*self.rules[:i], (name, simpler), *self.rules[i + 1 :])
                yield replace(self, rules=rules)

    def pruned(self) -> Training:
        """Without rules and weights that nothing reads."""
        rules = list(self.rules)
        for rule in reversed(self.rules):
            rest = " ".join([self.final, *(b for n, b in rules if n != rule[0])])
            if not re.search(rf"\b{rule[0][1:-1]}\b", rest):
                rules.remove(rule)
        rest = " ".join([self.final, *(b for _, b in rules)])
        weights = tuple(w for w in self.weights if re.search(rf"\b{w[0]}\b", rest))
        gone = {name for name, _ in self.weights} - {name for name, _ in weights}
        settings = tuple(
            re.sub(rf"\b({'|'.join(gone)}): [^;]*; ", "", x) if gone else x for x in self.settings
        )
        return replace(self, weights=weights, rules=tuple(rules), settings=settings)


def put(text: str, name: str, other: str) -> str:
    """``other`` in the place of the ket ``name``, in brackets too."""
    return re.sub(rf"\b{name[1:-1]}\b", other[1:-1], text)


@dataclass
class Draw:
    rng: random.Random
    weights: list[Rule] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    counter: int = 0

    def weight(self, prefix: str, kind: str, *laws: str) -> str:
        name = f"{prefix}{len(self.weights)}"
        law = self.rng.choice(laws) if laws else ""
        self.weights.append((name, f"{kind}{law}"))
        return name

    def ket(self, text: str) -> str:
        """A named intermediate."""
        self.counter += 1
        self.rules.append((f"|x{self.counter}>", text))
        return f"|x{self.counter}>"

    def function(self) -> str:
        return self.rng.choice(SMOOTH if self.rng.random() < 0.7 else KINKED)

    def matrix(self) -> str:
        return self.weight("W", "matrix", "", "", "", " ~ N(0, 0)", " ~ N(0, 2)")

    def layer(self, x: str) -> str:
        """One more layer on a ket over the inputs."""
        rng, f = self.rng, self.function()
        match rng.randrange(8):
            case 0 | 1:
                return self.ket(f"{f}({self.matrix()} {x})")
            case 2:
                inner = self.ket(f"{f}({self.matrix()} {x})")
                return self.ket(f"{x} + 0.5 * ({self.matrix()} {inner})")
            case 3:
                bias = self.weight("b", "vector", " ~ N(0, 0)", " ~ N(0, 0.3)")
                return self.ket(f"{f}({self.matrix()} {x} + |{bias}>)")
            case 4:
                gain = self.weight("g", "vector", " ~ N(1, 0)")
                h = self.ket(f"{self.matrix()} {x}")
                name = h[1:-1]
                normed = self.ket(f"{h} / sqrt(diag(<{name}|{name}>) + 0.1)")
                return self.ket(f"{f}(|{gain}> * {normed})")
            case 5:
                gain = self.weight("s", "scalar", " = 0.5")
                h = self.ket(f"{f}({self.matrix()} {x})")
                return self.ket(f"{x} + {gain} * {h}")
            case 6:
                w = self.matrix()
                h = self.ket(f"{f}({w} {x})")
                return self.ket(f"{f}({w} {h})")
            case _:
                q = self.ket(f"{self.matrix()} {x}")
                k = self.ket(f"{self.matrix()} {x}")
                z = self.ket(f"{x} @ tanh(<{k[1:-1]}|{q[1:-1]}>)")
                return self.ket(f"{x} + 0.5 * ({self.matrix()} {z})")

    def network(self) -> str:
        """The rules; what is returned comes back."""
        rng = self.rng
        u = self.weight("u", "vector[d]")
        x = self.ket(f"{self.function()}(|{u}> @ xi)" if rng.random() < 0.7 else f"|{u}> @ xi")
        for _ in range(rng.randint(1, 2)):
            x = self.layer(x)
        head = self.weight("v", "vector", "", "", " ~ N(0, 0)")
        match rng.randrange(6):
            case 0:
                other = self.weight("v", "vector", "", " ~ N(0, 0)")
                f = self.ket(f"{self.function()}({x})")
                return f"<{head}|{x[1:-1]}> + 0.5 * <{other}|{f[1:-1]}>"
            case 1:
                gain = self.weight("g", "vector", " ~ N(1, 0)")
                return f"|{head}> * |{gain}> * {x}"
            case 2:
                return f"|{head}> * {x}"
            case _:
                return f"<{head}|{x[1:-1]}>"


def exponents(rng: random.Random, weights: Sequence[Rule]) -> str:
    """muP written out, with at most one exponent moved."""
    table = {"matrix": [0, 1, 2, 2], "vector": [0, 0, 0, 2], "scalar": [0, 0, 0, 0]}
    rows = {name: list(table[kind.split()[0].split("[")[0]]) for name, kind in weights}
    if rng.random() < 0.7:
        name = rng.choice(list(rows))
        rows[name][rng.choice((1, 2, 2))] += rng.choice((-2, -1, 1, 2))
    lines = [f"{n}: a={r[0]}/2, b={r[1]}/2, c={r[2]}/2, d={r[3]}/2" for n, r in rows.items()]
    return "{ " + "; ".join(lines) + "; out: a=1 }"


def inlined(lines: Sequence[Rule], final: str) -> tuple[list[str], str]:
    """Lines with what is read once as ``|x>`` put in its place; what a bra reads keeps its line."""
    kept = list(lines)
    for name, _ in lines:
        text = dict(kept)[name]
        anywhere = " ".join([*(body for _, body in kept), final])
        bracket = rf"<[^<>|]*\|{name[1:-1]}>|<{name[1:-1]}\|"
        if anywhere.count(name) != 1 or re.search(bracket, anywhere):
            continue
        kept = [(n, b.replace(name, f"({text})")) for n, b in kept if n != name]
        final = final.replace(name, f"({text})")
    return [f"{n} = {b}" for n, b in kept], final


def training(seed: int) -> Training:
    """The training of a seed."""
    rng = random.Random(f"training {seed}")
    draw = Draw(rng)
    final = draw.network()
    kind = rng.choice(("mup", "mup", "mup", "ntp", "ntp", "sp", "ups(1/4)", "own", "own", "own"))
    parametrization = exponents(rng, draw.weights) if kind == "own" else kind
    settings = [
        f"parametrization {parametrization}",
        f"optimizer {rng.choice(OPTIMIZERS)}",
        "error f - y",
        f"steps {rng.choice((2, 3))}",
    ]
    if kind != "own":
        settings.append("centre")
    if rng.random() < 0.15:
        settings.append(rng.choice(("decay 0.1", "clip 0.5", "clip 1000", "normalize updates")))
    aliases = [a for a in ALIASES if kind != "own" or a != "out"]  # there it is the multiplier
    drawn = rng.sample(aliases, len(aliases))
    names = {name: alias for (name, _), alias in zip(draw.weights, drawn, strict=False)}
    weights, rules = tuple(draw.weights), tuple(draw.rules)
    return Training(weights, rules, final, tuple(settings), names, kind)
