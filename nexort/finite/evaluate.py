"""One run: the steps of a schedule carried out with the numbers of one draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nexort.finite.arrays import FLOAT64, Place, finite_local, raise_scalar
from nexort.finite.averages import Component
from nexort.finite.crew import Crew
from nexort.finite.loops import Loops, Pairs
from nexort.finite.matrices import Matrices
from nexort.finite.schedule import Averages, MatrixProduct, Schedule
from nexort.finite.streams import Law, Streams, symbol_of
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import InternalError


@dataclass
class ProgramRun:
    """One draw of a program at a width. ``watch`` sees every value as it is made."""

    program: Unrolled
    streams: Streams
    laws: Callable[[str], Law]
    capacity: int
    crew: Crew
    watch: Callable[[Node, Array], None] | None = None

    def outputs(self, plan: Schedule) -> dict[str, Array]:
        """Output name -> array of shape ``(*family_shape, *axes)``, float64."""
        self._values: dict[Node, Array] = {}
        self._pairs: Pairs = {}
        self._matrices = Matrices(self.streams, self.laws, self.capacity)
        for step in plan.steps:
            self.crew.check()
            match step.work:
                case MatrixProduct():
                    self._multiply(step.work)
                case Averages():
                    self._average(step.work)
                case _:
                    self._values[step.work] = self._value(step.work)
            if self.watch is not None:
                for node in step.nodes:
                    self.watch(node, self._values[node])
            for node in step.free:
                del self._values[node]
        found = {}
        for output in self.program.outputs:
            shape = (*output.family_shape, *self.program.shape(output.axes))
            parts = [self._values[m] for m in output.members]
            found[output.name] = np.stack(parts).reshape(shape)
        return found

    # ---- single nodes --------------------------------------------------------------------------

    def _value(self, node: Node) -> Array:
        """Scalars are float64; kets have the run's dtype, the last dimension contiguous."""
        if node.type.kind is Kind.SCALAR:
            return np.asarray(self._scalar(node), np.float64)
        return self._ket(node).astype(self.streams.dtype, copy=False)

    def _scalar(self, node: Node) -> Array:
        shape = self.program.shape(node.type.axes)
        args = [self._values[a] for a in node.args]
        match node.op:
            case Op.CONST:
                return np.asarray(node.attr, np.float64).reshape(shape)
            case Op.DATA:
                return np.asarray(self.program.data[str(node.attr)], np.float64).reshape(shape)
            case Op.INIT_SCALAR:
                return self.streams.scalar(symbol_of(node), shape)
            case Op.INNER:
                x, y = (v.astype(np.float64) for v in args)
                return np.asarray(np.tensordot(x, y, axes=(-1, -1)) / self.streams.width)
            case Op.AVERAGE | Op.MEAN:
                return np.asarray(args[0].mean(axis=-1, dtype=np.float64))
            case op if op.local:
                place = Place(shape, (), (), FLOAT64)
                return finite_local(node, args, place, self.program.spans.get(node))
            case op:
                raise InternalError(f"{op.name} at width n")

    def _ket(self, node: Node) -> Array:
        shape = self.program.shape(node.type.axes)
        match node.op:
            case Op.INIT_VECTOR:
                return self.streams.vector(symbol_of(node), shape)
            case Op.COPY:
                return self._values[node.args[0]]
            case op if op.local:
                copies = tuple(node.type.copies)
                place = Place(shape, (self.streams.width,), copies, self.streams.dtype)
                args = [raise_scalar(a, self._values[a], place) for a in node.args]
                return np.ascontiguousarray(finite_local(node, args, place))
            case op:
                raise InternalError(f"{op.name} of kets at width n")

    def _as_ket(self, node: Node) -> Array:
        """A value that broadcasts against kets without widening their dtype."""
        value = self._values[node]
        if node.type.kind is Kind.KET:
            return value
        return value.astype(self.streams.dtype)[..., None]

    # ---- what is done together -------------------------------------------------------------------

    def _multiply(self, work: MatrixProduct) -> None:
        """W x and W^T y for all arguments at once."""
        n = self.streams.width
        sides: tuple[list[Node], list[Node]] = ([], [])
        for node in work.nodes:
            assert isinstance(node.attr, tuple)
            sides[bool(node.attr[2])].append(node)
        empty = np.empty((0, n), self.streams.dtype)
        x, y = (
            np.concatenate([empty, *(self._values[node.args[0]].reshape(-1, n) for node in side)])
            for side in sides
        )
        results = self._matrices.apply(work.symbol, x, y, work.again, self.crew)
        for side, result in zip(sides, results, strict=True):
            start = 0
            for node in side:
                shape = self._values[node.args[0]].shape
                stop = start + int(np.prod(shape[:-1]))
                self._values[node] = result[start:stop].reshape(shape)
                start = stop

    def _average(self, work: Averages) -> None:
        """Nests give the averages over pairs; a MEAN is the product of its components."""
        n, dtype = self.streams.width, self.streams.dtype
        averages: dict[Component, Array] = {}
        for nest in work.nests:
            loops = Loops(nest, self._values, self._pairs, dtype, self.crew)
            averages.update(zip(nest.components, loops.averages(), strict=True))
        for pair in work.dropped:
            del self._pairs[pair]
        for node, parts in zip(work.nodes, work.parts, strict=True):
            of_kets = node.type.kind is Kind.KET
            result = np.ones((n,) if of_kets else ())
            for part in parts:
                value = averages[part] if part.pairs else self._apart(part)
                is_ket = 0 in part.copies
                result = result * (value[..., None] if of_kets and not is_ket else value)
            self._values[node] = result.astype(dtype if of_kets else np.float64, copy=False)

    def _apart(self, part: Component) -> Array:
        """A component without pairs: a product of ordinary values, or of kets on one copy."""
        if not part.copies:
            values = [self._values[f] for f in part.factors]
        else:
            values = [self._as_ket(f) for f in part.factors]
        product = values[0].astype(np.float64)
        for value in values[1:]:
            product = product * value
        return product.mean(axis=-1) if part.weights else product
