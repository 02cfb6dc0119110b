"""The Python interface: ``nexort.load(path)`` and what can be done with a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexort import driver
from nexort.data.given import Given
from nexort.program.numbers import Number
from nexort.program.program import Program
from nexort.support.diagnostics import Diagnostic, Source, fail
from nexort.transform.straight import Memory, refuse_training

if TYPE_CHECKING:
    import networkx as nx

    from nexort.data.arrays import LoadedArray
    from nexort.limit.derive.printing.limits import Limits
    from nexort.limit.exact.kernel import Kernels
    from nexort.program.unrolled import Unrolled, UnrolledOutput
    from nexort.report.compare import Verification
    from nexort.report.results import Results

VERIFY_WIDTHS = (64, 128, 256, 512, 1024)
OUTER_WIDTHS = {0: VERIFY_WIDTHS, 1: VERIFY_WIDTHS, 2: (32, 64, 128, 256), 3: (12, 16, 24, 32, 48)}
"""Default widths by the highest order r of an outer nonlinearity: a run takes n^(r+1)."""

TRAINING_WIDTHS = (64, 256, 1024)
"""Default widths of trainings."""

Progress = Callable[[int, int], None]


def load(path: str | Path, **numbers: Number) -> TensorProgram:
    """The program in a ``.nxt`` file, with values for its params and sizes for its dims.

    Raises NexortError with every error found.
    """
    return _loaded(driver.read(path), numbers)


def loads(text: str, **numbers: Number) -> TensorProgram:
    """The program in a text."""
    return _loaded(Source("<text>", text), numbers)


def _loaded(source: Source, numbers: Mapping[str, Number]) -> TensorProgram:
    program = driver.compile_source(source)
    for found in program.warnings:
        _issue(found)
    return TensorProgram(program, numbers)


class TensorProgram:
    """A compiled program. Data are given by name: ``p.limit(xi=X)``, X of the declared shape."""

    def __init__(
        self,
        program: Program,
        numbers: Mapping[str, Number] | None = None,
        max_instructions: int = driver.MAX_INSTRUCTIONS,
    ) -> None:
        self.program = program
        self.numbers = dict(numbers or {})
        self.max_instructions = max_instructions
        self._memory = Memory()
        self._kernels: dict[Hashable, Any] = {}
        driver.check(program, Given(self.numbers, {}, max_instructions))

    def with_numbers(self, **numbers: Number) -> TensorProgram:
        """The same program with other values for params and dims."""
        return TensorProgram(self.program, {**self.numbers, **numbers}, self.max_instructions)

    def unrolled(self, data: Mapping[str, Any] | None = None) -> Unrolled:
        """The straight-line program over some data."""
        given = Given(self.numbers, _arrays(data or {}), self.max_instructions)
        return driver.unroll(self.program, given, self._memory)

    def limit(
        self,
        *,
        samples: int | None = None,
        replicates: int | None = None,
        seed: int = 0,
        rtol: float | None = None,
        max_samples: int | None = None,
        threads: int | None = None,
        memory: int = 2 * 2**30,
        exact: bool = True,
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
        warn: driver.Warn | None = None,
        data: Mapping[str, Any] | None = None,
        **more_data: Any,
    ) -> Results:
        """The infinite-width limit of every output (Master Theorem 2.6.10), of a training over its
        steps (Thm 2.9.19, 2.9.30); ``checkpoint`` is a file that keeps a training's finished parts.

        Each result is an array of shape (family indices, axes) with ``.error`` (rounding where it
        is exact, an estimate for quadrature, else its standard error), and ``.method``. Where a
        training ceases to be finite, later values are nan, and ``warn`` is called with a diagnostic
        (without it, a RuntimeWarning is issued). ``exact``
        False samples every expectation, an independent second route. See
        :class:`nexort.limit.settings.Settings` for the options.
        """
        from nexort.limit.settings import DEFAULT_MAX_SAMPLES, DEFAULT_REPLICATES, Settings
        from nexort.report.results import Estimate, Results

        _positive(samples=samples, replicates=replicates, max_samples=max_samples, rtol=rtol)
        settings = Settings(
            samples,
            replicates or DEFAULT_REPLICATES,
            seed,
            rtol,
            max_samples or DEFAULT_MAX_SAMPLES,
            threads,
            memory,
            exact,
        )
        _check_seed(seed)
        arrays = {**(data or {}), **more_data}
        if self.program.training is not None:
            task, found = driver.evaluate_training(
                self.program, self._given(arrays), settings, progress, checkpoint, warn or _issue
            )
            outputs = task.outputs
        else:
            _refuse_checkpoint(checkpoint)
            program = self.unrolled(arrays)
            outputs, found = program.outputs, driver.evaluate(program, settings, progress)
        return Results(
            {
                output.name: Estimate(
                    found[output.name].value,
                    found[output.name].error,
                    found[output.name].method,
                    output.name,
                    _labels(output),
                    found[output.name].random,
                )
                for output in outputs
            }
        )

    def _given(self, data: Mapping[str, Any]) -> Given:
        return Given(self.numbers, _arrays(data), self.max_instructions)

    def kernel(
        self,
        X: Any,
        Y: Any = None,
        *,
        outputs: Sequence[str] | None = None,
        dtype: str = "float64",
        rtol: float = 1e-8,
        threads: int | None = None,
        memory: int = 2 * 2**30,
        progress: Progress | None = None,
        out: Mapping[str, str | Path] | str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Kernels:
        """Gram matrices between the inputs X and Y (or X and itself), of every output that is a
        bra-ket over an axis of inputs twice, or of those named.

        X and Y have the shape of the program's data entry, d x M and d x M'; each result is an
        array of shape (M, M'). They are computed in blocks: the arrays beside the results stay
        within ``memory`` bytes; ``out`` (a ``.npy`` path, for each output where there are several)
        keeps the results themselves in files. Raises NexortError for outputs without exact form.
        """
        from nexort.limit.exact import kernel as exact

        name, axis = self.kernel_input(outputs)
        second = None if Y is None else _arrays({name: Y})[name].array
        program = self.unrolled({**(data or {}), name: X})
        inputs = exact.Inputs(name, axis, program.data[name], second)
        options = exact.Options(dtype, rtol, threads, memory, progress, out)
        return exact.kernels(program, outputs, inputs, options, self._kernels)

    def kernel_input(self, outputs: Sequence[str] | None = None) -> tuple[str, int]:
        """The data entry that holds the inputs of :meth:`kernel`, and which of its axes counts
        them. Raises NexortError where there is none."""
        from nexort.limit.exact import kernel as exact

        refuse_training(self.program)
        first = exact.over_inputs(self.program.outputs, outputs)[0]
        declared = {n: tuple(a.name for a in d.axes) for n, d in self.program.data.items()}
        return exact.entry_of(declared, first.axes[0].name, first.span)

    def explain(
        self, rtol: float = 1e-8, *, data: Mapping[str, Any] | None = None, **more_data: Any
    ) -> list[Any]:
        """A row an expectation of the limit: its text, the route by which it is found (closed form,
        Hermite series, quadrature, sampling), and its error."""
        from nexort.limit.exact.explain import explain_routes

        return list(explain_routes(self.unrolled({**(data or {}), **more_data}), rtol))

    def derive(self, *, unroll: bool = False) -> Limits:
        """The infinite-width limit as mathematics, loop indices and inputs kept symbolic.

        ``p.derive()["nngp"]`` has ``.text``, ``.latex`` and ``.sympy``. ``unroll`` runs the loops,
        with the program's numbers for their ends. Raises NexortError where a rule has no symbolic
        form, or the program no output.
        """
        from nexort.limit.derive.printing.limits import Limits

        given = Given(self.numbers, {}, self.max_instructions)
        return Limits(driver.derive(self.program, given, unroll=unroll))

    def emit(self) -> str:
        """The limit as the source of a numpy module without nexort: ``limit(data, params)``
        returns the outputs by name. Raises NexortError where an expectation has no closed form."""
        return driver.emit(self.program, Given(self.numbers, {}, self.max_instructions))

    def simulate(
        self,
        width: int,
        seeds: int = 8,
        *,
        seed: int = 0,
        dtype: str | None = None,
        entries: str | None = None,
        threads: int | None = None,
        memory: int = 2 * 2**30,
        progress: Callable[[int], None] | None = None,
        checkpoint: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
        **more_data: Any,
    ) -> Results:
        """The outputs at width n: the mean over ``seeds`` runs, ``.error`` its standard error, and
        ``.runs`` the array of all runs, shape (seeds, ...). A training is run as it is at width n.

        ``dtype`` None is float64, for trainings float32; ``checkpoint`` as for :meth:`limit`.
        """
        import numpy as np

        from nexort.report.results import Estimate, Results

        outputs, runs = self._runs(
            {**(data or {}), **more_data},
            width,
            seeds,
            seed=seed,
            dtype=dtype,
            entries=entries,
            threads=threads,
            memory=memory,
            progress=progress,
            checkpoint=checkpoint,
        )
        method = f"width {width}, {seeds} runs"
        found = {}
        for output in outputs:
            array = runs[output.name]
            few = np.full(array.shape[1:], np.nan)
            with np.errstate(all="ignore"):  # runs may be infinite
                mean = array.mean(axis=0)
                error = (array.std(axis=0, ddof=1) if seeds > 1 else few) / np.sqrt(seeds)
            estimate = Estimate(
                mean,
                error,
                method,
                output.name,
                _labels(output),
            )
            estimate.runs = array
            found[output.name] = estimate
        return Results(found)

    def runs(
        self,
        width: int,
        seeds: int,
        *,
        seed: int = 0,
        dtype: str | None = None,
        entries: str | None = None,
        threads: int | None = None,
        memory: int = 2 * 2**30,
        progress: Callable[[int], None] | None = None,
        checkpoint: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
        **more_data: Any,
    ) -> dict[str, Any]:
        """The outputs of every run at width n: arrays of shape (seeds, ...). Options as for
        :meth:`simulate`."""
        return self._runs(
            {**(data or {}), **more_data},
            width,
            seeds,
            seed=seed,
            dtype=dtype,
            entries=entries,
            threads=threads,
            memory=memory,
            progress=progress,
            checkpoint=checkpoint,
        )[1]

    def _runs(
        self, data: Mapping[str, Any], width: int, seeds: int, **options: Any
    ) -> tuple[Sequence[UnrolledOutput], dict[str, Any]]:
        """The outputs, and every run of them."""
        _check_seed(options.get("seed", 0))
        if self.program.training is not None:
            task, runs = driver.train(self.program, self._given(data), width, seeds, **options)
            return task.outputs, runs
        _refuse_checkpoint(options.pop("checkpoint", None))
        if options.get("dtype") is None:
            options["dtype"] = "float64"
        program = self.unrolled(data)
        return program.outputs, driver.simulate(program, width, seeds, **options)

    def verify(
        self,
        widths: Sequence[int] | None = None,
        seeds: int = 32,
        *,
        data: Mapping[str, Any] | None = None,
        limit: Results | None = None,
        confidence: float = 0.999,
        dtype: str | None = None,
        seed: int = 0,
        entries: str | None = None,
        threads: int | None = None,
        memory: int = 2 * 2**30,
        checkpoint: str | Path | None = None,
        watch: Callable[[int], Callable[[int], None] | None] | None = None,
        keep: dict[int, dict[str, Any]] | None = None,
        **more_data: Any,
    ) -> Verification:
        """The limit against finite widths: does the Master Theorem (2.6.10) hold in numbers?

        ``limit`` is evaluated within the same memory and threads where it is not given; ``watch``
        makes the progress function of a width; ``keep`` is filled with the runs of every width;
        further options and data as for :meth:`simulate`.
        """
        from nexort.report.compare import verify

        arrays = {**(data or {}), **more_data}
        found = limit
        if found is None:
            found = self.limit(threads=threads, memory=memory, checkpoint=checkpoint, data=arrays)
        runs = {}
        for width in widths or self.default_widths():
            runs[width] = self._runs(
                arrays,
                width,
                seeds,
                seed=seed,
                dtype=dtype,
                entries=entries,
                threads=threads,
                memory=memory,
                progress=None if watch is None else watch(width),
                checkpoint=checkpoint,
            )[1]
        if keep is not None:
            keep.update(runs)
        kind = dtype or (driver.TRAINING_DTYPE if self.program.training is not None else "float64")
        return verify(found, runs, confidence=confidence, dtype=kind, rare=self.jumping(arrays))

    def jumping(self, data: Mapping[str, Any] | None = None) -> list[str]:
        """The names of the outputs that have a function with a jump in them."""
        from nexort.limit.sample.plan import jumps_at_zero
        from nexort.program.nodes import walk

        if self.program.training is not None:
            return []
        outputs = self.unrolled(data or {}).outputs
        return [x.name for x in outputs if any(map(jumps_at_zero, walk(x.members)))]

    def default_widths(self) -> tuple[int, ...]:
        """Widths for :meth:`verify` that a run can afford."""
        if self.program.training is not None:
            return TRAINING_WIDTHS
        from nexort.program.view import outer_order

        return OUTER_WIDTHS.get(outer_order(self.program), (8, 12, 16))

    def graph(self) -> nx.MultiDiGraph:
        """The graph of declarations and rules, of a training those of its core program; families
        stay families."""
        from nexort.program.view import program_graph

        return program_graph(self.expand().program if self.program.training else self.program)

    def expand(self) -> TensorProgram:
        """The core program that a training stands for; its text is ``program.source.text``.

        Raises NexortError for what the core language has no words for.
        """
        core = driver.expand(self.program, Given(self.numbers, {}, self.max_instructions))
        source = Source(core.source.name, driver.text(core))
        return TensorProgram(replace(core, source=source), None, self.max_instructions)

    def table(self) -> list[tuple[str, ...]]:
        """A row a name: name, kind, axes, instruction."""
        from nexort.program.view import program_table

        return [row.cells for row in program_table(self.program)]

    def __repr__(self) -> str:
        outputs = ", ".join(o.name for o in self.program.outputs)
        return f"<TensorProgram {self.program.source.name}: outputs {outputs or 'none'}>"

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{h}</th>" for h in ("name", "kind", "axes", "instruction"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.table()
        )
        name = escape(self.program.source.name)
        return f"<table><caption>{name}</caption><tr>{head}</tr>{rows}</table>"


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise fail("bad-option", f"a seed is at least 0, found {seed}")


def _refuse_checkpoint(checkpoint: object) -> None:
    if checkpoint is not None:
        message = "a checkpoint keeps parts of a training, this program has none"
        raise fail("bad-option", message, help="leave out --checkpoint")


def _positive(**given: float | None) -> None:
    """Raises NexortError unless all that is given is above 0."""
    for name, value in given.items():
        if value is not None and not value > 0:
            raise fail("bad-option", f"{name} is {value}, expected a number above 0")


def _labels(output: UnrolledOutput) -> tuple[tuple[int, ...], ...]:
    """The index values along the family axes of an output; () where its members form no grid."""
    from nexort.report.results import grid_labels

    full = len(output.family_shape) == len(output.indices[0])
    return grid_labels(output.indices, output.family_shape) if full else ()


def _issue(found: Diagnostic) -> None:
    """A diagnostic as a Python warning."""
    warnings.warn(found.render(python=True), RuntimeWarning, stacklevel=4)


def _arrays(data: Mapping[str, Any]) -> dict[str, LoadedArray]:
    """Arrays of a caller, checked like those of files."""
    from nexort.data.arrays import from_array

    return {name: from_array(name, value) for name, value in data.items()}
