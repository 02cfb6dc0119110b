"""Initial vectors as Gaussian families: their covariance, and where they are defined."""

from __future__ import annotations

from functools import partial

from nexort.limit.derive.algebra import BoundNames, delta
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import ONE, ZERO, Formula, Indices, Ket
from nexort.limit.derive.indexing import Indexer, is_scaled_vector, joint_names, joint_vector
from nexort.limit.derive.lines import System
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program


def initial_families(program: Program, names: BoundNames) -> System:
    """A system with the initial vectors of a program only."""
    system = System()

    def no_operators(
        indexer: Indexer, acting: Node, value: Node, labels: Indices, env: object
    ) -> Formula:
        raise Unsupported("a covariance has no operators")

    indexer = Indexer(program, names, no_operators)
    for declared in program.initial.values():
        for node in walk([declared.value]):
            if node.op is not Op.INIT_VECTOR:
                continue
            name = str(node.attr[0])
            if joint_names(name) is not None:
                continue  # each has a name of its own
            system.axes.setdefault(name, tuple(a.name for a in node.type.axes))
            ranges = tuple(
                IndexRange(f"%{name}{k}", r.first, r.last) for k, r in enumerate(declared.ranges)
            )
            system.initial_ranges.setdefault(name, ranges)
            system.initial.setdefault(name, standard_covariance)
        scaled = is_scaled_vector(declared.value)
        if scaled and not any(
            x.op in (Op.SLOT, Op.INDEX, Op.REF) for x in walk([declared.value.args[0]])
        ):
            variance = indexer.formula(declared.value.args[0].args[0], (), {})
            system.initial[str(declared.value.args[1].attr[0])] = partial(_scaled, variance)
        for node in walk([declared.value]):
            if node.op is Op.CONTRACT and (joint := joint_vector(node)):
                matrix = node.args[1].args[0]
                own = joint_names(joint)
                if own is None:
                    system.initial[joint] = partial(_joint, indexer, matrix)
                    continue
                for name in own:
                    system.axes[name], system.initial_ranges[name] = (), ()
                    system.groups[name] = joint
                    system.initial[name] = partial(_together, indexer, matrix, tuple(own))
    return system


def standard_covariance(left: Ket, right: Ket) -> Formula:
    """E |u_i> |u_j> = delta_ij for a standard normal family, at every index and axis."""
    pairs = zip(left.indices + left.axes, right.indices + right.axes, strict=True)
    result: Formula = ONE if left.copy == right.copy else ZERO
    for a, b in pairs:
        result = mul(result, delta(a, b))
    return result


def _scaled(variance: Formula, left: Ket, right: Ket) -> Formula:
    """A family of variance c."""
    return mul(variance, standard_covariance(left, right))


def _joint(indexer: Indexer, matrix: Node, left: Ket, right: Ket) -> Formula:
    """E |w_i> |w_j> = C_ij."""
    if left.copy != right.copy:
        return ZERO
    return indexer.formula(matrix, (left.axes[0], right.axes[0]), {})


def _together(
    indexer: Indexer, matrix: Node, names: tuple[str, ...], left: Ket, right: Ket
) -> Formula:
    """E |x> |y> = C_xy of vectors that are declared together."""
    if left.copy != right.copy:
        return ZERO
    at = (Affine(names.index(left.name)), Affine(names.index(right.name)))
    return indexer.formula(matrix, at, {})


def is_fixed(index: Affine) -> bool:
    """Whether an index is a number."""
    return not index.terms
