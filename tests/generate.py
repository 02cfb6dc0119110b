"""Random well-typed programs, seeded, whose kets have moderate moments.

A program is built line by line: every maker writes one or more statements and adds kets, scalars or
operators that later lines may use. ``size`` bounds a ket's root mean square roughly: what grows is
put through a bounded function before it grows further, so that finite widths are close to Gaussian
about their limits and a comparison in standard errors is fair.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SMOOTH = ("tanh({0})", "sin({0})", "erf({0})", "arctan({0})", "tanh({0}^2 - 1)", "sin({0}^3 / 4)")
ROUGH = ("sign({0})", "step({0} - 0.3)", "relu({0}) / (1 + relu({0}))")
GROWING = ("relu({0})", "abs({0})", "softplus({0})", "gelu({0})", "max({0}, 0.4)")
LAWS = ("N(0, 1/n)", "N(0, 1/n)", "N(0, 0.7/n)", "rademacher(1/n)", "uniform(1.2/n)")
LARGEST = 2.5


@dataclass(frozen=True)
class Ket:
    """``text`` is how it is written, ``axes`` its literal sizes."""

    text: str
    axes: tuple[int, ...]
    size: float

    @property
    def label(self) -> str:
        """What stands between the bars."""
        return self.text[1:-1]


@dataclass
class Generated:
    """A program's text, the order of its highest outer nonlinearity, and what it uses."""

    text: str
    order: int
    features: frozenset[str]


@dataclass
class Writer:
    """A program in the making."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    kets: list[Ket] = field(default_factory=list)
    scalars: list[str] = field(default_factory=list)
    matrices: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    features: set[str] = field(default_factory=set)
    order: int = 0
    names: int = 0

    # ---- pieces ----------------------------------------------------------------------------------

    def name(self, prefix: str) -> str:
        """A name that is not taken."""
        self.names += 1
        return f"{prefix}{self.names}"

    def number(self, low: float = 0.3, high: float = 1.2) -> str:
        """A positive literal."""
        return f"{self.rng.uniform(low, high):.2f}"

    def signed(self) -> str:
        """`` + 0.5 * `` or `` - 0.5 * ``."""
        return f" {self.rng.choice('+-')} {self.number()} * "

    def ket(self, *axes: int, latest: bool = True) -> Ket:
        """A ket with these axes, often one of the latest."""
        fitting = [k for k in self.kets if k.axes == axes]
        if latest and self.rng.random() < 0.6:
            fitting = fitting[-3:]
        return self.rng.choice(fitting)

    def any_ket(self) -> Ket:
        """A ket with any axes, often one of the latest."""
        return self.rng.choice(self.kets[-4:] if self.rng.random() < 0.6 else self.kets)

    def matrix(self) -> str:
        """An initial matrix or its transpose."""
        return self.rng.choice(self.matrices) + self.rng.choice(("", "^T"))

    def operator(self) -> str:
        """Anything that acts on a ket."""
        if self.operators and self.rng.random() < 0.5:
            return self.rng.choice(self.operators) + self.rng.choice(("", "^T"))
        return self.matrix()

    def add(self, text: str, axes: tuple[int, ...], size: float) -> Ket:
        """A new ket; a large one is written through a bounded function."""
        if size > LARGEST:
            text, size = self.rng.choice(SMOOTH).format(f"({text})"), 1.0
        name = self.name("x")
        self.lines.append(f"|{name}> = {text}")
        self.kets.append(Ket(f"|{name}>", axes, size))
        return self.kets[-1]

    def add_scalar(self, text: str) -> None:
        """A new scalar without axes."""
        name = self.name("c")
        self.lines.append(f"{name} = {text}")
        self.scalars.append(name)

    def bounded(self) -> str:
        """An entrywise function with values of size one."""
        return self.rng.choice(SMOOTH if self.rng.random() < 0.75 else ROUGH)

    # ---- declarations ----------------------------------------------------------------------------

    def declare(self) -> None:
        """Vectors, a multi-vector, correlated vectors, matrices, data and a function."""
        rng = self.rng
        for _ in range(rng.randint(1, 2)):
            law, size = rng.choice((("N(0, 1)", 1.0), ("N(0.5, 0.5)", 0.9), ("rademacher(1)", 1.0)))
            name = self.name("v")
            self.lines.append(f"vector {name} ~ {law}")
            self.kets.append(Ket(f"|{name}>", (), size))
        if rng.random() < 0.25:
            a, b = self.name("v"), self.name("v")
            rho = rng.uniform(-0.8, 0.8)
            self.lines.append(f"vector ({a}, {b}) ~ N(0, [[1, {rho:.2f}], [{rho:.2f}, 1]])")
            self.kets += [Ket(f"|{a}>", (), 1.0), Ket(f"|{b}>", (), 1.0)]
        if rng.random() < 0.5:
            self.declare_multivector()
        for _ in range(rng.randint(1, 2)):
            self.declare_matrices()
        slope = rng.uniform(0.1, 0.5)
        self.lines.append(f"fn phi(z, a={slope:.2f}) = tanh(z) + a * sin(z)")

    def declare_matrices(self) -> None:
        """A matrix, a family of matrices, or a multi-operator."""
        name, law = self.name("W"), self.rng.choice(LAWS)
        match self.rng.randrange(6):
            case 0:
                self.lines.append(f"matrix {name}[1..2] ~ {law}")
                self.matrices += [f"{name}[1]", f"{name}[2]"]
            case 1:
                self.lines.append(f"matrix {name}[2] ~ {law}")
                self.matrices += [f"{name}[0]", f"{name}[1]"]
                self.add(f"tanh({name} {self.ket().text})", (2,), 1.0)
                self.features |= {"matmul", "axes"}
            case _:
                self.lines.append(f"matrix {name} ~ {law}")
                self.matrices.append(name)

    def declare_multivector(self) -> None:
        """Kets with an axis, by contraction of a multi-vector with data."""
        rng, name, data = self.rng, self.name("u"), self.name("a")
        rows, columns = rng.choice(((2, 2), (3, 2), (2, 3)))
        table = [[round(rng.uniform(-1, 1), 2) for _ in range(columns)] for _ in range(rows)]
        self.lines.append(f"vector {name}[{rows}] ~ N(0, 1)")
        self.lines.append(f"data {data}[{rows}, {columns}] = {table}")
        self.kets.append(Ket(f"|{name}>", (rows,), 1.0))
        self.add(f"|{name}> @ {data}", (columns,), 1.5)
        self.features.add("axes")

    # ---- makers ----------------------------------------------------------------------------------

    def entrywise(self) -> None:
        """A function of one or two kets with the same axes, or of a multi-ket and a ket."""
        x = self.any_ket()
        y = self.ket(*self.rng.choice((x.axes, ())))
        total = f"{self.number()} * {x.text}{self.signed()}{y.text}"
        match self.rng.randrange(4):
            case 0:
                self.add(self.rng.choice(GROWING).format(f"({x.text})"), x.axes, x.size)
            case 1:
                self.add(f"phi({total})", x.axes, 1.0)
            case 2:
                factor = self.bounded().format(f"({total})")
                self.add(f"{factor} * {x.text}", x.axes, 1.2 * x.size)
            case _:
                self.add(self.bounded().format(f"({total})"), x.axes, 1.0)

    def apply(self) -> None:
        """An operator on a ket, alone or inside a function."""
        x = self.any_ket()
        if x.axes and self.rng.random() < 0.5:
            x = self.ket()
        applied = f"{self.operator()} {x.text}"
        if self.rng.random() < 0.5:
            self.add(applied, x.axes, 1.6 * x.size)
        else:
            y = self.ket()
            total = f"({applied}{self.signed()}{y.text})"
            self.add(self.bounded().format(total), x.axes, 1.0)
        self.features.add("matmul")

    def back(self) -> None:
        """A matrix and then its transpose around a function: a dot arises."""
        w, x = self.rng.choice(self.matrices), self.any_ket()
        f = self.rng.choice(("tanh", "sin", "sign", "phi", "relu")) + f"({w} {x.text})"
        self.add(f"{w}^T {f}", x.axes, 1.8)
        self.features |= {"matmul", "dot"}

    def loop(self) -> None:
        """A family over a loop upwards, and backpropagation through it downwards."""
        w, v, name = self.rng.choice(self.matrices), self.ket(), self.name("h")
        rounds = self.rng.randint(2, 3)
        self.lines += [
            f"|{name}[0]> = {v.text}",
            f"for k in 1..{rounds} {{",
            f"  |{name}[k]> = phi({w} |{name}[k-1]>{self.signed()}{self.ket().text})",
            "}",
        ]
        self.kets.append(Ket(f"|{name}[{rounds}]>", (), 1.0))
        self.features |= {"matmul", "loop"}
        if self.rng.random() < 0.6:
            back = self.name("g")
            self.lines += [
                f"|{back}[{rounds}]> = {self.ket().text} * tanh(|{name}[{rounds}]>)",
                f"for k in {rounds}..1 {{",
                f"  |{back}[k-1]> = phi'(|{name}[k-1]>) * ({w}^T |{back}[k]>)",
                "}",
            ]
            self.add(f"tanh(|{back}[0]>)", (), 1.0)
            self.scalars.append(f"<{back}[0]|{name}[1]>")
            self.features |= {"down", "dot"}

    def feedback(self) -> None:
        """A scalar that goes back into a ket."""
        x, y = self.ket(), self.ket()
        match self.rng.randrange(4):
            case 0:
                self.add(f"{x.text} / sqrt(1 + <{x.label}|{x.label}>)", (), 1.0)
            case 1:
                self.add(f"({x.text} - <1|{x.label}>) / sqrt(0.5 + <{x.label}|{x.label}>)", (), 1.2)
            case 2:
                self.add_scalar(f"tanh(<{x.label}|{y.label}>)")
                self.add(
                    f"{self.scalars[-1]} * {x.text}{self.signed()}{y.text}", (), x.size + y.size
                )
            case _:
                self.add_scalar(
                    f"exp(-<1|{x.label}>^2) + sum(k in 1..2) k * <{x.label}|{y.label}>^2"
                )
                self.add(f"tanh({self.number()} * {x.text} / {self.scalars[-1]})", (), 1.0)
        self.features.add("feedback")

    def axes(self) -> None:
        """Kets with an axis: a Gram matrix, a selection, a contraction with numbers."""
        multi = [k for k in self.kets if len(k.axes) == 1]
        if not multi:
            self.entrywise()
            return
        x = self.rng.choice(multi)
        match self.rng.randrange(3):
            case 0:
                self.add(f"tanh({x.text} @ <{x.label}|{x.label}>)", x.axes, 1.0)
            case 1:
                self.add(f"|{x.label}[0]>{self.signed()}|{x.label}[1]>", (), 2 * x.size)
            case _:
                y = self.ket()
                self.add(f"{x.text} * <{x.label}|{y.label}> + {y.text}", x.axes, 2 * x.size)
        self.features.add("axes")

    def sum_of_operators(self) -> None:
        """An operator as a value: sums and products of matrices and outer products."""
        a, b = self.matrix(), self.matrix()
        x, y = self.bounded_ket(), self.bounded_ket()
        text = self.rng.choice((
            f"({a}{self.signed()}{b}) / sqrt(2)",
            f"{self.number()} * {a}{self.signed()}{x.text} <{y.label}|",
            f"{a} {b} / 2",
            f"{x.text} {self.number()} <{y.label}| - {self.number()} * {b}",
        ))  # fmt: skip
        self.define(text)

    def nonlinear_operator(self) -> None:
        """Q(|x> chi <y|), alone or beside a matrix, without or with memory."""
        x, y, z = self.bounded_ket(), self.bounded_ket(), self.bounded_ket()
        q = self.rng.choice(("tanh", "sin", "sign", "phi", "arctan"))
        match self.rng.randrange(4):
            case 0:
                text = f"{q}({x.text} <{y.label}|)"
            case 1:
                text = (
                    f"{self.matrix()} - {self.number()} * {q}({x.text} {self.number()} <{y.label}|)"
                )
            case 2:
                text = f"{q}({x.text} <{y.label}|{self.signed()}{z.text} <{x.label}|)"
            case _:
                update = self.name("adam")
                self.lines += [
                    f"update {update}(g, b={self.number(0.2, 0.9)}) {{",
                    "  state m = 0",
                    "  state v = 0",
                    "  m = b * m + (1 - b) * g",
                    "  v = b * v + (1 - b) * g^2",
                    "  return m / sqrt(v + 0.1)",
                    "}",
                ]
                text = f"{update}({x.text} <{y.label}|, {z.text} <{y.label}|)"
        self.define(text)
        self.order = max(self.order, 1)
        self.features.add("outer")

    def define(self, text: str) -> None:
        """Give an operator a name and use it at once."""
        name, x = self.name("A"), self.ket()
        self.lines.append(f"{name} = {text}")
        self.operators.append(name)
        self.add(f"{name} {x.text}", (), 2 * x.size)
        self.features |= {"operator", "matmul"}

    def copies(self) -> None:
        """Expectations over one iid copy, and scalar ones over two."""
        x, y, z = self.bounded_ket(), self.bounded_ket(), self.bounded_ket()
        f = self.rng.choice(("tanh", "cos", "sign", "phi"))
        if self.rng.random() < 0.6:
            inside = f"{f}({x.text} * {y.text}{{1}}{self.signed()}{z.text}{{1}}) * {z.text}{{1}}"
            self.add(f"E{{1}}[{inside}]", (), 1.0)
        else:
            inside = f"{f}({x.text}{{1}} * {y.text}{{2}} + {z.text}{{2}})"
            self.add_scalar(f"E{{1,2}}[{inside}]")
        self.order = max(self.order, 1)
        self.features.add("copies")

    def second_order(self) -> None:
        """An outer nonlinearity of order two that does not factor."""
        x, y, z = self.bounded_ket(), self.bounded_ket(), self.bounded_ket()
        f = self.rng.choice(("tanh", "cos"))
        inside = f"{f}({x.text} + {y.text}{{1}} * {z.text}{{2}}) * {y.text}{{1}}"
        self.add(f"E{{1,2}}[{inside}]", (), 1.0)
        self.order = 2
        self.features.add("second order")

    def bounded_ket(self) -> Ket:
        """A ket without axes and of size at most about one."""
        x = self.ket()
        return x if x.size <= 1.3 else self.add(f"tanh({x.text})", (), 1.0)

    # ---- outputs ---------------------------------------------------------------------------------

    def outputs(self) -> None:
        """A few bra-kets of the latest kets, averages and scalars."""
        rng = self.rng
        wanted = [f"<{x.label}|{x.label}>" for x in self.kets[-2:]]
        x, y = self.any_ket(), self.any_ket()
        wanted += [f"<{x.label}|{y.label}>", f"<1|{x.label}>", *self.scalars[-1:]]
        if rng.random() < 0.3:
            wanted.append(f"<{y.label}|{self.operator()}|{self.ket().label}>")
        self.lines.append("output " + ", ".join(dict.fromkeys(wanted)))


Maker = Callable[[Writer], None]
MAKERS: Sequence[tuple[Maker, int]] = (
    (Writer.entrywise, 4), (Writer.apply, 5), (Writer.back, 3), (Writer.loop, 2),
    (Writer.feedback, 3), (Writer.axes, 2), (Writer.sum_of_operators, 2),
    (Writer.nonlinear_operator, 2), (Writer.copies, 1),
)  # fmt: skip
"""With their weights."""


def program(seed: int, *, second_order: bool = False) -> Generated:
    """The program of a seed; ``second_order`` puts in one outer nonlinearity of order two."""
    writer = Writer(random.Random(seed))
    writer.declare()
    makers, weights = zip(*MAKERS, strict=True)
    for _ in range(writer.rng.randint(3, 7)):
        writer.rng.choices(makers, weights)[0](writer)
    if second_order:
        writer.second_order()
    writer.outputs()
    text = "\n".join(writer.lines) + "\n"
    return Generated(text, writer.order, frozenset(writer.features))
