"""Numbers of a page: its own equations, and averages over the Gaussian families that it states.

Every number is an array over independent replicates of the points that averages are taken at, so
that its error is known: their spread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from scipy import integrate, special, stats

from .page import Page, Statement
from .syntax import Name, Num, Op, Tree, Unreadable, ascii_name, index, letters, parsed, value_of

REPLICATES, POINTS = 6, 2048
Array = Any
Env = dict[str, int]

FUNCTIONS: dict[str, Callable[..., Array]] = {
    "relu": lambda z: np.maximum(z, 0), "abs": np.abs, "sign": np.sign, "erf": special.erf,
    "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "sinh": np.sinh,
    "cosh": np.cosh, "arctan": np.arctan, "max": np.maximum, "min": np.minimum,
    "erfc": special.erfc,
    "arcsin": lambda z: np.arcsin(clipped(z)), "arccos": lambda z: np.arccos(clipped(z)),
    "sigmoid": special.expit, "silu": lambda z: z * special.expit(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "gelu": lambda z: z * (1 + special.erf(z / np.sqrt(2))) / 2,
    "celu": lambda z, a: np.where(z > 0, z, a * np.expm1(np.minimum(z, 0) / a)),
    "selu": lambda z: np.where(
        z > 0, 1.0507009873554805 * z, 1.7580993408473766 * np.expm1(np.minimum(z, 0))
    ),
    "hardtanh": lambda z: np.clip(z, -1, 1), "relu6": lambda z: np.clip(z, 0, 6),
    "hardswish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "elu": lambda z, a=1.0: np.where(z > 0, z, a * np.expm1(np.minimum(z, 0))),
}  # fmt: skip


def clipped(z: Array) -> Array:
    """A correlation, which roundings and averages may take beyond one."""
    return np.clip(z, -1, 1)


@np.vectorize
def bivariate(x: float, y: float, r: float) -> float:
    """The bivariate normal distribution function, over the law of the second given the first."""
    if abs(r) == 1:
        return max(special.ndtr(min(x, y)) if r > 0 else special.ndtr(x) - special.ndtr(-y), 0.0)
    width = np.sqrt(1 - r * r)
    value, _ = integrate.quad(
        lambda u: np.exp(-u * u / 2) * special.ndtr((y - r * u) / width), -np.inf, x,
        epsabs=1e-15, epsrel=1e-13, limit=200,
    )  # fmt: skip
    return float(value / np.sqrt(2 * np.pi))


class Undefined(Exception):
    """A symbol without an equation."""


class TooHard(Exception):
    """What this reader has no value for: averages inside of averages."""


@dataclass(frozen=True)
class Resolved:
    """A name with its indices and axes as numbers; ``power`` where a script is none of them."""

    name: str
    indices: tuple[int, ...]
    axes: tuple[int, ...]
    power: str = ""


@dataclass(eq=False)
class Linear:
    """A number plus coefficients of Gaussian variables."""

    constant: Array
    terms: dict[tuple[Any, ...], Array]


@dataclass(eq=False)
class Random:
    """A function of random variables."""

    function: Callable[..., Array]
    args: tuple[Any, ...]


class Reading:
    """A page with the numbers of its program. ``known`` are names of the program with how many
    indices and axes they have; the page's own left sides add to them."""

    def __init__(
        self, page: Page, known: Mapping[str, set[tuple[int, int]]], numbers: Mapping[str, float],
        sizes: Mapping[str, int], data: Mapping[str, Any], seed: int = 0,
    ) -> None:  # fmt: skip
        self.page, self.numbers, self.sizes, self.data = page, numbers, sizes, data
        self.known = {k: set(v) for k, v in known.items()}
        self.seed = seed
        self.values: dict[Any, Array] = {}
        self.busy: set[Any] = set()
        self.random: dict[Any, Any] = {}
        self.points: dict[int, Array] = {}
        self.differences: list[tuple[str, Array]] = []
        self.checked = 0
        self.base: Env = {
            k: int(v) for k, v in {**numbers, **sizes}.items() if float(v).is_integer()
        }
        get = page.sections.get
        moves = [s for s in get("Weights", []) if parts_of(s.left, "ket") is not None]
        self.kets, self.outputs = [*get("Kets", []), *moves], get("Outputs", [])
        self.equations = [*self.outputs, *get("Recursion", [])]
        self.families = get("Gaussian families", [])
        self.functions = get("Gaussian expectations", [])

    # ---- outputs ---------------------------------------------------------------------------------

    def output(self, statement: Statement, env: Env) -> Array:
        """The value of an output's line at indices; all of its sides agree."""
        sides = statement.rights or [statement.left]
        return self.agreeing([self.value(s, env) for s in sides], statement.text)

    def agreeing(self, sides: list[Array], what: str) -> Array:
        for other in sides[:-1]:
            self.differences.append((what, other - sides[-1]))
        return sides[-1]

    # ---- names -----------------------------------------------------------------------------------

    def resolved(self, name: Name, env: Env) -> Resolved:
        """The one reading of a name that is known, with numbers for its scripts."""
        found = []
        base = ascii_name(name.base)
        for k in range(len(name.below) + 1):
            head, rest = name.below[:k], [x for s in name.below[k:] for x in letters(s)]
            spellings = {"_".join((base, *map(ascii_name, head)))}
            if len(head) == 1 and head[0].isdigit():
                spellings.add(base + head[0])
            for spelling in spellings:
                for above, below in self.known.get(spelling, ()):
                    if below == len(rest) and above in (len(name.above), 0):
                        power = "" if above == len(name.above) else name.above[0]
                        if not power or len(name.above) == 1:
                            found.append((spelling, above, rest, power))
        if not found:
            raise Undefined(f"{name} is defined nowhere")
        if len(found) > 1:
            raise Unreadable(f"{name} may be {[x[0] for x in found]}")
        [(spelling, above, rest, power)] = found
        at = tuple(self.at(i, env) for i in (name.above if above else ()))
        return Resolved(spelling, at, tuple(self.at(i, env) for i in rest), power)

    def at(self, text: str, env: Env) -> int:
        return value_of(text, {**self.base, **env})

    def match(self, left: Name, statement: Statement, at: Resolved, env: Env) -> Env | None:
        """The variables of a statement at a member; None where it is not about it."""
        own = {s.var: s for s in statement.spans}
        pattern = self._spelled(left, at.name, len(at.indices), len(at.axes))
        if pattern is None:
            return None
        found = dict(env)
        for text, number in zip(pattern, (*at.indices, *at.axes), strict=True):
            terms = index(text)
            free = [n for n in terms if n and (n in own or n in self.page.axes) and n not in found]
            if free:
                rest = sum(
                    c * (found | self.base).get(n, 0) if n else c
                    for n, c in terms.items()
                    if n != free[0]
                )
                found[free[0]] = (number - rest) * terms[free[0]]
            elif value_of(text, {**self.base, **found}) != number:
                return None
        return found

    def inside(self, statement: Statement, env: Env) -> bool:
        scope = {**self.base, **env}
        return all(
            value_of(s.first, scope) <= scope[ascii_name(s.var)] <= value_of(s.last, scope)
            for s in statement.spans
            if ascii_name(s.var) in env
        )

    def _spelled(self, left: Name, name: str, above: int, below: int) -> list[str] | None:
        base = ascii_name(left.base)
        for k in range(len(left.below) + 1):
            head, rest = left.below[:k], [x for s in left.below[k:] for x in letters(s)]
            spellings = {"_".join((base, *map(ascii_name, head)))}
            if len(head) == 1 and head[0].isdigit():
                spellings.add(base + head[0])
            if name in spellings and len(rest) == below and len(left.above) == above:
                return [*left.above, *rest]
        return None

    # ---- unknowns --------------------------------------------------------------------------------

    def unknown(self, kind: str, members: Sequence[tuple[Resolved, bool, int]]) -> Array:
        key = (kind, *members)
        if key not in self.values:
            if key in self.busy:
                raise Undefined(f"{key} is defined by itself")
            self.busy.add(key)
            self.values[key] = self._unknown(kind, members)
            self.busy.discard(key)
        return self.values[key]

    def _unknown(self, kind: str, members: Sequence[tuple[Resolved, bool, int]]) -> Array:
        orders = [list(members)]
        if kind == "braket" and len(members) == 2:
            orders.append(list(members)[::-1])
        for order in orders:
            for s in self.equations:
                names = parts_of(s.left, kind)
                if names is None or len(names) != len(order) or not s.rights:
                    continue
                env: Env | None = {}
                for name, (at, hat, _) in zip(names, order, strict=True):
                    if env is None or name.hat != hat:
                        env = None
                        break
                    env = self.match(name, s, at, env)
                if env is not None and self.inside(s, env):
                    scope = env
                    found = self.agreeing([self.value(r, scope) for r in s.rights], s.text)
                    self._check(kind, members, found, s.text)
                    return found
        if kind == "braket" and self.page.over_kets:
            return self.mean(reduce(times, [self.ket(at, hat, c) for at, hat, c in members]))
        raise Undefined(f"no equation for {kind} of {members}")

    def _check(self, kind: str, members: Any, found: Array, text: str) -> None:
        """A bra-ket's equation against its definition, E |x>|y>."""
        if kind != "braket" or self.checked >= 12:
            return
        try:
            kets = [self.ket(at, hat, copy) for at, hat, copy in members]
            self.differences.append(
                (f"definition of {text}", self.mean(reduce(times, kets)) - found)
            )
            self.checked += 1
        except (TooHard, RecursionError):
            pass

    # ---- formulas --------------------------------------------------------------------------------

    def value(self, tree: Tree, env: Env) -> Array:
        """A number, an array over replicates."""
        found = self.lifted(tree, env)
        if isinstance(found, Linear | Random):
            raise Unreadable(f"{tree} is random")
        return found

    def lifted(self, tree: Tree, env: Env) -> Any:  # noqa: C901
        """A number or a random variable."""
        if isinstance(tree, Num):
            return np.full(REPLICATES, tree.value)
        if isinstance(tree, Name):
            return self.symbol(tree, env)
        match tree.kind:
            case "sum":
                return reduce(plus, [self.lifted(a, env) for a in tree.args])
            case "product":
                return reduce(times, [self.lifted(a, env) for a in tree.args])
            case "quotient":
                top, bottom = (self.lifted(a, env) for a in tree.args)
                return self.divided(top, bottom)
            case "power":
                return function(power, *(self.lifted(a, env) for a in tree.args))
            case "root":
                return function(root, self.lifted(tree.args[0], env))
            case "step":
                return function(lambda z: (z > 0) + 0.5 * (z == 0), self.lifted(tree.args[0], env))
            case "big":
                return self.large(tree, env)
            case "delta":
                a, b = (self.at(i, env) for s in tree.info for i in letters(s))
                return np.full(REPLICATES, float(a == b))
            case "call":
                return self.call(tree, env)
            case "ket":
                [name] = tree.args
                assert isinstance(name, Name)
                return self.ket(self.resolved(name, env), name.hat, name.copy)
            case "braket" | "response":
                names = parts_of(tree, tree.kind)
                assert names is not None
                at = [(self.resolved(n, env), n.hat, n.copy) for n in names]
                return self.unknown(tree.kind, at)
            case "mean":
                if tree.info:
                    raise TooHard("a mean over copies")
                return self.mean(self.lifted(tree.args[0], env))
            case _:
                raise TooHard(tree.kind)

    def divided(self, top: Any, bottom: Any) -> Any:
        return times(top, function(lambda x: 1 / x, bottom))

    def symbol(self, name: Name, env: Env) -> Array:
        word = ascii_name(name.base)
        if not name.above and not name.below and word in env:
            return np.full(REPLICATES, float(env[word]))
        if word == "pi" and "pi" not in self.known and not name.below:
            found = np.full(REPLICATES, np.pi)
            return found ** self.value(parsed(name.above[0]), env) if name.above else found
        at = self.resolved(name, env)
        if at.name in self.data:
            found = np.full(REPLICATES, float(np.asarray(self.data[at.name])[at.axes]))
        elif at.name in self.numbers or at.name in self.sizes:
            found = np.full(REPLICATES, float({**self.sizes, **self.numbers}[at.name]))
        else:
            plain = Resolved(at.name, at.indices, at.axes)
            found = self.unknown("symbol", [(plain, False, 0)])
        return found ** self.value(parsed(at.power), env) if at.power else found

    def large(self, tree: Op, env: Env) -> Any:
        if len(tree.info) == 1:
            [var] = tree.info
            span = range(self.sizes.get(self.page.axes[var], 0) or int(self.page.axes[var]))
        else:
            var, first, last = tree.info
            span = range(self.at(first, env), self.at(last, env) + 1)
        terms = [self.lifted(tree.args[0], {**env, ascii_name(var): k}) for k in span]
        return reduce(plus, terms, np.zeros(REPLICATES))

    def call(self, tree: Op, env: Env) -> Any:
        args = [self.lifted(a, env) for a in tree.args]
        name = tree.info if isinstance(tree.info, str) else tree.info.base
        if tree.info == Name("Φ", below=("2",)):
            return function(bivariate, *args)
        if isinstance(tree.info, Name) and (tree.info.below or tree.info.above):
            if name == "relu":  # with a slope
                slope = self.value(parsed("".join(tree.info.below)), env)
                return function(lambda z, a: np.where(z > 0, z, a * z), args[0], slope)
            return self.dual(tree.info, args)
        if name not in FUNCTIONS:
            raise TooHard(f"the function {name}")
        return function(FUNCTIONS[name], *args)

    def dual(self, name: Name, args: list[Array]) -> Array:
        """V_f(p, c, q) by its definition, and by its closed form if it has one."""
        for s in self.functions:
            left = s.left
            if isinstance(left, Op) and left.kind == "call" and left.info == name:
                formal = [a.base for a in left.args if isinstance(a, Name)]
                inner = DualReading(self, dict(zip(formal, args, strict=True)))
                sides = [inner.value(r, {}) for r in s.rights]
                return self.agreeing(sides, s.text)
        if name.base in "MVELUK":
            raise Undefined(f"no definition of {name}")
        raise TooHard(f"the function {name}")

    # ---- random variables ------------------------------------------------------------------------

    def ket(self, at: Resolved, hat: bool, copy: int) -> Any:
        key = at, hat, copy
        if key not in self.random:
            self.random[key] = self._ket(at, hat, copy)
        return self.random[key]

    def _ket(self, at: Resolved, hat: bool, copy: int) -> Any:
        variable = Linear(np.zeros(REPLICATES), {(at, hat, copy): np.ones(REPLICATES)})
        if hat:
            return variable
        for s in self.kets:
            names = parts_of(s.left, "ket")
            env = None if names is None else self.match(names[0], s, at, {})
            if env is not None and self.inside(s, env):
                found = self.lifted(s.rights[-1], env)
                return copied(found, copy) if copy else found
        if self.covariance((at, False, 0), (at, False, 0)) is None:
            raise Undefined(f"|{at}> is neither defined nor an initial vector")
        return variable

    def covariance(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> Array | None:
        """Cov of two variables as the page states it; None where it does not."""
        if a[2] != b[2]:
            return np.zeros(REPLICATES)
        key = frozenset((a[:2], b[:2]))
        if ("cov", key) in self.values:
            return self.values["cov", key]
        for x, y in ((a, b), (b, a)):
            for s in self.families:
                pair = s.left.args if isinstance(s.left, Op) else ()
                kets = [k.args[0] for k in pair if isinstance(k, Op) and k.kind == "ket"]
                if len(kets) != 2 or [k.hat for k in kets] != [x[1], y[1]]:  # type: ignore[union-attr]
                    continue
                env: Env | None = self.match(kets[0], s, x[0], {})  # type: ignore[arg-type]
                if env is not None:
                    env = self.match(kets[1], s, y[0], env)  # type: ignore[arg-type]
                if env is not None and self.inside(s, env):
                    self.values["cov", key] = self.value(s.rights[-1], env)
                    return self.values["cov", key]
        return None

    def mean(self, random: Any) -> Array:
        """E of a random variable, over points of a Gaussian law."""
        if not isinstance(random, Linear | Random):
            return random
        if isinstance(random, Linear):
            return random.constant
        leaves: dict[int, Linear] = {}
        collect(random, leaves, set())
        variables = list(dict.fromkeys(v for x in leaves.values() for v in x.terms))
        zero = np.zeros(REPLICATES)
        table = np.array([[self._known(a, b) for b in variables] for a in variables])
        forms = np.array([[x.terms.get(v, zero) for v in variables] for x in leaves.values()])
        law = np.einsum("ivr,vwr,jwr->rij", forms, table, forms)
        sizes, turns = np.linalg.eigh(law)
        largest = max(float(np.abs(sizes).max()), 1e-300)
        kept = (sizes > 1e-11 * largest).any(axis=0)
        roots = turns[:, :, kept] * np.sqrt(np.maximum(sizes[:, None, kept], 0))
        drawn = np.einsum("rik,rnk->rin", roots, self.nodes(int(kept.sum())))
        values = {
            key: drawn[:, k] + x.constant[:, None] for k, (key, x) in enumerate(leaves.items())
        }
        return np.asarray(evaluated(random, values, {})).mean(axis=1)

    def _known(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> Array:
        found = self.covariance(a, b)
        return np.zeros(REPLICATES) if found is None else found

    def nodes(self, dimension: int) -> Array:
        """Normal points, antithetic, replicates independent: (replicates, points, dimension)."""
        if dimension not in self.points:
            if dimension > 40:
                raise TooHard(f"{dimension} dimensions")
            found = []
            for k in range(REPLICATES):
                sobol = stats.qmc.Sobol(max(dimension, 1), seed=1000 * self.seed + k)
                z = special.ndtri(np.clip(sobol.random(POINTS), 1e-12, 1 - 1e-12))
                found.append(np.concatenate([z, -z])[:, :dimension])
            self.points[dimension] = np.array(found)
        return self.points[dimension]


class DualReading(Reading):
    """The definition of a function of covariances: its variables are Gaussian."""

    def __init__(self, outer: Reading, formal: dict[str, Array]) -> None:
        self.__dict__.update(outer.__dict__)
        self.outer, self.formal = outer, formal
        self.names = list(formal)

    def symbol(self, name: Name, env: Env) -> Array:
        if name.base in self.formal and not name.below:
            found = self.formal[name.base]
            return found ** self.value(parsed(name.above[0]), env) if name.above else found
        if (
            not name.below
            and len(name.base) == 1
            and ascii_name(name.base) not in {"pi", *self.numbers}
        ):
            zero = np.zeros(REPLICATES)
            if name.base not in self.random_names():
                self.random_names().append(name.base)
            found = Linear(zero, {("formal", name.base): np.ones(REPLICATES)})
            return (
                function(power, found, self.value(parsed(name.above[0]), env))
                if name.above
                else found
            )
        return super().symbol(name, env)

    def divided(self, top: Any, bottom: Any) -> Any:
        """0/0 is 0 where the page says so."""
        random = isinstance(top, Linear | Random) or isinstance(bottom, Linear | Random)
        if self.page.zero_quotients and not random:
            bottom = np.where((top == 0) & (bottom == 0), 1.0, bottom)
        return super().divided(top, bottom)

    def random_names(self) -> list[str]:
        return self.__dict__.setdefault("_random_names", [])  # type: ignore[no-any-return]

    def _known(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> Array:
        if len(self.names) == 1:
            return self.formal[self.names[0]]
        p, c, q = (self.formal[n] for n in self.names)
        order = ("y", "z", "v", "x")
        first = min(a[1], b[1], key=order.index) in ("y", "v")
        if a == b:
            return p if first else q
        return c


# ---- algebra of random variables -----------------------------------------------------------------


def plus(a: Any, b: Any) -> Any:
    if isinstance(a, Random) or isinstance(b, Random):
        return Random(np.add, (a, b))
    if isinstance(a, Linear) or isinstance(b, Linear):
        x, y = (v if isinstance(v, Linear) else Linear(v, {}) for v in (a, b))
        terms = dict(x.terms)
        for key, value in y.terms.items():
            terms[key] = terms[key] + value if key in terms else value
        return Linear(x.constant + y.constant, terms)
    return a + b


def times(a: Any, b: Any) -> Any:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Linear) and not isinstance(y, Linear | Random):
            return Linear(x.constant * y, {k: v * y for k, v in x.terms.items()})
    if isinstance(a, Linear | Random) or isinstance(b, Linear | Random):
        return Random(np.multiply, (a, b))
    return a * b


def function(f: Callable[..., Array], *args: Any) -> Any:
    if any(isinstance(x, Linear | Random) for x in args):
        return Random(f, args)
    return f(*args)


def power(x: Array, exponent: Array) -> Array:
    return np.power(np.asarray(x, dtype=float), exponent)


def root(x: Array) -> Array:
    """A root of what roundings and averages may take below zero."""
    return np.sqrt(np.where((x < 0) & (x > -1e-2), 0, x))


def copied(value: Any, copy: int) -> Any:
    """A random variable's iid copy."""
    if isinstance(value, Linear):
        if any(k[-1] for k in value.terms):
            raise TooHard("a copy of a copy")
        return Linear(value.constant, {(*k[:-1], copy): v for k, v in value.terms.items()})
    if isinstance(value, Random):
        return Random(value.function, tuple(copied(a, copy) for a in value.args))
    return value


def collect(value: Any, leaves: dict[int, Linear], seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Linear):
        leaves[id(value)] = value
    elif isinstance(value, Random):
        for a in value.args:
            collect(a, leaves, seen)


def evaluated(value: Any, leaves: Mapping[int, Array], known: dict[int, Array]) -> Array:
    if isinstance(value, Linear):
        return leaves[id(value)]
    if not isinstance(value, Random):
        return np.asarray(value)[:, None]
    if id(value) not in known:
        known[id(value)] = value.function(*(evaluated(a, leaves, known) for a in value.args))
    return known[id(value)]


def parts_of(tree: Tree, kind: str) -> list[Name] | None:
    """The names of an unknown of a kind; an average is a bra-ket of one."""
    if kind == "symbol":
        return [tree] if isinstance(tree, Name) else None
    if not isinstance(tree, Op) or tree.kind != kind:
        return None
    if kind == "ket":
        return [tree.args[0]]  # type: ignore[list-item]
    if kind == "response":
        return [a.args[0] for a in tree.args]  # type: ignore[union-attr, misc]
    return [a for a in tree.args if isinstance(a, Name) and a.base != "1"]
