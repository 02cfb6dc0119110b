"""What ``p.derive()`` returns: the limit of a program as mathematics, in every form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nexort.limit.derive.derivation import Derivation, Equation, OutputFormula
from nexort.limit.derive.formula import Average, Bracket, Formula, Response, Symbol
from nexort.limit.derive.printing import document as pages
from nexort.limit.derive.printing import latex, text
from nexort.limit.derive.walking import walk_formula


class Limits(Mapping[str, "Limit"]):
    """The derivation of a program: ``limits["nngp"]`` is the limit of an output.

    ``derivation`` is the derivation itself: outputs, equations, kets, Gaussian families, steps.
    """

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self._found = {o.name: Limit(derivation, o) for o in derivation.outputs}

    def __getitem__(self, name: str) -> Limit:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def closed(self) -> bool:
        """Whether every expectation has been expressed by known numbers and Gaussian means."""
        return self.derivation.closed

    def text(self, steps: bool = False, width: int = text.WIDTH) -> str:
        """The page as Unicode text, with the recorded steps if asked for."""
        return text.page_text(pages.page(self.derivation, steps), width)

    def latex(self, steps: bool = False, document: bool = False) -> str:
        """The page as a LaTeX fragment with its macros, or as a complete document."""
        page = pages.page(self.derivation, steps)
        return latex.document(page) if document else latex.fragment(page)

    def as_json(self) -> dict[str, Any]:
        """The derivation as plain data; the schema is in ``nexort.limit.derive.printing.plain``."""
        from nexort.limit.derive.printing.plain import as_plain

        return as_plain(self.derivation)

    @property
    def sympy(self) -> list[Any]:
        """The recursion as sympy equations."""
        from nexort.limit.derive.printing.symbolic import equation

        return [equation(e) for e in self.derivation.equations]

    def __repr__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        page = pages.page(self.derivation)
        items = [x for section in page.sections for x in section.items]
        return latex.display([x for x in items if isinstance(x, pages.Statement)])


class Limit:
    """The limit of one output: its formula, and the equations that it rests on."""

    def __init__(self, derivation: Derivation, output: OutputFormula) -> None:
        self.output = output
        self.formula: Formula = output.value
        self.equations: tuple[Equation, ...] = _needed(derivation, output.value)
        self._derivation = derivation

    def statements(self) -> list[pages.Statement]:
        """The formula and the equations, laid out."""
        return pages.statements(self._derivation, self.output, self.equations)

    @property
    def text(self) -> str:
        """The formula and the equations that it rests on, as Unicode text."""
        return text.text_statements(self.statements())

    @property
    def latex(self) -> str:
        """The formula and the equations that it rests on, as LaTeX equations; the macros of
        kets and hats are in ``nexort.limit.derive.printing.latex_boxes.MACROS``."""
        return "\n".join(latex.latex_equations(self.statements()))

    @property
    def sympy(self) -> Any:
        """The formula as a sympy expression; names as in
        ``nexort.limit.derive.printing.symbolic``."""
        from nexort.limit.derive.printing.symbolic import sympy_expression

        return sympy_expression(self.formula)

    @property
    def sympy_equations(self) -> list[Any]:
        """The equations that the formula rests on, as sympy equations."""
        from nexort.limit.derive.printing.symbolic import equation

        return [equation(e) for e in self.equations]

    def __repr__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return latex.display(self.statements())


def _needed(derivation: Derivation, value: Formula) -> tuple[Equation, ...]:
    """The equations that a formula rests on, by the names of what it reads."""
    found: set[Equation] = set()
    read = _read(value)
    while True:
        new = {e for e in derivation.equations if e not in found and _read(e.left) & read}
        if not new:
            return tuple(e for e in derivation.equations if e in found)
        found |= new
        for e in new:
            read |= _read(e.right)


def _read(value: Formula) -> set[tuple[str, ...]]:
    """The families of unknowns in a formula."""
    found: set[tuple[str, ...]] = set()
    for part in walk_formula(value):
        match part:
            case Bracket(left, right):
                found.add(("bracket", *sorted((left.name, right.name))))
            case Average(x):
                found.add(("average", x.name))
            case Response(x, by):
                found.add(("response", x.name, by.name))
            case Symbol(name, _, _, "scalar"):
                found.add(("scalar", name))
            case _:
                pass
    return found
