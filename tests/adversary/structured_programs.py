"""Structured programs, seeded: contractions by data of every kind, inputs that are equal,
proportional, opposite, zero, constant or of mixed scales, kets that are constant along axes,
convolutions, backpropagation, single members, entries, diagonals and differences as outputs.

Beside the generator of random programs, which seeks dots and operators, this one seeks structure:
where two kets are the same up to a factor, where an axis is there and nothing depends on it, where
a number is a difference of equal ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SMOOTH = ("tanh", "sin", "erf", "gelu", "cos", "softplus", "sigmoid")
KINKED = ("relu", "abs", "step", "sign", "leaky", "elu")
HOMOGENEOUS = ("relu", "abs", "leaky")
LEAKY = "fn leaky(z, a=0.1) = max(z, a * z)"
"""A kink that is written, not named."""


@dataclass(frozen=True)
class Ket:
    """``axes`` names its axes, ``size`` bounds its root mean square roughly; ``scaled`` where
    entries have sizes of many magnitudes."""

    name: str
    axes: tuple[str, ...]
    size: float = 1.0
    scaled: bool = False

    @property
    def text(self) -> str:
        return f"|{self.name}>"


@dataclass(frozen=True)
class Structured:
    """A program: ``lines`` in order, then ``outputs``, expressions with names."""

    lines: tuple[str, ...]
    outputs: tuple[str, ...]
    seed: int = 0

    @property
    def text(self) -> str:
        return "\n".join([*self.lines, "output " + ", ".join(self.outputs)]) + "\n"


def literal(table: object) -> str:
    """A data literal that reads back as the same floats."""
    if isinstance(table, list):
        return "[" + ", ".join(literal(row) for row in table) + "]"
    return repr(table)


@dataclass
class Writer:
    """A program in the making; ``sizes`` are those of its dims."""

    rng: random.Random
    sizes: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    kets: list[Ket] = field(default_factory=list)
    matrices: list[str] = field(default_factory=list)
    counter: int = 0

    # ---- data ------------------------------------------------------------------------------------

    def name(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def axis(self, prefix: str, low: int = 1, high: int = 3) -> str:
        """A new dim."""
        name = self.name(prefix)
        self.sizes[name] = self.rng.randint(low, high)
        self.lines.append(f"dim {name} = {self.sizes[name]}")
        return name

    def number(self) -> float:
        rng = self.rng
        return rng.choice((float(rng.randint(-2, 3)), round(rng.uniform(-1.5, 1.5), 2)))

    def columns(self, rows: int, count: int) -> tuple[list[list[float]], bool]:
        """A table whose columns are related, and whether their sizes are mixed."""
        rng = self.rng
        first = [self.number() for _ in range(rows)]
        if not any(first):
            first[0] = 1.0
        found = [first]
        scaled = False
        while len(found) < count:
            base = rng.choice(found)
            kind = rng.randrange(10)
            if kind == 0:
                found.append(list(base))
            elif kind == 1:
                found.append([2.5 * x for x in base])
            elif kind == 2:
                found.append([-0.3 * x for x in base])
            elif kind == 3:
                gap = 10.0 ** -rng.randint(2, 16)
                found.append([x * (1 + gap * rng.uniform(-1, 1)) for x in base])
            elif kind == 4:
                gap = 10.0 ** -rng.randint(2, 16)
                found.append([-x * (1 + gap * rng.uniform(-1, 1)) for x in base])
            elif kind == 5:
                found.append([0.0] * rows)
            elif kind == 6:
                scale = 10.0 ** rng.randint(-8, 8)
                found.append([scale * x for x in base])
                scaled = True
            else:
                found.append([self.number() for _ in range(rows)])
        rng.shuffle(found)
        return [[column[i] for column in found] for i in range(rows)], scaled

    def data(self, axes: Sequence[str], table: list[object] | list[list[float]] | float) -> str:
        name = self.name("a")
        self.lines.append(f"data {name}[{', '.join(axes)}] = {literal(table)}")
        return name

    def square(self, size: int) -> list[list[float]]:
        """A matrix of data: a permutation, a projection, averages, integers, any numbers."""
        rng = self.rng
        match rng.randrange(6):
            case 0:
                order = list(range(size))
                rng.shuffle(order)
                return [[float(order[i] == j) for j in range(size)] for i in range(size)]
            case 1:
                return [[float(j == (i + 1) % size) for j in range(size)] for i in range(size)]
            case 2:
                return [[1.0 / size] * size for _ in range(size)]
            case 3:
                row = [float(rng.randint(0, 2)) for _ in range(size)]
                return [[(i + 1) * x for x in row] for i in range(size)]
            case 4:
                return [[float(rng.randint(-1, 2)) for _ in range(size)] for _ in range(size)]
            case _:
                return [[round(rng.uniform(-1, 1.2), 2) for _ in range(size)] for _ in range(size)]

    # ---- kets ------------------------------------------------------------------------------------

    def add(self, text: str, axes: Sequence[str], size: float, scaled: bool = False) -> Ket:
        name = self.name("x")
        if size > 4 and not scaled:
            text, size = f"tanh({text})", 1.0
        self.lines.append(f"|{name}> = {text}")
        self.kets.append(Ket(name, tuple(axes), size, scaled))
        return self.kets[-1]

    def vector(self, *axes: str, law: str = "N(0, 1)") -> str:
        name = self.name("u")
        inside = f"[{', '.join(axes)}]" if axes else ""
        self.lines.append(f"vector {name}{inside} ~ {law}")
        return name

    def declare(self) -> None:
        """Inputs, their kets, a bias and matrices."""
        rng = self.rng
        m = self.axis("M", 2, 3)
        size = self.sizes[m]
        match rng.randrange(4):
            case 0:
                table, scaled = self.columns(1, size)
                u, a = self.vector(), self.data([m], table[0])  # type: ignore[arg-type]
                self.add(f"|{u}> * {a}", [m], 1.5, scaled)
            case 1:
                d = self.axis("d", 1, 3)
                table, scaled = self.columns(self.sizes[d], size)
                u, xi = self.vector(d), self.data([d, m], table)
                self.add(f"|{u}> @ {xi}", [m], 2.0, scaled)
            case 2:
                self.convolution(m)
            case _:
                p = self.axis("P", 2, 3)
                table, scaled = self.columns(self.sizes[p], size)
                u, a = self.vector(), self.data([p, m], table)
                self.add(f"|{u}> * {a}", [p, m], 1.5, scaled)
        b = self.vector(law=rng.choice(("N(0, 1)", "N(0, 0.3)", "N(0.5, 1)")))
        self.kets.append(Ket(b, ()))
        if rng.random() < 0.2:
            x, y = self.name("u"), self.name("u")
            rho = rng.choice((0.5, -0.5, 0.9, 1.0, -1.0))
            self.lines.append(f"vector ({x}, {y}) ~ N(0, [[1, {rho}], [{rho}, 1]])")
            self.kets += [Ket(x, ()), Ket(y, ())]
        for _ in range(rng.randint(1, 2)):
            w = self.name("W")
            self.lines.append(f"matrix {w} ~ {rng.choice(('N(0, 1/n)', 'N(0, 2/n)'))}")
            self.matrices.append(w)

    def convolution(self, m: str) -> None:
        """Taps over positions: shared vectors at every offset, summed."""
        rng = self.rng
        p, k = self.axis("P", 2, 3), self.axis("K", 2, 4 if rng.random() < 0.9 else 9)
        positions, taps = self.sizes[p], self.sizes[k]
        image, scaled = self.columns(positions, self.sizes[m])
        if rng.random() < 0.3:
            image = [[1.0] * self.sizes[m] for _ in range(positions)]
        shifts = [
            [[float(j == (i + t) % positions) for j in range(positions)] for i in range(positions)]
            for t in range(taps)
        ]
        xi, s, u = self.data([p, m], image), self.data([k, p, p], shifts), self.name("u")  # type: ignore[arg-type]
        self.lines.append(f"vector {u}[1..{k}] ~ N(0, 1 / {k})")
        text = f"sum(k in 1..{k}) {s}[k-1] @ (|{u}[k]> * {xi})"
        x = self.add(text, [p, m], 2.0, scaled)
        if rng.random() < 0.5:
            w = self.name("W")
            self.lines.append(f"matrix {w}[1..{k}] ~ N(0, 1 / {k} / n)")
            f = self.function(x)
            self.add(f"sum(k in 1..{k}) {w}[k] ({s}[k-1] @ {f}({x.text}))", [p, m], 2.0, scaled)

    def function(self, x: Ket, smooth: bool = True) -> str:
        if x.scaled:
            return self.rng.choice((*HOMOGENEOUS, *HOMOGENEOUS, "sign", "step", "tanh", "erf"))
        return self.rng.choice(KINKED if not smooth or self.rng.random() < 0.6 else SMOOTH)

    def any_ket(self, *, axes: int | None = None) -> Ket:
        fitting = [x for x in self.kets if axes is None or len(x.axes) == axes] or self.kets
        return self.rng.choice(fitting[-3:] if self.rng.random() < 0.7 else fitting)

    # ---- makers ----------------------------------------------------------------------------------

    def entrywise(self) -> None:
        x = self.any_ket()
        f = self.function(x)
        size = 1.0 if f in ("tanh", "sin", "erf", "step", "sign", "cos", "sigmoid") else x.size
        self.add(f"{f}({x.text})", x.axes, size, x.scaled and f in (*HOMOGENEOUS, "gelu"))

    def contract(self) -> None:
        """Data on the first axis or the last."""
        x = self.any_ket()
        if not x.axes:
            self.entrywise()
            return
        first = self.rng.random() < 0.5
        axis = x.axes[0] if first else x.axes[-1]
        size = self.sizes[axis]
        growth = x.size * 1.8
        match self.rng.randrange(3):
            case 0:
                s = self.data([axis, axis], self.square(size))
                text = f"{s} @ {x.text}" if first else f"{x.text} @ {s}"
                self.add(text, x.axes, growth, x.scaled)
            case 1:
                r = self.axis("R", 1, 3)
                table = [[self.number() for _ in range(self.sizes[r])] for _ in range(size)]
                if first:
                    turned = [list(row) for row in zip(*table, strict=True)]
                    s = self.data([r, axis], turned)
                    self.add(f"{s} @ {x.text}", (r, *x.axes[1:]), growth, x.scaled)
                else:
                    s = self.data([axis, r], table)
                    self.add(f"{x.text} @ {s}", (*x.axes[:-1], r), growth, x.scaled)
            case _:
                one = self.data([axis], [1.0] * size)  # type: ignore[arg-type]
                text = f"{one} @ {x.text}" if first else f"{x.text} @ {one}"
                left = x.axes[1:] if first else x.axes[:-1]
                self.add(f"({text}) / {size}", left, x.size, x.scaled)

    def broadcast(self) -> None:
        """A ket with fewer axes beside one with more, constants along axes included."""
        x, y = self.any_ket(), self.any_ket(axes=0)
        if y.axes:
            self.entrywise()
            return
        match self.rng.randrange(5):
            case 0:
                self.add(f"0 * {x.text} + {y.text}", x.axes, y.size, y.scaled)
            case 1:
                self.add(f"{x.text} + 0.5 * {y.text}", x.axes, x.size + 0.5 * y.size, x.scaled)
            case 2:
                axis = self.axis("Q", 2, 3)
                a = self.data([axis], self.columns(1, self.sizes[axis])[0][0])  # type: ignore[arg-type]
                self.add(f"{y.text} * {a}", [axis], 2 * y.size, True)
            case 3:
                z = self.function(x, smooth=False)
                self.add(f"{z}({x.text}) - {z}({x.text}) * 0.5", x.axes, x.size, x.scaled)
            case _:
                self.add(f"{y.text} + <1|{x.name}>", x.axes, y.size + x.size, x.scaled)

    def apply(self) -> None:
        x, w = self.any_ket(), self.rng.choice(self.matrices)
        turned = self.rng.choice(("", "", "^T"))
        self.add(f"{w}{turned} {x.text}", x.axes, 1.5 * x.size, x.scaled)

    def back(self) -> None:
        """A layer and its gradient."""
        x, w = self.any_ket(), self.rng.choice(self.matrices)
        h = self.add(f"{w} {x.text}", x.axes, 1.5 * x.size, x.scaled)
        f = "tanh" if not h.scaled else "relu"
        v = self.vector()
        g = self.add(f"|{v}> * {f}'({h.text})", h.axes, 1.0)
        self.add(f"{w}^T {g.text}", h.axes, 1.5)

    def normalise(self) -> None:
        x = self.any_ket()
        if x.scaled or len(x.axes) > 1:
            self.entrywise()
            return
        norm = f"<{x.name}|{x.name}>"
        norm = f"diag({norm})" if x.axes else norm
        self.add(f"{x.text} / sqrt({norm} + 0.5)", x.axes, 1.0)

    def member(self) -> None:
        x = self.any_ket(axes=1)
        if len(x.axes) != 1:
            self.entrywise()
            return
        i = self.rng.randrange(self.sizes[x.axes[0]])
        self.add(f"1 * |{x.name}[{i}]>", (), x.size, x.scaled)

    def product(self) -> None:
        x = self.any_ket()
        same = [y for y in self.kets if y.axes == x.axes]
        y = self.rng.choice(same)
        bounded = "tanh" if not y.scaled else "step"
        self.add(f"{x.text} * {bounded}({y.text})", x.axes, x.size, x.scaled)

    # ---- outputs ---------------------------------------------------------------------------------

    def outputs(self) -> tuple[str, ...]:
        rng = self.rng
        found: list[str] = []
        for _ in range(rng.randint(2, 4)):
            x = rng.choice(self.kets[-3:])
            y = rng.choice((x, x, self.any_ket()))
            bracket, axes = f"<{x.name}|{y.name}>", (*x.axes, *y.axes)
            kind = rng.randrange(9)
            if kind == 0:
                found.append(f"<1|{x.name}>")
            elif kind == 1 and len(x.axes) == 1:
                found.append(f"diag(<{x.name}|{x.name}>)")
            elif kind == 2 and axes:
                entry = ", ".join(str(rng.randrange(self.sizes[a])) for a in axes)
                k = self.named(bracket)
                found.append(f"{k}[{entry}]")
            elif kind == 3 and len(axes) == 2:
                found.append(f"{self.named(bracket)}^T")
            elif kind == 4 and len(x.axes) == 1:
                size = self.sizes[x.axes[0]]
                one = self.data([x.axes[0]], [1.0] * size)  # type: ignore[arg-type]
                found.append(f"{one} @ <{x.name}|{x.name}>")
            elif kind == 5:
                found.append(f"{bracket} - {bracket} * 0.5")
            elif kind == 6 and not axes:
                found.append(f"{bracket}^2 / (1 + <{x.name}|{x.name}>)")
            else:
                found.append(bracket)
        return tuple(f"{text} as o{i}" for i, text in enumerate(dict.fromkeys(found)))

    def named(self, text: str) -> str:
        name = self.name("K")
        self.lines.append(f"{name} = {text}")
        return name


Maker = Callable[[Writer], None]
MAKERS: Sequence[tuple[Maker, int]] = (
    (Writer.entrywise, 4), (Writer.contract, 4), (Writer.broadcast, 3), (Writer.apply, 2),
    (Writer.back, 1), (Writer.normalise, 1), (Writer.member, 1), (Writer.product, 1),
)  # fmt: skip
"""With their weights."""


def structured(seed: int) -> Structured:
    """The program of a seed."""
    writer = Writer(random.Random(f"structured {seed}"))
    writer.lines.append(LEAKY)
    writer.declare()
    makers, weights = zip(*MAKERS, strict=True)
    for _ in range(writer.rng.randint(2, 5)):
        writer.rng.choices(makers, weights)[0](writer)
    outputs = writer.outputs()
    return Structured(tuple(writer.lines), outputs, seed)
