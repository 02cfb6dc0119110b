"""Kernels over data: the Gram matrices of a program's outputs for one or two sets of inputs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nexort.gaussian.scratch import Kept
from nexort.limit.exact import blocks, failures, gaps, whole
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.engine import ExactEngine, deep
from nexort.limit.exact.existing import examine
from nexort.limit.exact.factored import dependency_order, factor_sums
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import Index, Label, top
from nexort.limit.exact.meanings import NOT_SHOWN
from nexort.limit.exact.normal import normal
from nexort.limit.exact.operations import NotFiniteError
from nexort.limit.exact.scaled import share_scaled
from nexort.limit.exact.sizes import Sides
from nexort.limit.exact.solve import route_text
from nexort.limit.exact.values import Value, What
from nexort.program.declarations import OutputRule
from nexort.program.nodes import Node
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import NexortError, Span, fail

RESULTS = Kept(2**26)
"""Kernels of a few thousand inputs, evaluated again and again with other numbers."""


class Kernels(Mapping[str, Array]):
    """Gram matrices by output name, shape (inputs of X, inputs of Y); ``methods`` says how each was
    found, ``errors`` how large its relative error is estimated to be: of an entry (a, b) relative
    to its size, sqrt(K_aa K_bb) for bra-kets (``nexort.limit.exact.sizes``)."""

    def __init__(
        self,
        arrays: Mapping[str, Array],
        methods: Mapping[str, str],
        errors: Mapping[str, float],
        sizes: Mapping[str, Sides | None],
    ) -> None:
        self._arrays = dict(arrays)
        self.methods, self.errors, self._sizes = dict(methods), dict(errors), dict(sizes)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def results(self) -> dict[str, tuple[Array, Array, str]]:
        """By name the array, the errors of its entries, and the method."""
        return {n: (a, self.errors[n] * self._size(n), self.methods[n]) for n, a in self.items()}

    def _size(self, name: str) -> Array:
        """Of every entry; of all the largest where no more is known."""
        array, sides = self._arrays[name], self._sizes[name]
        largest = np.max(np.abs(array), initial=0.0)
        if sides is None:
            return np.full(array.shape, largest)
        first, second = (np.ravel(x) for x in sides)
        found = np.broadcast_to(np.multiply.outer(first, second), array.shape)
        return np.where(np.isfinite(found), found, largest)

    def __repr__(self) -> str:
        parts = [f"{n}: {a.shape[0]} x {a.shape[1]} ({self.methods[n]})" for n, a in self.items()]
        return f"<Kernels {', '.join(parts)}>"


@dataclass(frozen=True)
class Chosen:
    """One kernel: its name, the scalar node, and the axis of inputs."""

    name: str
    node: Node
    axis: str
    span: Span | None


Out = TypeVar("Out", OutputRule, UnrolledOutput)


def over_inputs(outputs: Sequence[Out], names: Sequence[str] | None) -> list[Out]:
    """The outputs over two equal axes of inputs, or those named. Raises NexortError."""
    known = {o.name: o for o in outputs}
    for name in names or ():
        if name not in known:
            message = f"the program has no output '{name}', it has {', '.join(known)}"
            raise fail("kernel-output", message)
    found = []
    for output in [known[n] for n in names] if names is not None else outputs:
        axes = output.axes
        if len(axes) == 2 and axes[0].name == axes[1].name and axes[0].size is None:
            found.append(output)
        elif names is not None:
            raise _no_kernel(output)
    if not found:
        raise _no_kernel(outputs[0])
    axes_found = {o.axes[0].name for o in found}
    if len(axes_found) > 1:
        message = f"kernels over different axes: {', '.join(sorted(axes_found))}"
        raise fail("kernel-output", message, found[0].span, help="name the outputs of one of them")
    return found


def chosen(outputs: Sequence[UnrolledOutput], names: Sequence[str] | None) -> list[Chosen]:
    """The members of the outputs over inputs, or of those named. Raises NexortError."""
    found = []
    for output in over_inputs(outputs, names):
        for member, indices in zip(output.members, output.indices, strict=True):
            place = f"[{', '.join(map(str, indices))}]" if indices else ""
            found.append(Chosen(output.name + place, member, output.axes[0].name, output.span))
    return found


def _no_kernel(output: OutputRule | UnrolledOutput) -> NexortError:
    shape = f"axes [{', '.join(map(str, output.axes))}]" if output.axes else "no axes"
    return fail(
        "not-a-kernel",
        f"output {output.name} has {shape}: a kernel is a bra-ket over an axis of inputs, twice",
        output.span,
        help="dim d, M; data xi[d, M]; |x> = relu(|u> @ xi); output <x|x>",
    )


def entry_of(
    declared: Mapping[str, Sequence[str]], axis: str, span: Span | None
) -> tuple[str, int]:
    """The data entry that holds the inputs and the position of their axis, from the axes of each
    entry. Raises NexortError."""
    found = [name for name, axes in declared.items() if axis in axes]
    if len(found) == 1 and list(declared[found[0]]).count(axis) == 1:
        return found[0], list(declared[found[0]]).index(axis)
    if not found:
        message = f"no data is declared over the inputs' axis {axis}"
        raise fail("kernel-data", message, span, help=f"data xi[d, {axis}]")
    message = f"the inputs' axis {axis} occurs in more than one place of the data: "
    raise fail("kernel-data", message + ", ".join(found), span)


@dataclass(frozen=True)
class Inputs:
    """The rows' and columns' inputs: ``columns`` None where they are the rows'. ``axis`` is the
    position of the inputs' axis in the data entry ``name``."""

    name: str
    axis: int
    rows: Array
    columns: Array | None

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns a kernel has."""
        rows = self.rows.shape[self.axis]
        return rows, rows if self.columns is None else self.columns.shape[self.axis]


@dataclass(frozen=True)
class Options:
    """How kernels are computed; ``out`` a ``.npy`` path, or one for each output, for results that
    are kept in files."""

    dtype: str = "float64"
    rtol: float = 1e-8
    threads: int | None = None
    memory: int = 2**31
    progress: blocks.Progress | None = None
    out: Mapping[str, str | Path] | str | Path | None = None
    size: int | None = None


PLANS = 8
"""Plans that a program keeps."""


@dataclass(frozen=True)
class Compiled:
    """The kernels of a program for any numbers of its data; ``pairs`` says that the rows' and the
    columns' inputs may differ."""

    picked: tuple[Chosen, ...]
    engine: ExactEngine
    plan: blocks.Blocks
    below: tuple[tuple[Value, ...], ...]
    """All that each root depends on."""
    pairs: bool


Known = dict[Hashable, Compiled]


def compile_kernels(
    program: Unrolled, names: Sequence[str] | None, inputs: Inputs, known: Known | None = None
) -> Compiled:
    """The plan for the outputs with these names (None: of all that are kernels). ``known`` has
    those found before. Raises NexortError where an output has no exact
    route, or its value at a pair of inputs depends on the others."""
    pairs = inputs.columns is not None
    graph = program.outputs, tuple(program.matrix_laws.items()), tuple(program.sizes.items())
    key = graph, None if names is None else tuple(names), inputs.axis, pairs
    if known is not None and key in known:
        return known[key]
    picked = chosen(program.outputs, names)
    axis = picked[0].axis
    row, column = top([axis, axis])
    with deep():
        # without the data, which a plan that is kept should not hold
        engine = ExactEngine(replace(program, data={}))
        roots = [_lowered(engine, c, row, column) for c in picked]
        engine.values.budget.end()
        if pairs:
            _check_pairs(roots, inputs, axis, picked[0].span)
        roots = share_scaled(engine, gaps.without_cross(engine, roots))
        roots = normal(engine, roots)
        roots = factor_sums(engine.values, roots)
        plan = blocks.Blocks.of(roots, row, column)
    below = tuple(tuple(dependency_order([r])) for r in roots)
    found = Compiled(tuple(picked), engine, plan, below, pairs)
    if known is not None:
        while len(known) >= PLANS:
            known.pop(next(iter(known)), None)
        known[key] = found
    return found


def kernels(
    program: Unrolled,
    names: Sequence[str] | None,
    inputs: Inputs,
    options: Options,
    known: Known | None = None,
) -> Kernels:
    """The Gram matrices of the outputs with these names (None: of all that are kernels).

    The arrays beside the results stay within ``options.memory`` bytes; ``known`` as for
    :func:`compile_kernels`. Raises NexortError where an output has no exact route, or its value at
    a pair of inputs depends on the others.
    """
    _check_inputs(inputs, options)
    shown = _are_shown(program, names, inputs)
    found = compile_kernels(program, names, inputs, known)
    picked, engine, plan = found.picked, found.engine, found.plan
    kind = np.dtype(options.dtype)
    frame = _frame(program, inputs, plan.row, plan.column, kind, options.rtol)
    results = [make_result(options.out, c.name, inputs.shape, kind, len(picked)) for c in picked]
    try:
        sizes = blocks.evaluate_blocks(
            plan, frame, results, symmetric=inputs.columns is None,
            threads=options.threads, memory=options.memory,
            progress=options.progress, size=options.size,
        )  # fmt: skip
    except NotFiniteError as problem:
        functions = [v for v in dependency_order([problem.value]) if v in engine.origin]
        raise failures.not_finite(engine, functions[0] if functions else None) from None
    except failures.PROBLEMS as problem:
        raise failures.diagnose(engine, problem) from None
    outputs = [c.name for c in picked]
    eps = float(np.finfo(kind).eps)
    errors = [whole.relative_error(below, frame.errors, eps) for below in found.below]
    methods = {}
    for name, below, error in zip(outputs, found.below, errors, strict=True):
        used = {frame.methods[v] for v in below if v in frame.methods}
        methods[name] = route_text(used, error) + ("" if shown else f", {NOT_SHOWN}")
    return Kernels(
        dict(zip(outputs, results, strict=True)), methods, dict(zip(outputs, errors, strict=True)),
        dict(zip(outputs, sizes, strict=True)),
    )  # fmt: skip


def _are_shown(program: Unrolled, names: Sequence[str] | None, inputs: Inputs) -> bool:
    """Whether the kernels' expectations are shown to exist. Raises NexortError."""
    outputs = tuple(over_inputs(program.outputs, names))
    found = []
    for array in (inputs.rows, inputs.columns):
        if array is not None:
            sizes = {**program.sizes, outputs[0].axes[0].name: array.shape[inputs.axis]}
            data = {**program.data, inputs.name: array}
            found.append(examine(replace(program, outputs=outputs, data=data, sizes=sizes)))
    return not any(found)


def make_result(
    out: Mapping[str, str | Path] | str | Path | None,
    name: str,
    shape: tuple[int, int],
    kind: np.dtype[Any],
    count: int,
) -> Array:
    """The array of one result: in memory, or in a ``.npy`` file. Raises NexortError."""
    path = out.get(name) if isinstance(out, Mapping) else out
    if path is None:
        return RESULTS.empty(shape, kind)
    if not isinstance(out, Mapping) and count > 1:
        path = Path(path).with_suffix(f".{name}.npy")
    if Path(path).suffix != ".npy":
        raise fail("bad-output-file", f"{path}: kernels are written to .npy", help="-o kernel.npy")
    try:
        return np.lib.format.open_memmap(path, "w+", kind, shape)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror or error}"
        raise fail("bad-output-file", message) from None


def _check_inputs(inputs: Inputs, options: Options) -> None:
    if options.dtype not in ("float64", "float32"):
        raise fail("bad-option", f"dtype is float64 or float32, found {options.dtype!r}")
    if inputs.columns is None:
        return
    first, second = list(inputs.rows.shape), list(inputs.columns.shape)
    if len(first) == len(second):
        first[inputs.axis] = second[inputs.axis]
    if first != second:
        message = f"the second inputs have shape {inputs.columns.shape}, the first "
        message += (
            f"{inputs.rows.shape}: only the number of inputs (axis {inputs.axis + 1}) differs"
        )
        raise fail("data-shape", message)


def _lowered(engine: ExactEngine, c: Chosen, row: Label, column: Label) -> Value:
    try:
        return engine.scalar(c.node, (row, column))
    except NotExact as problem:
        span, _ = failures.binding_of(engine, problem.node)
        notes = [("it depends on this", span)] if span is not None else []
        raise fail(
            "kernel-inexact",
            f"the kernel {c.name} has no exact form: {problem.reason}",
            c.span,
            notes=notes,
            help="nexort eval samples it, over all inputs at once",
        ) from None


def _check_pairs(roots: Sequence[Value], inputs: Inputs, axis: str, span: Span | None) -> None:
    """The value at a pair of inputs must depend on this pair alone."""
    for v in dependency_order(roots):
        bound = v.attr if v.what is What.SUM else ()
        fixed = False
        if v.what is What.ARRAY and v.attr[0] == ("data", inputs.name):
            fixed = isinstance(v.attr[1][inputs.axis], int)
        joined = v.what is What.EYE and any(i.axis == axis for i in v.labels)
        if fixed or joined or any(label.axis == axis for label in bound):
            message = "the kernel of two inputs depends on the other inputs too: "
            what = "one of them is singled out" if fixed else f"{axis} is summed over"
            what = f"a vector has an entry for each of {axis}" if joined else what
            raise fail("not-a-kernel", message + what, span,
                       help="evaluate it over one set of inputs")  # fmt: skip


def _frame(
    program: Unrolled, inputs: Inputs, row: Label, column: Label, dtype: Any, rtol: float
) -> Frame:
    own = whole.frame_of(program, rtol)

    def size(label: Label) -> int:
        if label.axis != row.axis:
            return own.sizes(label)
        return inputs.shape[label == column]

    def source(name: Any, indices: tuple[Index, ...]) -> Array:
        if name == ("data", inputs.name):
            second = indices[inputs.axis] == column and inputs.columns is not None
            return inputs.columns if second else inputs.rows  # type: ignore[return-value]
        return own.source(name, indices)

    return Frame(size, source, dtype=dtype.type, rtol=rtol)
