"""Every instruction stands with its role and arity, and every evaluator has it or says its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nexort
from nexort.program import build
from nexort.program.nodes import Node, Op, Role
from nexort.program.types import ket, scalar
from nexort.program.unrolled import Unrolled, UnrolledOutput
from nexort.program.verify import verify_unrolled
from nexort.support.diagnostics import InternalError

PACKAGE = Path(nexort.__file__).parent

EVALUATORS = {
    "at width n": ("finite/evaluate.py:_scalar", "finite/arrays.py:reshape_axes"),
    "kets at width n": ("finite/evaluate.py:_ket", "finite/arrays.py:reshape_axes"),
    "trainings at width n": ("finite/training/operations.py:forward",),
    "adjoints at width n": ("finite/training/operations.py:backward",),
    "sampled": ("limit/sample/machine.py:_value",),
    "sampled, entry by entry": (
        "limit/sample/arrays.py:local",
        "limit/sample/arrays.py:structural",
    ),
    "exact scalars": ("limit/exact/scalars.py:lower",),
    "exact kets": ("limit/exact/kets.py:form_of",),
    "formulas": ("limit/derive/indexing.py:formula", "limit/derive/indexing.py:_leaf"),
    "gradients": ("training/backprop.py:back",),
    "outputs of trainings": ("training/recorder.py:_value",),
    "written out": ("expand/text.py:text", "expand/text.py:_leaf"),
}
"""What evaluates instructions: functions, each of which hands what it does not have to the next."""


def matches(place: str) -> ast.Match:
    """The match over instructions of a function."""
    file, name = place.split(":")
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    [function] = [x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == name]
    found = [x for x in ast.walk(function) if isinstance(x, ast.Match)]
    return next(x for x in found if ast.unparse(x.subject).endswith(".op"))


def named(pattern: ast.pattern) -> set[str]:
    """The instructions that a case names."""
    return {
        x.attr
        for x in ast.walk(pattern)
        if isinstance(x, ast.Attribute) and ast.unparse(x.value) == "Op"
    }


@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_have_every_instruction_or_refuse_it_by_name(name: str) -> None:
    *_, last = found = [matches(place) for place in EVALUATORS[name]]
    handled = {op for match in found for case in match.cases for op in named(case.pattern)}
    assert handled <= set(Op.__members__)
    assert len(handled) > 2
    rest = last.cases[-1]
    assert ast.unparse(rest.pattern) == "_"
    raised = rest.body[-1]
    assert isinstance(raised, ast.Raise)
    assert "op.name" in ast.unparse(raised)


@pytest.mark.parametrize("op", Op)
def test_roles_and_arities(op: Op) -> None:
    assert (op.arity == 0) == (op.role is Role.LEAF or op is Op.INIT_MATRIX)
    assert Op[op.name] is op
    assert op.unrolled or op.role not in (Role.AVERAGE, Role.COPY)


def test_instructions_of_one_role_and_arity_are_different() -> None:
    assert len(set(Op)) == len(Op.__members__) == len({op.value for op in Op})


def test_the_sampler_takes_all_local_instructions() -> None:
    from nexort.limit.sample.arrays import LOCAL

    assert {op for op in Op if op.role is Role.LOCAL and op.unrolled} == LOCAL


@pytest.mark.parametrize("op", [op for op in Op if not op.unrolled])
def test_what_is_not_unrolled_is_refused_by_its_name(op: Op) -> None:
    x = Node(Op.INIT_VECTOR, (), ("x", ()), ket())
    bad = Node(op, (x,) * (op.arity or 0), ("y", ()), ket())
    with pytest.raises(InternalError, match=op.name):
        verify_unrolled(unrolled(build.average(bad)))


@pytest.mark.parametrize("op", [Op.INNER, Op.AVERAGE, Op.MATMUL, Op.CONTRACT])
def test_a_wrong_number_of_arguments_is_refused(op: Op) -> None:
    x = Node(Op.INIT_VECTOR, (), ("x", ()), ket())
    with pytest.raises(InternalError, match=f"{op.name} of 3 arguments"):
        verify_unrolled(unrolled(Node(op, (x, x, x), None, scalar())))


def unrolled(value: Node) -> Unrolled:
    """A program with that output."""
    output = UnrolledOutput("y", (value,), ((),), (), (), None)
    return Unrolled((output,), {}, {}, {}, {})
