"""A derivation as a page: sections of statements, the same for text and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nexort.limit.derive.algebra import rebuilt
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import (
    Derivation,
    Equation,
    GaussianFamily,
    KetDefinition,
    OutputFormula,
    Rewrite,
)
from nexort.limit.derive.formula import (
    Average,
    Bracket,
    Expectation,
    Formula,
    Indices,
    Ket,
    Matrix,
    Symbol,
)
from nexort.limit.derive.matching import is_unknown
from nexort.limit.derive.printing import weights
from nexort.limit.derive.printing.boxes import (
    COMMA,
    Box,
    Glyph,
    box_row,
    parens,
    same,
    separate_boxes,
)
from nexort.limit.derive.printing.distinct import mark_names
from nexort.limit.derive.printing.duals import Duals
from nexort.limit.derive.printing.kets import (
    application,
    ket_box,
    operator_box,
    ranges,
    script_box,
)
from nexort.limit.derive.printing.letters import formulas_of, letter_lines, rename_axes
from nexort.limit.derive.printing.names import name_text
from nexort.limit.derive.printing.notation import PRODUCT, Notation
from nexort.limit.derive.printing.outputs import has_own_name, is_family, settle_outputs
from nexort.limit.derive.printing.sentences import OPENINGS, OVER_KETS, in_steps, said
from nexort.limit.derive.printing.statements import Page, Paragraph, Section, Statement, Words
from nexort.limit.derive.walking import walk_formula


def page(derivation: Derivation, steps: bool = False) -> Page:
    """The page of a derivation, with its recorded steps if asked for."""
    shown, axes = rename_axes(mark_names(settle_outputs(in_steps(derivation))))
    writer = _Writer(shown)
    sections = [
        Section("Outputs", tuple(writer.output(o) for o in shown.outputs)),
        Section("Kets", (*said("kets", shown), *(writer.ket(k) for k in shown.kets))),
        Section("Weights", tuple(weights.updates(shown.weights, writer.label))),
        Section("Update functions", tuple(weights.functions(shown.updates, writer.label))),
        Section("Gaussian families", tuple(writer.families(shown.gaussians))),
        Section(
            "Recursion",
            (
                *said("recursion", shown),
                *(writer.equation(e) for e in shown.equations),
                *writer.undefined(shown.undefined),
            ),
        ),
    ]
    told = tuple(writer.steps(shown.steps)) if steps else ()
    sections.append(Section("Gaussian expectations", tuple(writer.duals.items())))
    sections.append(Section("Derivation, step by step", told))
    return Page(
        derivation.name,
        tuple(_opening(axes, derivation.regime)),
        tuple(s for s in sections if s.items),
    )


def statements(
    derivation: Derivation, output: OutputFormula, equations: Iterable[Equation]
) -> list[Statement]:
    """An output's formula, the equations that it rests on, and the dual activations they use."""
    alone = replace(derivation, outputs=(output,), equations=tuple(equations), steps=())
    shown, _ = rename_axes(mark_names(settle_outputs(in_steps(alone))))
    writer = _Writer(shown)
    found = [writer.output(o) for o in shown.outputs]
    found += [writer.equation(e) for e in shown.equations]
    return found + [x for x in writer.duals.items() if isinstance(x, Statement)]


def _opening(axes: Mapping[str, Sequence[str]], regime: str) -> Iterator[Paragraph]:
    yield Paragraph((OPENINGS[regime],))
    if axes:
        words: list[Words] = ["Axes: "]
        for k, (axis, labels) in enumerate(axes.items()):
            listed = separate_boxes([name_text(x) for x in labels], COMMA)
            size = box_row(same("["), name_text(axis), same("]"))
            words += ["; "] if k else []
            words.append(box_row(listed, Glyph(" ∈ ", r" \in "), size))
        yield Paragraph((*words, "."))


class _Writer:
    """Writes the statements of one page."""

    def __init__(self, shown: Derivation) -> None:
        self.regime = shown.regime
        self.plain = Notation()
        self.duals = Duals(_numbers(shown))
        self.dual = Notation(self.duals.box)
        self.labels: dict[str, int] = {}
        self.gaussian = {(x.name, x.indices) for g in shown.gaussians for x in (g.left, g.right)}

    def output(self, output: OutputFormula) -> Statement:
        """``nngp_ab = ...``"""
        value, given = output.value, output.given
        label = self.label(output.name or _slug(given))
        if has_own_name(output) or given is None:
            left = script_box(name_text(output.name), output.indices, output.axes)
        else:
            left = self.plain.box(given)
        sides = self._sides(value)
        note = (_NOT_CLOSED,) if _has_expectation(value) else ()
        if self.regime in OVER_KETS and not is_family(output):
            sides = tuple(dict.fromkeys((*sides, self.plain.box(_over_kets(value)))))
        if sides[0] == left:
            sides = sides[1:]
        if not sides:
            return Statement(left, (), None, label, note or (self._kind(value),))
        return Statement(left, sides, ranges(output.ranges), label, note)

    def _kind(self, value: Formula) -> str:
        """What an output is that stands for itself."""
        if _member(value) in self.gaussian:
            return "It is Gaussian, with the covariance below."
        found = any(is_unknown(x) for x in walk_formula(value))
        return "It is given by the recursion." if found else "It is given."

    def ket(self, found: KetDefinition) -> Statement:
        """``|x^l_a> = ...``; an application is its matrix on a ket, then hat and dot."""
        value = self.plain.box(found.value)
        label = self.label(f"ket-{found.ket.name}")
        left, tail = self.plain.box(found.ket), ranges(found.ranges)
        if found.matrix is None or found.argument is None:
            return Statement(left, (value,), tail, label)
        applied = application(found.matrix, self.plain.box(found.argument, PRODUCT))
        note: tuple[Words, ...] = ()
        if found.why is not None:
            note = ("The dot vanishes: ", *prose(f"{found.why.rstrip('.')}."))
        elif found.note is not None:
            note = prose(f"{found.note.rstrip('.')}.")
        return Statement(left, (applied, value), tail, label, note)

    def families(self, families: Sequence[GaussianFamily]) -> Iterator[Statement | Paragraph]:
        """``Cov(..., ...) = ...``, by the reason why they are Gaussian."""
        for reason, words in _REASONS.items():
            some = [f for f in families if f.reason == reason]
            if some:
                yield Paragraph((words,))
            for family in some:
                pair = separate_boxes(
                    [self.plain.box(family.left), self.plain.box(family.right)], COMMA
                )
                left = box_row(Glyph("Cov", r"\Cov"), parens(pair))
                label = self.label(f"cov-{family.left.name}")
                right = self.plain.box(family.covariance)
                yield Statement(left, (right,), ranges(family.ranges), label)

    def equation(self, equation: Equation) -> Statement:
        """``<x^l_a|x^l_b> = ...``"""
        left = self.plain.box(equation.left)
        note = () if equation.closed else (_NOT_CLOSED,)
        label = self.label(_slug(equation.left))
        return Statement(left, self._sides(equation.right), ranges(equation.ranges), label, note)

    def undefined(self, formulas: Sequence[Formula]) -> Iterator[Paragraph]:
        """What has no equation."""
        if formulas:
            shown = separate_boxes([self.plain.box(f) for f in formulas], COMMA)
            yield Paragraph(("Without an equation: ", shown, "."))

    def _sides(self, value: Formula) -> tuple[Box, ...]:
        """The value over kets, and again in terms of covariances where it has Gaussian means."""
        plain, dual = self.plain.box(value), self.dual.box(value)
        return (plain,) if plain == dual else (plain, dual)

    def steps(self, steps: Sequence[Rewrite]) -> Iterator[Statement | Paragraph]:
        """Each step's rule and citation, then what it rewrites; a chain goes on with ``=``."""
        previous: Formula | None = None
        for k, step in enumerate(steps, 1):
            note = f": {step.note}" if step.note else ""
            yield Paragraph((f"{k}. {step.rule} (", *prose(f"{step.citation}){note}")))
            if step.after is not None:
                goes_on = previous is not None and previous == step.before
                before = None if step.before is None else self.plain.box(step.before)
                after = self.plain.box(step.after)
                if after == before:  # what changed is how the Gaussian mean is known
                    after = self.dual.box(step.after)
                yield Statement(None if goes_on else before, (after,))
            previous = step.after

    def label(self, wanted: str) -> str:
        """The next label of that name."""
        wanted = re.sub(r"\W+", "-", wanted).strip("-")
        count = self.labels[wanted] = self.labels.get(wanted, 0) + 1
        return f"eq:{wanted}" if count == 1 else f"eq:{wanted}-{count}"


def _numbers(shown: Derivation) -> set[str]:
    """The names of numbers on a page."""
    formulas = [f for line in letter_lines(shown) for f in formulas_of(line)]
    return {x.name for f in formulas for x in walk_formula(f) if isinstance(x, Symbol)}


def _has_expectation(value: Formula) -> bool:
    return any(isinstance(x, Expectation) for x in walk_formula(value))


def _member(value: Formula) -> tuple[str, Indices] | None:
    return (value.name, value.indices) if isinstance(value, Symbol) else None


def _over_kets(formula: Formula) -> Formula:
    """A formula with its bra-kets and averages as expectations."""
    match formula:
        case Bracket(left, right):
            return Expectation(mul(left, right))
        case Average(x):
            return Expectation(x)
        case _:
            return rebuilt(formula, _over_kets)


_NOT_CLOSED = "No rule gives this expectation in a closed form."
_REASONS = {
    "initial": "Initial vectors (Def 2.6.5, Init): Gaussian with mean 0:",
    "hat": "Hats (Def 2.6.5, MatMul): Gaussian with mean 0, independent for different matrices and "
    "of the initial vectors:",
    "linear": "Linear combinations of these:",
    "output": "The output of the initial weights: a Gaussian process with mean 0 (Thm 2.4.7, "
    "2.9.19):",
}


def prose(text: str) -> tuple[Words, ...]:
    """A sentence of the engine: the kets and transposes it mentions in ASCII, as formulas."""
    found: list[Words] = []
    end = 0
    for match in _MENTIONED.finditer(text):
        found += [text[end : match.start()], *_mentioned(match)]
        end = match.end()
    return (*found, text[end:])


_MENTIONED = re.compile(
    r"(?:\b(\w+)(\^T)? )?(?<!\w)\|(\w+)>|(?<=odd in )(\w+)|\b(\w+)\^T\b|\b([a-z]_[a-z])\b"
)


def _mentioned(match: re.Match[str]) -> list[Words]:
    matrix, transposed, argument, symbol, alone, indexed = match.groups()
    if alone:
        return [operator_box(Matrix(alone, (), True))]
    if symbol or indexed:
        return [name_text(symbol or indexed)]
    of_hat = match.string[: match.start()].endswith("hat of ")
    if matrix and (transposed or of_hat or matrix.isupper()):
        return [application(Matrix(matrix, (), bool(transposed)), ket_box(Ket(argument)))]
    return [*([f"{matrix} "] if matrix else []), ket_box(Ket(argument))]


def _slug(formula: Formula | None) -> str:
    kets = [getattr(formula, f, None) for f in ("left", "right", "ket", "by")]
    found = [k.name for k in kets if isinstance(k, Ket)]
    return "-".join(found) or str(getattr(formula, "name", "equation"))


__all__ = ["Statement", "page", "ranges", "statements"]
