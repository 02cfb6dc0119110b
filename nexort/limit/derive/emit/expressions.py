"""Formulas as numpy expressions over labels.

An expression comes with its dimensions, labels in the order of the equation's; operands with fewer
dimensions get new axes, so that numpy's broadcasting joins what belongs together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from nexort.limit.derive.emit.functions import (
    ATOM,
    PRODUCT,
    SUM,
    Code,
    call_code,
    enclose,
    identifier,
    index_code,
    number_code,
    plain_code,
    power_code,
    quotient,
    sum_code,
)
from nexort.limit.derive.formula import (
    Apply,
    Average,
    AxisSum,
    Bracket,
    Delta,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    Indices,
    LoopSum,
    Number,
    Power,
    Product,
    Response,
    Sum,
    Symbol,
)
from nexort.limit.derive.walking import factors_of
from nexort.program.index import Affine

Dims = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """An expression and the labels of its dimensions."""

    code: Code
    dims: Dims

    def over(self, dims: Dims) -> Code:
        """The expression with new axes where it lacks labels of ``dims``."""
        if not self.dims or self.dims == dims:
            return self.code
        picks = ", ".join(":" if d in self.dims else "None" for d in dims)
        while picks.startswith("None, "):  # numpy adds leading axes by itself
            picks = picks.removeprefix("None, ")
        if "None" not in picks:
            return self.code
        return f"{enclose(self.code, ATOM)}[{picks}]", ATOM


Refer = Callable[[Formula, tuple[str, ...]], tuple[str, Indices]]
"""The call that computes an unknown at index expressions, and the axes of its array."""

Dual = Callable[[GaussianPair | GaussianMean], tuple[str, tuple[str, ...]]]
"""The name of the function of a dual activation, and further arguments."""


class NotClosed(Exception):
    """A formula that needs an explicit expectation."""

    def __init__(self, formula: Formula) -> None:
        super().__init__(formula)
        self.formula = formula


@dataclass(frozen=True)
class LabelOrder:
    """What an expression is written over: its labels in order, with their axes."""

    labels: tuple[tuple[str, str], ...]
    refer: Refer
    dual: Dual
    size: Callable[[str], str]

    @property
    def dims(self) -> Dims:
        """The labels."""
        return tuple(label for label, _ in self.labels)

    def array(self, formula: Formula) -> Array:
        """A formula as an expression. Raises NotClosed, Unknown."""
        match formula:
            case Number(value):
                return Array(number_code(value), ())
            case IndexNumber(index):
                return Array((index_code(index), SUM), ())
            case Symbol(kind="data"):
                return self.placed(identifier(formula.name), formula.axes)
            case Symbol(kind="scalar") | Bracket() | Average() | Response():
                text, axes = self.refer(formula, self.dims)
                return self.placed(text, axes)
            case Symbol(kind="constant"):
                return Array(plain_code(formula), ())
            case Symbol(name):
                return Array((identifier(name), ATOM), ())
            case Sum(terms):
                parts, dims = self.parts(terms)
                return Array((sum_code([p.over(dims) for p in parts]), SUM), dims)
            case Product(factors):
                return self.product(factors)
            case Power(base, exponent):
                part, shown = self.array(base), self.array(exponent)
                return Array(power_code(part.code, exponent, shown.code), part.dims)
            case Apply(name, args):
                parts, dims = self.parts(args)
                return Array((call_code(name, [p.over(dims) for p in parts]), ATOM), dims)
            case _:
                return self.large(formula)

    def large(self, formula: Formula) -> Array:
        """Sums, deltas and Gaussian expectations."""
        match formula:
            case LoopSum(var, first, last, body):
                part = self.array(body)
                values = f"range({index_code(first)}, {index_code(last + Affine(1))})"
                return Array(
                    (f"sum({part.code[0]} for {identifier(var)} in {values})", ATOM), part.dims
                )
            case AxisSum(label, axis, body):
                return self.contracted(label, axis, body)
            case Delta(left, right):
                return self.delta(left, right)
            case GaussianPair() | GaussianMean():
                arguments: tuple[Formula, ...] = (
                    (formula.variance,)
                    if isinstance(formula, GaussianMean)
                    else (formula.left_variance, formula.covariance, formula.right_variance)
                )
                parts, dims = self.parts(arguments)
                name, more = self.dual(formula)
                given = [*(p.over(dims)[0] for p in parts), *map(identifier, more)]
                shown = ", ".join(given)
                return Array((f"{name}({shown})", ATOM), dims)
            case _:
                raise NotClosed(formula)

    def parts(self, formulas: Sequence[Formula]) -> tuple[list[Array], Dims]:
        """Operands, and the dimensions of them all."""
        parts = [self.array(f) for f in formulas]
        used = {d for p in parts for d in p.dims}
        return parts, tuple(d for d in self.dims if d in used)

    def product(self, factors: Sequence[Formula]) -> Array:
        """A product; divisions instead of negative powers."""
        _, dims = self.parts(factors)

        def render(factor: Formula) -> Code:
            return self.array(factor).over(dims)

        found = _stein(factors)
        if found is None:
            return Array(quotient([(f, render) for f in factors]), dims)
        moment, variance = found
        text = f"ratio({render(moment)[0]}, {render(variance)[0]})"
        inverse = Power(variance, Number(Fraction(-1)))
        rest = [(f, render) for f in factors if f not in (moment, inverse)]
        return Array(quotient([(moment, lambda _: (text, ATOM)), *rest]), dims)

    def placed(self, text: str, axes: Indices) -> Array:
        """An array at labels: fixed entries picked, equal labels joined, in the frame's order."""
        labels: list[str] = []
        picks: list[str] = []
        for axis in axes:
            label = str(axis)
            labels += [label] if label in self.dims else []
            picks.append(":" if label in self.dims else index_code(axis))
        code: Code = (text, ATOM)
        if any(p != ":" for p in picks):
            code = (f"{text}[{', '.join(picks)}]", ATOM)
        wanted = tuple(d for d in self.dims if d in labels)
        if tuple(labels) == wanted:
            return Array(code, wanted)
        if len(labels) == 2 and labels[0] == labels[1]:
            return Array((f"np.diagonal({code[0]})", ATOM), wanted)
        if len(labels) == 2:
            return Array((f"{code[0]}.T", ATOM), wanted)
        spelled = f"{einsum_letters(labels, self.dims)}->{einsum_letters(wanted, self.dims)}"
        return Array((f'np.einsum("{spelled}", {code[0]})', ATOM), wanted)

    def contracted(self, label: str, axis: str, body: Formula) -> Array:
        """A sum over an axis, as a product of matrices or an einsum."""
        inner = replace(self, labels=(*self.labels, (label, axis)))
        parts = [inner.array(f) for f in factors_of(body)]
        scalars = [p for p in parts if label not in p.dims and not p.dims]
        arrays = [p for p in parts if p not in scalars]
        used = {d for p in arrays for d in p.dims}
        dims = tuple(d for d in self.dims if d in used)
        if not any(label in p.dims for p in parts):
            counted = [*(enclose(p.over(dims), PRODUCT) for p in parts), self.size(axis)]
            return Array((" * ".join(counted), PRODUCT), dims)
        all_dims = inner.dims
        spelled = ",".join(einsum_letters(p.dims, all_dims) for p in arrays)
        shown = ", ".join(enclose(p.code, SUM) for p in arrays)
        text = f'np.einsum("{spelled}->{einsum_letters(dims, all_dims)}", {shown})'
        shapes = [(*p.dims,) for p in arrays]
        if len(arrays) == 2 and sorted(shapes) == sorted([(d, label) for d in dims]):
            first, second = sorted(arrays, key=lambda p: dims.index(p.dims[0]))
            text = f"{enclose(first.code, ATOM)} @ {_transposed(second)}"
        factors = [enclose(p.code, PRODUCT) for p in scalars]
        return Array((" * ".join([*factors, f"({text})" if factors else text]), PRODUCT), dims)

    def delta(self, left: Affine, right: Affine) -> Array:
        """1 where two indices are equal."""
        free = [x for x in (left, right) if str(x) in self.dims]
        if len(free) == 2:
            axis = dict(self.labels)[str(left)]
            wanted = tuple(d for d in self.dims if d in (str(left), str(right)))
            return Array((f"np.eye({self.size(axis)})", ATOM), wanted)
        if len(free) == 1:
            other = right if free[0] is left else left
            axis = dict(self.labels)[str(free[0])]
            text = f"(np.arange({self.size(axis)}) == {index_code(other)})"
            return Array((text, ATOM), (str(free[0]),))
        return Array((f"({index_code(left)} == {index_code(right)})", ATOM), ())


def _stein(factors: Sequence[Formula]) -> tuple[GaussianMean, Bracket] | None:
    """E[y f(y)] and <y|y> of E[z f(y)] = <z|y> E[y f(y)] / <y|y>, which is 0 where y is."""
    for moment in factors:
        match moment:
            case GaussianMean(variance=Bracket(left, right) as variance) if left == right:
                others = [x for x in factors if isinstance(x, Bracket)]
                crossed = any(left in (x.left, x.right) and x != variance for x in others)
                if crossed and Power(variance, Number(Fraction(-1))) in factors:
                    return moment, variance
            case _:
                pass
    return None


def _transposed(a: Array) -> str:
    text = enclose(a.code, ATOM)
    return text.removesuffix(".T") if text.endswith(".T") else f"{text}.T"


def einsum_letters(dims: Sequence[str], known: Sequence[str]) -> str:
    """Labels as single letters for einsum."""
    return "".join(chr(ord("a") + list(known).index(d)) for d in dims)
