"""Random well-typed programs whose kets have several axes, some of them constant along some.

Sizes of axes are partly distinct, so that a transposition has the wrong shape, and partly equal, so
that it has the right shape and wrong numbers. Kets are linear combinations, contractions with data
and with bra-kets, outer products, slices, transposes, diagonals, lists, matrices and their
transposes, and functions whose expectations are exact.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SIZES = {"A": 2, "B": 3, "C": 2}
FUNCTIONS = ("relu", "erf", "abs", "relu", "sin")
Axes = tuple[str, ...]


def fits(a: Axes, b: Axes) -> bool:
    """Whether two values broadcast: aligned from the right."""
    return all(x == y for x, y in zip(a[::-1], b[::-1], strict=False))


@dataclass(frozen=True)
class Value:
    """How a ket or scalar is written, and its axes; ``bent`` says that it is not linear."""

    text: str
    axes: Axes
    bent: int = 0

    @property
    def label(self) -> str:
        """What stands between the bars."""
        return self.text[1:-1]


@dataclass
class Writer:
    """A program in the making."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    kets: list[Value] = field(default_factory=list)
    scalars: list[Value] = field(default_factory=list)
    names: int = 0

    def name(self, prefix: str) -> str:
        """A name that is not taken."""
        self.names += 1
        return f"{prefix}{self.names}"

    def some(self, count: int) -> Axes:
        """Different axes."""
        return tuple(self.rng.sample(list(SIZES), count))

    def data(self, axes: Axes) -> str:
        """An array with these axes, as a new entry."""

        def entries(rest: Axes) -> object:
            if not rest:
                return round(self.rng.uniform(-1, 1), 2)
            return [entries(rest[1:]) for _ in range(SIZES[rest[0]])]

        name = self.name("a")
        self.lines.append(f"data {name}[{', '.join(axes)}] = {entries(axes)}")
        return name

    def ket(self, where: Callable[[Value], bool] = lambda k: True) -> Value:
        """A ket, mostly one of the latest. Raises IndexError where there is none."""
        fitting = [k for k in self.kets if where(k)]
        return self.rng.choice(fitting[-4:] if self.rng.random() < 0.7 else fitting)

    def add(self, text: str, axes: Axes, bent: int) -> None:
        """A new ket."""
        if len(axes) > 3 or bent > 2:
            return
        name = self.name("x")
        self.lines.append(f"|{name}> = {text}")
        self.kets.append(Value(f"|{name}>", axes, bent))

    def add_scalar(self, text: str, axes: Axes) -> None:
        """A new scalar, of size one."""
        if len(axes) > 3:
            return
        name = self.name("c")
        self.lines.append(f"{name} = sin({text})")
        self.scalars.append(Value(name, axes))

    # ---- makers ----------------------------------------------------------------------------------

    def declare(self) -> None:
        """Vectors with no, one and two axes, and matrices."""
        for axes in ((), self.some(1), self.some(2)):
            name = self.name("u")
            shape = f"[{', '.join(axes)}]" if axes else ""
            self.lines.append(f"vector {name}{shape} ~ N(0, 1)")
            self.kets.append(Value(f"|{name}>", axes))
        self.lines.append("matrix W ~ N(0, 1/n)")
        self.lines.append("matrix V[2] ~ N(0, 1/n)")

    def flat(self) -> None:
        """A ket repeated along the first axes of another."""
        x = self.ket()
        y = self.ket(lambda k: len(k.axes) <= len(x.axes) and fits(k.axes, x.axes))
        self.add(f"0 * {x.text} + {y.text}", x.axes, y.bent)

    def function(self) -> None:
        """An entrywise function."""
        x = self.ket(lambda k: k.bent < 2)
        self.add(f"{self.rng.choice(FUNCTIONS)}({x.text})", x.axes, x.bent + 1)

    def combination(self) -> None:
        """A sum or a product."""
        x = self.ket()
        y = self.ket(lambda k: fits(k.axes, x.axes))
        axes = max(x.axes, y.axes, key=len)
        if self.rng.random() < 0.75:
            self.add(f"{x.text} - 0.6 * {y.text}", axes, max(x.bent, y.bent))
        else:
            self.add(f"{x.text} * {y.text}", axes, 1 + max(x.bent, y.bent))

    def weighted(self) -> None:
        """Times data with other axes, or times a scalar."""
        x = self.ket()
        if self.scalars and self.rng.random() < 0.4:
            fitting = [c for c in self.scalars if fits(c.axes, x.axes)]
            c = self.rng.choice(fitting)
            self.add(f"{c.text} * {x.text}", max(x.axes, c.axes, key=len), x.bent)
            return
        more = self.some(self.rng.randint(0, 1))
        axes = (*more, *x.axes) if not set(more) & set(x.axes) else x.axes
        axes = axes[self.rng.randint(0, len(axes)) :] or axes
        if axes:
            self.add(f"{x.text} * {self.data(axes)}", max(x.axes, axes, key=len), x.bent)

    def contracted(self) -> None:
        """An axis summed, with data on either side or a bra-ket."""
        x = self.ket(lambda k: bool(k.axes))
        new = self.some(self.rng.randint(0, 1))
        match self.rng.randrange(4):
            case 0:
                self.add(f"{x.text} @ {self.data((x.axes[-1], *new))}", x.axes[:-1] + new, x.bent)
            case 1:
                self.add(f"{self.data((*new, x.axes[0]))} @ {x.text}", new + x.axes[1:], x.bent)
            case 2:
                y, z = self.ket(lambda k: k.axes == x.axes[-1:]), self.ket()
                axes = x.axes[:-1] + z.axes
                self.add(f"0.5 * ({x.text} @ <{y.label}|{z.label}>)", axes, x.bent)
            case _:
                y = self.ket(lambda k: bool(k.axes) and k.axes[0] == x.axes[-1])
                self.add(f"{x.text} @ {y.text}", x.axes[:-1] + y.axes[1:], 1 + max(x.bent, y.bent))

    def matrix(self) -> None:
        """A matrix, its transpose, or a multi-operator."""
        x = self.ket()
        match self.rng.randrange(4):
            case 0:
                self.add(f"W^T {x.text}", x.axes, x.bent)
            case 1:
                self.add(f"V[{self.rng.randrange(2)}] {x.text}", x.axes, x.bent)
            case _:
                self.add(f"W {x.text}", x.axes, x.bent)

    def outer(self) -> None:
        """An outer product on a ket, the axes of ket and bra joined."""
        x = self.ket()
        y = self.ket(lambda k: k.axes == x.axes)
        z = self.ket()
        chi = f" {self.data(x.axes)} " if x.axes and self.rng.random() < 0.6 else " "
        self.add(f"({x.text}{chi}<{y.label}|) {z.text}", z.axes, x.bent)

    def turned(self) -> None:
        """Slices, transposes, diagonals and lists."""
        match self.rng.randrange(4):
            case 0:
                x = self.ket(lambda k: bool(k.axes))
                self.add(f"|{x.label}[{self.rng.randrange(2)}]>", x.axes[1:], x.bent)
            case 1:
                x = self.ket(lambda k: len(k.axes) > 1)
                self.add(f"{x.text}^T", x.axes[::-1], x.bent)
            case 2:
                x = self.ket(lambda k: len(k.axes) > 1 and k.axes[-1] == k.axes[-2])
                self.add(f"diag({x.text})", x.axes[:-1], x.bent)
            case _:
                x = self.ket()
                y = self.ket(lambda k: k.axes == x.axes)
                weights = [round(self.rng.uniform(-1, 1), 2) for _ in range(2)]
                self.add(f"{weights} @ [{x.text}, {y.text}]", x.axes, max(x.bent, y.bent))

    def feedback(self) -> None:
        """A scalar with axes that goes back into kets."""
        text, axes = self.number()
        self.add_scalar(text, axes)

    def number(self) -> tuple[str, Axes]:
        """A scalar expression and its axes."""
        x, y = self.ket(), self.ket()
        axes = x.axes + y.axes
        gram = f"<{x.label}|{y.label}>"
        match self.rng.randrange(7):
            case 0:
                return f"<1|{x.label}>", x.axes
            case 1 if len(axes) > 1:
                return f"({gram})^T", axes[::-1]
            case 2 if axes:
                return f"{gram}[{self.rng.randrange(2)}]", axes[1:]
            case 3 if axes:
                return f"({gram} @ {self.data((axes[-1],))})", axes[:-1]
            case 4 if x.axes:
                return f"diag(<{x.label}|{x.label}>)" if len(x.axes) == 1 else gram, (
                    x.axes if len(x.axes) == 1 else axes
                )
            case 5 if axes:
                new = self.some(1)
                return f"({self.data((*new, axes[0]))} @ {gram})", (*new, *axes[1:])
        return gram, axes

    def outputs(self) -> None:
        """Bra-kets of the latest kets, and other scalars."""
        rng = self.rng
        x, y = self.kets[-1], self.ket()
        wanted = [f"<{x.label}|{y.label}>", f"<{y.label}|{x.label}>", self.number()[0]]
        wanted += [c.text for c in self.scalars[-1:]]
        self.lines.append("output " + ", ".join(dict.fromkeys(rng.sample(wanted, len(wanted)))))


MAKERS: Sequence[tuple[Callable[[Writer], None], int]] = (
    (Writer.flat, 3), (Writer.function, 3), (Writer.combination, 3), (Writer.weighted, 2),
    (Writer.contracted, 4), (Writer.matrix, 3), (Writer.outer, 2), (Writer.turned, 3),
    (Writer.feedback, 1),
)  # fmt: skip
"""With their weights."""


def program(seed: int, least: int = 3, most: int = 7) -> str:
    """The program of a seed."""
    writer = Writer(random.Random(seed))
    writer.lines.append("dim " + ", ".join(f"{k} = {v}" for k, v in SIZES.items()))
    writer.declare()
    makers, weights = zip(*MAKERS, strict=True)
    for _ in range(writer.rng.randint(least, most)):
        try:
            writer.rng.choices(makers, weights)[0](writer)
        except IndexError:  # no ket fits
            continue
    writer.outputs()
    return "\n".join(writer.lines) + "\n"
