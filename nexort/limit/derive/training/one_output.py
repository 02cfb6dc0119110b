"""Cotangents of one output, told by variables, as families with the outputs' axes in front.

|dx> whose lines read the free index of an output becomes |dx>_a, an average over its entries K_a;
1 at that output and 0 at others is a delta; sums over the index are sums over the axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nexort.expand.analysis import OneOutput
from nexort.limit.derive.algebra import axis_sum, delta, rebuilt, reindex
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import AxisLabel
from nexort.limit.derive.formula import Formula, Indices, Ket, LoopSum, Symbol
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.walking import parts
from nexort.program.index import Affine


def with_outputs(system: System, single: OneOutput, output: str) -> System:
    """The lines of a system with the outputs' axes; ``output`` is the family of the outputs."""
    return _Outputs(system, single, output).system()


@dataclass
class _Outputs:
    old: System
    single: OneOutput
    output: str

    def __post_init__(self) -> None:
        self.count = len(self.single.variables)
        self.arity = {x[0].name: len(x[0].indices) for x in self._groups() if x}
        lines = [x for some in self._groups() for x in some]
        self.families: set[str] = set()
        while True:
            new = {x.name for x in lines if x.name != self.output and self._reads(x.value)}
            if new <= self.families:
                break
            self.families |= new

    def _groups(self) -> Iterator[list[Line]]:
        yield from self.old.kets.values()
        yield from self.old.scalars.values()

    def _reads(self, formula: Formula) -> bool:
        """Whether a formula reads the index of an output."""
        match formula:
            case Ket(name, indices) | Symbol(name, indices) if name in self.families:
                return len(indices) == self.arity[name]
            case Ket() | Symbol():
                return formula.name == self.single.seed
            case _:
                return any(self._reads(x) for x in parts(formula))

    def _number(self, var: str) -> int | None:
        """Which of the outputs' axes a bound variable runs over."""
        hint = var.rpartition(":")[2]
        return self.single.variables.index(hint) if hint in self.single.variables else None

    def system(self) -> System:
        """The lines."""
        axes = {
            name: (*(a.name for a in self.single.axes), *own) if name in self.families else own
            for name, own in self.old.axes.items()
        }
        return replace(
            self.old,
            kets={name: list(map(self._line, x)) for name, x in self.old.kets.items()},
            scalars={name: list(map(self._line, x)) for name, x in self.old.scalars.items()},
            axes=axes,
        )

    def _line(self, line: Line) -> Line:
        if line.name == self.output:
            return replace(line, value=self._formula(line.value, line.axes))
        if line.name not in self.families:
            return replace(line, value=self._formula(line.value, ()))
        env = {x.label: Affine.variable(f"${k + self.count}") for k, x in enumerate(line.labels)}
        front = tuple(AxisLabel(f"${k}", a.name) for k, a in enumerate(self.single.axes))
        labels = (*front, *(AxisLabel(env[x.label].terms[0][0], x.axis) for x in line.labels))
        at = tuple(Affine.variable(x.label) for x in front)
        value = self._formula(reindex(line.value, env), at)
        acting = line.acting
        if acting is not None:
            kets = [self._formula(reindex(k, env), at) for k in (acting.argument, acting.initial)]
            argument, initial = kets
            assert isinstance(argument, Ket)
            assert isinstance(initial, Ket)
            acting = replace(acting, argument=argument, initial=initial)
        return replace(line, labels=labels, value=value, acting=acting)

    def _formula(self, formula: Formula, at: Indices) -> Formula:
        """A formula at the index of an output."""
        match formula:
            case Symbol(name, _, axes) if name == self.single.seed:
                return mul(*(delta(i, j) for i, j in zip(at, axes, strict=True)))
            case Ket(name, indices, axes) | Symbol(name, indices, axes) if name in self.arity:
                more = len(indices) - self.arity[name]
                if name in self.families:
                    axes = (*(indices[:more] or at), *axes)
                return replace(formula, indices=indices[more:], axes=axes)
            case LoopSum(var, _, _, body) if (k := self._number(var)) is not None:
                return axis_sum(var, self.single.axes[k].name, self._formula(body, at))
            case _:
                return rebuilt(formula, lambda f: self._formula(f, at))
