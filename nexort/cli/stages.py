"""``--dump`` and ``--time-passes``, options of every command that reads a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from nexort.cli import options
from nexort.cli.streams import note, say
from nexort.support.diagnostics import Source, Span, fail
from nexort.support.passes import Pass, record_passes

if TYPE_CHECKING:
    from nexort.data.given import Given
    from nexort.program.nodes import Node
    from nexort.program.program import Program
    from nexort.program.unrolled import Unrolled

STAGES = ("syntax", "program", "expanded", "unrolled", "plan")


def with_stages(command: click.Command) -> click.Command:
    """The command with the two options, where it reads one program."""
    names = {p.name for p in command.params}
    if "file" not in names or "dump" in names:
        return command
    command.params.append(
        click.Option(
            ["--dump"],
            type=click.Choice(STAGES),
            help="Print a stage of the pipeline, and do nothing else.",
        )
    )
    command.params.append(
        click.Option(
            ["--time-passes"], is_flag=True, help="The time and the size of each stage, on stderr."
        )
    )
    run = command.callback
    assert run is not None
    command.callback = _staged(run)
    return command


def _staged(run: Callable[..., Any]) -> Callable[..., Any]:
    def callback(*, dump: str | None, time_passes: bool, **asked: Any) -> Any:
        action = run if dump is None else _dump_of(dump)
        if not time_passes:
            return action(**asked)
        with record_passes() as found:
            try:
                return action(**asked)
            finally:
                note(pass_times(found.passes))

    return callback


def pass_times(passes: Sequence[Pass]) -> str:
    """A row a stage: those inside others are indented."""
    rows = [("  " * p.depth + p.name, f"{p.seconds:.3f} s", result_size(p.result)) for p in passes]
    return options.align_columns(rows, ("stage", "time", "size"))


def result_size(result: object) -> str:
    """How much came out of a stage."""
    found = _size(result)
    return "" if found is None else f"{found[0]} {found[1]}"


def _size(result: object) -> tuple[int, str] | None:
    from nexort.limit.derive.derivation import Derivation
    from nexort.program.program import Program
    from nexort.program.unroll import Unroller
    from nexort.program.unrolled import Unrolled
    from nexort.syntax import tree as t
    from nexort.training.task import Task

    match result:
        case str():
            return len(result), "characters"
        case Source():
            return len(result.text), "characters"
        case t.Module():
            return len(result.statements), "statements"
        case Program():
            return sum(1 for _ in result.rules()), "rules"
        case Unroller():
            return len(result.members), "members"
        case Unrolled():
            return len(_nodes(result)), "instructions"
        case Task():
            return len(_nodes(result.step)), "instructions in a step"
        case Derivation():
            return len(result.equations) + len(result.kets), "equations"
        case Mapping():
            return len(result), "outputs"
        case (Task() as task, Mapping()):
            return task.steps, "steps"
        case _:
            return None


def _nodes(unrolled: Unrolled) -> list[Node]:
    from nexort.program.nodes import walk

    return walk([m for output in unrolled.outputs for m in output.members])


# ---- dumps ---------------------------------------------------------------------------------------


def _dump_of(stage: str) -> Callable[..., None]:
    def dump(
        file: str | None,
        settings: Sequence[str] = (),
        data: Sequence[str] = (),
        max_instructions: int | None = None,
        **_: Any,
    ) -> None:
        from nexort import driver

        if file is None:
            raise fail("bad-option", "--dump wants a program", help="name a .nxt file")
        source = driver.read(file)
        if stage == "syntax":
            say("\n".join(_tree(driver.parse(source).statements)))
            return
        program = driver.compile_source(source)
        if stage == "program":
            say(driver.text(program).rstrip())
            return
        given = options.read_given(program, settings, data)
        if max_instructions is not None:
            given = replace(given, max_instructions=max_instructions)
        match stage:
            case "expanded":
                say(driver.text(driver.expand(program, given)).rstrip())
            case "unrolled":
                say("\n".join(_unrolled(program, given)))
            case "plan":
                say(_plan(program, given))

    return dump


def _tree(root: object) -> Iterator[str]:
    """A syntax tree, a part a line, without places; trees may be deeper than Python's stack."""
    stack: list[tuple[str, str, object]] = [("", "", root)]
    while stack:
        indent, label, value = stack.pop()
        if label:
            yield f"{indent}.{label}"
            indent += "  "
        if isinstance(value, tuple):
            stack.extend((indent, "", item) for item in reversed(value))
        elif is_dataclass(value):
            parts = [(f.name, getattr(value, f.name)) for f in fields(value)]
            parts = [x for x in parts if not isinstance(x[1], Span) and x[1] not in (None, ())]
            inside = [x for x in parts if is_dataclass(x[1]) or isinstance(x[1], tuple)]
            plain = [f"{name}={part!r}" for name, part in parts if (name, part) not in inside]
            yield " ".join([f"{indent}{type(value).__name__}", *plain])
            stack.extend((indent + "  ", name, part) for name, part in reversed(inside))
        else:
            yield f"{indent}{value!r}"


def _unrolled(program: Program, given: Given) -> Iterator[str]:
    """An instruction a line, with the line of the program that it is from; of a training those of a
    step, and of its gradients."""
    from nexort import driver
    from nexort.training.task import weight_name

    if program.training is None:
        whole = driver.unroll(program, given)
        outputs = {o.name: o.members for o in whole.outputs}
    else:
        task = driver.training(program, given)
        whole = task.step
        outputs = {program.training.network.name: (task.out,)}
        for key, gradient in task.gradients.items():
            parts = [x for pair in gradient.pairs for x in pair]
            parts += [x for x in (gradient.ket, gradient.scalar) if x is not None]
            outputs[f"gradient of {weight_name(key)}"] = tuple(parts)
    yield from _instructions(whole, outputs)


def _instructions(whole: Unrolled, outputs: Mapping[str, tuple[Node, ...]]) -> Iterator[str]:
    from nexort.program.nodes import Op, walk

    place: dict[Node, int] = {}
    for x in walk([m for members in outputs.values() for m in members]):
        place[x] = len(place)
        args = ", ".join(f"%{place[a]}" for a in x.args)
        name = str(x.attr) if x.op is Op.CALL else f"{x.op.name.lower()}{_attribute(x)}"
        axes = f"[{', '.join(map(str, x.type.axes))}]" if x.type.axes else ""
        line = f"%{place[x]} = {name}({args}) : {x.type.kind.value}{axes}"
        span = whole.spans.get(x)
        yield line if span is None else f"{line:60}  # {span.text.splitlines()[0]}"
    for name, members in outputs.items():
        yield f"output {name}: {', '.join(f'%{place[m]}' for m in members)}"


def _attribute(x: Node) -> str:
    """What a node has beside its arguments, as the language writes it."""
    from nexort.program.nodes import Op
    from nexort.training.task import weight_name

    if x.attr is None:
        return ""
    if x.op is Op.MATMUL:
        name, indices, flipped = x.attr
        return f" {weight_name((name, indices))}{'^T' if flipped else ''}"
    if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
        return f" {weight_name(x.attr)}"
    return f" {x.attr}"


def _plan(program: Program, given: Given) -> str:
    """How the limit is found: the route of every expectation; of a training its regime, which
    weights move, and the sample."""
    from nexort import driver
    from nexort.limit.exact.explain import explain_routes
    from nexort.training.task import weight_name

    if program.training is None:
        rows = [row.cells for row in explain_routes(driver.unroll(program, given))]
        return options.align_columns(rows, ("expectation", "route", "relative error"))
    task = driver.training(program, given)
    heading = f"{'maximal update' if task.regime == 'maximal' else 'neural tangent'} limit"
    lines = [f"{heading}, {task.steps} steps"]
    weights = []
    for key, w in task.weights.items():
        moved = w.active and not task.gradients[key].is_zero
        linear = w.update.coefficients(max(1, task.steps)) is not None
        how = "in the span of gradients" if linear else "pair by pair of neurons"
        how = how if w.kind == "matrix" else "entry by entry"
        weights.append((weight_name(key), w.kind, w.update.name, how if moved else "stays"))
    return "\n".join(
        [*lines, options.align_columns(weights, ("weight", "kind", "update", "moves"))]
    )
