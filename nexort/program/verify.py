"""The verifier: invariants of program graphs, checked between stages. A violation is a defect."""

from __future__ import annotations

from collections.abc import Iterable

from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program
from nexort.program.types import Kind, Type
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import InternalError


def verify_program(program: Program) -> None:
    """Types, references and single assignment of a program. Raises InternalError."""
    values = [rule.value for _, rule in program.rules()]
    values += [o.value for o in program.outputs if o.value is not None]
    for node in walk(values):
        _well_typed(node)
        if node.op is Op.MATMUL:
            raise InternalError("MATMUL before unrolling")
        if node.op is Op.REF:
            name, indices = node.attr
            family = program.families.get(name)
            if family is None or family.arity != len(indices) or family.type != node.type:
                raise InternalError(f"dangling reference to {name}")
    seen: set[tuple[str, tuple[object, ...]]] = set()
    for loops, rule in program.rules():
        family = program.families.get(rule.name)
        if family is None or family.type != rule.value.type:
            raise InternalError(f"a rule of {rule.name} does not have its family's type")
        if not loops:
            key = rule.name, rule.indices
            if key in seen and not any(i.terms for i in rule.indices):
                continue  # reported with numbers, when the program is unrolled
            seen.add(key)
    for output in program.outputs:
        if output.value is not None and output.value.type.kind is not Kind.SCALAR:
            raise InternalError(f"output {output.name} is not a scalar")


def verify_unrolled(program: Unrolled) -> None:
    """An unrolled program holds primitive operations only. Raises InternalError."""
    roots = [m for output in program.outputs for m in output.members]
    for node in walk(roots):
        if not node.op.unrolled:
            raise InternalError(f"{node.op.name} in an unrolled program")
        _well_typed(node)
    for output in program.outputs:
        for member in output.members:
            if member.type.kind is not Kind.SCALAR:
                raise InternalError(f"output {output.name} is not a scalar")


def _well_typed(node: Node) -> None:
    """The node's type follows from its arguments. Nodes never change: once is enough."""
    if node.sound:
        return
    if node.op.arity not in (None, len(node.args)):
        raise InternalError(f"{node.op.name} of {len(node.args)} arguments")
    expected = _expected(node)
    if expected is not None and expected != node.type:
        raise InternalError(f"{node.op.name} has type {node.type}, expected {expected}")
    if node.op in (Op.INNER, Op.AVERAGE, Op.APPLY, Op.MATMUL, Op.COPY):
        _check_closed(node.op, (a for a in node.args if a.type.kind is Kind.KET))
    node.sound = True


def _expected(node: Node) -> Type | None:
    match node.op:
        case Op.CALL:
            return build.call(str(node.attr), *node.args).type
        case Op.CONTRACT:
            assert isinstance(node.attr, int)
            return build.contract(node.args[0], node.args[1], node.attr).type
        case Op.INNER:
            return build.inner(node.args[0], node.args[1]).type
        case Op.AVERAGE:
            return build.average(node.args[0]).type
        case Op.MEAN:
            return build.mean(node.attr, node.args[0]).type
        case Op.APPLY:
            return build.apply(node.args[0], node.args[1]).type
        case Op.MATMUL:
            return node.args[0].type
        case _:
            return None


def _check_closed(op: Op, kets: Iterable[Node]) -> None:
    if any(k.type.open for k in kets):
        raise InternalError(f"{op.name} of a ket on iid copies")
