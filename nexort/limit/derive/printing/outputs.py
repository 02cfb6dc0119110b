"""Outputs as a page has them: each by its own members and axes, and not twice.

An output's left side is its name with its own indices and axes, or what it puts out if it has no
name of its own. Where its value is an unknown of the recursion that one equation gives, the right
side is that equation's at the value's own indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, index_at, index_names, reindex, unbound
from nexort.limit.derive.derivation import Derivation, Equation, IndexRange, OutputFormula
from nexort.limit.derive.formula import Bracket, Formula, Symbol
from nexort.limit.derive.lines import least, surely_at_most
from nexort.limit.derive.matching import axes_of, is_unknown, unknown_members
from nexort.limit.derive.printing.names import AS_WRITTEN
from nexort.limit.derive.walking import names_in, walk_formula
from nexort.limit.derive.writing import LineWriter
from nexort.program.index import Affine

Env = dict[str, Affine]


def has_own_name(output: OutputFormula) -> bool:
    """Whether an output has a name of its own, rather than that of what it puts out; none if its
    own is the name of something else."""
    return output.name.removeprefix(AS_WRITTEN).isidentifier()


def is_family(output: OutputFormula) -> bool:
    """Whether an output is a number or a family of the program, under its own name."""
    given = output.given
    free = {r.var for r in output.ranges}
    return (
        isinstance(given, Symbol)
        and given.name == output.name
        and given.axes == output.axes
        and all(len(i.terms) == 1 and i.names <= free for i in given.indices)
    )


def settle_outputs(derivation: Derivation) -> Derivation:
    """Outputs by the right sides of equations; equations that nothing else reads go."""
    outputs: list[OutputFormula] = []
    shown: set[Equation] = set()
    spare: set[Equation] = set()
    used = names_in((derivation.equations, derivation.kets, derivation.gaussians))
    for output in derivation.outputs:
        own = [e for e in derivation.equations if _is_named(e.left, output.name)]
        if is_family(output) and output.value == output.given and own:
            shown.update(own)
            outputs += [_of_equation(output, e) for e in own]
            continue
        if is_family(output) and len(own) == 1:
            shown.update(own)
        elif output.name in used and has_own_name(output) and not is_family(output):
            output = replace(output, name="")  # noqa: PLW2901
        found = None
        if isinstance(output.value, Symbol) or not has_own_name(output):
            found = _given_by(derivation.equations, output)
        if found is None:
            outputs.append(output)
        else:
            (shown if _is_whole(output, found[0]) else spare).add(found[0])
            outputs.append(replace(output, value=found[1]))
    kept = [e for e in derivation.equations if e not in shown]
    rest = replace(derivation, outputs=tuple(outputs), equations=tuple(kept))
    unread = {e for e in spare if not _is_read(e, rest)}
    return replace(rest, equations=tuple(e for e in kept if e not in unread))


def _is_whole(output: OutputFormula, equation: Equation) -> bool:
    """Whether an output without a name is an equation itself, at all of its labels."""
    if has_own_name(output) or equation.ranges or output.given is None:
        return False
    labels = [Affine.variable(x.label) for x in output.labels]
    return is_unknown(output.given) and list(axes_of(output.given)) == labels


def _is_named(left: Formula, name: str) -> bool:
    return isinstance(left, Symbol) and left.name == name


def _of_equation(output: OutputFormula, equation: Equation) -> OutputFormula:
    left = equation.left
    assert isinstance(left, Symbol)
    return OutputFormula(
        output.name, left.indices, left.axes, equation.right, equation.ranges, equation.labels, left
    )


def _given_by(
    equations: Iterable[Equation], output: OutputFormula
) -> tuple[Equation, Formula] | None:
    """The one equation that gives an output's value, and its right side there."""
    if not is_unknown(output.value):
        return None
    found: dict[Equation, tuple[Env | None, bool]] = {}
    for value in _sides(output.value):
        for e in equations:
            for match in _matched(e, value, output.ranges):
                found.setdefault(e, match)
    certain = [e for e, (_, sure) in found.items() if sure]
    if len(found) != 1 and len(certain) != 1:
        return None
    [equation] = found if len(found) == 1 else certain
    env, _ = found[equation]
    if env is None:
        return None
    right = reindex(unbound(equation.right, BoundNames()), env)
    free = frozenset(index_names(right)) | frozenset(x.label for x in output.labels)
    bound = frozenset(n for n in free if not n.startswith("%"))
    return equation, LineWriter(bound).formula(right)


def _sides(value: Formula) -> Iterator[Formula]:
    """A bra-ket both ways round."""
    yield value
    if isinstance(value, Bracket) and value.left != value.right:
        yield Bracket(value.right, value.left)


def _matched(
    equation: Equation, value: Formula, ranges: tuple[IndexRange, ...]
) -> Iterator[tuple[Env | None, bool]]:
    """Nothing where an equation is not about a value; else what its variables are there (None if
    it may be about the value or not), and whether it surely is."""
    if type(equation.left) is not type(value):
        return
    (kind, mine), (other, theirs) = unknown_members(equation.left), unknown_members(value)
    if kind != other or [n for n, _ in mine] != [n for n, _ in theirs]:
        return
    pairs = [
        (i, j)
        for (_, a), (_, b) in zip(mine, theirs, strict=True)
        for i, j in zip(a, b, strict=True)
    ]
    pairs += zip(axes_of(equation.left), axes_of(value), strict=True)
    free = {r.var for r in equation.ranges} | {x.label for x in equation.labels}
    env: Env = {}
    maybe = False
    for own, given in pairs:
        name, coefficient = own.terms[0] if len(own.terms) == 1 else ("", 0)
        if coefficient == 1 and name in free and name not in env:
            env[name] = given - Affine(own.constant)
        else:
            gap = index_at(own, env) - given
            maybe |= bool(gap.terms)
            if not gap.terms and gap.constant:
                return
    if maybe:
        yield None, False
        return
    inside = True  # and ``maybe``: for some values of the ranges only
    for r in equation.ranges:
        first, last = index_at(r.first, env), index_at(r.last, env)
        below, above = env[r.var] - first, last - env[r.var]
        if any(not x.terms and x.constant < 0 for x in (below, above)):
            return
        lowest = [least(x, ranges) for x in (below, above)]
        maybe |= any(not x.terms and x.constant < 0 for x in lowest)
        inside &= surely_at_most(first, env[r.var], ranges)
        inside &= surely_at_most(env[r.var], last, ranges)
    yield (None if maybe else env), inside


def _is_read(equation: Equation, derivation: Derivation) -> bool:
    """Whether anything but an equation itself reads the family that it gives."""
    name = unknown_members(equation.left)[0], tuple(n for n, _ in unknown_members(equation.left)[1])
    formulas = [o.value for o in derivation.outputs]
    formulas += [e.right for e in derivation.equations if e is not equation]
    formulas += [k.value for k in derivation.kets]
    formulas += [g.covariance for g in derivation.gaussians]
    formulas += [w.value for w in derivation.weights]
    return any(_family(x) in (name, _turned(name)) for f in formulas for x in walk_formula(f))


Family = tuple[str, tuple[str, ...]]


def _family(formula: Formula) -> Family | None:
    if not is_unknown(formula):
        return None
    kind, members = unknown_members(formula)
    return kind, tuple(n for n, _ in members)


def _turned(name: Family) -> Family:
    return name[0], name[1][::-1] if name[0] == "bracket" else name[1]
