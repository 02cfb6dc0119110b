"""What a page says of a training besides its formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexort.limit.derive.algebra import reindex
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.formula import Average, Bracket, Expectation, Ket, Symbol
from nexort.limit.derive.printing.notation import Notation
from nexort.limit.derive.printing.statements import Paragraph, Words
from nexort.program.index import Affine

OPENINGS = {
    "": "The limit as the width goes to infinity (Master Theorem 2.6.10 of Yang & Littwin, "
    "arXiv 2308.01814, whose numbers are cited throughout).",
    "maximal": "The maximal update limit of the training as the width goes to infinity (Theorems "
    "2.7.3 and 2.9.30 of Yang & Littwin, arXiv 2308.01814, whose numbers are cited throughout).",
    "tangent": "The neural tangent limit of the training as the width goes to infinity (Theorems "
    "2.4.9 and 2.9.23 of Yang & Littwin, arXiv 2308.01814, whose numbers are cited throughout).",
    "decayed": "The neural tangent limit of the training with weight decay as the width goes to "
    "infinity (Theorem 2.10.3 of Yang & Littwin, arXiv 2308.01814, whose numbers are cited "
    "throughout).",
}


_NOTATION = Notation()
_X, _Y = Ket("x"), Ket("y")
BRACKETS: tuple[Words, ...] = (
    "Every bra-ket ", _NOTATION.box(Bracket(_X, _Y)), " is ",
    _NOTATION.box(Expectation(mul(_X, _Y))), ", and ", _NOTATION.box(Average(_X)), " is ",
    _NOTATION.box(Expectation(_X)), ":",
)  # fmt: skip
"""What every bra-ket is in a limit whose recursion is of kets."""

OPERATOR = "neural tangent operator"
"""The rule of the steps that say what the operator is."""

OVER_KETS = frozenset(("maximal", "decayed"))


SENTENCES: dict[tuple[str, str], tuple[Words, ...]] = {
    ("maximal", "kets"): (
        "A trained matrix acts as its initial matrix does, by a hat and a dot (Def 2.6.5, 2.6.7), "
        "and by its moves so far, nonlinear outer products whose bras are on one copy with the "
        "ket that they act on (1.2, 2.7). The derivatives by hats go by the chain rule through "
        "all equations, and where a function jumps by Stein's form (Remark 2.6.6):",
    ),
    ("tangent", "kets"): ("Kets and their covariances do not move from the start:",),
    ("decayed", "kets"): (
        "At every step the weights are, seen by kets, what decay left of their initial values:",
    ),
    ("decayed", "recursion"): (
        "The output is a Gaussian process, that of the decayed initial weights, less the neural "
        "tangent operator of the decayed sums of all updates:",
    ),
    ("decayed", "recursion without a process"): (
        "The neural tangent operator of the decayed sums of all updates has a term of every "
        "weight:",
    ),
    ("tangent", "recursion"): (
        "The neural tangent operator of all error signals so far (Eq 2.10, Def 2.9.22) has a term "
        "of every weight:",
    ),
}


def said(place: str, derivation: Derivation) -> Iterator[Paragraph]:
    """A sentence at the head of a section."""
    if place == "recursion" and derivation.regime in OVER_KETS:
        yield Paragraph(BRACKETS)
    random = any(g.reason == "output" for g in derivation.gaussians)
    alone = derivation.regime == "decayed" and place == "recursion" and not random
    words = SENTENCES.get((derivation.regime, place + (" without a process" if alone else "")))
    if place == "recursion":
        operators = {getattr(s.before, "name", "") for s in derivation.steps if s.rule == OPERATOR}
        wanted = any(getattr(e.left, "name", "") in operators for e in derivation.equations)
    elif derivation.regime == "maximal":
        wanted = any(k.matrix is not None for k in derivation.kets)
    else:
        wanted = bool(derivation.kets)
    if words is not None and wanted:
        yield Paragraph(words)


def in_steps(derivation: Derivation) -> Derivation:
    """f_t by f_{t-1} in a training, as f_{t+1} by f_t."""
    if derivation.regime != "tangent":
        return derivation
    equations = []
    for e in derivation.equations:
        if isinstance(e.left, Symbol) and [r.first for r in e.ranges] == [Affine(1)]:
            [r] = e.ranges
            env, span = r.forward()
            left, right = reindex(e.left, env), reindex(e.right, env)
            equations.append(replace(e, left=left, right=right, ranges=(span,)))
        else:
            equations.append(e)
    return replace(derivation, equations=tuple(equations))
